"""Picture to latent and back, cheap enough for a CPU: no norms, no attention, few wide layers."""

import torch
import torch.nn.functional as F
from torch import nn

from llia_ros.model.config import CodecConfig


class Residual(nn.Module):
    """Two 3x3 convolutions around ReLU; the second starts near zero, so depth costs no signal."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        with torch.no_grad():
            self.conv2.weight.mul_(0.2)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        return x_NCHW + self.conv2(F.relu(self.conv1(F.relu(x_NCHW))))


class Encoder(nn.Module):
    """RGB in -1 .. 1 (N, 3, S, S) to a latent of unit variance per channel (N, C, S/f, S/f)."""

    def __init__(self, cfg: CodecConfig):
        super().__init__()
        self.patch = cfg.encoder_patch
        widths = cfg.encoder_widths
        self.conv_in = nn.Conv2d(3 * self.patch**2, widths[0], 1)
        self.blocks = nn.ModuleList([Residual(w) for w in widths])
        self.downs = nn.ModuleList([nn.Conv2d(4 * a, b, 1) for a, b in zip(widths, widths[1:])])
        self.mid = Residual(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], cfg.latent_channels, 1)
        self.norm = nn.BatchNorm2d(cfg.latent_channels, affine=False)
        if cfg.factor != self.patch * 2 ** (len(widths) - 1):
            raise ValueError(
                f'encoder widths {widths} and patch {self.patch} do not give factor {cfg.factor}'
            )

    def forward(self, image_NCHW: torch.Tensor) -> torch.Tensor:
        x = self.conv_in(F.pixel_unshuffle(image_NCHW, self.patch))
        for i, block in enumerate(self.blocks):
            x = block(x if i == 0 else self.downs[i - 1](F.pixel_unshuffle(x, 2)))
        return self.norm(self.conv_out(self.mid(x)))


class Decoder(nn.Module):
    """A latent (N, C, h, w) to RGB in about -1 .. 1 (N, 3, h*f, w*f)."""

    def __init__(self, cfg: CodecConfig):
        super().__init__()
        self.patch = cfg.decoder_patch
        widths = cfg.decoder_widths
        self.conv_in = nn.Conv2d(cfg.latent_channels, widths[0], 3, padding=1)
        self.mid = Residual(widths[0])
        self.blocks = nn.ModuleList([Residual(w) for w in widths])
        self.ups = nn.ModuleList([nn.Conv2d(a, 4 * b, 1) for a, b in zip(widths, widths[1:])])
        self.conv_out = nn.Conv2d(widths[-1], 3 * self.patch**2, 3, padding=1)
        if cfg.factor != self.patch * 2 ** (len(widths) - 1):
            raise ValueError(
                f'decoder widths {widths} and patch {self.patch} do not give factor {cfg.factor}'
            )

    def forward(self, latent_NCHW: torch.Tensor) -> torch.Tensor:
        x = self.mid(self.conv_in(latent_NCHW))
        for i, block in enumerate(self.blocks):
            x = block(x if i == 0 else F.pixel_shuffle(self.ups[i - 1](x), 2))
        return F.pixel_shuffle(self.conv_out(x), self.patch)


class Codec(nn.Module):
    """The two halves, trained together."""

    def __init__(self, cfg: CodecConfig):
        super().__init__()
        self.cfg = cfg
        self.encoder = Encoder(cfg)
        self.decoder = Decoder(cfg)


def to_unit(image_NHWC: torch.Tensor) -> torch.Tensor:
    """Return uint8 pictures (N, H, W, 3) as float (N, 3, H, W) in -1 .. 1."""
    return image_NHWC.permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pixels(image_NCHW: torch.Tensor) -> torch.Tensor:
    """Return float pictures (N, 3, H, W) in -1 .. 1 as uint8 (N, H, W, 3)."""
    levels = (image_NCHW.permute(0, 2, 3, 1) * 127.5 + 127.5).round().clamp(0, 255)
    return levels.to(torch.uint8)
