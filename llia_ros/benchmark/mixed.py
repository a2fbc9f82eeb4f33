"""Backends made of others: parts in other precisions, stages with other threads, one at a time."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from llia_ros.runtime.backends import Backend
from llia_ros.runtime.backends.openvino import OpenVINOBackend

PARTS = {
    'denoiser': ('reads', 'condition', 'velocity'),
    'decoder': ('decoder',),
    'encoder': ('encoder',),
    'animator': ('animator',),
}


class Mixed(OpenVINOBackend):
    """A backend whose graphs run on others, loaded already: graph -> backend."""

    def __init__(self, graphs: Mapping[str, OpenVINOBackend]) -> None:
        """Load nothing."""
        self.config = next(iter(graphs.values())).config
        self._graphs = graphs

    def _run(self, name: str, *arguments: Any) -> list[np.ndarray]:
        return self._graphs[name]._run(name, *arguments)


class Split:
    """Denoises on one backend and decodes on another."""

    def __init__(self, denoiser: Backend, decoder: Backend) -> None:
        """Take two backends of one model."""
        self.name, self.config = denoiser.name, denoiser.config
        self.encode, self.animate = denoiser.encode, denoiser.animate
        self.reference, self.denoise = denoiser.reference, denoiser.denoise
        self.decode = decoder.decode


class OneAtATime:
    """Never denoises while it decodes: what a pipeline without overlap would be."""

    def __init__(self, backend: Backend) -> None:
        """Take a backend."""
        self.name, self.config = backend.name, backend.config
        self._backend, self._lock = backend, threading.Lock()
        self.encode, self.animate = backend.encode, backend.animate
        self.reference = backend.reference

    def denoise(self, *arguments: Any) -> np.ndarray:
        """Denoise, after any decoding."""
        with self._lock:
            return self._backend.denoise(*arguments)

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Decode, after any denoising."""
        with self._lock:
            return self._backend.decode(latents)
