"""The portable backend: the exported ONNX graphs in ONNX Runtime.

It runs where neither OpenVINO nor torch does, and here it is what proves the graphs that
TensorRT builds its engines from.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from llia_ros.runtime.backends.graphs import GRAPHS, GraphBackend, lengths
from llia_ros.runtime.backends.onnx_files import onnx_file, onnx_folder


class OnnxBackend(GraphBackend):
    """Draws clips with the ONNX graphs of a model folder; see `Backend` for shapes.

    `precision`: f32, f16 or int8, as exported. `threads`: 0 for as many as there are cores.
    `providers`: ONNX Runtime's names of what may compute, in order; empty takes the CPU. `place`:
    where the graphs are, if not in the model folder.
    """

    name = 'onnx'

    def __init__(
        self,
        folder: Path,
        precision: str = 'f32',
        threads: int = 0,
        providers: tuple[str, ...] = (),
        place: Path | None = None,
    ):
        folder = Path(folder)
        super().__init__(folder)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.log_severity_level = 3
        place = place or onnx_folder(folder, self.config, precision)
        self._sessions = {
            (name, frames): onnxruntime.InferenceSession(
                onnx_file(place, name, frames),
                settings,
                list(providers) or ['CPUExecutionProvider'],
            )
            for name in GRAPHS
            for frames in lengths(self.config, name)
        }

    def _run(self, name: str, frames: int, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        return self._sessions[name, frames].run(None, inputs)
