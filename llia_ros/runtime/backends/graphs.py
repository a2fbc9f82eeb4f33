"""What a backend of exported graphs does around them: the protocol, in numpy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

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
    """A portrait as the denoiser reads it: its latent (1, C, h, w) and its reads by name."""

    latent: np.ndarray
    reads: dict[str, np.ndarray]


class GraphBackend:
    """Draws clips with the graphs of a model folder; see `Backend` for shapes.

    What runs a graph is left to `_run`, which each library implements.
    """

    name: str

    def __init__(self, folder: Path):
        self.config = from_dict(json.loads((folder / 'model.json').read_text())['config'])

    def _run(self, name: str, frames: int, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Return the outputs of a graph; they stay as they are when it runs again."""
        raise NotImplementedError

    def encode(self, image: np.ndarray) -> np.ndarray:
        """Return the latent (C, h, w) of a picture."""
        return self._run('encoder', 1, {'image': np.ascontiguousarray(image[None])})[0][0]

    def animate(self, latent: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Return the portrait's latent wearing an expression; all zeros leave it as it is."""
        if not np.any(expression):
            return latent
        weights = np.asarray(expression, np.float32)[None]
        return self._run('animator', 1, {'latent': latent[None], 'weights': weights})[0][0]

    def _reads(self, latents: np.ndarray, prefix: str) -> dict[str, np.ndarray]:
        written = self._run('reads', len(latents), {'latents': np.ascontiguousarray(latents)})
        return {f'{prefix}{i}': read for i, read in enumerate(written)}

    def reference(self, latent: np.ndarray) -> Reference:
        """Return the portrait's reads, to be kept until it changes."""
        portrait = np.ascontiguousarray(latent[None], np.float32)
        return Reference(portrait, self._reads(portrait, 'read'))

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
        context, shift, pose, mouth = self._run(
            'condition',
            frames,
            {'mel': mel, 'motion': np.ascontiguousarray(controls, np.float32), 'led': led},
        )
        if past is None:
            past = np.repeat(reference.latent, self.config.past_frames, axis=0)
        fixed = {
            'state': np.array([state], np.int64),
            'context': context,
            'shift': shift,
            'pose': pose,
            'mouth': mouth,
            'portrait': reference.latent,
            **reference.reads,
            **self._reads(past, 'past'),
        }

        def predict(x: np.ndarray, angle: float) -> np.ndarray:
            return self._run(
                'velocity', frames, {'x': x, 'angle': np.array([angle], np.float32), **fixed}
            )[0]

        x = sample(predict, np.ascontiguousarray(noise, np.float32), steps)
        scale = self.config.residual_scale
        return x if scale is None else reference.latent + x / np.float32(scale)

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Return the pictures of latents."""
        return self._run('decoder', len(latents), {'latents': np.ascontiguousarray(latents)})[0]
