"""What a backend does around exported graphs: the protocol, whatever library runs them."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llia_ros.model.config import MOTION, ModelConfig, from_dict
from llia_ros.model.schedule import sample

GRAPHS = ('encoder', 'animator', 'reads', 'condition', 'velocity', 'decoder')
# The graphs that run for every clip, at each of its lengths; the others run once a portrait.
PER_CLIP = ('reads', 'condition', 'velocity', 'decoder')


def lengths(cfg: ModelConfig, graph: str) -> tuple[int, ...]:
    """Return the numbers of frames, or of pictures, that a graph is run with."""
    if graph not in PER_CLIP:
        return (1,)
    return (1, cfg.past_frames) if graph == 'reads' else cfg.clip_lengths


@dataclass(frozen=True)
class Reference:
    """A portrait as the denoiser reads it: its latent (1, C, h, w), its reads by name.

    The reads, and the latent as an input of graphs, stay where the graphs run.
    """

    latent: np.ndarray
    portrait: Any
    reads: dict[str, Any]


class GraphBackend:
    """Draws clips with the graphs of a model folder; see `Backend` for shapes.

    A library implements `_run`, and where graphs run elsewhere than here, `_give`, `_take` and
    `_turn`.
    """

    name: str

    def __init__(self, folder: Path):
        self.config = from_dict(json.loads((folder / 'model.json').read_text())['config'])

    def _run(self, name: str, frames: int, inputs: dict[str, Any]) -> list[Any]:
        """Return a graph's outputs, where graphs run; the next run leaves them as they are."""
        raise NotImplementedError

    def _give(self, value: np.ndarray) -> Any:
        """Return an array where graphs run."""
        return np.ascontiguousarray(value)

    def _take(self, value: Any) -> np.ndarray:
        """Return an output as numpy's."""
        return value

    def _turn(self, decoding: bool) -> AbstractContextManager[Any]:
        """Return what surrounds each call, of the decoder's thread or of the other's."""
        return nullcontext()

    def encode(self, image: np.ndarray) -> np.ndarray:
        """Return the latent (C, h, w) of a picture."""
        with self._turn(decoding=False):
            return self._take(self._run('encoder', 1, {'image': self._give(image[None])})[0])[0]

    def animate(self, latent: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Return the portrait's latent wearing an expression; all zeros leave it as it is."""
        if not np.any(expression):
            return latent
        weights = np.asarray(expression, np.float32)[None]
        with self._turn(decoding=False):
            inputs = {'latent': self._give(latent[None]), 'weights': self._give(weights)}
            return self._take(self._run('animator', 1, inputs)[0])[0]

    def _reads(self, latents: np.ndarray, prefix: str) -> dict[str, Any]:
        written = self._run('reads', len(latents), {'latents': self._give(latents)})
        return {f'{prefix}{i}': read for i, read in enumerate(written)}

    def reference(self, latent: np.ndarray) -> Reference:
        """Return the portrait's reads, to be kept until it changes."""
        portrait = np.ascontiguousarray(latent[None], np.float32)
        with self._turn(decoding=False):
            return Reference(portrait, self._give(portrait), self._reads(portrait, 'read'))

    def denoise(
        self,
        noise: np.ndarray,
        mel: np.ndarray,
        motion: np.ndarray | None,
        state: int,
        reference: Reference,
        past: np.ndarray | None,
        steps: int,
    ) -> np.ndarray:
        """Return the clean latents of a clip by `steps` deterministic steps."""
        frames = len(noise)
        led = np.full((frames, 1), motion is not None, np.float32)
        controls = np.zeros((frames, len(MOTION)), np.float32) if motion is None else motion
        if past is None:
            past = np.repeat(reference.latent, self.config.past_frames, axis=0)
        with self._turn(decoding=False):
            heard = {'mel': mel, 'motion': np.asarray(controls, np.float32), 'led': led}
            told = self._run(
                'condition', frames, {key: self._give(value) for key, value in heard.items()}
            )
            fixed = {
                'state': self._give(np.array([state], np.int64)),
                **dict(zip(('context', 'shift', 'pose', 'mouth'), told)),
                'portrait': reference.portrait,
                **reference.reads,
                **self._reads(past, 'past'),
            }

            def predict(x: Any, angle: float) -> Any:
                level = self._give(np.array([angle], np.float32))
                return self._run('velocity', frames, {'x': x, 'angle': level, **fixed})[0]

            x = sample(predict, self._give(np.asarray(noise, np.float32)), steps)
            scale = self.config.residual_scale
            return self._take(x if scale is None else reference.portrait + x / scale)

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Return the pictures of latents."""
        with self._turn(decoding=True):
            return self._take(
                self._run('decoder', len(latents), {'latents': self._give(latents)})[0]
            )
