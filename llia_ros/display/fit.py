"""A picture placed on a screen of another shape, on a ground of its own border's colour."""

from __future__ import annotations

import cv2
import numpy as np

FITS = ('contain', 'cover')
TURNS = {
    0: None,
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
EDGE = 4  # rows and columns that count as border
# What is seen before the first picture.
DARK = (16, 13, 11)
# The ground follows the border only where it differs that much: the picture's grain must not
# make it flicker.
STEADY = 6


def border_colour(picture: np.ndarray) -> tuple[int, int, int]:
    """Median colour of the border of a picture, uint8 (height, width, 3)."""
    edges = [picture[:EDGE], picture[-EDGE:], picture[:, :EDGE], picture[:, -EDGE:]]
    pixels = np.concatenate([edge.reshape(-1, 3) for edge in edges])
    first, second, third = (int(value) for value in np.median(pixels, axis=0))
    return first, second, third


class Fit:
    """Scales pictures to a size (width, height): `contain` shows all of it, `cover` fills it.

    `rotate` turns them before, by 0, 90, 180 or 270 degrees clockwise, for a screen on its side.
    """

    def __init__(self, size: tuple[int, int], fit: str = 'contain', rotate: int = 0) -> None:
        if fit not in FITS:
            raise ValueError(f"fit must be one of {', '.join(FITS)}, not '{fit}'")
        if rotate not in TURNS:
            raise ValueError(f'rotate must be one of {", ".join(map(str, TURNS))}, not {rotate}')
        self._turn = TURNS[rotate]
        self.size = size
        self.fit = fit
        self.ground = DARK

    def place(self, picture: np.ndarray) -> tuple[np.ndarray, int, int]:
        """The scaled picture and where its left upper corner comes to lie; sets `ground`."""
        if self._turn is not None:
            picture = cv2.rotate(picture, self._turn)
        border = border_colour(picture)
        if self.ground == DARK or np.abs(np.subtract(border, self.ground)).max() > STEADY:
            self.ground = border
        width, height = self.size
        tall, wide = picture.shape[:2]
        if self.fit == 'cover':
            # Cut first: what is not seen need not be scaled.
            scale = max(width / wide, height / tall)
            cut_wide = min(wide, max(1, round(width / scale)))
            cut_tall = min(tall, max(1, round(height / scale)))
            left, top = (wide - cut_wide) // 2, (tall - cut_tall) // 2
            picture = picture[top : top + cut_tall, left : left + cut_wide]
            shown = (width, height)
        else:
            scale = min(width / wide, height / tall)
            shown = (max(1, round(wide * scale)), max(1, round(tall * scale)))
        way = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR
        scaled = cv2.resize(np.ascontiguousarray(picture), shown, interpolation=way)
        return scaled, (width - shown[0]) // 2, (height - shown[1]) // 2

    def whole(self, picture: np.ndarray) -> np.ndarray:
        """The picture on its ground, uint8 (height, width, 3) of the whole size."""
        scaled, x, y = self.place(picture)
        screen = np.empty((self.size[1], self.size[0], 3), np.uint8)
        screen[:] = self.ground
        screen[y : y + scaled.shape[0], x : x + scaled.shape[1]] = scaled
        return screen
