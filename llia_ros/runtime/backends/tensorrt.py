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

from llia_ros.model.folder import read_config
from llia_ros.runtime.backends.graphs import GraphBackend, graph_backend
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
        self._outputs = outputs
        self._memory: dict[str, Any] = {}
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


class TensorRTRunner:
    """Runs engines, as `Runner` has it; arrays are torch's, denoiser and decoder on streams."""

    device = 'cuda'
    decodes_singly = False  # a GPU is filled by several pictures

    def __init__(self, torch: ModuleType, engines: dict[str, Engine]):
        self._torch, self._engines = torch, engines
        self._streams = {decoding: torch.cuda.Stream() for decoding in (False, True)}

    def run(self, graph: str, inputs: dict[str, Any]) -> list[Any]:
        """Return the outputs of a graph."""
        return self._engines[graph].run(inputs)

    def give(self, value: np.ndarray) -> Any:
        """Return an array on the GPU."""
        return self._torch.from_numpy(np.ascontiguousarray(value)).to('cuda')

    def take(self, value: Any) -> np.ndarray:
        """Return an output as numpy's."""
        return value.cpu().numpy()

    def turn(self, decoding: bool) -> AbstractContextManager[Any]:
        """Return the stream of the decoder's thread or of the other's."""
        return self._torch.cuda.stream(self._streams[decoding])


def tensorrt_backend(
    folder: Path, precision: str = 'f16', cache: Path | None = None
) -> GraphBackend:
    """Return what draws clips with TensorRT's engines of a model folder's ONNX graphs.

    `precision`: f32, f16 or int8, as exported. `cache`: folder of engines, by default the user's.
    Engines that are missing there are built, which takes minutes. ImportError or ValueError says
    which library, GPU or export is missing.
    """
    folder = Path(folder)
    trt, torch = libraries()
    place = onnx_folder(folder, read_config(folder), precision)
    graphs = onnx_manifest(place)['graphs']
    major, minor = torch.cuda.get_device_capability()
    gpu = f'{torch.cuda.get_device_name()} sm_{major}{minor}'
    keys = engine_keys(folder, place, gpu, f'tensorrt {trt.__version__}')
    runtime, kept = trt.Runtime(trt.Logger(trt.Logger.ERROR)), EngineCache(cache)
    engines = {}
    with Progress() as progress:
        for graph, key in keys.items():

            def build(graph: str = graph) -> bytes:
                return build_engine(trt, place / f'{graph}.onnx', graph, progress)

            plan = kept.get(key, build)
            engines[graph] = Engine(trt, torch, runtime, plan, graphs[graph]['outputs'])
    return graph_backend('tensorrt', folder, TensorRTRunner(torch, engines))
