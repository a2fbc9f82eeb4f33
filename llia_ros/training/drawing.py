"""Anti-aliased painting of smooth shapes, exact to a fraction of a pixel."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

# Masks are drawn this many times larger, across and down, then averaged. OpenCV fills polygons
# row by row, so that flat edges need the finer rows to move evenly.
_FINE = (2, 4)
_SHIFT = 8  # fractional bits of a vertex


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Blend two colours; `share` 0 .. 1 is the part of the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def circle(x: float, y: float, radius: float, corners: int = 32) -> Points:
    """Outline of a circle, (corners, 2)."""
    return rounded_box(x, y, radius, radius, 2.0, corners)


def rounded_box(
    x: float, y: float, half_width: float, half_height: float, power: float, corners: int = 64
) -> Points:
    """Outline (corners, 2) of a superellipse; power 2 is an ellipse, more is boxier."""
    angle = np.arange(corners) * (2 * np.pi / corners)
    cos, sin = np.cos(angle), np.sin(angle)
    bend = 2.0 / power
    return np.stack(
        (
            x + half_width * np.sign(cos) * np.abs(cos) ** bend,
            y + half_height * np.sign(sin) * np.abs(sin) ** bend,
        ),
        1,
    )


def band(upper: Points, lower: Points) -> Points:
    """Close two curves that run the same way into one outline."""
    return np.concatenate((upper, lower[::-1]))


class Painter:
    """Paints onto an RGB picture, (H, W, 3) uint8, whose corner lies at `origin`.

    Points are in pixels of the whole picture; (0, 0) is the upper left corner of its first
    pixel. A shape may reach outside the picture.
    """

    def __init__(self, picture: Picture, origin: tuple[int, int] = (0, 0)) -> None:
        self.picture = picture
        self.origin = origin

    def fill(self, points: Points, colour: Colour, opacity: float = 1.0) -> None:
        """Fill the outline `points`, (N, 2), with one colour."""
        window = self._window(points)
        if window is None or opacity <= 0:
            return
        x0, y0, x1, y1 = window
        self._blend(window, _plain(y1 - y0, x1 - x0, colour), self._cover(points, window), opacity)

    def paste(self, points: Points, source: Picture) -> None:
        """Show `source`, a picture of the same size as this one, inside an outline."""
        window = self._window(points)
        if window is not None:
            x0, y0, x1, y1 = window
            self._blend(window, source[y0:y1, x0:x1], self._cover(points, window))

    def inset(self, points: Points, colour: Colour) -> Painter | None:
        """A painter of one colour as large as an outline, to be painted and then `clip`ped."""
        window = self._window(points)
        if window is None:
            return None
        x0, y0, x1, y1 = window
        left, top = self.origin
        return Painter(_plain(y1 - y0, x1 - x0, colour), (x0 + left, y0 + top))

    def clip(self, points: Points, inner: Painter, opacity: float = 1.0) -> None:
        """Show what `inner`, an `inset`, has painted, inside an outline."""
        x0, y0 = inner.origin[0] - self.origin[0], inner.origin[1] - self.origin[1]
        height, width = inner.picture.shape[:2]
        window = (x0, y0, x0 + width, y0 + height)
        self._blend(window, inner.picture, self._cover(points, window), opacity)

    def glow(
        self, x: float, y: float, radius_x: float, radius_y: float, colour: Colour, opacity: float
    ) -> None:
        """A soft round spot that fades out at its radii."""
        window = self._window(
            np.array([[x - radius_x, y - radius_y], [x + radius_x, y + radius_y]])
        )
        if window is None or opacity <= 0:
            return
        x0, y0, x1, y1 = window
        across = (np.arange(x0, x1) + (self.origin[0] + 0.5 - x)) / radius_x
        down = (np.arange(y0, y1) + (self.origin[1] + 0.5 - y)) / radius_y
        distance = (across * across)[None] + (down * down)[:, None]
        weight = np.square(np.maximum(1.0 - distance, 0.0)).astype(np.float32)
        self._blend(window, _plain(y1 - y0, x1 - x0, colour), weight, opacity)

    def _window(self, points: Points) -> tuple[int, int, int, int] | None:
        height, width = self.picture.shape[:2]
        low = np.floor(points.min(0)).astype(int) - 2
        high = np.ceil(points.max(0)).astype(int) + 2
        x0, y0 = max(low[0] - self.origin[0], 0), max(low[1] - self.origin[1], 0)
        x1 = min(high[0] - self.origin[0], width)
        y1 = min(high[1] - self.origin[1], height)
        return (int(x0), int(y0), int(x1), int(y1)) if x0 < x1 and y0 < y1 else None

    def _cover(self, points: Points, window: tuple[int, int, int, int]) -> NDArray[np.float32]:
        x0, y0, x1, y1 = window
        mask = np.zeros(((y1 - y0) * _FINE[1], (x1 - x0) * _FINE[0]), np.uint8)
        corner = np.array((x0 + self.origin[0], y0 + self.origin[1]))
        fine = (points - corner) * _FINE - 0.5
        vertices = np.rint(fine * (1 << _SHIFT)).astype(np.int32)
        cv2.fillPoly(mask, [vertices], (255,), cv2.LINE_AA, _SHIFT)
        small = cv2.resize(mask, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.float32) * np.float32(1 / 255)

    def _blend(
        self,
        window: tuple[int, int, int, int],
        source: Picture,
        weight: NDArray[np.float32],
        opacity: float = 1.0,
    ) -> None:
        x0, y0, x1, y1 = window
        if opacity != 1.0:
            weight = weight * np.float32(min(opacity, 1.0))
        part = self.picture[y0:y1, x0:x1]
        self.picture[y0:y1, x0:x1] = cv2.blendLinear(source, part, weight, 1 - weight)


def _plain(height: int, width: int, colour: Colour) -> Picture:
    picture = np.empty((height, width, 3), np.uint8)
    cv2.rectangle(picture, (0, 0), (width, height), colour, cv2.FILLED)
    return picture
