"""The denoiser at every scale: SD 1.5 blocks with reference, audio and past-frame attention.

Shapes: B clips, F frames, P past frames, C channels, H x W latent pixels, L = H*W tokens,
S context tokens. Frames travel folded into the batch, x_NCHW with N = B*F, so that every spatial
layer is a plain 2D layer. The ReferenceNet is the same class with `motion=False`: it collects in
`writes` what the denoiser reads. No module keeps state, and nothing is patched: that is what
exports. Parameter names follow diffusers, so that SD 1.5 and its descendants load unrenamed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from llia_ros.model.attention import AudioBlock, KeysValues, SpatialBlock, TemporalBlock
from llia_ros.model.config import UNetConfig

Read = torch.Tensor | KeysValues


@dataclass
class Conditions:
    """What every block may look at.

    `frames`: F. `context`: (N, S, D) tokens for cross-attention. `audio`, `masks`: Hallo's audio
    tokens and region masks per level. `reads`: per attention block a reference, (B, L, C) or its
    keys and values, and past frames, (B, P, L, C); either may be None; in the order the
    ReferenceNet wrote them. `writes`: filled by the ReferenceNet with one (N, L, C) tensor per
    attention block. `still`: each frame is drawn by itself, attention over time is passed over
    (the first stage of a training).
    """

    frames: int = 1
    still: bool = False
    context: torch.Tensor | None = None
    audio: torch.Tensor | None = None
    masks: Sequence[Sequence[torch.Tensor]] = ()
    reads: Iterator[tuple[Read | None, torch.Tensor | None]] | None = None
    writes: list[torch.Tensor] | None = None


class Transformer2D(nn.Module):
    """A transformer block over the pixels of one frame."""

    def __init__(self, channels: int, block: nn.Module, dim: int, groups: int):
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = nn.Conv2d(channels, dim, 1)
        self.transformer_blocks = nn.ModuleList([block])
        self.proj_out = nn.Conv2d(dim, channels, 1)

    def forward(self, x_NCHW: torch.Tensor, *conditions: Any) -> torch.Tensor:
        h = self.proj_in(self.norm(x_NCHW))
        h_NLC = self.transformer_blocks[0](h.flatten(2).transpose(1, 2), *conditions)
        return x_NCHW + self.proj_out(h_NLC.transpose(1, 2).reshape(h.shape))


class TemporalTransformer(nn.Module):
    """A transformer block over the frames at one pixel."""

    def __init__(self, channels: int, cfg: UNetConfig):
        super().__init__()
        self.norm = nn.GroupNorm(cfg.groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([TemporalBlock(channels, cfg)])
        self.proj_out = nn.Linear(channels, channels)
        # As in AnimateDiff: time is added to a model of pictures without disturbing it.
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)

    def forward(self, x_BFCHW: torch.Tensor) -> torch.Tensor:
        B, T, C, H, W = x_BFCHW.shape
        h = self.norm(x_BFCHW.flatten(0, 1)).unflatten(0, (B, T))
        h = self.proj_in(h.permute(0, 3, 4, 1, 2).reshape(B * H * W, T, C))
        h = self.proj_out(self.transformer_blocks[0](h))
        return x_BFCHW + h.reshape(B, H, W, T, C).permute(0, 3, 4, 1, 2)


class MotionModule(nn.Module):
    """Attention over time; past frames, if given, go before the clip and are dropped after."""

    def __init__(self, channels: int, cfg: UNetConfig):
        super().__init__()
        self.temporal_transformer = TemporalTransformer(channels, cfg)

    def forward(
        self, x_NCHW: torch.Tensor, frames: int, past_BPLC: torch.Tensor | None = None
    ) -> torch.Tensor:
        x = x_NCHW.unflatten(0, (-1, frames))
        if past_BPLC is None:
            return self.temporal_transformer(x).flatten(0, 1)
        past = past_BPLC.transpose(2, 3).unflatten(-1, x.shape[-2:])
        joined = self.temporal_transformer(torch.cat([past, x], dim=1))
        return joined[:, past.shape[1] :].flatten(0, 1)


class ResnetBlock(nn.Module):
    """Two convolutions, steered by the embedding of noise level, state and controls.

    It shifts what lies between them. If `modulated`, it also scales the inputs of the second
    (Karras et al., 1912.04958): to move a feature by a control is to multiply one by the other.
    """

    def __init__(self, cin: int, cout: int, embedding: int, groups: int, modulated: bool = False):
        super().__init__()
        self.modulated = modulated
        self.norm1 = nn.GroupNorm(groups, cin, eps=1e-5)
        self.conv1 = nn.Conv2d(cin, cout, 3, padding=1)
        self.time_emb_proj = nn.Linear(embedding, 2 * cout if modulated else cout)
        self.norm2 = nn.GroupNorm(groups, cout, eps=1e-5)
        self.conv2 = nn.Conv2d(cout, cout, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(cin, cout, 1) if cin != cout else nn.Identity()
        if modulated:
            with torch.no_grad():
                self.time_emb_proj.weight[cout:] = 0
                self.time_emb_proj.bias[cout:] = 0

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        steer = self.time_emb_proj(F.silu(embedding))[:, :, None, None]
        h = self.conv1(F.silu(self.norm1(x)))
        if not self.modulated:
            h = F.silu(self.norm2(h + steer))
        else:
            shift, gain = steer.chunk(2, dim=1)
            h = F.silu(self.norm2(h + shift)) * (1 + gain)
        return self.conv_shortcut(x) + self.conv2(h)


class Resample(nn.Module):
    """Halve (scale .5) or double (scale 2) the resolution around a convolution."""

    def __init__(self, channels: int, scale: float):
        super().__init__()
        self.scale = scale
        stride = 2 if scale < 1 else 1
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, stride=stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0) if self.scale > 1 else x)


class Block(nn.Module):
    """One resolution: residual blocks, each followed by spatial, audio and motion attention."""

    def __init__(
        self,
        cfg: UNetConfig,
        cins: list[int],
        channels: int,
        level: int,
        audio_channels: list[int],
        scale: float | None = None,
        mid: bool = False,
    ):
        super().__init__()
        embedding, count = 4 * cfg.channels[0], len(cins) - mid
        self.level = level
        self.spatial = mid or cfg.attention[level]
        self.temporal = cfg.motion and (mid or cfg.temporal[level])
        self.resnets = nn.ModuleList(
            [ResnetBlock(c, channels, embedding, cfg.groups, cfg.modulated) for c in cins]
        )
        if self.spatial:
            self.attentions = nn.ModuleList(
                [
                    Transformer2D(channels, SpatialBlock(channels, cfg), channels, cfg.groups)
                    for _ in range(count)
                ]
            )
            if cfg.audio_dim:
                self.audio_modules = nn.ModuleList(
                    [
                        Transformer2D(channels, AudioBlock(c, cfg), c, cfg.groups)
                        for c in audio_channels
                    ]
                )
        if self.temporal:
            self.motion_modules = nn.ModuleList(
                [MotionModule(channels, cfg) for _ in range(count)]
            )
        if scale:
            name = 'upsamplers' if scale > 1 else 'downsamplers'
            setattr(self, name, nn.ModuleList([Resample(channels, scale)]))

    def attend(self, i: int, x: torch.Tensor, c: Conditions) -> torch.Tensor:
        """Apply the attention that follows residual block `i`."""
        past = None
        if self.spatial:
            reference, past = next(c.reads) if c.reads is not None else (None, None)
            x = self.attentions[i](x, c.context, reference, c.writes)
            if hasattr(self, 'audio_modules'):
                x = self.audio_modules[i](x, c.audio, [mask[self.level] for mask in c.masks])
        if not self.temporal or c.still:
            return x
        return self.motion_modules[i](x, c.frames, past)


class UNet(nn.Module):
    """Denoiser or ReferenceNet of any size."""

    def __init__(self, cfg: UNetConfig):
        super().__init__()
        self.cfg, ch, levels = cfg, cfg.channels, len(cfg.channels)
        width = 4 * ch[0]
        inputs = cfg.latent_channels * (2 if cfg.reference_input else 1)
        self.conv_in = nn.Conv2d(inputs, ch[0], 3, padding=1)
        self.time_embedding = nn.ModuleDict(
            {'linear_1': nn.Linear(ch[0], width), 'linear_2': nn.Linear(width, width)}
        )
        self.class_embedding = nn.Embedding(cfg.states, width) if cfg.states else None
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        skips, c = [ch[0]], ch[0]
        for level in range(levels):
            last = level == levels - 1
            cins = [c] + [ch[level]] * (cfg.layers - 1)
            self.down_blocks.append(
                Block(cfg, cins, ch[level], level, cins, None if last else 0.5)
            )
            c = ch[level]
            skips += [c] * (cfg.layers + (not last))
        self.mid_block = Block(cfg, [c, c], c, levels - 1, [c], mid=True)
        for level in reversed(range(levels)):
            cins = []
            for _ in range(cfg.layers + 1):
                cins.append(c + skips.pop())
                c = ch[level]
            audio = [ch[max(level - 1, 0)]] * (cfg.layers + 1)
            self.up_blocks.append(Block(cfg, cins, c, level, audio, 2.0 if level else None))
        if cfg.reader:
            end = max(i for i, block in enumerate(self.up_blocks) if block.spatial)
            del self.up_blocks[end + 1 :]
            if hasattr(self.up_blocks[end], 'upsamplers'):
                del self.up_blocks[end].upsamplers
        else:
            self.conv_norm_out = nn.GroupNorm(cfg.groups, ch[0], eps=1e-5)
            self.conv_out = nn.Conv2d(ch[0], cfg.latent_channels, 3, padding=1)

    def embed(self, t_N: torch.Tensor, state_N: torch.Tensor | None = None) -> torch.Tensor:
        """Return the embedding (N, E) of noise levels (0 .. 1000) and state labels."""
        half = self.cfg.channels[0] // 2
        # In this order of rounding, which the public weights were trained with.
        power = -math.log(10000.0) * torch.arange(half, device=t_N.device) / half
        rate = torch.exp(power)
        angle = t_N.float()[:, None] * rate
        wave = torch.cat([angle.cos(), angle.sin()], dim=-1).to(self.conv_in.weight.dtype)
        first, second = self.time_embedding['linear_1'], self.time_embedding['linear_2']
        embedding = second(F.silu(first(wave)))
        return embedding if state_N is None else embedding + self.class_embedding(state_N)

    def keys_values(self, reads: Sequence[torch.Tensor]) -> list[KeysValues]:
        """Return keys and values of a reference's reads, to be kept as long as it is shown."""
        blocks = [*self.down_blocks, self.mid_block, *self.up_blocks]
        attentions = [a for block in blocks if block.spatial for a in block.attentions]
        return [
            attention.transformer_blocks[0].attn1.keys_values(read)
            for attention, read in zip(attentions, reads, strict=True)
        ]

    def forward(
        self,
        x_NCHW: torch.Tensor,
        embedding_NE: torch.Tensor,
        conditions: Conditions,
        pose_NCHW: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the prediction (N, C, H, W) for a noised latent; of a `reader` its last features.

        `pose_NCHW`: the face locator's features, added after the first layer.
        """
        x = self.conv_in(x_NCHW)
        x = x if pose_NCHW is None else x + pose_NCHW
        skips = [x]
        for block in self.down_blocks:
            for i, resnet in enumerate(block.resnets):
                x = block.attend(i, resnet(x, embedding_NE), conditions)
                skips.append(x)
            if hasattr(block, 'downsamplers'):
                x = block.downsamplers[0](x)
                skips.append(x)
        x = self.mid_block.attend(0, self.mid_block.resnets[0](x, embedding_NE), conditions)
        x = self.mid_block.resnets[1](x, embedding_NE)
        for block in self.up_blocks:
            for i, resnet in enumerate(block.resnets):
                x = resnet(torch.cat([x, skips.pop()], dim=1), embedding_NE)
                x = block.attend(i, x, conditions)
            if hasattr(block, 'upsamplers'):
                x = block.upsamplers[0](x)
        return x if self.cfg.reader else self.conv_out(F.silu(self.conv_norm_out(x)))
