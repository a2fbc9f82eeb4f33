"""The portable backend: the exported ONNX graphs in ONNX Runtime.

It runs where neither OpenVINO nor a GPU is, and it is what proves the graphs that TensorRT builds
its engines from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from llia_ros.model.folder import read_config
from llia_ros.runtime.backends.graphs import GraphBackend, NumpyRunner, graph_backend
from llia_ros.runtime.backends.onnx_files import onnx_folder, onnx_manifest


def session(path: Path, threads: int = 0, providers: Sequence[str] = ()) -> Any:
    """Return a session of ONNX Runtime, quiet about what it could not fold."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    chosen = list(providers) or ['CPUExecutionProvider']
    return onnxruntime.InferenceSession(path, settings, chosen)


class OnnxRunner(NumpyRunner):
    """Runs the graphs of a folder, as `Runner` has it; arrays are numpy's."""

    decodes_singly = False  # the graph has the lengths of clips

    def __init__(self, place: Path, threads: int = 0, providers: Sequence[str] = ()):
        graphs = onnx_manifest(place)['graphs']
        self._sessions = {
            graph: session(place / f'{graph}.onnx', threads, providers) for graph in graphs
        }

    def run(self, graph: str, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Return the outputs of a graph."""
        return self._sessions[graph].run(None, inputs)


def onnx_backend(
    folder: Path, precision: str = 'f32', threads: int = 0, providers: Sequence[str] = ()
) -> GraphBackend:
    """Return what draws clips with the ONNX graphs of a model folder.

    `precision`: f32, f16 or int8, as exported. `threads`: 0 for as many as there are cores.
    `providers`: ONNX Runtime's names of what may compute, the best first; without, the CPU.
    ValueError where the graphs are missing or of other weights.
    """
    folder = Path(folder)
    place = onnx_folder(folder, read_config(folder), precision)
    return graph_backend('onnx', folder, OnnxRunner(place, threads, providers))
