"""The full scale assembled: conditions and reads in, velocity out, no state.

B clips of F frames, N = B*F; P past frames; latents (C, h, w) of pictures 8 times as large.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from llia_ros.model.attention import KeysValues, share
from llia_ros.model.face_locator import DeepFaceLocator
from llia_ros.model.projections import AudioProjection, FaceProjection
from llia_ros.model.sd15 import FullScaleConfig
from llia_ros.model.unet import Conditions, Read, UNet

# Three regions (background, face, lips), each per resolution, highest first: (B, L).
Masks = Sequence[Sequence[torch.Tensor]]


class Condition(NamedTuple):
    """What a clip is drawn from, computed once a clip.

    `context`: (N, S, D), for the cross-attention. `pose`: (N, C, h, w), of the face locator.
    `audio`: (N, S, D), and `masks`: three regions, each per resolution (N, L), for Hallo's audio
    modules; None and empty for others.
    """

    context: torch.Tensor
    pose: torch.Tensor
    audio: torch.Tensor | None = None
    masks: Masks = ()


class FullScaleModel(nn.Module):
    """Denoiser, ReferenceNet, face locator and, for Hallo, the two projections."""

    def __init__(self, cfg: FullScaleConfig):
        super().__init__()
        self.cfg = cfg
        first = cfg.denoiser.channels[0]
        self.denoiser = UNet(cfg.denoiser)
        self.reference_net = UNet(cfg.reference)
        self.face_locator = DeepFaceLocator(first, cfg.locator_channels, cfg.locator_widths)
        self.audio_projection: AudioProjection | None = None
        self.face_projection: FaceProjection | None = None
        if cfg.denoiser.audio_dim:
            self.audio_projection = AudioProjection(
                math.prod(cfg.heard_shape),
                cfg.audio_hidden,
                cfg.audio_tokens,
                cfg.denoiser.audio_dim,
            )
            self.face_projection = FaceProjection(
                cfg.face_dim, cfg.face_tokens, cfg.denoiser.context_dim
            )
        # Public weights know no labels: until trained, every label draws what they draw.
        nn.init.zeros_(self.denoiser.class_embedding.weight)

    def read(self, latents_NCHW: torch.Tensor) -> list[torch.Tensor]:
        """Return what the ReferenceNet writes for clean latents: per attention block (N, L, C)."""
        count, context = latents_NCHW.shape[0], None
        writes: list[torch.Tensor] = []
        if self.face_projection is not None:
            context = self.face_projection.nobody().expand(count, -1, -1)
        level = torch.zeros(count, device=latents_NCHW.device)
        self.reference_net(
            latents_NCHW,
            self.reference_net.embed(level),
            Conditions(context=context, writes=writes),
        )
        return writes

    def keys_values(self, reads: Sequence[torch.Tensor]) -> list[KeysValues]:
        """Return the denoiser's keys and values of a portrait's reads, to be kept with it."""
        return self.denoiser.keys_values(reads)

    def condition(
        self, heard: torch.Tensor, mask_BCHW: torch.Tensor, masks: Masks = ()
    ) -> Condition:
        """Return what frames are drawn from.

        `heard`: (N, *cfg.heard_shape), tokens in whatever groups. `mask_BCHW`: the face in the
        picture, 0 .. 1, one a clip or one a frame. `masks`: see `region_masks`, (B, L) each;
        Hallo's layout needs them.
        """
        N = heard.shape[0]
        pose = self.face_locator(mask_BCHW)
        pose = share(pose, N // pose.shape[0])
        if self.audio_projection is None or self.face_projection is None:
            return Condition(heard.flatten(1, -2), pose)
        context = self.face_projection.nobody().expand(N, -1, -1)
        shared = [[share(m, N // m.shape[0]) for m in region] for region in masks]
        return Condition(context, pose, self.audio_projection(heard), shared)

    def velocity(
        self,
        x_NCHW: torch.Tensor,
        timestep_N: torch.Tensor,
        state_N: torch.Tensor,
        condition: Condition,
        reads: Sequence[Read | None],
        past_reads: Sequence[torch.Tensor | None] | None = None,
        frames: int | None = None,
    ) -> torch.Tensor:
        """Return v (N, C, h, w) of noised latents.

        `timestep_N`: 0 .. 999, of the training schedule. `reads`: per attention block the
        portrait's, (B, L, C), or its keys and values; None for guidance without it. `past_reads`:
        the past frames', (B, P, L, C). `frames`: F; by default all N are one clip.
        """
        past = [None] * len(reads) if past_reads is None else past_reads
        conditions = Conditions(
            frames=frames or x_NCHW.shape[0],
            context=condition.context,
            audio=condition.audio,
            masks=condition.masks,
            reads=iter(list(zip(reads, past, strict=True))),
        )
        embedding = self.denoiser.embed(timestep_N, state_N)
        return self.denoiser(x_NCHW, embedding, conditions, condition.pose)


def unguided(condition: Condition) -> Condition:
    """Return the condition that guidance leads away from: nothing heard, no face located.

    Draw it with reads of None, as the public weights were trained to.
    """
    pose = torch.zeros_like(condition.pose)
    if condition.audio is None:
        return Condition(torch.zeros_like(condition.context), pose)
    return condition._replace(pose=pose, audio=torch.zeros_like(condition.audio))


def region_masks(regions_B3HW: torch.Tensor, levels: int, side: int) -> list[list[torch.Tensor]]:
    """Return masks for Hallo's audio modules: three regions, each per resolution (B, L).

    `regions_B3HW`: background, face without lips, and lips, 0 .. 1, blurred; `side`: of the
    latent; it is halved `levels - 1` times.
    """
    sizes = [side // 2**level for level in range(levels)]
    scaled = [F.interpolate(regions_B3HW, (s, s), mode='area').flatten(2) for s in sizes]
    return [[mask[:, region] for mask in scaled] for region in range(3)]
