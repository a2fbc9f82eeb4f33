"""Exports a model folder's weights as ONNX graphs, checked and compared with torch.

Every graph has fixed shapes, one file for each length of a clip (`velocity-8.onnx`), and all
share one file of weights. What the denoiser reads of the portrait and of past frames are inputs
by name, `read0` and `past0` onwards, so that they are computed once and kept on the device.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import onnxruntime
import torch

from llia_ros.model.folder import read_config
from llia_ros.model.full_face import FullScaleFace
from llia_ros.model.full_weights import load_any
from llia_ros.runtime.backends.graphs import (
    GraphBackend,
    graph_backend,
    graph_lengths,
)
from llia_ros.runtime.backends.onnx import OnnxRunner, session
from llia_ros.runtime.backends.onnx_files import MANIFEST, onnx_file, weights_of
from llia_ros.runtime.export import Graph
from llia_ros.runtime.export import graphs as tiny_graphs
from llia_ros.runtime.full_scale_graphs import full_scale_graphs
from llia_ros.runtime.onnx_quantize import to_half, to_int8
from llia_ros.runtime.onnx_weights import SharedWeights

OPSET = 19  # the first whose QuantizeLinear takes half precision
SMALLER = (
    'encoder',
    'reads',
    'reference',
    'velocity',
    'decoder',
)  # the others cost next to nothing
QUANTIZED = ('reads', 'reference', 'velocity', 'decoder')
KEPT = 24  # calibration inputs a graph and length
HELD_OUT = 3  # of them to measure with, never to calibrate with

Inputs = dict[str, np.ndarray]
Draw = Callable[[GraphBackend], None]


@dataclass(frozen=True)
class Cut:
    """One graph to export: a function of tensors, for so many frames, with example inputs."""

    name: str
    frames: int
    module: Graph
    inputs: dict[str, torch.Tensor]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Exported:
    """A graph that was written: where, and how far it is from torch.

    `error`: the norm of the difference over the norm of what torch returns, of the worst output.
    """

    path: Path
    error: float


class Recorder(OnnxRunner):
    """Keeps what graphs are given."""

    def __init__(self, place: Path):
        self.seen: dict[str, list[Inputs]] = {}
        super().__init__(place)

    def run(self, graph: str, inputs: Inputs) -> list[np.ndarray]:
        """Return the outputs of a graph."""
        kept = self.seen.setdefault(graph, [])
        if len(kept) < KEPT:
            kept.append({key: np.array(value) for key, value in inputs.items()})
        return super().run(graph, inputs)


@torch.no_grad()
def cuts(folder: Path) -> list[Cut]:
    """Return the graphs of a model folder, once for each number of frames they run with."""
    face, loaded = load_any(folder)
    face, codec = face.float(), cast(Any, loaded.float())  # of the same scale as the face
    lengths, found = graph_lengths(read_config(folder)), []
    for frames in sorted({n for of_graph in lengths.values() for n in of_graph}):
        if isinstance(face, FullScaleFace):
            graphs = full_scale_graphs(face, codec, frames)
        else:
            graphs = tiny_graphs(face, codec, frames)
        for name, (module, inputs, outputs) in graphs.items():
            if frames in lengths.get(name, ()):
                if name == 'reads':
                    inputs = {'latents': torch.zeros(frames, *face.cfg.latent_shape)}
                found.append(Cut(name, frames, module.eval(), inputs, outputs))
    return found


@torch.no_grad()
def trace(cut: Cut) -> onnx.ModelProto:
    """Return a graph in ONNX with named inputs and outputs, its constants folded."""
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the shapes that become constants are meant to
        traced, folded = Path(scratch) / 'traced.onnx', Path(scratch) / 'folded.onnx'
        torch.onnx.export(
            cut.module,
            tuple(cut.inputs.values()),
            str(traced),
            input_names=list(cut.inputs),
            output_names=list(cut.outputs),
            opset_version=OPSET,
            dynamo=False,
        )
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        settings.optimized_model_filepath = str(folded)
        settings.add_session_config_entry(
            'session.optimized_model_external_initializers_file_name', 'folded.bin'
        )
        onnxruntime.InferenceSession(str(traced), settings, ['CPUExecutionProvider'])
        model = onnx.load(folded)
    used = {node.domain for node in model.graph.node}
    for opset in [opset for opset in model.opset_import if opset.domain not in used]:
        model.opset_import.remove(opset)
    return model


def random_inputs(cut: Cut, seed: int) -> Inputs:
    """Return inputs of the kinds and shapes of the examples."""
    rng = np.random.default_rng(seed)
    values = {}
    for key, example in cut.inputs.items():
        shape = tuple(example.shape)
        if example.dtype == torch.uint8:
            values[key] = rng.integers(0, 256, shape, np.uint8)
        elif example.is_floating_point():
            values[key] = rng.standard_normal(shape, np.float32)
        else:
            values[key] = example.numpy()
    return values


@torch.no_grad()
def relative_error(path: Path, cut: Cut, probes: list[Inputs]) -> float:
    """Return how far a file's outputs are from torch's, relative, of the worst output."""
    running = session(path)
    off, size = np.zeros(len(cut.outputs)), np.zeros(len(cut.outputs))
    for probe in probes:
        wanted = cut.module(*(torch.from_numpy(probe[key]) for key in cut.inputs))
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        for i, (got, want) in enumerate(zip(running.run(None, probe), wanted)):
            truth = want.numpy().astype(np.float64)
            off[i] += np.square(got - truth).sum()
            size[i] += np.square(truth).sum()
    return float(np.sqrt(off / size).max())


def write_graphs(
    cuts: list[Cut],
    place: Path,
    precision: str,
    samples: dict[str, list[Inputs]] | None = None,
    plain: Path | None = None,
) -> Iterator[Exported]:
    """Write graphs into a folder, each checked by onnx and compared with torch.

    `precision` 'f32', 'f16' or 'int8'; `int8` needs `samples`, inputs by graph and frames as in
    'velocity-8', of which the last few are not calibrated with but measured with. `plain`: a
    folder that holds the same graphs in f32 already.
    """
    place.mkdir(parents=True, exist_ok=True)
    with SharedWeights(place) as weights:
        for cut in cuts:
            path = onnx_file(place, cut.name, cut.frames)
            seen = (samples or {}).get(path.stem, [])
            calibrate, probes = seen[:-HELD_OUT], seen[-HELD_OUT:]
            if precision == 'int8' and cut.name in QUANTIZED:
                if plain is None:
                    raise ValueError('8 bits are calibrated on graphs in f32: write those first')
                source = onnx_file(plain, cut.name, cut.frames)
                model = to_int8(source, calibrate)
            elif plain is not None:
                model = onnx.load(onnx_file(plain, cut.name, cut.frames))
            else:
                model = trace(cut)
            if precision != 'f32' and cut.name in SMALLER:
                model = to_half(model)
            weights.save(model, path)
            onnx.checker.check_model(path, full_check=True)
            probes = probes or [random_inputs(cut, seed) for seed in range(2)]
            yield Exported(path, relative_error(path, cut, probes))


def export_onnx(folder: Path, precision: str, draw: Draw | None = None) -> Iterator[Exported]:
    """Write the ONNX graphs of a model folder into its onnx/PRECISION.

    `int8` needs `draw`, which uses the backend it is given as a stream would, on what the model
    was trained for. What was there before is replaced when all graphs are written.
    """
    if precision == 'int8' and draw is None:
        raise ValueError('8 bits need scenes to calibrate on')
    place = folder / 'onnx' / precision
    place.parent.mkdir(parents=True, exist_ok=True)
    found = cuts(folder)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix='.') as scratch:
        plain, ready = None, Path(scratch) / 'ready'
        samples: dict[str, list[Inputs]] = {}
        if draw is not None and precision == 'int8':
            plain = Path(scratch) / 'plain'
            describe(folder, plain, 'f32', found, list(write_graphs(found, plain, 'f32')))
            recorder = Recorder(plain)
            draw(graph_backend('onnx', folder, recorder))
            samples = recorder.seen
        done = []
        for exported in write_graphs(found, ready, precision, samples, plain):
            done.append(exported)
            yield replace(exported, path=place / exported.path.name)
        describe(folder, ready, precision, found, done)
        if place.exists():
            shutil.rmtree(place)
        ready.rename(place)


def describe(
    folder: Path, place: Path, precision: str, cuts: list[Cut], done: list[Exported]
) -> None:
    """Write beside graphs the weights they came from, their shapes and their errors."""
    manifest = {
        'precision': precision,
        'weights': weights_of(folder),
        'graphs': {
            exported.path.stem: {
                'inputs': {key: list(value.shape) for key, value in cut.inputs.items()},
                'outputs': list(cut.outputs),
                'error': exported.error,
            }
            for cut, exported in zip(cuts, done)
        },
    }
    (place / MANIFEST).write_text(json.dumps(manifest, indent=1) + '\n')
