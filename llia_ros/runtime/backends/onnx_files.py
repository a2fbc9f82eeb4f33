"""Where the ONNX graphs of a model folder are kept, and whether they are those of its weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from llia_ros.runtime.backends.graphs import graph_lengths

MANIFEST = 'onnx.json'
PRECISIONS = ('f32', 'f16', 'int8')


def onnx_file(place: Path, graph: str, frames: int) -> Path:
    """Return the file of a graph for so many frames: every length has fixed shapes."""
    return place / f'{graph}-{frames}.onnx'


def onnx_manifest(place: Path) -> dict[str, Any]:
    """Return what the export wrote beside its graphs."""
    return json.loads((place / MANIFEST).read_text())


def onnx_folder(folder: Path, cfg: Any, precision: str) -> Path:
    """Return where the ONNX graphs of a model folder are kept.

    ValueError for a precision that does not exist, one that was not exported, or graphs exported
    from other weights.
    """
    if precision not in PRECISIONS:
        raise ValueError(f'unknown precision {precision!r}: one of {", ".join(PRECISIONS)}')
    place = folder / 'onnx' / precision
    command = f'llia export {folder} --format onnx --precision {precision}'
    lengths = graph_lengths(cfg).items()
    wanted = [onnx_file(place, graph, n) for graph, frames in lengths for n in frames]
    for path in [place / MANIFEST, *wanted]:
        if not path.is_file():
            raise ValueError(f'{path} is missing: export it first, {command}')
    if onnx_manifest(place)['weights'] != weights_of(folder):
        raise ValueError(
            f'{place} was exported from other weights than those in {folder}: '
            f'export it again, {command}'
        )
    return place


def weights_of(folder: Path) -> str:
    """Return a checksum of the weights of a folder that its graphs hold: all but the ears'."""
    found = hashlib.sha256()
    for path in sorted(folder.glob('*.safetensors')):
        if path.name != 'ears.safetensors':
            found.update(f'{path.name} {checksum(path)}\n'.encode())
    return found.hexdigest()


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file of any size, hexadecimal."""
    found = hashlib.sha256()
    with path.open('rb') as file:
        while part := file.read(1 << 22):
            found.update(part)
    return found.hexdigest()
