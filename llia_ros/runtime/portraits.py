"""The face to show: a portrait found and cut to size, and what the denoiser reads of it."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from llia_ros.model.config import EXPRESSIONS
from llia_ros.runtime.backends import Backend
from llia_ros.runtime.family import Families
from llia_ros.runtime.photo import Face, cut_portrait

SMALLEST = 64


def portrait_names(folder: Path) -> list[str]:
    """Return the names of the portraits that ship with a model."""
    return sorted(path.stem for path in (folder / 'portraits').glob('*.png'))


def load_portrait(
    portrait: str | Path | np.ndarray,
    folder: Path,
    size: int,
    force: bool = False,
    face: Face | None = None,
) -> np.ndarray:
    """Return a portrait as uint8 (size, size, 3) RGB.

    `portrait`: a name in the model folder, a picture file or an array as `fit` takes it. `face`:
    where the model wants the face of a photo; unless `force`, it is found and cut so. ValueError
    for one that does not exist, is no picture, is too small or, unless `force`, is far from the
    faces that the model knows (see `family`) or has no face to be found (see `photo`).
    """
    image, name = _read(portrait, folder)
    if face is not None and not force:
        return cut_portrait(checked(image, name), face, size, name)
    image = fit(image, size, name)
    if not force and (families := Families.load(folder)):
        families.check(image, name)
    return image


def _read(portrait: str | Path | np.ndarray, folder: Path) -> tuple[np.ndarray, str]:
    """Return a portrait as it is, and what to call it."""
    if isinstance(portrait, np.ndarray):
        return portrait, 'the portrait'
    names = portrait_names(folder)
    path = Path(portrait).expanduser()
    if str(portrait) in names:
        path = folder / 'portraits' / f'{portrait}.png'
    if not path.is_file():
        raise ValueError(
            f'no such portrait {str(portrait)!r}: give a picture file or one of: '
            f'{", ".join(names) or "none"}'
        )
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f'{path} is not a picture: give a png or jpeg file')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), str(path)


def checked(image: np.ndarray, name: str = 'the portrait') -> np.ndarray:
    """Return a picture that is uint8 HxWx3 RGB with sides of SMALLEST or more, else ValueError."""
    if (
        not isinstance(image, np.ndarray)
        or image.dtype != np.uint8
        or image.ndim != 3
        or (image.shape[2] != 3)
    ):
        kind = f'{image.dtype} {image.shape}' if isinstance(image, np.ndarray) else type(image)
        raise ValueError(f'{name} must be a uint8 array of shape (height, width, 3), not {kind}')
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST:
        raise ValueError(
            f'{name} is too small: {width}x{height}, at least {SMALLEST}x{SMALLEST} are needed'
        )
    return image


def fit(image: np.ndarray, size: int, name: str = 'the portrait') -> np.ndarray:
    """Return the middle square of a picture, uint8 HxWx3 RGB, scaled to (size, size, 3).

    ValueError for another type or shape and for sides below SMALLEST.
    """
    height, width = checked(image, name).shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    if side == size:
        return square.copy()
    method = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
    return cv2.resize(square, (size, size), interpolation=method)


def expression_weights(name: str, intensity: float = 1.0) -> np.ndarray:
    """Return an expression as the model takes it, float32 (8,); neutral is all zero.

    ValueError for an unknown name or an intensity outside 0 .. 1.
    """
    if name not in EXPRESSIONS:
        raise ValueError(f'unknown expression {name!r}: one of {", ".join(EXPRESSIONS)}')
    if not 0 <= intensity <= 1:
        raise ValueError(f'intensity of an expression must be 0 .. 1, not {intensity}')
    weights = np.zeros(len(EXPRESSIONS), np.float32)
    if name != 'neutral':
        weights[EXPRESSIONS.index(name)] = intensity
    return weights


class Portrait:
    """A picture and, once a stage has asked for it, its latent."""

    def __init__(self, image: np.ndarray) -> None:
        """Take a picture as `fit` returns it."""
        self._image = image
        self._latent: np.ndarray | None = None

    def latent(self, backend: Backend) -> np.ndarray:
        """Return the latent, encoded the first time."""
        if self._latent is None:
            self._latent = backend.encode(self._image)
        return self._latent


class Look:
    """A portrait under an expression and, once a stage has asked for it, its cached reads."""

    def __init__(self, portrait: Portrait, expression: np.ndarray | None = None) -> None:
        """`expression`: weights of EXPRESSIONS, float32 (8,); None leaves the picture as it is."""
        self.portrait = portrait
        self.expression = expression
        self.ready = False
        self._reference: Any = None

    def reference(self, backend: Backend) -> Any:
        """Return what the denoiser reads, computed the first time."""
        if not self.ready:
            latent = self.portrait.latent(backend)
            if self.expression is not None:
                latent = backend.animate(latent, self.expression)
            self._reference = backend.reference(latent)
            self.ready = True
        return self._reference
