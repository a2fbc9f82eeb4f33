"""A batch of clips made ready for a model: labels dropped, past frames noised, conditions read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from llia_ros.model.config import STATES
from llia_ros.model.schedule import add_noise
from llia_ros.training.dataset import Clips

FREE_SHARE = 0.25  # clips whose motion the model has to find itself
NO_LABEL_SHARE = 0.1
TOLD_SHARE = 0.5  # clips whose mouths are told as they are, not as they are heard
PAST_NOISE = 0.25  # the largest noise angle of past frames


def level(angle_N: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosine and sine of angles, to broadcast over latents."""
    angle = angle_N[:, None, None, None]
    return angle.cos(), angle.sin()


def disturbed(clips: Clips, rng: np.random.Generator, free: float = FREE_SHARE) -> Clips:
    """Return the clips as a training sees them: some free, some unlabelled, all pasts noised."""
    B, where = len(clips.states), clips.past.device
    led, states = clips.led.clone(), clips.states.clone()
    led[torch.from_numpy(rng.random(B) < free)] = 0
    states[torch.from_numpy(rng.random(B) < NO_LABEL_SHARE)] = len(STATES)
    angle = torch.from_numpy(PAST_NOISE * rng.random((B, 1, 1, 1, 1)).astype(np.float32)).to(where)
    past = add_noise(clips.past, torch.randn_like(clips.past), angle.cos(), angle.sin())
    return replace(clips, led=led, states=states, past=past)


class ClipInputs:
    """What `FaceModel.velocity` takes besides x and the angle, for B clips of F frames."""

    def __init__(self, model: Any, clips: Clips, still: bool = False):
        """Read the conditions; `still` leaves out past frames and attention over time."""
        self.B, self.F = clips.states.shape
        self.states = clips.states.flatten()
        self.portrait = clips.portrait[:, 0]
        self.condition = model.condition(
            clips.mel.flatten(0, 1),
            clips.motion.flatten(0, 1),
            clips.led.repeat_interleave(self.F, dim=0),
            self.B,
        )
        self.reads = model.read(self.portrait)
        self.past_reads = None
        if still:
            return
        # What reads a portrait well reads a past frame well: no gradient for a third of the cost.
        with torch.no_grad():
            self.past_reads = model.before(clips.past)

    def tell(self, clips: Clips, rng: np.random.Generator) -> None:
        """Give TOLD_SHARE of the clips the true mouths of frames that speak.

        So the denoiser learns to draw a mouth without waiting for ears that tell it rightly.
        """
        told = torch.from_numpy(rng.random((self.B, 1)) < TOLD_SHARE).to(clips.states.device)
        told = told & (clips.states == STATES.index('speaking'))
        heard = self.condition[3]
        mouth = torch.where(told.flatten()[:, None], clips.mouth.flatten(0, 1), heard.float())
        self.condition = (*self.condition[:3], mouth.to(heard.dtype))

    def velocity(self, model: Any, x: torch.Tensor, angle_N: torch.Tensor) -> torch.Tensor:
        """Return the model's v for noised latents (N, C, h, w)."""
        return model.velocity(
            x, angle_N, self.states, self.condition, self.portrait, self.reads, self.past_reads
        ).float()

    def latents(self, model: Any, x0: torch.Tensor) -> torch.Tensor:
        """Return latents (B, F, C, h, w) of what was diffused, (N, C, h, w)."""
        portrait = self.portrait.repeat_interleave(self.F, dim=0)
        return model.from_diffused(x0, portrait).unflatten(0, (self.B, self.F))

    def diffused(self, model: Any, latents_BFCHW: torch.Tensor) -> torch.Tensor:
        """Return what is diffused of latents, (N, C, h, w)."""
        portrait = self.portrait.repeat_interleave(self.F, dim=0)
        return model.to_diffused(latents_BFCHW.flatten(0, 1), portrait)
