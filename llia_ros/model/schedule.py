"""The noise schedule in angles, for teacher, DDIM and consistency sampling alike.

A noised latent is x = cos(a) x0 + sin(a) noise with a in [0, pi/2]; the network predicts
v = cos(a) noise - sin(a) x0. With a = arccos(sqrt(alpha_bar)) this is v-prediction with zero
terminal SNR (Lin et al., 2305.08891), and TrigFlow (Lu and Song, 2410.11081), whose consistency
function f(x, a) = cos(a) x - sin(a) v meets its boundary condition f(x, 0) = x by itself.

Works on numpy arrays and torch tensors; angles are floats or arrays that broadcast.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

PURE_NOISE = math.pi / 2


def add_noise(x0: Any, noise: Any, cos: Any, sin: Any) -> Any:
    """Return cos(a) x0 + sin(a) noise for the angle given by its cosine and sine."""
    return cos * x0 + sin * noise


def velocity(x0: Any, noise: Any, cos: Any, sin: Any) -> Any:
    """Return the network's target v = cos(a) noise - sin(a) x0."""
    return cos * noise - sin * x0


def clean(x: Any, v: Any, cos: Any, sin: Any) -> Any:
    """Return f(x, a) = cos(a) x - sin(a) v: the clean latent that `v` stands for."""
    return cos * x - sin * v


def rotate(x: Any, v: Any, angle: float, to: float) -> Any:
    """Return one deterministic (DDIM) step from `angle` to `to`: x cos(a-b) - v sin(a-b)."""
    return x * math.cos(angle - to) - v * math.sin(angle - to)


def angles(steps: int) -> list[float]:
    """Return `steps` evenly spaced angles, pure noise first, without the final zero."""
    if steps < 1:
        raise ValueError(f'sampling needs at least one step, got {steps}')
    return [PURE_NOISE * (steps - i) / steps for i in range(steps)]


def path(steps: int) -> list[tuple[float, float]]:
    """Return the angles of `steps` steps, from and to, down to the clean latent."""
    levels = [*angles(steps), 0.0]
    return list(zip(levels, levels[1:]))


def sample(
    predict: Callable[[Any, float], Any], noise: Any, steps: int | Sequence[tuple[float, float]]
) -> Any:
    """Return a clean latent from `noise` by deterministic rotation.

    `predict(x, angle)` gives v. `steps`: how many, evenly spaced, or the angles of each, from and
    to. The same noise gives the same latent: with one noise field for a whole stream the picture
    does not flicker, as it would with fresh noise between steps.
    """
    x = noise
    for angle, to in path(steps) if isinstance(steps, int) else steps:
        x = rotate(x, predict(x, angle), angle, to)
    return x


def linear_beta_angles(
    count: int = 1000, start: float = 0.00085, end: float = 0.012
) -> np.ndarray:
    """Return the angle of each training timestep of the Stable Diffusion 1.5 descendants.

    Linear betas rescaled to zero terminal SNR (2305.08891, algorithm 1). Shape (count,), float64.
    """
    root = np.sqrt(np.cumprod(1 - np.linspace(start, end, count, dtype=np.float64)))
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    return np.arccos(root)


def trailing_steps(steps: int, count: int = 1000) -> list[tuple[int, int | None]]:
    """Return the training timesteps of sampling in `steps` steps, each with where it goes.

    Spaced as in Lin et al., 2305.08891, table 2 ("trailing"), the last of training first; None is
    the clean latent. As in diffusers' DDIM, by which the public models were judged, a step is
    `count // steps` long, even where that misses the next timestep by one. ValueError for less
    than one step or more than `count`.
    """
    if not 1 <= steps <= count:
        raise ValueError(f'sampling needs 1 to {count} steps, got {steps}')
    timesteps = [round(count * (steps - i) / steps) - 1 for i in range(steps)]
    ends = [t - count // steps for t in timesteps]
    return [(t, end if end >= 0 else None) for t, end in zip(timesteps, ends)]
