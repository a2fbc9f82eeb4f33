"""Makes exported graphs smaller and faster after training, by nncf.

Two ways: 8 bit weights alone, which change a picture by less than one can see, and 8 bit weights
and activations, calibrated by what the graphs see while the model draws.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nncf
import numpy as np
import openvino as ov

from llia_ros.model.config import from_dict
from llia_ros.model.weights import write_manifest
from llia_ros.runtime.backends.graphs import GraphBackend, graph_backend
from llia_ros.runtime.backends.openvino import GRAPHS, OpenVINORunner
from llia_ros.runtime.export import save_graph

# The graphs that run for every clip; the others run once a portrait.
QUANTIZED = ('reads', 'condition', 'velocity', 'decoder')
KEPT = 300  # calibration inputs a graph


class Recorder(OpenVINORunner):
    """Keeps what graphs are given."""

    def __init__(self, folder: Path, every: int):
        self.seen: dict[str, list[dict[str, np.ndarray]]] = {name: [] for name in QUANTIZED}
        self.every, self.calls = every, 0
        super().__init__(folder, precision='f32')

    def run(self, graph: str, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Return the outputs of a graph."""
        self.calls += 1
        kept = self.seen.get(graph.split('-')[0])
        if kept is not None and len(kept) < KEPT and self.calls % self.every == 0:
            kept.append({key: np.array(value) for key, value in inputs.items()})
        return super().run(graph, inputs)


def compress_openvino(folder: Path) -> None:
    """Replace all graphs of a model folder by ones with 8 bit weights."""
    _replace(folder, dict.fromkeys(GRAPHS, nncf.compress_weights), 'weights')


def quantize_openvino(
    folder: Path,
    draw: Callable[[GraphBackend], None],
    graphs: tuple[str, ...] = QUANTIZED,
    every: int = 1,
) -> None:
    """Replace graphs of a model folder by ones with 8 bit weights and activations.

    `draw` uses the backend it is given as a stream would, on what the model was trained for; one
    of `every` inputs is kept for calibration. The other graphs get 8 bit weights. ValueError for
    a graph that `draw` never used.
    """
    recorder = Recorder(folder, every)
    draw(graph_backend('openvino', folder, recorder))
    changes: dict[str, Callable[[ov.Model], ov.Model]] = {}
    for name in GRAPHS:
        samples = recorder.seen.get(name)
        if name not in graphs:
            changes[name] = nncf.compress_weights
        elif not samples:
            raise ValueError(f'the calibration never used the graph {name!r}')
        else:
            changes[name] = partial(
                nncf.quantize,
                calibration_dataset=nncf.Dataset(samples),
                subset_size=len(samples),
                preset=nncf.QuantizationPreset.MIXED,
            )
    _replace(folder, changes, 'weights and activations of ' + ', '.join(graphs))


def _replace(folder: Path, changes: dict[str, Callable[[ov.Model], ov.Model]], what: str) -> None:
    core = ov.Core()
    for name, change in changes.items():
        # Saved beside the original, which stays mapped as long as its model lives.
        save_graph(change(core.read_model(folder / f'{name}.xml')), folder / f'{name}.new.xml')
    for name in changes:
        for suffix in ('.xml', '.bin'):
            (folder / f'{name}.new{suffix}').replace(folder / f'{name}{suffix}')
    manifest = json.loads((folder / 'model.json').read_text())
    notes = {**manifest['notes'], 'int8': what}
    write_manifest(folder, from_dict(manifest['config']), notes)
