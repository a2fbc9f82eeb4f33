"""The codec's pictures: faces of the family in every pose, gaze, mouth and expression."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.progress import track

from llia_ros.model.config import EXPRESSIONS
from llia_ros.runtime.motion import RANGES
from llia_ros.training.faces import Appearance, eyes_box, mouth_box, random_look, render


def random_expression(rng: np.random.Generator, neutral: float = 0.4) -> np.ndarray:
    """Return expression weights (8,): all zero with probability `neutral`, else one of them."""
    weights = np.zeros(len(EXPRESSIONS), np.float32)
    if rng.random() >= neutral:
        weights[rng.integers(1, len(EXPRESSIONS))] = rng.uniform(0.4, 1)
    return weights


def random_mouth(rng: np.random.Generator) -> np.ndarray:
    """Return mouth parameters (5,), every fourth shut, wide open ones no rarer than others."""
    if rng.random() < 0.25:
        return np.zeros(5, np.float32)
    return rng.uniform(0, 1, 5).astype(np.float32) ** (1, 1.5, 1.5, 1, 1.5)


def random_motion(rng: np.random.Generator) -> np.ndarray:
    """Return motion controls (9,) over their whole range, lids open three times in four."""
    motion = rng.uniform(-1, 1, len(RANGES)).astype(np.float32) * RANGES
    motion[7:] = rng.uniform(0, 1) if rng.random() < 0.25 else 0
    return motion


def likenesses(
    count: int,
    seed: int,
    family: Callable[[np.random.Generator], Appearance],
    size: int = 96,
) -> np.ndarray:
    """Return what somebody might give as a portrait, (N, size, size, 3): eyes open, any mood."""
    rng, faces = np.random.default_rng(seed), np.empty((count, size, size, 3), np.uint8)
    for i in range(count):
        motion = random_motion(rng) * 0.5
        motion[7:] = 0
        mouth = random_mouth(rng) * (rng.random() < 0.5)
        faces[i] = render(family(rng), motion, mouth, random_expression(rng), size)
    return faces


def pictures(count: int, size: int, folder: Path, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return `count` pictures (N, size, size, 3) and boxes (N, 2, 4) of their mouth and eyes.

    Rendered once and memory-mapped from `folder` after that.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, boxes_path = (
        folder / f'pictures_{size}_{count}.npy',
        folder / f'boxes_{size}_{count}.npy',
    )
    if boxes_path.exists():
        return np.load(path, mmap_mode='r'), np.load(boxes_path)
    rng = np.random.default_rng(seed)
    faces = np.lib.format.open_memmap(path, 'w+', np.uint8, (count, size, size, 3))
    boxes = np.zeros((count, 2, 4), np.float32)
    for i in track(range(count), 'pictures'):
        look, motion = random_look(rng), random_motion(rng)
        expression = random_expression(rng)
        faces[i] = render(look, motion, random_mouth(rng), expression, size)
        boxes[i] = (
            mouth_box(look, motion, expression, size),
            eyes_box(look, motion, expression, size),
        )
    faces.flush()
    np.save(boxes_path, boxes)
    return faces, boxes
