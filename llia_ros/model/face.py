"""The whole generator: what a clip is drawn from, and the velocity of its noised latents.

B clips of F frames, N = B*F; latents (C, h, w); audio windows (T, M); motion controls (9,).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from llia_ros.model.attention import share
from llia_ros.model.audio_encoder import AudioEncoder
from llia_ros.model.config import MOTION, MOUTH, ModelConfig
from llia_ros.model.expression import ExpressionAnimator
from llia_ros.model.face_locator import FaceLocator, face_mask
from llia_ros.model.schedule import path
from llia_ros.model.unet import Conditions, UNet
from llia_ros.model.viseme_predictor import VisemePredictor

Condition = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


class MouthControl(nn.Module):
    """What lips do of the mouth that sound tells: under a label of another state, nothing.

    The last layer starts at zero, as the face locator's does.
    """

    def __init__(self, states: int, width: int, hidden: int = 128):
        super().__init__()
        self.told = nn.Linear(len(MOUTH), hidden)
        self.state = nn.Embedding(states, hidden)
        self.mix = nn.Linear(hidden, hidden)
        self.shift = nn.Linear(hidden, width)
        nn.init.zeros_(self.shift.weight)
        nn.init.zeros_(self.shift.bias)

    def forward(self, mouth_N5: torch.Tensor, state_N: torch.Tensor) -> torch.Tensor:
        """Return a shift (N, E) of the embedding."""
        h = F.silu(self.told(mouth_N5) + self.state(state_N))
        return self.shift(F.silu(self.mix(h)))


class FaceModel(nn.Module):
    """Denoiser, ReferenceNet, audio layers, face locator, motion controls and animator."""

    def __init__(self, cfg: ModelConfig):
        super().__init__()
        self.cfg = cfg
        first, dim = cfg.denoiser.channels[0], cfg.audio.token_dim
        self.denoiser = UNet(cfg.denoiser)
        self.reference_net = UNet(cfg.reference)
        self.audio_encoder = AudioEncoder(cfg.audio)
        self.viseme_predictor = VisemePredictor(cfg.audio)
        self.face_locator = FaceLocator(first)
        self.motion_embedding = nn.Sequential(
            nn.Linear(len(MOTION) + 1, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU()
        )
        self.motion_token = nn.Linear(128, dim)
        self.motion_shift = nn.Linear(128, 4 * first)
        self.mouth_control = MouthControl(cfg.denoiser.states, 4 * first)
        self.animator = ExpressionAnimator(cfg.codec.latent_channels)

    def condition(
        self,
        mel_NTM: torch.Tensor,
        motion_NM: torch.Tensor,
        led_N1: torch.Tensor,
        clips: int = 1,
    ) -> Condition:
        """Return what frames are drawn from, computed once a clip.

        `led_N1`: 1 where `motion_NM` leads the frame, 0 where the model moves by itself. Returns
        context tokens (N, S, D), a shift of the embedding (N, E), pose features (N, C, h, w) and
        the mouth (N, 5) that the sound tells.
        """
        motion_NM = motion_NM * led_N1
        controls = self.motion_embedding(torch.cat([motion_NM, led_N1], dim=1))
        tokens_NSD = self.audio_encoder(mel_NTM)
        context = torch.cat([tokens_NSD, self.motion_token(controls)[:, None]], dim=1)
        side = self.cfg.latent_shape[1] * self.face_locator.scale
        mask = face_mask(motion_NM.float(), side).to(motion_NM.dtype)
        # Both have learnt it by themselves, and err on different sounds.
        mouth = (self.audio_encoder.mouth(tokens_NSD) + self.viseme_predictor(mel_NTM)[:, 0]) / 2
        return context, self.motion_shift(controls), self.face_locator(mask), mouth

    def read(self, latents_NCHW: torch.Tensor) -> list[torch.Tensor]:
        """Return what the ReferenceNet writes for clean latents: per attention block (N, L, C)."""
        writes: list[torch.Tensor] = []
        level = torch.zeros(latents_NCHW.shape[0], device=latents_NCHW.device)
        self.reference_net(
            latents_NCHW, self.reference_net.embed(level), Conditions(writes=writes)
        )
        return writes

    def reference(self, portrait_1CHW: torch.Tensor) -> list[torch.Tensor]:
        """Return what `velocity` reads of a portrait, to be kept until it changes."""
        return self.read(portrait_1CHW)

    def before(
        self, past_BPCHW: torch.Tensor, noise_BCHW: torch.Tensor | None = None
    ) -> list[torch.Tensor]:
        """Return what `velocity` takes of the frames before clips; their noise does not matter."""
        B = past_BPCHW.shape[0]
        return [read.unflatten(0, (B, -1)) for read in self.read(past_BPCHW.flatten(0, 1))]

    def path(self, steps: int) -> list[tuple[float, float]]:
        """Return the angles of so many steps of sampling, from and to."""
        return path(steps)

    def velocity(
        self,
        x_NCHW: torch.Tensor,
        angle_N: torch.Tensor,
        state_N: torch.Tensor,
        condition: Condition,
        portrait_BCHW: torch.Tensor,
        reads: list[torch.Tensor],
        past_reads: list[torch.Tensor] | None,
    ) -> torch.Tensor:
        """Return v (N, C, h, w) of noised latents.

        `reads`: of the portraits, (B, L, C) each. `past_reads`: of the past frames, (B, P, L, C);
        None draws each frame by itself, without attention over time.
        """
        context, shift, pose, mouth = condition
        shift = shift + self.mouth_control(mouth, state_N)
        frames = x_NCHW.shape[0] // portrait_BCHW.shape[0]
        embedding = self.denoiser.embed(angle_N * (1000 / (math.pi / 2)), state_N) + shift
        if self.cfg.denoiser.reference_input:
            x_NCHW = torch.cat([x_NCHW, share(portrait_BCHW, frames)], dim=1)
        past = [None] * len(reads) if past_reads is None else past_reads
        conditions = Conditions(
            frames=frames,
            still=past_reads is None,
            context=context,
            reads=iter(list(zip(reads, past))),
        )
        return self.denoiser(x_NCHW, embedding, conditions, pose)

    def to_diffused(self, latents_NCHW: torch.Tensor, portrait_N: torch.Tensor) -> torch.Tensor:
        """Return what is diffused: the latent, or its scaled difference to the portrait's."""
        scale = self.cfg.residual_scale
        return latents_NCHW if scale is None else (latents_NCHW - portrait_N) * scale

    def from_diffused(self, x_NCHW: torch.Tensor, portrait_N: torch.Tensor) -> torch.Tensor:
        """Return the latent of what was diffused."""
        scale = self.cfg.residual_scale
        return x_NCHW if scale is None else portrait_N + x_NCHW / scale
