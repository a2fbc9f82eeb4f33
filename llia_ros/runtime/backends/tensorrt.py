"""The fastest backend on NVIDIA GPUs: engines that TensorRT builds from the ONNX graphs.

The first start on a machine builds and keeps them (see `engine_cache`). Arrays live on the GPU
as torch tensors: the portrait's reads stay there until it changes, and only latents, sound and
pictures travel.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from rich.progress import Progress

from llia_ros.runtime.backends.graphs import GraphBackend
from llia_ros.runtime.backends.onnx_files import onnx_folder, onnx_manifest
from llia_ros.runtime.engine_builder import build_engine
from llia_ros.runtime.engine_cache import EngineCache, engine_keys


def libraries() -> tuple[ModuleType, ModuleType]:
    """Return tensorrt and torch; ImportError or ValueError says what is missing."""
    found = []
    for name in ('torch', 'tensorrt'):
        try:
            found.append(import_module(name))
        except ImportError as error:
            raise ImportError(
                f'TensorRT needs {name}, which cannot be imported ({error}): pip install '
                "'llia_ros[gpu]'"
            ) from error
    torch, trt = found
    if not torch.cuda.is_available():
        raise ValueError(
            'TensorRT needs an NVIDIA GPU with its driver and a torch built for CUDA: '
            f'torch {torch.__version__} finds none'
        )
    return trt, torch


class Engine:
    """One engine, with memory of its own for every input and output; shapes are fixed.

    `outputs`: their names in the order in which `run` returns them.
    """

    def __init__(
        self,
        trt: ModuleType,
        torch: ModuleType,
        runtime: Any,
        plan: bytes,
        outputs: Sequence[str],
    ):
        kinds = {
            trt.DataType.FLOAT: torch.float32,
            trt.DataType.HALF: torch.float16,
            trt.DataType.INT64: torch.int64,
            trt.DataType.UINT8: torch.uint8,
        }
        self._engine = runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise RuntimeError('TensorRT refuses the engine')
        self._context = self._engine.create_execution_context()
        self._torch = torch
        self._outputs, self._memory = outputs, {}
        for i in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(i)
            memory = torch.empty(
                tuple(self._engine.get_tensor_shape(name)),
                dtype=kinds[self._engine.get_tensor_dtype(name)],
                device='cuda',
            )
            self._context.set_tensor_address(name, memory.data_ptr())
            self._memory[name] = memory

    def run(self, inputs: dict[str, Any]) -> list[Any]:
        """Return copies of the outputs; everything is queued on the current stream."""
        for name, value in inputs.items():
            self._memory[name].copy_(value, non_blocking=True)
        stream = self._torch.cuda.current_stream()
        if not self._context.execute_async_v3(stream.cuda_stream):
            raise RuntimeError('TensorRT could not run an engine')
        return [self._memory[name].clone() for name in self._outputs]


class TensorRTBackend(GraphBackend):
    """Draws clips with engines of a model folder's ONNX graphs; see `Backend` for shapes.

    `precision`: f32, f16 or int8, as exported. `cache`: folder of engines, by default the user's.
    Engines that are missing there are built, which takes minutes. Denoiser and decoder run on
    streams of their own.
    """

    name = 'tensorrt'

    def __init__(self, folder: Path, precision: str = 'f16', cache: Path | None = None):
        folder = Path(folder)
        trt, torch = libraries()
        super().__init__(folder)
        place = onnx_folder(folder, self.config, precision)
        self._torch = torch
        outputs = {name: cut['outputs'] for name, cut in onnx_manifest(place)['graphs'].items()}
        major, minor = torch.cuda.get_device_capability()
        gpu = f'{torch.cuda.get_device_name()} sm_{major}{minor}'
        keys = engine_keys(folder, place, gpu, f'tensorrt {trt.__version__}')
        runtime, engines = trt.Runtime(trt.Logger(trt.Logger.ERROR)), EngineCache(cache)
        self._engines: dict[str, Engine] = {}
        with Progress() as progress:
            for graph, key in keys.items():

                def build(graph: str = graph) -> bytes:
                    return build_engine(trt, place / f'{graph}.onnx', graph, progress)

                plan = engines.get(key, build)
                self._engines[graph] = Engine(trt, torch, runtime, plan, outputs[graph])
        self._streams = {decoding: torch.cuda.Stream() for decoding in (False, True)}

    def _run(self, name: str, frames: int, inputs: dict[str, Any]) -> list[Any]:
        return self._engines[f'{name}-{frames}'].run(inputs)

    def _give(self, value: np.ndarray) -> Any:
        return self._torch.from_numpy(np.ascontiguousarray(value)).to('cuda')

    def _take(self, value: Any) -> np.ndarray:
        return value.cpu().numpy()

    def _turn(self, decoding: bool) -> AbstractContextManager[Any]:
        return self._torch.cuda.stream(self._streams[decoding])
