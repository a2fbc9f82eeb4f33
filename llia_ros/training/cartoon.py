"""Cartoon portraits, the second family: a head with hair, ears and neck around the features.

Eyes, brows, mouth and cheeks are those of the robot faces, so that every control means the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from llia_ros.training.drawing import Colour, Painter, Picture, Points, band, mix, rounded_box

_INK: Colour = (24, 20, 30)
_HEAD_FOLLOWS, _BODY_FOLLOWS = 0.55, 0.12
_CORNERS = 128


@dataclass(frozen=True)
class Cartoon:
    """What a cartoon has in place of panel and antenna. Lengths as in `Appearance`."""

    hair: Colour = (92, 56, 36)
    volume: float = 0.05  # of hair beyond the skull
    length: float = 0.0  # of hair behind the head: 0 to the ears, 1 to the shoulders
    fringe: float = 0.4  # how far it comes down the forehead, 0 .. 1
    parting: float = 0.3  # -1 .. 1 across the forehead
    curl: float = 0.0  # waves of the hair's outline, 0 .. 1
    chin: float = 0.16  # how much narrower the head is below than above
    shirt: Colour = (70, 130, 170)


def _head(width: float, height: float, y: float, chin: float) -> Points:
    """Outline of a skull that narrows towards its chin."""
    points = rounded_box(0, y, width, height, 2.3, _CORNERS)
    below = np.clip((points[:, 1] - y) / height, 0, 1)
    points[:, 0] *= 1 - chin * below**1.5
    return points


def _hair_outline(cartoon: Cartoon, width: float, height: float, y: float) -> Points:
    """Outline of the hair around the head, down to where it ends."""
    angle = np.linspace(np.pi * 1.04, np.pi * 1.96, 90)
    wave = 1 + 0.045 * cartoon.curl * np.sin(14 * angle)
    reach = width + 0.9 * cartoon.volume
    across = reach * wave * np.cos(angle)
    down = y + (height + cartoon.volume) * wave * np.sin(angle)
    end = y + 0.06 + cartoon.length * (0.9 * height)
    ends = np.linspace(reach, -reach, 40)
    hem = end + 0.02 * cartoon.curl * np.cos(9 * np.pi * ends / reach)
    round_off = 0.05 * (1 - (np.abs(ends) / reach) ** 6)
    lower = np.stack((ends * (1 + 0.04 * cartoon.length), hem + round_off), 1)
    return np.concatenate((np.stack((across, down), 1), lower))


def _fringe(cartoon: Cartoon, width: float, height: float, y: float, brow_y: float) -> Points:
    """Outline of the hair on the forehead; it stays above the brows."""
    u = np.linspace(-1, 1, 61)
    skull = np.sqrt(np.clip(1 - np.abs(u) ** 2.3, 0, 1))
    top = np.stack((1.04 * width * u, y - (height + cartoon.volume) * skull - 0.004), 1)
    high, low = y - height + 0.03, brow_y - 0.025
    depth = high + (low - high) * (0.25 + 0.75 * cartoon.fringe)
    lift = np.abs(u - cartoon.parting) / (1 + abs(cartoon.parting))
    # Highest at the parting, down to the temples at both sides.
    line = depth - 0.05 * (1 - lift) + (y - 0.02 - depth) * np.clip(np.abs(u) - 0.72, 0, 1) / 0.28
    line = line + 0.012 * cartoon.curl * np.sin(22 * u)
    return band(top, np.stack((1.04 * width * u, np.maximum(line, top[:, 1])), 1))


def paint_head(
    painter: Painter,
    cartoon: Cartoon,
    box: tuple[float, float, float],
    features: tuple[float, float],
    skin: tuple[Colour, Picture],
    place: Callable[[Points, float], Points],
) -> None:
    """Paint all of a cartoon that its features lie on.

    `box`: half width, half height and middle of the head; `features`: the size of the ears and
    where the brows are; `skin`: its colour and surface; `place` takes points, and how much of
    the head's motion they feel, to pixels.
    """
    (width, height, y), (ears, brow_y), (colour, surface) = box, features, skin
    shade = mix(colour, _INK, 0.16)
    strands = mix(cartoon.hair, _INK, 0.3)

    def fill(points: Points, paint: Colour, follows: float = _HEAD_FOLLOWS) -> None:
        painter.fill(place(points, follows), paint)

    fill(_hair_outline(cartoon, width, height, y), strands)
    fill(rounded_box(0, y + height, 0.36 * width, 0.2, 5), shade, _BODY_FOLLOWS)
    fill(rounded_box(0, 0.66, 0.42, 0.2, 2.6), cartoon.shirt, _BODY_FOLLOWS)
    collar = rounded_box(0, 0.47, 0.34 * width + 0.03, 0.035, 2.4)
    fill(collar, mix(cartoon.shirt, _INK, 0.25), _BODY_FOLLOWS)
    for side in (-1, 1):
        fill(rounded_box(side * width, y + 0.035, 0.03 + 0.02 * ears, 0.07, 2.2), shade)
    painter.fill(place(_head(width, height, y + 0.008, cartoon.chin), _HEAD_FOLLOWS), shade)
    painter.paste(place(_head(width, height, y, cartoon.chin), _HEAD_FOLLOWS), surface)
    fill(_fringe(cartoon, width, height, y, brow_y), cartoon.hair)
