"""Backends made of others: parts in other precisions or with other threads, or one at a time."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from llia_ros.runtime.backends import Backend

PARTS = ('denoiser', 'decoder', 'encoder', 'animator')


class Mixed:
    """A backend of which some of PARTS run on others."""

    def __init__(self, backend: Backend, **parts: Backend) -> None:
        """Take backends of one model: part -> what runs it instead of `backend`."""
        self.name, self.config = backend.name, backend.config
        denoiser = parts.get('denoiser', backend)
        self.reference, self.denoise = denoiser.reference, denoiser.denoise
        decoder = parts.get('decoder', backend)
        self.decode, self.decodes_singly = decoder.decode, decoder.decodes_singly
        self.encode = parts.get('encoder', backend).encode
        self.animate = parts.get('animator', backend).animate


class OneAtATime:
    """Never denoises while it decodes: what a pipeline without overlap would be."""

    def __init__(self, backend: Backend) -> None:
        """Take a backend."""
        self.name, self.config = backend.name, backend.config
        self.decodes_singly = backend.decodes_singly
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
