"""The embedded backend: the exported graphs on a CPU, without torch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import openvino as ov

from llia_ros.model.folder import read_config
from llia_ros.runtime.backends.graphs import (
    GraphBackend,
    NumpyRunner,
    graph_backend,
    graph_lengths,
)
from llia_ros.runtime.engine_cache import cache_folder

CPUINFO = Path('/proc/cpuinfo')
PRECISIONS = ('f32', 'bf16', 'f16')
# Of compiled graphs, the newest: several models of the size of `tiny`.
KEPT_BYTES = 512 * 2**20
GRAPHS = ('encoder', 'animator', 'reads', 'condition', 'velocity', 'decoder')
# Other lengths are compiled when they are first run: a portrait's graphs, and the decoder's for
# whoever decodes whole clips.
COMPILED_FIRST: dict[str, tuple[int, ...]] = {'encoder': (), 'animator': (), 'decoder': (1,)}


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


def _kept_compiled(circumstances: Mapping[str, object]) -> str | None:
    """Return the folder where OpenVINO may keep what it compiles, most of a start, or None.

    It keys by weights, shapes and version, and compiles anew what it cannot read; but what it has
    compiled in one precision it takes for another, too, and then draws noise. So each of the
    `circumstances` that it is compiled under has a folder of its own.
    """
    told = json.dumps(dict(circumstances), sort_keys=True, default=str).encode()
    folder = cache_folder() / 'openvino' / hashlib.sha256(told).hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None  # a home that cannot be written to: it starts as slowly every time
    return str(folder) if os.access(folder, os.W_OK) else None


def _forget_old() -> None:
    kept = 0
    for _, size, path in sorted(map(_age, (cache_folder() / 'openvino').rglob('*.blob'))):
        kept += size
        if kept > KEPT_BYTES:
            path.unlink(missing_ok=True)


def _age(path: Path) -> tuple[float, int, Path]:
    try:
        told = path.stat()
    except FileNotFoundError:  # another process has just removed it
        return 0.0, 0, path
    return -told.st_mtime, told.st_size, path


class OpenVINORunner(NumpyRunner):
    """Runs the graphs of a model folder, as `Runner` has it; arrays are numpy's.

    `precision`: one of PRECISIONS, or 'auto' for the fastest (see `best_precision`). `threads`: of
    the denoiser and of the decoder, or one number for both; 0 for as many as there are cores.
    ValueError for another precision or number of threads.
    """

    decodes_singly = True

    def __init__(
        self, folder: Path, precision: str = 'auto', threads: int | tuple[int, int] = 0
    ) -> None:
        self._core = ov.Core()
        self.precision = self._chosen(precision)
        self.threads = (threads, threads) if isinstance(threads, int) else threads
        if min(self.threads) < 0:
            raise ValueError(f'threads must be 0 or more, not {min(self.threads)}')
        self._processor = {
            'processor': self._core.get_property('CPU', 'FULL_DEVICE_NAME'),
            'at most': os.environ.get('ONEDNN_MAX_CPU_ISA'),
        }
        self._models = {name: self._core.read_model(folder / f'{name}.xml') for name in GRAPHS}
        self.requests: dict[str, ov.InferRequest] = {}
        # One after the other: OpenVINO changes the locale meanwhile, and two at once leave it so.
        for name, lengths in graph_lengths(read_config(folder)).items():
            for frames in COMPILED_FIRST.get(name, lengths):
                self._request(f'{name}-{frames}')
        _forget_old()

    def _chosen(self, precision: str) -> str:
        if precision == 'auto':
            capabilities = self._core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
            return best_precision(capabilities, CPUINFO.read_text() if CPUINFO.exists() else '')
        if precision not in PRECISIONS:
            raise ValueError(
                f'unknown precision {precision!r}: auto or one of {", ".join(PRECISIONS)}'
            )
        return precision

    def settings(self, name: str) -> dict[str, object]:
        """Return what a graph is compiled with."""
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

    def _request(self, graph: str) -> ov.InferRequest:
        if graph not in self.requests:
            name, frames = graph.split('-')
            model = self._models[name].clone()
            model.reshape(
                {
                    port: [int(frames) if d.is_dynamic else d for d in port.partial_shape]
                    for port in model.inputs
                }
            )
            settings = self.settings(name)
            if folder := _kept_compiled({**settings, **self._processor}):
                settings['CACHE_DIR'] = folder
            compiled = self._core.compile_model(model, 'CPU', settings)
            self.requests[graph] = compiled.create_infer_request()
        return self.requests[graph]

    def run(self, graph: str, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Return the outputs of a graph, in memory of their own.

        Inputs are read where they lie.
        """
        request, outputs = self._request(graph), []
        for i, port in enumerate(request.model_outputs):
            outputs.append(np.empty(port.shape, port.element_type.to_dtype()))
            request.set_output_tensor(i, ov.Tensor(outputs[-1], shared_memory=True))
        request.infer(inputs, share_inputs=True, share_outputs=True)
        return outputs


def openvino_backend(
    folder: Path, precision: str = 'auto', threads: int | tuple[int, int] = 0
) -> GraphBackend:
    """Return what draws clips with the OpenVINO graphs of a model folder.

    Options and errors as of `OpenVINORunner`.
    """
    folder = Path(folder)
    return graph_backend('openvino', folder, OpenVINORunner(folder, precision, threads))
