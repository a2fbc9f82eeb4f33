"""What the denoiser hears: a window of log-mel columns around each frame, as a few tokens."""

import torch
import torch.nn.functional as F
from torch import nn

from llia_ros.model.config import MOUTH, AudioConfig


class AudioEncoder(nn.Module):
    """Convolutions over time; every width but the first halves the number of columns."""

    def __init__(self, cfg: AudioConfig):
        super().__init__()
        widths = (cfg.bins, *cfg.widths)
        self.convs = nn.ModuleList(
            [
                nn.Conv1d(a, b, 5 if i == 0 else 4, stride=1 if i == 0 else 2, padding=2 - (i > 0))
                for i, (a, b) in enumerate(zip(widths, widths[1:]))
            ]
        )
        self.norms = nn.ModuleList([nn.GroupNorm(8, w) for w in cfg.widths])
        self.mix = nn.Linear(cfg.widths[-1], 2 * cfg.token_dim)
        self.to_token = nn.Linear(2 * cfg.token_dim, cfg.token_dim)
        self.columns = cfg.token_columns
        self.tokens = self.columns // 2 ** (len(cfg.widths) - 1)
        self.position = nn.Parameter(torch.zeros(self.tokens, cfg.token_dim))
        self.to_mouth = nn.Sequential(
            nn.Linear(self.tokens * cfg.token_dim, 128), nn.SiLU(), nn.Linear(128, len(MOUTH))
        )

    def forward(self, mel_NTM: torch.Tensor) -> torch.Tensor:
        """Return tokens (N, S, D) of the end of log-mel windows (N, T, M)."""
        x_NCT = mel_NTM[:, -self.columns :].transpose(1, 2)
        for conv, norm in zip(self.convs, self.norms):
            x_NCT = F.silu(norm(conv(x_NCT)))
        x_NSC = F.silu(self.mix(x_NCT.transpose(1, 2)))
        return self.to_token(x_NSC) + self.position

    def mouth(self, tokens_NSD: torch.Tensor) -> torch.Tensor:
        """Return the mouth (N, 5) that a speaker of this sound would show."""
        return self.to_mouth(tokens_NSD.flatten(1))
