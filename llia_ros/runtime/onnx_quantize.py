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
# TensorRT knows zero points of 0 alone. Biases and products of two activations stay as they are.
SYMMETRIC = {
    'ActivationSymmetric': True,
    'WeightSymmetric': True,
    'QuantizeBias': False,
    'MatMulConstBOnly': True,
    'OpTypesToExcludeOutputQuantization': list(LAYERS),
}


class Samples(CalibrationDataReader):
    """Inputs of a graph by name, one after the other."""

    def __init__(self, samples: Sequence[dict[str, np.ndarray]]):
        self._rest = iter(samples)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next inputs, None after the last."""
        return next(self._rest, None)


def to_int8(path: Path, samples: Sequence[dict[str, np.ndarray]], frames: int) -> onnx.ModelProto:
    """Return a graph whose convolutions and linears carry 8 bit weights and activations.

    `samples`: what the graph is given while a model draws. Scales are symmetric, those of weights
    one a channel. Linears of one vector a frame (noise level, controls) stay as they are: they
    cost nothing, and everything hangs on them. ValueError without samples.
    """
    if not samples:
        raise ValueError(f'the calibration never used the graph {path.stem!r}')
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
                nodes_to_exclude=vectors(onnx.load(path, load_external_data=False), frames),
                calibrate_method=CalibrationMethod.MinMax,
                use_external_data_format=True,
                extra_options=SYMMETRIC,
            )
        finally:
            logging.disable(logging.NOTSET)
        return onnx.load(quantized)


def vectors(model: onnx.ModelProto, frames: int) -> list[str]:
    """Return the names of linear layers that work on one vector a frame."""
    known = onnx.shape_inference.infer_shapes(model).graph
    rows = {
        value.name: value.type.tensor_type.shape.dim[0].dim_value
        for value in (*known.value_info, *known.input, *known.output)
        if value.type.tensor_type.shape.dim
    }
    linears = (node for node in known.node if node.op_type in ('MatMul', 'Gemm'))
    return [node.name for node in linears if rows.get(node.output[0], 0) <= frames]


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
    OnnxModel(half).topological_sort()
    return half
