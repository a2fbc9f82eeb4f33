"""A portrait from a photo: the one face in it found, and cut as a full-scale model knows faces.

Faces are found by dlib's frontal detector (histograms of gradients, Boost licence), whose weights
are part of the library: install the extra `photo`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

# Shortest side of a face that a portrait can be made of, in pixels of the photo.
SMALLEST_FACE = 64
# Faces are looked for in a picture of at most so many pixels a side: it is quick, and one that
# is not found there is too small anyway.
LOOKED_AT = 1280
# Below this score dlib takes textures for faces.
CERTAIN = 0.3
# A face this much smaller than the largest is somebody in the background.
BACKGROUND = 1 / 3
# How much of a portrait may lie outside of the photo and be filled by its edge.
OUTSIDE = 0.3

# Left, top, right and bottom of the face in a portrait, fractions.
Face = tuple[float, float, float, float]


@dataclass(frozen=True)
class Box:
    """A square around a face, in pixels."""

    left: float
    top: float
    side: float


def find_face(image: np.ndarray, name: str = 'the photo') -> Box:
    """Return the one face of a photo, uint8 (H, W, 3) RGB.

    ValueError where there is none, more than one or too small a one, or no detector.
    """
    scale = min(1.0, LOOKED_AT / max(image.shape[:2]))
    small = image
    if scale < 1:
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    # The detector knows faces of 80 pixels and more: a small picture is doubled.
    doubled = int(max(small.shape[:2]) < LOOKED_AT // 2)
    found, _, _ = _detector()(np.ascontiguousarray(small), doubled, CERTAIN)
    boxes = sorted(
        (Box(r.left() / scale, r.top() / scale, r.width() / scale) for r in found),
        key=lambda box: -box.side,
    )
    if not boxes:
        raise ValueError(
            f'no face found in {name}: give a photo of one face that looks at the camera, or a '
            'portrait that is cut already, and force it'
        )
    rivals = [box for box in boxes if box.side > BACKGROUND * boxes[0].side]
    if len(rivals) > 1:
        raise ValueError(f'{len(rivals)} faces found in {name}: cut it down to one')
    if boxes[0].side < SMALLEST_FACE:
        raise ValueError(
            f'the face in {name} is too small: {boxes[0].side:.0f} pixels wide, at least '
            f'{SMALLEST_FACE} are needed; give a larger photo'
        )
    return boxes[0]


def place(image: np.ndarray, face: Face, name: str = 'the photo') -> Box:
    """Return the square of a photo in which its face lies where a model wants it.

    It may reach beyond the photo. ValueError as for `find_face`, and where too much of it would.
    """
    box = find_face(image, name)
    left, top, right, bottom = face
    side = box.side / max(right - left, bottom - top)
    # The middles of both boxes meet, whatever their shapes.
    x0 = box.left + box.side / 2 - side * (left + right) / 2
    y0 = box.top + box.side / 2 - side * (top + bottom) / 2
    height, width = image.shape[:2]
    across = min(width, x0 + side) - max(0.0, x0)
    seen = across * (min(height, y0 + side) - max(0.0, y0)) / side**2
    if seen < 1 - OUTSIDE:
        raise ValueError(
            f'the face in {name} is too near the edge: {1 - seen:.0%} of the portrait would lie '
            'outside; give a photo with more around the face'
        )
    return Box(x0, y0, side)


def cut(image: np.ndarray, square: Box, size: int) -> np.ndarray:
    """Return a square of a picture as uint8 (size, size, 3); beyond its edge, the edge."""
    step = square.side / size
    # From the portrait's pixels to the photo's, whose middles lie at half numbers.
    turn = np.array(
        [[step, 0, square.left + step / 2 - 0.5], [0, step, square.top + step / 2 - 0.5]]
    )
    if step > 1:
        # Shrinking: smoothed first, as far as pixels will be apart.
        image = cv2.GaussianBlur(image, (0, 0), 0.5 * step)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, turn, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def cut_portrait(image: np.ndarray, face: Face, size: int, name: str = 'the photo') -> np.ndarray:
    """Return a photo cut so that its face lies where a model wants it, uint8 (size, size, 3).

    ValueError as for `place`.
    """
    return cut(image, place(image, face, name), size)


def _detector() -> Any:
    try:
        import dlib
    except ImportError as error:
        raise ValueError(
            "finding the face in a photo needs dlib: pip install 'llia_ros[photo]', or give a "
            'portrait that is cut already, and force it'
        ) from error
    return dlib.get_frontal_face_detector().run
