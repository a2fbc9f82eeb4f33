"""What mouth makes a sound: a second and a third of log-mel columns before each frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from llia_ros.model.config import MOUTH, AudioConfig

STEM = (5, 10)  # columns that the two convolutions of the stem see; the second one steps by frames
COLUMNS_PER_FRAME = 4


class ChannelNorm(nn.Module):
    """Root mean square norm over channels alone, so that no frame depends on a later one."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1))

    def forward(self, x_NCT: torch.Tensor) -> torch.Tensor:
        """Return (N, C, T) with each column scaled."""
        mean = x_NCT.float().square().mean(dim=1, keepdim=True)
        return x_NCT * (mean + 1e-6).rsqrt().to(x_NCT.dtype) * self.weight


class Block(nn.Module):
    """A residual block whose convolution looks back; the frames that it lacks are cut off."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.back = 2 * dilation
        self.norm = ChannelNorm(width)
        self.conv = nn.Conv1d(width, 2 * width, 3, dilation=dilation)
        self.out = nn.Conv1d(2 * width, width, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x_NCT: torch.Tensor) -> torch.Tensor:
        """Return (N, C, T - 2 dilation)."""
        return x_NCT[..., self.back :] + self.out(F.silu(self.conv(F.silu(self.norm(x_NCT)))))


class VisemePredictor(nn.Module):
    """Convolutions over frames, the widest reach first: it hears how a voice sounds, then what.

    Nothing is padded: a window of `AudioConfig.columns` gives one frame, a longer piece of sound
    one frame more for every four columns.
    """

    def __init__(self, cfg: AudioConfig):
        super().__init__()
        width = cfg.viseme_width
        self.first = nn.Conv1d(cfg.bins, cfg.bins, STEM[0])
        self.second = nn.Conv1d(cfg.bins, width, STEM[1], stride=COLUMNS_PER_FRAME)
        self.blocks = nn.ModuleList([Block(width, d) for d in cfg.viseme_dilations])
        self.norm = ChannelNorm(width)
        self.mix = nn.Conv1d(width, width, 1)
        self.out = nn.Conv1d(width, len(MOUTH), 1)

    def forward(self, mel_NTM: torch.Tensor) -> torch.Tensor:
        """Return the mouths (N, F, 5) of sound (N, T, M), T = columns + 4 (F - 1)."""
        x_NCT = self.second(F.silu(self.first(mel_NTM.transpose(1, 2))))
        for block in self.blocks:
            x_NCT = block(x_NCT)
        x_NCT = F.silu(self.mix(F.silu(self.norm(x_NCT))))
        return self.out(x_NCT).transpose(1, 2)
