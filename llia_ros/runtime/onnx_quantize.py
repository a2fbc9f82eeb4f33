"""Makes ONNX graphs smaller and faster: half precision, and 8 bits with explicit scales.

TensorRT takes the precision of every layer from the graph, so both are written into it: casts
for half precision, pairs of QuantizeLinear and DequantizeLinear around what runs in 8 bits.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

LAYERS = ('Conv', 'MatMul', 'Gemm')
# They read or write sums over many layers, whose few large values leave 8 bits nothing for the
# rest: on tiny, all convolutions in 8 bits lose 17 % of the denoiser's output, the shortcuts
# alone 12.
WIDE_RANGE = ('conv_in', 'conv_out', 'conv_shortcut')
# TensorRT knows zero points of 0 alone. Biases stay as they are.
SYMMETRIC = {
    'ActivationSymmetric': True,
    'WeightSymmetric': True,
    'QuantizeBias': False,
    'OpTypesToExcludeOutputQuantization': list(LAYERS),
}


class Samples(CalibrationDataReader):
    """Inputs of a graph by name, one after the other."""

    def __init__(self, samples: Sequence[dict[str, np.ndarray]]):
        self._rest = iter(samples)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next inputs, None after the last."""
        return next(self._rest, None)


def to_int8(path: Path, samples: Sequence[dict[str, np.ndarray]]) -> onnx.ModelProto:
    """Return a graph whose convolutions and linears carry 8 bit weights and activations.

    `samples`: what the graph is given while a model draws. Scales are symmetric, those of weights
    one a channel. The layers of WIDE_RANGE stay as they are. ValueError without samples.
    """
    if not samples:
        raise ValueError(f'the calibration used the graph {path.stem!r} too seldom')
    graph = onnx.load(path, load_external_data=False).graph
    with tempfile.TemporaryDirectory() as scratch:
        quantized = Path(scratch) / path.name
        # It warns that shapes are not inferred; they are fixed, and constants are folded.
        logging.disable(logging.WARNING)
        try:
            quantize_static(
                path,
                quantized,
                Samples(samples),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(LAYERS),
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=_spared(graph),
                calibrate_method=CalibrationMethod.MinMax,
                use_external_data_format=True,
                extra_options=SYMMETRIC,
            )
        finally:
            logging.disable(logging.NOTSET)
        return onnx.load(quantized)


def _spared(graph: onnx.GraphProto) -> list[str]:
    """Return the names of what is not quantized: WIDE_RANGE, products of two activations."""
    weights = {tensor.name for tensor in graph.initializer}
    return [
        node.name
        for node in graph.node
        if any(word in node.name for word in WIDE_RANGE)
        or (node.op_type == 'MatMul' and weights.isdisjoint(node.input))
    ]


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph in half precision; its inputs and outputs stay as they are.

    What leads to a sine stays single, too: half precision has no fractions near 1000, and the
    noise level is told by sines of up to 1000 radians.
    """
    made = {output: node for node in model.graph.node for output in node.output}
    todo = [node for node in model.graph.node if node.op_type in ('Sin', 'Cos')]
    single: set[str] = set()
    while todo:
        node = todo.pop()
        if node.name not in single:
            single.add(node.name)
            todo += [made[name] for name in node.input if name in made]
    half = convert_float_to_float16(model, keep_io_types=True, node_block_list=sorted(single))
    _keep_single(half.graph)
    OnnxModel(half).topological_sort()
    return half


def _keep_single(graph: onnx.GraphProto) -> None:
    """Take out casts to half precision and straight back, which the conversion leaves between."""
    casts = {node.output[0]: node for node in graph.node if node.op_type == 'Cast'}
    to = {name: node.attribute[0].i for name, node in casts.items()}
    straight = {
        name: casts[node.input[0]].input[0]
        for name, node in casts.items()
        if to[name] == onnx.TensorProto.FLOAT and to.get(node.input[0]) == onnx.TensorProto.FLOAT16
    }
    for name in straight:
        graph.node.remove(casts.pop(name))
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = straight.get(name, name)
    used = {name for node in graph.node for name in node.input}
    used |= {value.name for value in graph.output}
    for name, node in casts.items():
        if name not in used:
            graph.node.remove(node)
