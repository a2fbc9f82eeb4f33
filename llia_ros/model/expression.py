"""The animator: a portrait's latent with another expression; the denoiser itself is untouched.

As in LLIA, an expression is changed on the reference before the ReferenceNet reads it.
"""

import torch
import torch.nn.functional as F
from torch import nn

from llia_ros.model.config import EXPRESSIONS
from llia_ros.model.unet import ResnetBlock


class ExpressionAnimator(nn.Module):
    """A small residual network on the portrait's latent, steered by expression weights."""

    def __init__(self, latent_channels: int, width: int = 64, blocks: int = 4):
        super().__init__()
        self.conv_in = nn.Conv2d(latent_channels, width, 3, padding=1)
        self.steer = nn.Sequential(
            nn.Linear(len(EXPRESSIONS), 128), nn.SiLU(), nn.Linear(128, 128)
        )
        self.blocks = nn.ModuleList(
            [
                ResnetBlock(width, width, embedding=128, groups=8, modulated=True)
                for _ in range(blocks)
            ]
        )
        self.conv_out = nn.Conv2d(width, latent_channels, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)

    def forward(self, latent_NCHW: torch.Tensor, weights_NE: torch.Tensor) -> torch.Tensor:
        """Return the latent of the same face wearing the expressions with these weights."""
        x, embedding = self.conv_in(latent_NCHW), self.steer(weights_NE)
        for block in self.blocks:
            x = block(x, embedding)
        return latent_NCHW + self.conv_out(F.silu(x))
