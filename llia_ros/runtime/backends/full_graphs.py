"""Exported graphs of a full-scale model: its ears run in torch, the rest in the graphs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from llia_ros.model.full_face import timesteps
from llia_ros.model.full_weights import load_hearing
from llia_ros.model.schedule import add_noise, sample
from llia_ros.model.sd15 import FullScaleConfig
from llia_ros.runtime.backends.graphs import GraphBackend, Reference, Runner

# What `velocity` is told, in the order in which `condition` returns it; the last for Hallo's.
TOLD = ('context', 'pose', 'audio')


class FullGraphBackend(GraphBackend):
    """Draws clips as `FullScaleFace` does; see `Backend` for shapes."""

    def __init__(self, name: str, config: FullScaleConfig, runner: Runner, folder: Path):
        super().__init__(name, config, runner)
        self._face = load_hearing(folder)
        self._face.ears.to(runner.device)

    def reference(self, latent: np.ndarray) -> Reference:
        """Return the denoiser's keys and values of a portrait, to be kept until it changes."""
        portrait = np.ascontiguousarray(latent[None], np.float32)
        with self.runner.turn(decoding=False):
            written = self.runner.run('reference-1', {'latents': self.runner.give(portrait)})
        return Reference(portrait, {f'read{i}': read for i, read in enumerate(written)})

    def _told(self, heard: np.ndarray, motion: np.ndarray | None, frames: int) -> dict[str, Any]:
        windows = torch.from_numpy(np.ascontiguousarray(heard)).to(self.runner.device)
        tokens = self._face.hear(windows).cpu().numpy()
        given = {'tokens': self.runner.give(tokens)}
        return dict(zip(TOLD, self.runner.run(f'condition-{len(tokens)}', given)))

    def _draw(
        self,
        noise: np.ndarray,
        fixed: dict[str, Any],
        reference: Reference,
        past: np.ndarray,
        steps: int,
    ) -> np.ndarray:
        runner, before = self.runner, np.asarray(past, np.float32)
        if self.config.past_reads and len(before):
            fixed, before = {**fixed, **self._reads(before, 'past')}, before[:0]
        # Past frames that are drawn with the clip share its first noise.
        shared, P = np.broadcast_to(noise[:1], before.shape), len(before)

        def predict(x: np.ndarray, angle: float) -> np.ndarray:
            known = add_noise(before, shared, math.cos(angle), math.sin(angle))
            joined = np.concatenate([known, x]).astype(np.float32)
            level = timesteps(torch.tensor([angle])).numpy()
            inputs = {'x': runner.give(joined), 'timestep': runner.give(level), **fixed}
            return runner.take(runner.run(f'velocity-{len(joined)}', inputs)[0])[P:]

        return sample(predict, noise, self._face.path(steps))
