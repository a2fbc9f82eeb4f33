"""The judge: tells a picture's mouth, eyes, pose and expression, to measure what models draw.

It is shown the portrait, too: how wide a mouth is spread can be told only by who knows its width
at rest. It learns from rendered faces alone, blurred and noised at random so that a codec's
softness does not mislead it, and reports its own error on faces it has never seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import nn

from llia_ros.model.config import EXPRESSIONS, MOTION, MOUTH
from llia_ros.training.faces import neutral, random_look, render
from llia_ros.training.pictures import random_expression, random_motion, random_mouth
from llia_ros.training.run import Run, device, half_precision
from llia_ros.training.speech import TRAIN_TEXTS, TRAIN_VOICES, random_utterance

SIDE = 192
UTTERANCES = 60
NAMES = (*MOUTH, *MOTION)
# What one unit of each control is worth, so that all errors weigh alike.
SPANS = np.array([1, 1, 1, 1, 1, 0.04, 0.04, 0.1, 0.7, 0.7, 0.8, 0.8, 1, 1], np.float32)


class Judge(nn.Module):
    """Picture and portrait (N, 6, 192, 192) to controls (N, 14) and expression logits (N, 8)."""

    def __init__(self) -> None:
        super().__init__()
        widths = (16, 32, 48, 64, 96, 128)
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(a, b, 5 if a == 6 else 3, stride=2, padding=2 if a == 6 else 1)
                for a, b in zip((6, *widths), widths)
            ]
        )
        self.norms = nn.ModuleList([nn.GroupNorm(8, w) for w in widths])
        self.hidden = nn.Linear(widths[-1] * (SIDE // 64) ** 2, 128)
        self.controls = nn.Linear(128, len(NAMES))
        self.expression = nn.Linear(128, len(EXPRESSIONS))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        for conv, norm in zip(self.convs, self.norms):
            x = F.silu(norm(conv(x)))
        h = F.silu(self.hidden(x.flatten(1)))
        return self.controls(h), self.expression(h)


def small(pictures: np.ndarray) -> np.ndarray:
    """Return pictures (N, S, S, 3) at the judge's size."""
    return np.stack([cv2.resize(p, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for p in pictures])


def to_input(pictures: np.ndarray, portraits: np.ndarray) -> torch.Tensor:
    """Return small pictures and portraits (N, 192, 192, 3) uint8 as the judge's input."""
    both = np.concatenate([pictures, portraits], axis=3)
    return torch.from_numpy(both).permute(0, 3, 1, 2).float() / 127.5 - 1


@dataclass(frozen=True)
class Examples:
    """Small pictures and portraits, controls (N, 14) in units of SPANS, expressions (N,)."""

    pictures: np.ndarray
    portraits: np.ndarray
    controls: np.ndarray
    moods: np.ndarray


def _mouths(rng: np.random.Generator) -> Callable[[], np.ndarray]:
    """Return what draws mouths (5,): half as voices shape them, half of any opening.

    Lips are never spread and rounded at once in speech, and a picture could not tell.
    """
    said = np.concatenate(
        [random_utterance(rng, TRAIN_VOICES, TRAIN_TEXTS).mouth() for _ in range(UTTERANCES)]
    )

    def draw() -> np.ndarray:
        if rng.random() < 0.5:
            return said[rng.integers(len(said))].copy()
        mouth = random_mouth(rng)
        mouth[MOUTH.index(str(rng.choice(['wide', 'round'])))] = 0
        return mouth

    return draw


def examples(count: int, seed: int, each: int = 3) -> Examples:
    """Return `count` pictures, `each` of one face, with its neutral portrait."""
    rng = np.random.default_rng(seed)
    draw_mouth = _mouths(rng)
    pictures = np.empty((count, SIDE, SIDE, 3), np.uint8)
    portraits = np.empty_like(pictures)
    controls, moods = np.empty((count, len(NAMES)), np.float32), np.empty(count, np.int64)
    for i in track(range(count), 'judge', console=Console(stderr=True)):
        if i % each == 0:
            look = random_look(rng)
            portrait = small(neutral(look, 256)[None])[0]
        mouth, motion = draw_mouth(), random_motion(rng)
        mood = random_expression(rng, neutral=0.3)
        # Below half strength nobody could name an expression.
        mood[mood > 0] = np.maximum(mood[mood > 0], 0.5)
        pictures[i] = small(render(look, motion, mouth, mood, 256)[None])[0]
        portraits[i] = portrait
        # Teeth and tongue cannot be seen, nor told, behind closed lips.
        mouth[3:] *= min(1, mouth[0] * 5)
        controls[i] = np.concatenate([mouth, motion]) / SPANS
        moods[i] = mood.argmax() if mood.any() else 0
    return Examples(pictures, portraits, controls, moods)


def train(
    out: Path, minutes: float, count: int = 24000, seed: int = 3, start: Judge | None = None
) -> Judge:
    """Train a judge for `minutes`, on from `start` where given; writes and returns it."""
    torch.manual_seed(seed)
    where, rng = device(), np.random.default_rng(seed)
    seen = examples(count, seed)
    judge = (start or Judge()).to(where)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=1.5e-3, weight_decay=0.01)
    run = Run('judge', judge, optimizer, minutes, out)
    for _ in run.steps():
        rows = rng.integers(count, size=64)
        x = to_input(seen.pictures[rows], seen.portraits[rows]).to(where)
        if rng.random() < 0.5:
            x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode='replicate'), 3, 1)
        x = x + rng.uniform(0, 0.05) * torch.randn_like(x)
        with half_precision(where):
            told, mood = judge(x)
        error = told.float() - torch.from_numpy(seen.controls[rows]).to(where)
        loss = F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.1)
        named = F.cross_entropy(mood.float(), torch.from_numpy(seen.moods[rows]).to(where))
        optimizer.zero_grad(set_to_none=True)
        (loss + 0.05 * named).backward()
        optimizer.step()
        run.note(loss=loss.detach(), named=named.detach())
    judge = run.averaged(Judge())
    save_file(
        {k: v.half().contiguous() for k, v in judge.state_dict().items()},
        out / 'judge.safetensors',
    )
    return judge


def load(path: Path) -> Judge:
    """Return a trained judge; ValueError where the file is missing or broken."""
    if not path.exists():
        raise ValueError(f'no judge at {path}: train one with `llia train judge`')
    judge = Judge()
    judge.load_state_dict({k: v.float() for k, v in load_file(path).items()})
    return judge.eval()


@torch.no_grad()
def tell(
    judge: Judge, pictures: np.ndarray, portraits: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return controls (N, 14), in their own units, and expressions (N,) of small pictures."""
    told, moods = [], []
    for rows in np.array_split(np.arange(len(pictures)), max(1, len(pictures) // 64)):
        values, mood = judge(to_input(pictures[rows], portraits[rows]))
        told.append(values.numpy() * SPANS)
        moods.append(mood.argmax(dim=1).numpy())
    return np.concatenate(told), np.concatenate(moods)


def own_error(judge: Judge, count: int = 300, seed: int = 12345) -> dict[str, float]:
    """Return R^2 per control, and the share of expressions named rightly, on unseen faces."""
    seen = examples(count, seed)
    told, named = tell(judge, seen.pictures, seen.portraits)
    truth = seen.controls * SPANS
    r2 = 1 - ((told - truth) ** 2).mean(axis=0) / truth.var(axis=0)
    return {
        **{name: float(v) for name, v in zip(NAMES, r2)},
        'expression': float((named == seen.moods).mean()),
    }
