"""Stage 4: the animator, taught by pairs of portraits that differ in nothing but expression."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import nn

from llia_ros.model.codec import Encoder
from llia_ros.model.config import EXPRESSIONS, ModelConfig
from llia_ros.model.expression import ExpressionAnimator
from llia_ros.training.dataset import encode
from llia_ros.training.faces import NEUTRAL_MOTION, REST_MOUTH, random_look, render
from llia_ros.training.run import Run, device, half_precision

VARIANTS = 4  # pictures a face: neutral first, then random expressions of random strength
BATCH = 32


def portraits(
    cfg: ModelConfig, encoder: Encoder, count: int, path: Path, seed: int = 5
) -> tuple[np.ndarray, np.ndarray]:
    """Return latents (N, VARIANTS, C, h, w) and weights (N, VARIANTS, 8) of random faces.

    Kept in the file `path` once made.
    """
    if path.exists():
        with np.load(path) as stored:
            return stored['latents'], stored['weights']
    rng = np.random.default_rng(seed)
    latents, weights = [], np.zeros((count, VARIANTS, len(EXPRESSIONS)), np.float32)
    for i in track(range(count), 'portraits'):
        look = random_look(rng)
        for j in range(1, VARIANTS):
            weights[i, j, rng.integers(1, len(EXPRESSIONS))] = rng.uniform(0.2, 1)
        latents.append(
            encode(
                encoder,
                np.stack(
                    [
                        render(look, NEUTRAL_MOTION, REST_MOUTH, mood, cfg.codec.size)
                        for mood in weights[i]
                    ]
                ),
            )
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, latents=np.stack(latents), weights=weights)
    return np.stack(latents), weights


def train(
    cfg: ModelConfig,
    latents: np.ndarray,
    weights: np.ndarray,
    minutes: float,
    out: Path,
    seed: int = 0,
    start: ExpressionAnimator | None = None,
) -> ExpressionAnimator:
    """Train the animator from neutral portraits to all others; returns averaged weights.

    Goes on from the weights of `start` where given.
    The last 32 faces are held out: the log's `held` is the share of the change not explained.
    """
    torch.manual_seed(seed)
    where, rng = device(), np.random.default_rng(seed)
    model = (start or ExpressionAnimator(cfg.codec.latent_channels)).to(where)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0)
    run = Run('animator', model, optimizer, minutes, out)
    held = len(latents) - 32

    def batch(rows: np.ndarray, columns: np.ndarray) -> tuple[torch.Tensor, ...]:
        return tuple(
            torch.from_numpy(v).to(where)
            for v in (
                latents[rows, 0].astype(np.float32),
                weights[rows, columns],
                latents[rows, columns].astype(np.float32),
            )
        )

    def check(_: Path) -> None:
        rows = np.repeat(np.arange(held, len(latents)), VARIANTS - 1)
        neutral, mood, goal = batch(rows, np.tile(np.arange(1, VARIANTS), 32))
        with torch.no_grad():
            error = (
                run.averaged(ExpressionAnimator(cfg.codec.latent_channels)).to(where)(
                    neutral, mood
                )
                - goal
            )
        run.note(held=float(error.square().mean() / (neutral - goal).square().mean()))

    for _ in run.steps(check):
        rows = rng.integers(held, size=BATCH)
        neutral, mood, goal = batch(rows, rng.integers(VARIANTS, size=BATCH))
        with half_precision(where):
            error = model(neutral, mood).float() - goal
        loss = ((error.square() + 0.05**2).sqrt() - 0.05).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        run.note(loss=loss.detach())
    return run.averaged(ExpressionAnimator(cfg.codec.latent_channels))
