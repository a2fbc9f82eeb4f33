"""Stage 3: consistency distillation of the teacher to two steps and to one.

The student's f(x, a) = cos(a) x - sin(a) v is to be the same everywhere on a path of the teacher's
deterministic sampler (Song et al., 2303.01469); in angles its boundary condition holds by itself
(2410.11081). Distances are pseudo-Huber (2310.14189). A second step begins at what the first one
drew, faults included: in half of the clips below pure noise the student's own picture is noised,
and the data is the goal, so that further steps mend faults instead of keeping them.
"""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from llia_ros.model.config import ModelConfig
from llia_ros.model.face import FaceModel
from llia_ros.model.schedule import PURE_NOISE, add_noise, clean
from llia_ros.training.clip_inputs import ClipInputs, disturbed, level
from llia_ros.training.dataset import ClipSampler
from llia_ros.training.run import Run, device, half_precision
from llia_ros.training.sheets import Sheet
from llia_ros.training.teacher import draw_clips

LEVELS = (4, 8, 16)  # how finely paths are cut, coarse first
HUBER = 0.03
OWN_SHARE = 0.5  # of clips below pure noise: the student's own picture, noised
TRUTH_SHARE = 0.3  # weight of the data itself beside the teacher's paths


def pseudo_huber(error: torch.Tensor) -> torch.Tensor:
    """Return sqrt(e^2 + c^2) - c per element."""
    return (error.square() + HUBER**2).sqrt() - HUBER


def train(
    cfg: ModelConfig,
    teacher: FaceModel,
    scenes: Path,
    minutes: float,
    out: Path,
    seed: int = 0,
    sheet: Sheet | None = None,
) -> FaceModel:
    """Distil the teacher into a student that starts from it; returns averaged weights."""
    torch.manual_seed(seed + 1)
    where, rng = device(), np.random.default_rng(seed + 1)
    sampler = ClipSampler(cfg, scenes, seed + 1)
    teacher = teacher.to(where).eval().requires_grad_(False)
    student = deepcopy(teacher).requires_grad_(True)
    for ears in (student.audio_encoder, student.viseme_predictor):
        ears.requires_grad_(False)
    target = deepcopy(teacher)
    optimizer = torch.optim.AdamW(student.parameters(), lr=2e-4, betas=(0.9, 0.98), weight_decay=0)
    run = Run('student', student, optimizer, minutes, out)
    target.load_state_dict({k: v.to(where) for k, v in run.average.items()})

    def draw(path: Path) -> None:
        if sheet:
            sheet.draw(path, run.averaged(FaceModel(cfg)), (1, 2))

    for _ in run.steps(draw):
        clips, noise = draw_clips(student, sampler, rng, 1.0)
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
        inputs = partial(ClipInputs, clips=seen)
        with half_precision(where), torch.no_grad():
            read = inputs(teacher)
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
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(target.parameters()), list(student.parameters()), 0.05)
        run.note(same=same.detach(), true=true.detach())
    return run.averaged(FaceModel(cfg))
