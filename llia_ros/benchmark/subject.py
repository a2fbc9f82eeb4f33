"""The model under test, loaded as a setting says."""

from __future__ import annotations

import json
import time
from typing import Any

import cv2
import numpy as np

from llia_ros.benchmark.setting import Setting
from llia_ros.runtime.avatar import Avatar, Options
from llia_ros.runtime.backends import Backend, load_backend, model_folder
from llia_ros.runtime.portraits import load_portrait

JPEG_QUALITY = 90  # that of the avatar node


class Subject:
    """A loaded model with its portrait; `avatar` starts an engine on it."""

    def __init__(self, setting: Setting, backend: Backend | None = None, **options: Any) -> None:
        """Load, or take a backend that is loaded; `options` go to the backend.

        ValueError for a model, backend or portrait that cannot be had, and for a size that the
        model does not reach.
        """
        self.setting = setting
        self.folder = model_folder(setting.model)
        start = time.perf_counter()
        self.backend = backend or _load(setting, options)
        self.load_seconds = time.perf_counter() - start
        self.config = self.backend.config
        drawn = self.config.size
        if setting.size > drawn:
            raise ValueError(
                f'the model draws {drawn}x{drawn} pictures, which {setting.size}x{setting.size} '
                'would only blow up: choose a smaller --size'
            )
        self.portrait = load_portrait(setting.portrait, self.folder, drawn)

    def avatar(self, paced: bool, **changes: Any) -> Avatar:
        """Start an engine on the model, which stays loaded after it."""
        setting = self.setting
        lengths = None if setting.clip is None else (setting.clip,)
        options = Options(paced=paced, steps=setting.steps, clip_lengths=lengths)
        return Avatar(self.backend, self.portrait, options, **changes)

    def sized(self, image: np.ndarray) -> np.ndarray:
        """Return a picture at the size that is asked for."""
        size = self.setting.size
        if image.shape[0] == size:
            return image
        return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)

    def described(self) -> dict[str, Any]:
        """Return what runs: keys of the report."""
        manifest = json.loads((self.folder / 'model.json').read_text())
        return {
            'model': self.config.name,
            'backend': self.backend.name,
            'precision': executed(self.backend),
            'weights': eight_bit(manifest),
            'size': self.setting.size,
            'drawn_size': self.config.size,
            'steps': self.setting.steps or self.config.steps,
            'clips': [self.setting.clip] if self.setting.clip else list(self.config.clip_lengths),
        }


def _load(setting: Setting, options: dict[str, Any]) -> Backend:
    backend = setting.backend
    if setting.precision != 'auto' and backend != 'torch':
        options, backend = {'precision': setting.precision, **options}, 'openvino'
    return load_backend(setting.model, backend, **options)


def executed(backend: Backend) -> str:
    """Return the type that a backend computes in: f32, bf16 or f16."""
    return getattr(getattr(backend, 'runner', backend), 'precision', 'f32')


def eight_bit(manifest: dict[str, Any]) -> str:
    """Return what a model folder's graphs hold in 8 bits: none, weights, or activations, too."""
    return manifest['notes'].get('int8', 'none')


def encode(image: np.ndarray) -> np.ndarray:
    """Return a picture, RGB, as jpeg, as the avatar node sends it."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
