"""The portable backend: the exported ONNX graphs in ONNX Runtime.

It runs where neither OpenVINO nor torch does, and here it is what proves the graphs that
TensorRT builds its engines from.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime

from llia_ros.model.config import ModelConfig
from llia_ros.runtime.backends.graphs import GRAPHS, GraphBackend, lengths

MANIFEST = 'onnx.json'
PRECISIONS = ('f32', 'f16', 'int8')


def onnx_file(place: Path, graph: str, frames: int) -> Path:
    """Return the file of a graph for so many frames: every length has fixed shapes."""
    return place / f'{graph}-{frames}.onnx'


def onnx_folder(folder: Path, cfg: ModelConfig, precision: str) -> Path:
    """Return where the ONNX graphs of a model folder are kept.

    ValueError for a precision that does not exist, or one that was not exported.
    """
    if precision not in PRECISIONS:
        raise ValueError(f'unknown precision {precision!r}: one of {", ".join(PRECISIONS)}')
    place = folder / 'onnx' / precision
    wanted = [onnx_file(place, name, n) for name in GRAPHS for n in lengths(cfg, name)]
    if missing := [path for path in wanted if not path.is_file()]:
        raise ValueError(
            f'{missing[0]} is missing: export it first, '
            f'llia export {folder} --format onnx --precision {precision}'
        )
    if json.loads((place / MANIFEST).read_text())['weights'] != weights_of(folder):
        raise ValueError(
            f'{place} was exported from other weights than those of {folder}: export it again, '
            f'llia export {folder} --format onnx --precision {precision}'
        )
    return place


def weights_of(folder: Path) -> str:
    """Return the checksum that model.json states of a folder's weights."""
    manifest = json.loads((folder / 'model.json').read_text())
    return manifest['files'][f'{manifest["config"]["name"]}.safetensors']


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
