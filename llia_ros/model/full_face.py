"""The full scale as the engine and the training know a face: sound and latents in, velocity out.

B clips of F frames, N = B*F; P past frames; latents (C, h, w). Networks may be in bfloat16; what
goes in and comes out is single precision, and so are the ears.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from llia_ros.model.attention import share
from llia_ros.model.expression import ExpressionAnimator
from llia_ros.model.full_scale import Condition, FullScaleModel, region_masks, unguided
from llia_ros.model.schedule import add_noise, linear_beta_angles, trailing_steps
from llia_ros.model.sd15 import FullScaleConfig
from llia_ros.model.speech_encoder import speech_encoder

# Where lips are in a face, as `FullScaleConfig.face` says where the face is in the picture.
LIPS = (0.22, 0.62, 0.78, 0.95)
# Width of the rim of Hallo's masks, which were blurred; fractions of the picture.
RIM = 0.02


def timesteps(angle_N: torch.Tensor) -> torch.Tensor:
    """Return the training timesteps, 0 .. 999, whose noise has these angles; between two if so."""
    table = torch.from_numpy(linear_beta_angles()).to(angle_N.device)
    angle = angle_N.double().clamp(table[0], table[-1])
    right = torch.searchsorted(table, angle).clamp(1, len(table) - 1)
    low, high = table[right - 1], table[right]
    found = right - 1 + (angle - low) / (high - low)
    # Angles come in single precision: what is meant by a timestep's own angle is that timestep.
    nearest = found.round()
    return torch.where((found - nearest).abs() < 0.01, nearest, found).float()


@dataclass(frozen=True)
class Known:
    """Past frames (B, P, C, h, w) and the noise that they are given with the clip."""

    latents: torch.Tensor
    noise: torch.Tensor


def box_mask(
    box: Sequence[float], side: int, rim: float = 0.0, where: torch.device | None = None
) -> torch.Tensor:
    """Return a mask (side, side), 1 inside left, top, right, bottom; its edge `rim` soft."""
    middle = (torch.arange(side, device=where) + 0.5) / side
    rows = []
    for low, high in ((box[1], box[3]), (box[0], box[2])):
        depth = torch.minimum(middle - low, high - middle)
        rows.append(torch.sigmoid(4 * depth / rim) if rim else (depth > 0).float())
    return rows[0][:, None] * rows[1]


class FullScaleFace(nn.Module):
    """Networks of a public layout, ears and an animator of expressions, used as `FaceModel` is."""

    def __init__(self, cfg: FullScaleConfig, networks: FullScaleModel | None = None):
        super().__init__()
        self.cfg = cfg
        self.networks = FullScaleModel(cfg) if networks is None else networks
        self.ears = speech_encoder(cfg.audio).eval().requires_grad_(False)
        self.animator = ExpressionAnimator(cfg.codec.latent_channels)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the networks."""
        return self.networks.denoiser.conv_in.weight.dtype

    def path(self, steps: int) -> list[tuple[float, float]]:
        """Return the angles of so many steps, from and to, as the public weights are sampled."""
        table = linear_beta_angles()
        ends = trailing_steps(steps, len(table))
        return [(float(table[t]), 0.0 if to is None else float(table[to])) for t, to in ends]

    def _windows(self, heard_NT: torch.Tensor, clips: int) -> torch.Tensor:
        """Return each frame's own window; where past frames are drawn with a clip, theirs first.

        A window given begins `past_frames` earlier: the first of a clip holds those of its past.
        """
        cfg = self.cfg
        length = cfg.audio.samples_before + cfg.audio.samples_after
        own = heard_NT[:, -length:].unflatten(0, (clips, -1))
        if not cfg.past_reads:
            first = heard_NT.unflatten(0, (clips, -1))[:, 0]
            views = first.unfold(1, length, cfg.samples_per_frame)[:, : cfg.past_frames]
            own = torch.cat([views, own], dim=1)
        return own.flatten(0, 1)

    def masks(self, where: torch.device) -> tuple[torch.Tensor, Any]:
        """Return the locator's mask (1, 1 or 3, S, S) and, for Hallo's layout, the regions'."""
        cfg = self.cfg
        if cfg.denoiser.audio_dim is None:
            mask = box_mask(cfg.face, cfg.size, where=where)
            return mask.expand(1, cfg.locator_channels, -1, -1).to(self.dtype), ()
        left, top, right, bottom = cfg.face
        width, height = right - left, bottom - top
        x0, y0, x1, y1 = LIPS
        lips = left + x0 * width, top + y0 * height, left + x1 * width, top + y1 * height
        face = box_mask(cfg.face, cfg.size, RIM, where)
        mouth = box_mask(lips, cfg.size, RIM, where)
        regions = torch.stack([1 - face, face * (1 - mouth), mouth])[None].to(self.dtype)
        pose = face.expand(1, cfg.locator_channels, -1, -1).to(self.dtype)
        return pose, region_masks(regions, len(cfg.denoiser.channels), cfg.latent_shape[1])

    def condition(
        self, heard_NT: torch.Tensor, motion_NM: Any = None, led_N1: Any = None, clips: int = 1
    ) -> Condition:
        """Return what frames are drawn from, computed once a clip.

        `heard_NT`: windows of sound, int16. Motion is not led: public weights move by themselves.
        """
        return self.told(self.hear(heard_NT, clips))

    def hear(self, heard_NT: torch.Tensor, clips: int = 1) -> torch.Tensor:
        """Return what the ears make of windows of sound, (N, *cfg.heard_shape)."""
        windows = self._windows(heard_NT, clips).float() / 32768
        with torch.autocast(heard_NT.device.type, enabled=False), torch.no_grad():
            return self.ears(windows)

    def told(self, tokens: torch.Tensor) -> Condition:
        """Return what frames are drawn from, of what the ears made of their sound."""
        mask, regions = self.masks(tokens.device)
        return self.networks.condition(tokens.to(self.dtype), mask, regions)

    def read(self, latents_NCHW: torch.Tensor) -> list[torch.Tensor]:
        """Return what the ReferenceNet writes for clean latents: per attention block (N, L, C)."""
        return self.networks.read(latents_NCHW.to(self.dtype))

    def reference(self, portrait_1CHW: torch.Tensor) -> list[Any]:
        """Return the denoiser's keys and values of a portrait, to be kept until it changes."""
        return list(self.networks.keys_values(self.read(portrait_1CHW)))

    def before(self, past_BPCHW: torch.Tensor, noise_BCHW: torch.Tensor | None = None) -> Any:
        """Return what `velocity` takes of the frames before clips.

        `noise_BCHW`: the noise field that they share with the clip; None draws one.
        """
        B, P = past_BPCHW.shape[:2]
        if P == 0:
            return None
        if self.cfg.past_reads:
            return [read.unflatten(0, (B, P)) for read in self.read(past_BPCHW.flatten(0, 1))]
        noise = torch.randn_like(past_BPCHW[:, 0]) if noise_BCHW is None else noise_BCHW
        return Known(past_BPCHW, noise[:, None].expand_as(past_BPCHW))

    def velocity(
        self,
        x_NCHW: torch.Tensor,
        angle_N: torch.Tensor,
        state_N: torch.Tensor,
        condition: Condition,
        portrait_BCHW: torch.Tensor,
        reads: Sequence[Any],
        past: Any,
    ) -> torch.Tensor:
        """Return v (N, C, h, w) of noised latents; see `before` for `past`."""
        B = portrait_BCHW.shape[0]
        past_reads = past if isinstance(past, list) else None
        if isinstance(past, Known):
            P = past.latents.shape[1]
            angle_B = angle_N.unflatten(0, (B, -1))[:, 0]
            level = angle_B[:, None, None, None, None]
            known = add_noise(past.latents, past.noise, level.cos(), level.sin())
            x_NCHW = torch.cat([known, x_NCHW.unflatten(0, (B, -1))], dim=1).flatten(0, 1)
            angle_N = share(angle_B, x_NCHW.shape[0] // B)
            state_N = share(state_N.unflatten(0, (B, -1))[:, 0], x_NCHW.shape[0] // B)
        frames = x_NCHW.shape[0] // B
        inputs = x_NCHW.to(self.dtype), timesteps(angle_N), state_N
        v = self.networks.velocity(*inputs, condition, reads, past_reads, frames).float()
        if self.cfg.guidance != 1:
            free = unguided(condition)
            nothing = [None] * len(reads)
            away = self.networks.velocity(*inputs, free, nothing, past_reads, frames).float()
            v = away + self.cfg.guidance * (v - away)
        if isinstance(past, Known):
            v = v.unflatten(0, (B, -1))[:, P:].flatten(0, 1)
        return v

    def to_diffused(self, latents_NCHW: torch.Tensor, portrait_N: torch.Tensor) -> torch.Tensor:
        """Return what is diffused: the latent itself."""
        return latents_NCHW

    def from_diffused(self, x_NCHW: torch.Tensor, portrait_N: torch.Tensor) -> torch.Tensor:
        """Return the latent of what was diffused: the same."""
        return x_NCHW
