"""Single stages timed in turns, with what a speaking face really sends through them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from llia_ros.audio.features import log_mel, windows
from llia_ros.benchmark.speech import voice
from llia_ros.model.config import STATES, AudioConfig
from llia_ros.runtime.backends import Backend
from llia_ros.runtime.motion import MotionProcess


class Probe:
    """One backend with a portrait, led through a few clips of speech."""

    def __init__(self, backend: Backend, portrait: np.ndarray, steps: int, frames: int) -> None:
        """Prepare clips of `frames`; `portrait` uint8 (S, S, 3)."""
        cfg = backend.config
        if not isinstance(cfg.audio, AudioConfig):
            raise ValueError(f'{cfg.name} hears no log-mel columns: measure one that does')
        self._audio = cfg.audio
        self.backend, self.steps, self.frames = backend, steps, frames
        field = np.random.default_rng(0).standard_normal(cfg.latent_shape, np.float32)
        self._noise = np.ascontiguousarray(np.broadcast_to(field, (frames, *field.shape)))
        self._columns = log_mel(voice(10.0))
        self._motion = MotionProcess(0).clip(['speaking'] * 250)
        self.reference = backend.reference(backend.encode(portrait))
        self._past: np.ndarray | None = None
        self.latents = self.denoise()

    def denoise(self, clip: int = 0) -> np.ndarray:
        """Return the latents of a clip of the speech, drawn after the one asked for before."""
        first = clip * self.frames % (200 - self.frames)
        latents = self.backend.denoise(
            self._noise,
            windows(self._columns, first, self.frames, self._audio),
            self._motion[first : first + self.frames],
            STATES.index('speaking'),
            self.reference,
            self._past,
            self.steps,
        )
        self._past = latents[-self.backend.config.past_frames :]
        return latents

    def decode(self) -> np.ndarray:
        """Return the pictures of the first clip."""
        return self.backend.decode(self.latents)

    def pictures(self, clips: int) -> np.ndarray:
        """Return the first clips of the speech, uint8 (clips * frames, S, S, 3)."""
        self._past = None
        return np.concatenate([self.backend.decode(self.denoise(k)) for k in range(clips)])


def in_turns(
    variants: Mapping[str, Callable[[], Any]], repeats: int, rounds: int = 1
) -> dict[str, list[float]]:
    """Return the seconds that each variant took, `rounds` calls each time, repeated in turns.

    Each is called once before, untimed, so that a noisy machine is as fair to all as can be.
    """
    for variant in variants.values():
        variant()
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(repeats):
        for name, variant in variants.items():
            start = time.perf_counter()
            for _ in range(rounds):
                variant()
            taken[name].append((time.perf_counter() - start) / rounds)
    return taken


def psnr(picture: np.ndarray, truth: np.ndarray) -> float:
    """Return how near uint8 pictures are, dB; 99 for equal ones."""
    error = np.square(picture.astype(np.float32) - truth.astype(np.float32)).mean()
    return float(min(99.0, 10 * np.log10(255**2 / max(error, 1e-12))))
