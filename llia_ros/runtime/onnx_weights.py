"""Writes many ONNX graphs beside one file of weights.

The graphs of a model differ in the length of the clip, hardly in the weights: each tensor is
kept once, whichever graph it serves. It also takes a graph past the 2 GB of an ONNX file.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import onnx
from onnx.external_data_helper import set_external_data

NAME = 'weights.bin'
SMALL = 1024  # bytes; shapes, scales and biases stay in the graph
PAGE = 4096


class SharedWeights:
    """The file of weights of one folder, open for writing; a context."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._offsets: dict[str, int] = {}

    def __enter__(self) -> SharedWeights:
        self._file: BinaryIO = (self.folder / NAME).open('wb')
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def save(self, model: onnx.ModelProto, path: Path) -> None:
        """Write a graph into the folder; its large tensors are moved to the weights.

        ValueError for a path outside of the folder.
        """
        if path.parent != self.folder:
            raise ValueError(f'{path} is not in {self.folder}, where its weights are')
        for tensor in model.graph.initializer:
            if len(tensor.raw_data) < SMALL:
                continue
            offset = self._offset(tensor.raw_data)
            set_external_data(tensor, NAME, offset, len(tensor.raw_data))
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.ClearField('raw_data')
        self._file.flush()
        path.write_bytes(model.SerializeToString())

    def _offset(self, data: bytes) -> int:
        """Return where these bytes are in the file, writing them if they are new."""
        known = hashlib.sha256(data).hexdigest()
        if known not in self._offsets:
            self._file.seek(-self._file.tell() % PAGE, 1)
            self._offsets[known] = self._file.tell()
            self._file.write(data)
        return self._offsets[known]
