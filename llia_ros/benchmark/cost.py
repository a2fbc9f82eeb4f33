"""What a frame costs by counting: arithmetic and bytes of the exported graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

# Of the graphs: which run for every clip. `reads` runs on the past frames, of which there are few.
PER_CLIP = ('condition', 'reads', 'velocity', 'decoder')
PER_PORTRAIT = ('encoder', 'animator')


def count(model: ov.Model) -> dict[str, float]:
    """Return of a graph with fixed shapes its `gflop`, `weights_mb` and `traffic_mb`.

    Counted are convolutions and matrix products, 2 FLOP a multiplication. `weights_mb`: as they
    are stored. `traffic_mb`: what these operations read and write besides weights, were each of
    them to go to memory in half precision.
    """
    flop = moved = stored = 0.0
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if kind == 'Constant':
            kept = node.output(0)
            stored += np.prod(kept.get_shape()) * kept.get_element_type().bitwidth / 8
        if kind not in ('Convolution', 'GroupConvolution', 'ConvolutionBackpropData', 'MatMul'):
            continue
        given, weights = (list(node.input(i).get_shape()) for i in (0, 1))
        made = list(node.output(0).get_shape())
        if kind == 'MatMul':
            inner = given[-2] if node.get_attributes()['transpose_a'] else given[-1]
            flop += 2 * np.prod(made) * inner
        elif kind == 'Convolution':  # weights (out, in, height, width)
            flop += 2 * np.prod(made) * np.prod(weights[1:])
        elif kind == 'GroupConvolution':  # weights (groups, out, in, height, width)
            flop += 2 * np.prod(made) * np.prod(weights[2:])
        else:  # weights (in, out, height, width), each input spread over the kernel
            flop += 2 * np.prod(given) * np.prod(weights[1:])
        moved += 2 * (np.prod(given) + np.prod(made))
    sums = {'gflop': flop / 1e9, 'weights_mb': stored / 1e6, 'traffic_mb': moved / 1e6}
    return {name: float(value) for name, value in sums.items()}


def graphs(folder: Path, frames: int, past: int = 2) -> dict[str, dict[str, float]]:
    """Return `count` of each graph of a model folder, for a clip of `frames`.

    Those of PER_CLIP are divided by `frames`, `weights_mb` apart. ValueError without graphs.
    """
    core, counted = ov.Core(), {}
    for name in (*PER_CLIP, *PER_PORTRAIT):
        path = folder / f'{name}.xml'
        if not path.is_file():
            raise ValueError(f'{path} is missing: export the model first, by `llia export`')
        model = core.read_model(path)
        drawn = past if name == 'reads' else 1 if name in PER_PORTRAIT else frames
        model.reshape(
            {
                port: [drawn if d.is_dynamic else d for d in port.partial_shape]
                for port in model.inputs
            }
        )
        figures = count(model)
        share = frames if name in PER_CLIP else 1
        counted[name] = {
            key: value if key == 'weights_mb' else value / share for key, value in figures.items()
        }
    return counted


def of_frame(folder: Path, frames: int, steps: int, past: int = 2) -> dict[str, float]:
    """Return GFLOP of a `frame` in clips of `frames`, and by stage: `denoise`, `decode`.

    `memory_mb`: what a frame moves at most, weights read once a clip among it.
    """
    counted = graphs(folder, frames, past)
    times = {'condition': 1, 'reads': 1, 'velocity': steps, 'decoder': 1}
    gflop = {name: counted[name]['gflop'] * times[name] for name in PER_CLIP}
    memory = sum(
        times[name] * (counted[name]['traffic_mb'] + counted[name]['weights_mb'] / frames)
        for name in PER_CLIP
    )
    decode = gflop.pop('decoder')
    return {
        'denoise': sum(gflop.values()),
        'decode': decode,
        'frame': sum(gflop.values()) + decode,
        'memory_mb': memory,
    }


def bound(cost: dict[str, float], ms: float, machine: dict[str, Any], precision: str) -> str:
    """Return a sentence on what bounds a frame that takes `ms`: arithmetic, memory, or neither."""
    top = machine['peaks'].get(precision, machine['peaks']['f32'])
    rate = cost['frame'] / ms * 1000
    moved = cost['memory_mb'] / ms
    compute, memory = rate / top, moved / machine['bandwidth']
    text = (
        f'{cost["frame"]:.2f} GFLOP a frame in {ms:.1f} ms are {rate:.0f} GFLOP/s, {compute:.0%} '
        f'of the {top:.0f} that this machine reaches in {precision} on large matrices; at most '
        f'{cost["memory_mb"]:.0f} MB moved a frame are {moved:.1f} GB/s, {memory:.0%} of the '
        f'{machine["bandwidth"]:.0f} of a copy'
    )
    if max(compute, memory) > 1:
        return f'{text}: the machine was busy when its peaks were measured. Measure again.'
    if max(compute, memory) < 0.4:
        nearest = 'neither: layers too small to fill the units, and what is between them'
    else:
        nearest = 'arithmetic' if compute >= memory else 'memory'
    return f'{text}. The bound that it is near is {nearest}.'
