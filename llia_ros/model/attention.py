"""The transformer blocks of the UNet: over pixels, over audio, over frames."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from llia_ros.model.config import UNetConfig

# Up to so many keys a product, a softmax and a product beat the fused kernel on a CPU; backwards
# by a factor of 2.5.
FEW_KEYS = 144

KeysValues = tuple[torch.Tensor, torch.Tensor]


def share(x_B: torch.Tensor, count: int) -> torch.Tensor:
    """Return each of B items `count` times in a row, (B * count, ...)."""
    return x_B.unsqueeze(1).expand(-1, count, *x_B.shape[1:]).flatten(0, 1)


class Attention(nn.Module):
    """Multi-head attention; tokens of a shared `reference` serve as further keys and values."""

    def __init__(self, dim: int, heads: int, context_dim: int | None = None):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_k = nn.Linear(context_dim or dim, dim, bias=False)
        self.to_v = nn.Linear(context_dim or dim, dim, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(dim, dim)])

    def split(self, x_NLC: torch.Tensor) -> torch.Tensor:
        """Return the heads apart: (N, heads, L, C / heads)."""
        return x_NLC.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_values(self, tokens_NLC: torch.Tensor) -> KeysValues:
        """Return keys and values (N, L, C) of tokens: of a reference, worth keeping."""
        return self.to_k(tokens_NLC), self.to_v(tokens_NLC)

    def forward(
        self,
        x_NLC: torch.Tensor,
        context_NSC: torch.Tensor | None = None,
        reference_BLC: torch.Tensor | KeysValues | None = None,
    ) -> torch.Tensor:
        """Return attended tokens (N, L, C); each of B references serves N / B items.

        A reference is tokens, or what `keys_values` made of them.
        """
        q = self.to_q(x_NLC)
        k, v = self.keys_values(x_NLC if context_NSC is None else context_NSC)
        if reference_BLC is not None:
            # Projected once a clip at most, not once a frame.
            projected = isinstance(reference_BLC, tuple)
            k_ref, v_ref = reference_BLC if projected else self.keys_values(reference_BLC)
            count = x_NLC.shape[0] // k_ref.shape[0]
            k = torch.cat([k, share(k_ref, count)], dim=1)
            v = torch.cat([v, share(v_ref, count)], dim=1)
        q, k, v = self.split(q), self.split(k), self.split(v)
        if k.shape[2] <= FEW_KEYS:
            weights = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
            out = weights.softmax(dim=-1) @ v
        else:
            out = F.scaled_dot_product_attention(q, k, v)
        return self.to_out[0](out.transpose(1, 2).flatten(2))


class GEGLU(nn.Module):
    """A linear layer gated by the GELU of another (Shazeer, 2002.05202)."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.proj = nn.Linear(dim, 2 * hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, gate = self.proj(x).chunk(2, dim=-1)
        return x * F.gelu(gate)


class FeedForward(nn.Module):
    """Two layers, `multiple` times as wide between; numbered as diffusers numbers them."""

    def __init__(self, dim: int, multiple: int):
        super().__init__()
        hidden = multiple * dim
        self.net = nn.ModuleList([GEGLU(dim, hidden), nn.Identity(), nn.Linear(hidden, dim)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net[2](self.net[0](x))


class SpatialBlock(nn.Module):
    """Self-attention that also reads the reference, cross-attention to context, feed-forward."""

    def __init__(self, dim: int, cfg: UNetConfig):
        super().__init__()
        self.gain = cfg.context_gain
        self.norm1 = nn.LayerNorm(dim)
        self.attn1 = Attention(dim, cfg.heads)
        self.norm2 = nn.LayerNorm(dim) if cfg.context_dim else None
        self.attn2 = Attention(dim, cfg.heads, cfg.context_dim) if cfg.context_dim else None
        self.norm3 = nn.LayerNorm(dim)
        self.ff = FeedForward(dim, cfg.feed_forward)

    def forward(
        self,
        x_NLC: torch.Tensor,
        context_NSD: torch.Tensor | None,
        reference_BLC: torch.Tensor | KeysValues | None,
        writes: list[torch.Tensor] | None,
    ) -> torch.Tensor:
        h = self.norm1(x_NLC)
        if writes is not None:
            writes.append(h)
        x = x_NLC + self.attn1(h, reference_BLC=reference_BLC)
        if self.attn2 is not None and self.norm2 is not None:
            x = x + self.gain * self.attn2(self.norm2(x), context_NSD)
        return x + self.ff(self.norm3(x))


class AudioBlock(nn.Module):
    """Hallo's audio attention: one branch each for the frame, the face and the lips, masked."""

    def __init__(self, dim: int, cfg: UNetConfig):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn1 = Attention(dim, cfg.heads)
        self.norm2 = nn.LayerNorm(dim)
        self.regions = ('full', 'face', 'lip')
        for i, region in enumerate(self.regions):
            setattr(self, f'attn2_{i}', Attention(dim, cfg.heads, cfg.audio_dim))
            setattr(self, f'zero_conv_{region}', nn.Conv2d(dim, dim, 1))
        self.norm3 = nn.LayerNorm(dim)
        self.ff = FeedForward(dim, cfg.feed_forward)

    def forward(
        self, x_NLC: torch.Tensor, audio_NSD: torch.Tensor, masks_NL: list[torch.Tensor]
    ) -> torch.Tensor:
        x = x_NLC + self.attn1(self.norm1(x_NLC))
        h = self.norm2(x)
        for i, region in enumerate(self.regions):
            conv = getattr(self, f'zero_conv_{region}')
            heard = getattr(self, f'attn2_{i}')(h, audio_NSD) * masks_NL[i][..., None]
            x = x + F.linear(heard, conv.weight[:, :, 0, 0], conv.bias)
        return x + self.ff(self.norm3(x))


def position_table(rows: int, dim: int) -> torch.Tensor:
    """Return the sinusoid (1, rows, dim) by which frames know their place."""
    position = torch.arange(rows)[:, None]
    rate = torch.exp(torch.arange(0, dim, 2) * (-math.log(10000.0) / dim))
    wave = position * rate
    return torch.stack([wave.sin(), wave.cos()], dim=-1).flatten(1)[None]


class TemporalAttention(Attention):
    """Attention over frames, which know their place by a fixed sinusoid."""

    def __init__(self, dim: int, heads: int, max_frames: int):
        super().__init__(dim, heads)
        self.pos_encoder = nn.Module()
        self.pos_encoder.register_buffer('pe', position_table(max_frames, dim))

    def forward(self, x_NTC: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return super().forward(x_NTC + self.pos_encoder.pe[:, : x_NTC.shape[1]])


class TemporalBlock(nn.Module):
    """Attention over frames (AnimateDiff's has two in a row), then a feed-forward."""

    def __init__(self, dim: int, cfg: UNetConfig):
        super().__init__()
        count = cfg.temporal_attentions
        self.attention_blocks = nn.ModuleList(
            [TemporalAttention(dim, cfg.heads, cfg.motion_max_frames) for _ in range(count)]
        )
        self.norms = nn.ModuleList([nn.LayerNorm(dim) for _ in range(count)])
        self.ff_norm = nn.LayerNorm(dim)
        self.ff = FeedForward(dim, cfg.feed_forward)

    def forward(self, x_NTC: torch.Tensor) -> torch.Tensor:
        x = x_NTC
        for norm, attention in zip(self.norms, self.attention_blocks):
            x = x + attention(norm(x))
        return x + self.ff(self.ff_norm(x))
