"""The embedded backend: the exported graphs on a CPU, without torch."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov

from llia_ros.model.config import MOTION, from_dict
from llia_ros.model.schedule import sample
from llia_ros.runtime.engine_cache import cache_folder

CPUINFO = Path('/proc/cpuinfo')
PRECISIONS = ('f32', 'bf16', 'f16')
# Of compiled graphs, the newest: several models of the size of `tiny`.
KEPT_BYTES = 512 * 2**20
GRAPHS = ('encoder', 'animator', 'reads', 'condition', 'velocity', 'decoder')


@dataclass(frozen=True)
class Reference:
    """A portrait as the denoiser reads it: its latent (1, C, h, w) and its reads by name."""

    latent: np.ndarray
    reads: dict[str, np.ndarray]


def best_precision(capabilities: Sequence[str], cpuinfo: str) -> str:
    """Return the fastest of PRECISIONS on a processor.

    `capabilities`: OpenVINO's OPTIMIZATION_CAPABILITIES of the CPU; `cpuinfo`: /proc/cpuinfo.
    OpenVINO by itself takes bf16 wherever there are instructions for it, but without AMX Intel's
    are slower than f32; AMD's are faster by half. f16 is for ARM.
    """
    if 'FP16' in capabilities:
        return 'f16'
    words = set(cpuinfo.split())
    quick = 'amx_bf16' in words or {'AuthenticAMD', 'avx512_bf16'} <= words
    return 'bf16' if quick and 'BF16' in capabilities else 'f32'


def _keep_compiled(core: ov.Core) -> None:
    """Let OpenVINO keep what it compiles, which takes most of a start, for the next one.

    It keys by weights, shapes, settings, processor and version itself, and compiles anew what it
    cannot read.
    """
    folder = cache_folder() / 'openvino'
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # a home that cannot be written to: it starts as slowly every time
    if not os.access(folder, os.W_OK):
        return
    core.set_property({'CACHE_DIR': str(folder)})
    kept = 0
    for _, size, path in sorted(map(_age, folder.glob('*.blob'))):
        kept += size
        if kept > KEPT_BYTES:
            path.unlink(missing_ok=True)


def _age(path: Path) -> tuple[float, int, Path]:
    try:
        told = path.stat()
    except FileNotFoundError:  # another process has just removed it
        return 0.0, 0, path
    return -told.st_mtime, told.st_size, path


class OpenVINOBackend:
    """Draws clips with the graphs of a model folder; see `Backend` for shapes.

    `precision`: one of PRECISIONS, or 'auto' for the fastest (see `best_precision`). `threads`: of
    the denoiser and of the decoder, or one number for both; 0 for as many as there are cores.
    """

    name = 'openvino'
    decodes_singly = True

    def __init__(
        self, folder: Path, precision: str = 'auto', threads: int | tuple[int, int] = 0
    ) -> None:
        """Load a model folder; ValueError for another precision or number of threads."""
        folder = Path(folder)
        self.config = from_dict(json.loads((folder / 'model.json').read_text())['config'])
        self._core = ov.Core()
        _keep_compiled(self._core)
        self.precision = self._chosen(precision)
        self.threads = (threads, threads) if isinstance(threads, int) else threads
        if min(self.threads) < 0:
            raise ValueError(f'threads must be 0 or more, not {min(self.threads)}')
        self._models = {name: self._core.read_model(folder / f'{name}.xml') for name in GRAPHS}
        self._compiled: dict[tuple[str, int], ov.InferRequest] = {}
        clips = self.config.clip_lengths
        for name, lengths in {
            'reads': (1, self.config.past_frames),
            'condition': clips,
            'velocity': clips,
            'decoder': (1,),
        }.items():
            for frames in lengths:
                self._request(name, frames)

    def _chosen(self, precision: str) -> str:
        if precision == 'auto':
            capabilities = self._core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
            return best_precision(capabilities, CPUINFO.read_text() if CPUINFO.exists() else '')
        if precision not in PRECISIONS:
            raise ValueError(
                f'unknown precision {precision!r}: auto or one of {", ".join(PRECISIONS)}'
            )
        return precision

    def _settings(self, name: str) -> dict[str, object]:
        settings: dict[str, object] = {
            'PERFORMANCE_HINT': 'LATENCY',
            'NUM_STREAMS': 1,
            'INFERENCE_PRECISION_HINT': self.precision,
            # Pinned, each compiled graph begins with the same core: denoiser and decoder would
            # share one.
            'ENABLE_CPU_PINNING': False,
        }
        if threads := self.threads[name == 'decoder']:
            settings['INFERENCE_NUM_THREADS'] = threads
        return settings

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
            compiled = self._core.compile_model(model, 'CPU', self._settings(name))
            self._compiled[name, frames] = compiled.create_infer_request()
        return self._compiled[name, frames]

    def _run(self, name: str, frames: int, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Return a graph's outputs, to be copied by who keeps them: the next run overwrites them.

        Inputs are read where they lie.
        """
        request = self._request(name, frames)
        request.infer(inputs, share_inputs=True, share_outputs=True)
        return [request.get_output_tensor(i).data for i in range(len(request.model_outputs))]

    def encode(self, image: np.ndarray) -> np.ndarray:
        """Return the latent (C, h, w) of a picture."""
        return self._run('encoder', 1, {'image': np.ascontiguousarray(image[None])})[0][0].copy()

    def animate(self, latent: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Return the portrait's latent wearing an expression; all zeros leave it as it is."""
        if not np.any(expression):
            return latent
        weights = np.asarray(expression, np.float32)[None]
        inputs = {'latent': latent[None], 'weights': weights}
        return self._run('animator', 1, inputs)[0][0].copy()

    def _reads(self, latents: np.ndarray, prefix: str) -> dict[str, np.ndarray]:
        written = self._run('reads', len(latents), {'latents': np.ascontiguousarray(latents)})
        return {f'{prefix}{i}': read for i, read in enumerate(written)}

    def reference(self, latent: np.ndarray) -> Reference:
        """Return the portrait's reads, to be kept until it changes."""
        portrait = np.ascontiguousarray(latent[None], np.float32)
        reads = self._reads(portrait, 'read')
        return Reference(portrait, {name: read.copy() for name, read in reads.items()})

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
        """Return the pictures of latents, in memory of their own."""
        frames, size = len(latents), self.config.codec.size
        pictures = np.empty((frames, size, size, 3), np.uint8)
        written = ov.Tensor(pictures, shared_memory=True)
        self._request('decoder', frames).set_output_tensor(0, written)
        self._run('decoder', frames, {'latents': np.ascontiguousarray(latents)})
        return pictures
