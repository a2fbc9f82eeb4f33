"""Consistency distillation of a teacher to two steps and to one, at either scale.

The student's f(x, a) = cos(a) x - sin(a) v is to be the same everywhere on a path of the teacher's
deterministic sampler (Song et al., 2303.01469); in angles its boundary condition holds by itself
(2410.11081). Distances are pseudo-Huber (2310.14189). A second step begins at what the first one
drew, faults included: in half of the clips below pure noise the student's own picture is noised,
and the data is the goal, so that further steps mend faults instead of keeping them.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import (
    apply_activation_checkpointing,
)

from llia_ros.model.schedule import PURE_NOISE, add_noise, clean
from llia_ros.model.unet import MotionModule, ResnetBlock, Transformer2D
from llia_ros.training.clip_inputs import ClipInputs, disturbed, level
from llia_ros.training.dataset import Clips
from llia_ros.training.run import Run, device, half_precision
from llia_ros.training.sheets import Sheet
from llia_ros.training.teacher import FRAMES_A_STEP, LENGTHS, draw_clips

LEVELS = (4, 8, 16)  # how finely paths are cut, coarse first
HUBER = 0.03
OWN_SHARE = 0.5  # of clips below pure noise: the student's own picture, noised
TRUTH_SHARE = 0.3  # weight of the data itself beside the teacher's paths


def pseudo_huber(error: torch.Tensor) -> torch.Tensor:
    """Return sqrt(e^2 + c^2) - c per element."""
    return (error.square() + HUBER**2).sqrt() - HUBER


@dataclass(frozen=True)
class Setup:
    """What depends on the scale.

    `part`: the submodule that is taught, '' for all; teacher, student and its average share
    whatever lies outside of it. `kept`: submodules of it that stay as they are. `frames` of a
    step, in clips of one of `lengths`. `rate`: of learning. `frugal`: activations are computed
    again for the gradient instead of kept, and the optimizer keeps one row and one column of each
    matrix (Adafactor, 1804.04235).
    """

    part: str = ''
    kept: tuple[str, ...] = ()
    frames: int = FRAMES_A_STEP
    lengths: tuple[int, ...] = LENGTHS
    rate: float = 2e-4
    frugal: bool = False


TINY = Setup(kept=('audio_encoder', 'viseme_predictor'))


class Sampler(Protocol):
    """Where clips come from."""

    def clips(self, count: int, frames: int) -> Clips:
        """Return a batch."""


def copied(model: Any, cfg: Any, part: str) -> Any:
    """Return a copy of a model, under a configuration, that shares what is outside of a part."""
    memo: dict[int, Any] = {}
    if part:
        own = {id(t) for t in model.get_submodule(part).state_dict(keep_vars=True).values()}
        tensors = [*model.parameters(), *model.buffers()]
        memo = {id(tensor): tensor for tensor in tensors if id(tensor) not in own}
    twin = deepcopy(model, memo)
    twin.cfg = cfg
    return twin


def save_activations(model: nn.Module) -> None:
    """Have a UNet's blocks compute their activations again for the gradient."""
    kinds = (ResnetBlock, Transformer2D, MotionModule)
    apply_activation_checkpointing(model, check_fn=lambda module: isinstance(module, kinds))


def _inputs(clips: Clips, shared: ClipInputs | None, model: Any) -> ClipInputs:
    """Return what a model's denoiser is told: the same for all models that read alike."""
    return shared or ClipInputs(model, clips)


def train(
    cfg: Any,
    teacher: Any,
    sampler: Sampler,
    minutes: float,
    out: Path,
    seed: int = 0,
    sheet: Sheet | None = None,
    setup: Setup = TINY,
) -> Any:
    """Distil the teacher into a student of configuration `cfg`; returns averaged weights.

    The student starts from the teacher.
    """
    torch.manual_seed(seed + 1)
    where, rng = device(), np.random.default_rng(seed + 1)
    teacher = teacher.to(where).eval().requires_grad_(False)
    student, target = copied(teacher, cfg, setup.part), copied(teacher, cfg, setup.part)
    taught = student.get_submodule(setup.part).requires_grad_(True)
    for name in setup.kept:
        taught.get_submodule(name).requires_grad_(False)
    follows = target.get_submodule(setup.part)
    optimizer: torch.optim.Optimizer
    if setup.frugal:
        save_activations(taught)
        optimizer = torch.optim.Adafactor(taught.parameters(), lr=setup.rate)
    else:
        optimizer = torch.optim.AdamW(
            taught.parameters(), lr=setup.rate, betas=(0.9, 0.98), weight_decay=0
        )
    run = Run('student', taught, optimizer, minutes, out)
    follows.load_state_dict({k: v.to(where) for k, v in run.average.items()})

    def averaged() -> Any:
        fresh = copied(teacher, cfg, setup.part)
        run.averaged(fresh.get_submodule(setup.part))
        return fresh.cpu() if not setup.part else fresh

    def draw(path: Path) -> None:
        if sheet:
            sheet.draw(path, averaged(), (1, 2))

    for _ in run.steps(draw):
        clips, noise = draw_clips(student, sampler, rng, 1.0, setup.frames, setup.lengths)
        B, F = clips.states.shape
        count = LEVELS[min(int(run.fraction * len(LEVELS)), len(LEVELS) - 1)]
        # Every second clip at pure noise: the level that a step always starts from.
        place = torch.from_numpy(rng.integers(1, count + 1, B))
        place[torch.from_numpy(rng.random(B) < 0.5)] = count
        angle = (place / count * PURE_NOISE).float().repeat_interleave(F).to(where)
        lower = ((place - 1) / count * PURE_NOISE).float().repeat_interleave(F).to(where)
        own = torch.from_numpy(rng.random(B) < OWN_SHARE) & (place < count)
        own_N = own.repeat_interleave(F).to(where)[:, None, None, None]
        (cos, sin), (turn_cos, turn_sin) = level(angle), level(angle - lower)
        # The three models see the same dropped labels and the same noised past.
        seen = disturbed(clips, rng)
        with half_precision(where), torch.no_grad():
            read = ClipInputs(teacher, seen)
            inputs = partial(_inputs, seen, read if setup.part else None)
            x0 = read.diffused(student, clips.x0)
            pure = torch.full_like(angle, PURE_NOISE)
            drawn = clean(noise, inputs(student).velocity(student, noise, pure), *level(pure))
            x = add_noise(torch.where(own_N, drawn, x0), noise, cos, sin)
            v = read.velocity(teacher, x, angle)
            on_path = x * turn_cos - v * turn_sin
            v = inputs(target).velocity(target, on_path, lower)
            goal = torch.where(
                lower[:, None, None, None] > 0, clean(on_path, v, *level(lower)), on_path
            )
            goal = torch.where(own_N, x0, goal)
        with half_precision(where):
            v = inputs(student).velocity(student, x, angle)
        found = clean(x, v, cos, sin)
        weight = clips.weight.flatten(0, 1)
        same = (pseudo_huber(found - goal) * weight).mean()
        true = (pseudo_huber(found - x0) * weight).mean()
        optimizer.zero_grad(set_to_none=True)
        (same + TRUTH_SHARE * true).backward()
        nn.utils.clip_grad_norm_(taught.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(follows.parameters()), list(taught.parameters()), 0.05)
        run.note(same=same.detach(), true=true.detach())
    return averaged()
