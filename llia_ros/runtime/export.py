"""Exports a model folder's weights as OpenVINO graphs beside them.

Six graphs, each a function of tensors: `encoder`, `animator`, `reads` (the ReferenceNet, for a
portrait or past frames), `condition`, `velocity` and `decoder`. The number of frames stays open.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openvino as ov
import torch
from torch import nn

from llia_ros.model.codec import Codec, to_pixels, to_unit
from llia_ros.model.config import EXPRESSIONS, MOTION
from llia_ros.model.face import FaceModel
from llia_ros.model.weights import load_model, write_manifest


class Graph(nn.Module):
    """A function with the modules it uses, so that it can be traced."""

    def __init__(self, function: Callable[..., Any], *modules: nn.Module):
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(modules)

    def forward(self, *tensors: torch.Tensor) -> Any:
        return self.function(*tensors)


def graphs(
    face: FaceModel, codec: Codec, frames: int = 8
) -> dict[str, tuple[Graph, dict[str, torch.Tensor], tuple[str, ...]]]:
    """Return per graph the module, example inputs by name, and the names of its outputs."""
    cfg = face.cfg
    size, (C, h, w) = cfg.codec.size, cfg.latent_shape
    N, P = frames, cfg.past_frames
    mel = torch.zeros(N, cfg.audio.columns, cfg.audio.bins)
    condition = face.condition(mel, torch.zeros(N, len(MOTION)), torch.ones(N, 1))
    reads = face.read(torch.zeros(1, C, h, w))
    blocks = len(reads)

    def velocity(
        x: torch.Tensor,
        angle: torch.Tensor,
        state: torch.Tensor,
        context: torch.Tensor,
        shift: torch.Tensor,
        pose: torch.Tensor,
        mouth: torch.Tensor,
        portrait: torch.Tensor,
        *written: torch.Tensor,
    ) -> torch.Tensor:
        count = x.shape[0]
        return face.velocity(
            x,
            angle.expand(count),
            state.expand(count),
            (context, shift, pose, mouth),
            portrait,
            list(written[:blocks]),
            [read[None] for read in written[blocks:]],
        )

    names = ('context', 'shift', 'pose', 'mouth')
    return {
        'encoder': (
            Graph(lambda image: codec.encoder(to_unit(image)), codec),
            {'image': torch.zeros(1, size, size, 3, dtype=torch.uint8)},
            ('latent',),
        ),
        'animator': (
            Graph(face.animator, face),
            {'latent': torch.zeros(1, C, h, w), 'weights': torch.zeros(1, len(EXPRESSIONS))},
            ('animated',),
        ),
        'reads': (
            Graph(lambda latents: tuple(face.read(latents)), face),
            {'latents': torch.zeros(P, C, h, w)},
            tuple(f'read{i}' for i in range(blocks)),
        ),
        'condition': (
            Graph(lambda *inputs: face.condition(*inputs), face),
            {'mel': mel, 'motion': torch.zeros(N, len(MOTION)), 'led': torch.ones(N, 1)},
            names,
        ),
        'velocity': (
            Graph(velocity, face),
            {
                'x': torch.zeros(N, C, h, w),
                'angle': torch.ones(1),
                'state': torch.zeros(1, dtype=torch.int64),
                **dict(zip(names, condition)),
                'portrait': torch.zeros(1, C, h, w),
                **{f'read{i}': read for i, read in enumerate(reads)},
                **{f'past{i}': read.repeat(P, 1, 1) for i, read in enumerate(reads)},
            },
            ('v',),
        ),
        'decoder': (
            Graph(lambda latents: to_pixels(codec.decoder(latents)), codec),
            {'latents': torch.zeros(N, C, h, w)},
            ('pictures',),
        ),
    }


# Inputs whose first dimension is the number of frames of a clip, or of pictures.
PER_FRAME = {'x', 'mel', 'motion', 'led', 'context', 'shift', 'pose', 'mouth', 'latents'}


@torch.no_grad()
def to_openvino(
    module: Graph, inputs: dict[str, torch.Tensor], outputs: tuple[str, ...]
) -> ov.Model:
    """Return the traced graph with named inputs and outputs and an open number of frames."""
    shapes = [
        ov.PartialShape(
            [-1 if name in PER_FRAME and i == 0 else d for i, d in enumerate(value.shape)]
        )
        for name, value in inputs.items()
    ]
    with warnings.catch_warnings():
        # The shapes that the tracer takes for constants are.
        warnings.simplefilter('ignore', torch.jit.TracerWarning)
        example = tuple(inputs.values())
        model = ov.convert_model(module.eval(), example_input=example, input=shapes)
    for port, name in zip(model.inputs, inputs):
        port.set_names({name})
    for port, name in zip(model.outputs, outputs):
        port.set_names({name})
    return model


def save_graph(model: ov.Model, path: Path, half: bool = True) -> None:
    """Write a graph without the names of its layers and without indents: a quarter less text."""
    for number, layer in enumerate(model.get_ordered_ops()):
        if layer.get_type_name() not in ('Parameter', 'Result'):
            layer.set_friendly_name(str(number))
    ov.save_model(model, path, compress_to_fp16=half)
    path.write_text(re.sub(r'\n\s+', '\n', path.read_text()))


def export_openvino(folder: Path, half: bool = True) -> list[Path]:
    """Write the six graphs of a model folder, in half precision or single; returns their paths."""
    face, codec = load_model(folder)
    paths = []
    for name, (module, inputs, outputs) in graphs(face, codec).items():
        path = folder / f'{name}.xml'
        save_graph(to_openvino(module, inputs, outputs), path, half)
        paths.append(path)
    notes = json.loads((folder / 'model.json').read_text())['notes']
    write_manifest(folder, face.cfg, notes)
    return paths
