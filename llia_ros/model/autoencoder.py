"""Picture to latent and back at full scale: autoencoders of diffusers, used as tiny's codec is."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from llia_ros.model.pretrained import AutoencoderConfig


class Autoencoder(nn.Module):
    """An encoder and a decoder, as `Codec` has them, of pictures (N, 3, S, S) in -1 .. 1.

    Latents (N, C, S / 8, S / 8) have about unit variance. Weights are random, under the names of
    diffusers (AutoencoderKL, AutoencoderTiny). ValueError for an unknown kind.
    """

    def __init__(self, cfg: AutoencoderConfig):
        super().__init__()
        if cfg.size % cfg.factor:
            raise ValueError(f'a picture of {cfg.size} pixels does not shrink by {cfg.factor}')
        self.cfg = cfg
        self.autoencoder = _autoencoder(cfg)

    def encoder(self, image_NCHW: torch.Tensor) -> torch.Tensor:
        """Return latents of pictures."""
        found = self.autoencoder.encode(image_NCHW.to(self.autoencoder.dtype))
        if self.cfg.kind == 'tiny':
            return found.latents
        # The mode: a portrait is to be read the same each time.
        return found.latent_dist.mode() * self.cfg.scale

    def decoder(self, latent_NCHW: torch.Tensor) -> torch.Tensor:
        """Return pictures of latents."""
        latent_NCHW = latent_NCHW.to(self.autoencoder.dtype)
        if self.cfg.kind == 'kl':
            latent_NCHW = latent_NCHW / self.cfg.scale
        return self.autoencoder.decode(latent_NCHW).sample


def _autoencoder(cfg: AutoencoderConfig) -> Any:
    from diffusers import AutoencoderKL, AutoencoderTiny

    levels = len(cfg.channels)
    if cfg.kind == 'kl':
        return AutoencoderKL(
            down_block_types=('DownEncoderBlock2D',) * levels,
            up_block_types=('UpDecoderBlock2D',) * levels,
            block_out_channels=cfg.channels,
            layers_per_block=cfg.layers,
            latent_channels=cfg.latent_channels,
            norm_num_groups=min(32, cfg.channels[0] // 2),
            scaling_factor=cfg.scale,
        )
    if cfg.kind == 'tiny':
        return AutoencoderTiny(latent_channels=cfg.latent_channels)
    raise ValueError(f"unknown codec {cfg.kind!r}: 'kl' or 'tiny'")
