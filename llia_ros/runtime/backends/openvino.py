"""The embedded backend: the exported graphs on a CPU, without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov

from llia_ros.model.config import MOTION, from_dict
from llia_ros.model.schedule import sample

GRAPHS = ('encoder', 'animator', 'reads', 'condition', 'velocity', 'decoder')


@dataclass(frozen=True)
class Reference:
    """A portrait as the denoiser reads it: its latent (1, C, h, w) and its reads by name."""

    latent: np.ndarray
    reads: dict[str, np.ndarray]


class OpenVINOBackend:
    """Draws clips with the graphs of a model folder; see `Backend` for shapes.

    `precision`: 'auto' lets OpenVINO choose (bf16 where the processor has it), else 'f32' or
    'bf16'. `threads`: 0 for as many as there are cores.
    """

    name = 'openvino'

    def __init__(self, folder: Path, precision: str = 'auto', threads: int = 0):
        folder = Path(folder)
        self.config = from_dict(json.loads((folder / 'model.json').read_text())['config'])
        self._core = ov.Core()
        settings: dict[str, object] = {'PERFORMANCE_HINT': 'LATENCY', 'NUM_STREAMS': 1}
        if threads:
            settings['INFERENCE_NUM_THREADS'] = threads
        if precision != 'auto':
            settings['INFERENCE_PRECISION_HINT'] = precision
        self._settings = settings
        self._models = {name: self._core.read_model(folder / f'{name}.xml') for name in GRAPHS}
        self._compiled: dict[tuple[str, int], ov.InferRequest] = {}
        for name in ('reads', 'condition', 'velocity', 'decoder'):
            lengths = (1, self.config.past_frames) if name == 'reads' else self.config.clip_lengths
            for frames in lengths:
                self._request(name, frames)

    def _request(self, name: str, frames: int) -> ov.InferRequest:
        """Return the request of a graph for so many frames; each has fixed shapes."""
        if (name, frames) not in self._compiled:
            model = self._models[name].clone()
            model.reshape(
                {
                    port: [frames if d.is_dynamic else d for d in port.partial_shape]
                    for port in model.inputs
                }
            )
            compiled = self._core.compile_model(model, 'CPU', self._settings)
            self._compiled[name, frames] = compiled.create_infer_request()
        return self._compiled[name, frames]

    def _run(self, name: str, frames: int, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        request = self._request(name, frames)
        request.infer(inputs, share_inputs=True)
        return [
            np.array(request.get_output_tensor(i).data) for i in range(len(request.model_outputs))
        ]

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
        heard: np.ndarray,
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
            {'mel': heard, 'motion': np.ascontiguousarray(controls, np.float32), 'led': led},
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
