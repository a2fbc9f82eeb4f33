"""What a backend does around exported graphs: the protocol, whatever library runs them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from llia_ros.model.config import MOTION, ModelConfig
from llia_ros.model.folder import read_config
from llia_ros.model.schedule import sample
from llia_ros.model.sd15 import FullScaleConfig


class Runner(Protocol):
    """A library that runs graphs, on arrays that stay where it runs them.

    `decodes_singly`: as `Backend` has it.
    """

    device: str
    decodes_singly: bool

    def run(self, graph: str, inputs: dict[str, Any]) -> list[Any]:
        """Return the outputs of a graph, as in `velocity-8`; the next run leaves them be."""

    def give(self, value: np.ndarray) -> Any:
        """Return an array where graphs run."""

    def take(self, value: Any) -> np.ndarray:
        """Return an output as numpy's."""

    def turn(self, decoding: bool) -> AbstractContextManager[Any]:
        """Return what surrounds each call, of the decoder's thread or of the other's."""


class NumpyRunner:
    """What is the same of every library that runs graphs on numpy's arrays, on the CPU."""

    device = 'cpu'

    def give(self, value: np.ndarray) -> np.ndarray:
        """Return the array, in one piece."""
        return np.ascontiguousarray(value)

    def take(self, value: np.ndarray) -> np.ndarray:
        """Return the array."""
        return value

    def turn(self, decoding: bool) -> AbstractContextManager[None]:
        """Return nothing to be done."""
        return nullcontext()


def graph_lengths(cfg: ModelConfig | FullScaleConfig) -> dict[str, tuple[int, ...]]:
    """Return the numbers of frames, or of pictures, that each graph of a model is run with."""
    clips, past = cfg.clip_lengths, cfg.past_frames
    lengths = {'encoder': (1,), 'animator': (1,), 'decoder': clips}
    if isinstance(cfg, ModelConfig):
        return {**lengths, 'reads': (1, past), 'condition': clips, 'velocity': clips}
    lengths['reference'] = (1,)
    if past and cfg.past_reads:
        lengths['reads'] = (past,)
    elif past:
        clips = tuple(frames + past for frames in clips)
    return {**lengths, 'condition': clips, 'velocity': clips}


@dataclass(frozen=True)
class Reference:
    """A portrait as the denoiser reads it: its latent (1, C, h, w), its inputs of `velocity`."""

    latent: np.ndarray
    reads: dict[str, Any]


class GraphBackend:
    """Draws clips with the graphs of a model of tiny's kind; see `Backend` for shapes."""

    def __init__(self, name: str, config: Any, runner: Runner):
        self.name, self.config, self.runner = name, config, runner
        self.decodes_singly = runner.decodes_singly

    def encode(self, image: np.ndarray) -> np.ndarray:
        """Return the latent (C, h, w) of a picture."""
        with self.runner.turn(decoding=False):
            return self._run('encoder', 1, {'image': image[None]})[0][0]

    def animate(self, latent: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Return the portrait's latent wearing an expression; all zeros leave it as it is."""
        if not np.any(expression):
            return latent
        weights = np.asarray(expression, np.float32)[None]
        with self.runner.turn(decoding=False):
            return self._run('animator', 1, {'latent': latent[None], 'weights': weights})[0][0]

    def reference(self, latent: np.ndarray) -> Reference:
        """Return the portrait's reads, to be kept until it changes."""
        portrait = np.ascontiguousarray(latent[None], np.float32)
        with self.runner.turn(decoding=False):
            reads = {'portrait': self.runner.give(portrait), **self._reads(portrait, 'read')}
            return Reference(portrait, reads)

    def denoise(
        self,
        noise: np.ndarray,
        heard: np.ndarray,
        motion: np.ndarray | None,
        state: int,
        reference: Reference,
        past: np.ndarray | None,
        steps: int,
    ) -> np.ndarray:
        """Return the clean latents of a clip by `steps` deterministic steps."""
        if past is None:
            past = np.repeat(reference.latent, self.config.past_frames, axis=0)
        noise = np.asarray(noise, np.float32)
        with self.runner.turn(decoding=False):
            fixed = {
                'state': self.runner.give(np.array([state], np.int64)),
                **self._told(heard, motion, len(noise)),
                **reference.reads,
            }
            return self._draw(noise, fixed, reference, past, steps)

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Return the pictures of latents."""
        with self.runner.turn(decoding=True):
            return self._run('decoder', len(latents), {'latents': latents})[0]

    def _run(self, graph: str, frames: int, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        given = {key: self.runner.give(value) for key, value in inputs.items()}
        return [self.runner.take(out) for out in self.runner.run(f'{graph}-{frames}', given)]

    def _reads(self, latents: np.ndarray, prefix: str) -> dict[str, Any]:
        given = {'latents': self.runner.give(np.asarray(latents, np.float32))}
        written = self.runner.run(f'reads-{len(latents)}', given)
        return {f'{prefix}{i}': read for i, read in enumerate(written)}

    def _told(self, heard: np.ndarray, motion: np.ndarray | None, frames: int) -> dict[str, Any]:
        led = np.full((frames, 1), motion is not None, np.float32)
        controls = np.zeros((frames, len(MOTION))) if motion is None else motion
        inputs = {'mel': heard, 'motion': np.asarray(controls, np.float32), 'led': led}
        given = {key: self.runner.give(value) for key, value in inputs.items()}
        names = ('context', 'shift', 'pose', 'mouth')
        return dict(zip(names, self.runner.run(f'condition-{frames}', given)))

    def _draw(
        self,
        noise: np.ndarray,
        fixed: dict[str, Any],
        reference: Reference,
        past: np.ndarray,
        steps: int,
    ) -> np.ndarray:
        runner, frames = self.runner, len(noise)
        fixed = {**fixed, **self._reads(past, 'past')}

        def predict(x: np.ndarray, angle: float) -> np.ndarray:
            level = runner.give(np.array([angle], np.float32))
            inputs = {'x': runner.give(x), 'angle': level, **fixed}
            return runner.take(runner.run(f'velocity-{frames}', inputs)[0])

        x = sample(predict, noise, steps)
        scale = self.config.residual_scale
        return x if scale is None else reference.latent + x / np.float32(scale)


def graph_backend(name: str, folder: Path, runner: Runner) -> GraphBackend:
    """Return a backend of a model folder's graphs, of either scale."""
    config = read_config(folder)
    if isinstance(config, ModelConfig):
        return GraphBackend(name, config, runner)
    from llia_ros.runtime.backends.full_graphs import FullGraphBackend

    return FullGraphBackend(name, config, runner, folder)
