"""Stage 2: the teacher, trained by velocity prediction in angles; pictures first, then clips.

On single pictures of many faces it learns to draw; then attention over time and past frames join.
Clips have 8 frames in the first half, then 4, 8, 12 or 16, so that the model draws clips of any
of these lengths. In the last third some clips continue what the model itself drew.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from llia_ros.model.config import ModelConfig
from llia_ros.model.face import FaceModel
from llia_ros.model.schedule import PURE_NOISE, add_noise, clean, velocity
from llia_ros.training.clip_inputs import FREE_SHARE, ClipInputs, disturbed, level
from llia_ros.training.dataset import Clips, ClipSampler
from llia_ros.training.muon import Muon, split
from llia_ros.training.run import Run, device, half_precision
from llia_ros.training.sheets import Sheet

FRAMES_A_STEP = 64
PICTURES_A_FACE = 2
STILL_FREE_SHARE = 0.1  # nothing tells how a single picture moves
LENGTHS = (4, 8, 12, 16)
PURE_SHARE = 0.5  # clips at pure noise, where every sampling starts
SELF_SHARE = 0.3
OWN = 4  # frames that the model draws itself before such a clip


def clip_noise(clips: Clips, rng: np.random.Generator) -> torch.Tensor:
    """Return noise (N, C, h, w): in half of the clips one field for all frames, as at run time."""
    noise = torch.randn(clips.x0.shape)
    shared = torch.from_numpy(rng.random(len(noise)) < 0.5)
    noise[shared] = noise[shared][:, :1]
    return noise.flatten(0, 1).to(clips.x0)


def random_angles(rng: np.random.Generator, clips: int, frames: int) -> torch.Tensor:
    """Return one angle a clip, repeated (N,): high noise more often, where few steps live."""
    angle = PURE_NOISE * np.sqrt(rng.random(clips)).clip(0.02)
    angle[rng.random(clips) < PURE_SHARE] = PURE_NOISE
    return torch.from_numpy(angle.astype(np.float32)).repeat_interleave(frames)


def length(rng: np.random.Generator, fraction: float, lengths: Sequence[int] = LENGTHS) -> int:
    """Return the clip length of a step: fixed in the first half of a training."""
    return 8 if fraction < 0.5 else int(rng.choice(lengths))


@torch.no_grad()
def continue_own(model: Any, clips: Clips, noise: torch.Tensor) -> Clips:
    """Return the clips without their first OWN frames, which the model drew as their past."""
    B, P = len(clips.states), model.cfg.past_frames
    first = clips.frames(slice(0, OWN))
    noise = noise.unflatten(0, (B, -1))[:, :OWN].flatten(0, 1)
    inputs = ClipInputs(model, first)
    angle = torch.full((len(noise),), PURE_NOISE, device=noise.device)
    x = clean(noise, inputs.velocity(model, noise, angle), *level(angle))
    rest = clips.frames(slice(OWN, None))
    rest.past = inputs.latents(model, x)[:, -P:]
    return rest


def draw_clips(
    model: Any,
    sampler: Any,
    rng: np.random.Generator,
    fraction: float,
    frames: int = FRAMES_A_STEP,
    lengths: Sequence[int] = LENGTHS,
) -> tuple[Clips, torch.Tensor]:
    """Return a batch and its noise (N, C, h, w), by how much of the training is over."""
    where = next(model.parameters()).device
    F = length(rng, fraction, lengths)
    own = fraction > 2 / 3 and rng.random() < SELF_SHARE
    clips = sampler.clips(max(1, frames // F), F + (OWN if own else 0)).to(where)
    noise = clip_noise(clips, rng)
    if own:
        with half_precision(where):
            rest = continue_own(model, clips, noise)
        noise = noise.unflatten(0, (len(clips.states), -1))[:, OWN:].flatten(0, 1)
        return rest, noise
    return clips, noise


def train(
    cfg: ModelConfig,
    scenes: Path,
    minutes: float,
    out: Path,
    seed: int = 0,
    sheet: Sheet | None = None,
    start: FaceModel | None = None,
    still: bool = False,
) -> FaceModel:
    """Train on clips of the scenes of a folder, or on single pictures where `still`.

    Goes on from the weights of `start` where given; returns the average of the weights.
    """
    torch.manual_seed(seed)
    where, rng = device(), np.random.default_rng(seed)
    sampler = ClipSampler(cfg, scenes, seed)
    model = (start or FaceModel(cfg)).to(where)
    for ears in (model.audio_encoder, model.viseme_predictor):
        ears.requires_grad_(False)  # they have heard more than the scenes hold
    optimizer = Muon(split(model), lr=3e-3 if still else 1.5e-3, weight_decay=0.01)
    run = Run('pictures' if still else 'teacher', model, optimizer, minutes, out)

    def draw(path: Path) -> None:
        if sheet:
            sheet.draw(path, run.averaged(FaceModel(cfg)), (1, 2, 8), still)

    for _ in run.steps(draw):
        if still:
            clips = sampler.clips(
                FRAMES_A_STEP // PICTURES_A_FACE, PICTURES_A_FACE, scattered=True
            ).to(where)
            noise = clip_noise(clips, rng)
        else:
            clips, noise = draw_clips(model, sampler, rng, run.fraction)
        F = clips.states.shape[1]
        with half_precision(where):
            seen = disturbed(clips, rng, STILL_FREE_SHARE if still else FREE_SHARE)
            inputs = ClipInputs(model, seen, still)
            inputs.tell(clips, rng)
            angle = random_angles(rng, inputs.B, F).to(where)
            cos, sin = level(angle)
            x0 = inputs.diffused(model, clips.x0)
            predicted = inputs.velocity(model, add_noise(x0, noise, cos, sin), angle)
        error = (predicted - velocity(x0, noise, cos, sin)).square()
        weight = clips.weight.flatten(0, 1)
        # v-loss times the sine lies between v-loss and x0-loss: faces first, then noise.
        loss = (error * weight * sin.clamp(min=0.1)).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        pure = (angle == PURE_NOISE).float()[:, None, None, None]
        # The share of what differs from the portrait that is not found from pure noise.
        run.note(
            loss=loss.detach(),
            pure=float((error.detach() * pure).sum() / (x0.square() * pure).sum().clamp(min=1)),
        )
    return run.averaged(FaceModel(cfg))
