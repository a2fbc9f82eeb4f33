"""Renders robot faces and cartoon portraits: the exact truth that a neural model learns from."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from llia_ros.model.config import EXPRESSIONS, MOTION, MOUTH
from llia_ros.training.cartoon import paint_head
from llia_ros.training.cartoon_family import CHARACTERS, random_cartoon, random_look
from llia_ros.training.drawing import Colour, Painter, Picture, Points, circle, mix, rounded_box
from llia_ros.training.face_family import Appearance, luminance, random_appearance
from llia_ros.training.face_shapes import JAW, Eye, Mood, Pose, eye_of, mood_of, mouth_of

__all__ = [
    'CHARACTERS',
    'FAMILIES',
    'NEUTRAL_MOTION',
    'REST_MOUTH',
    'Appearance',
    'eyes_box',
    'mouth_box',
    'neutral',
    'random_appearance',
    'random_cartoon',
    'random_look',
    'render',
    'sheet',
]

NEUTRAL_MOTION = np.zeros(len(MOTION), np.float32)
REST_MOUTH = np.zeros(len(MOUTH), np.float32)
PLAIN = np.zeros(len(EXPRESSIONS), np.float32)  # no expression
NEUTRAL_MOTION.flags.writeable = REST_MOUTH.flags.writeable = False

FAMILIES = {'robot': random_appearance, 'cartoon': random_cartoon}

_WHITE: Colour = (255, 255, 255)
_INK: Colour = (24, 20, 30)
_TEETH: Colour = (252, 250, 244)
_TONGUE: Colour = (232, 104, 118)
_FOLLOW = 0.35  # how much of the head's motion its panel shows

Box = tuple[int, int, int, int]


def render(
    appearance: Appearance,
    motion: ArrayLike,
    mouth: ArrayLike,
    expression: ArrayLike,
    size: int = 512,
) -> Picture:
    """Draw a face, RGB uint8 (size, size, 3).

    motion (9,), mouth (5,) and expression (8,) are in the order and units of
    `model.config`; gaze, lids, turns and mouth are held to their ranges. Raises ValueError
    on other shapes, on values that are not finite and on a size below 32.
    """
    motion, pose, mood = _read(motion, expression, size)
    controls = np.clip(_vector('mouth', mouth, len(MOUTH)), 0, 1)
    ground, panel = _grounds(appearance, size)
    painter = Painter(ground.copy())
    _paint_panel(painter, appearance, pose, panel)
    _paint_cheeks(painter, appearance, mood, pose)
    for side, lid in ((-1, motion[7]), (1, motion[8])):
        eye = eye_of(appearance, mood, side, float(np.clip(lid, 0, 1)))
        _paint_eye(painter, appearance, mood, eye, pose, np.clip(motion[5:7], -1, 1))
    if appearance.nose > 0:
        painter.fill(
            pose.place(rounded_box(0, 0.062, 1.25 * appearance.nose, appearance.nose, 2.2, 32)),
            _shade(appearance, 0.16),
        )
    _paint_mouth(painter, appearance, mood, controls, pose)
    return painter.picture


def neutral(appearance: Appearance, size: int = 512) -> Picture:
    """Return a face as its portrait, uint8 (size, size, 3): at rest, in no mood, looking ahead."""
    return render(appearance, NEUTRAL_MOTION, REST_MOUTH, PLAIN, size)


def mouth_box(
    appearance: Appearance, motion: ArrayLike, expression: ArrayLike, size: int = 512
) -> Box:
    """Pixels x0, y0, x1, y1 (the last ones excluded) that the mouth controls can change.

    motion (9,) and expression (8,) as for `render`. Raises ValueError as `render` does.
    """
    _, pose, mood = _read(motion, expression, size)
    corners = [
        mouth_of(appearance, mood, np.array((jaw, wide, narrow, 0, 0))).lips
        for jaw in (0, 1)
        for wide in (0, 1)
        for narrow in (0, 1)
    ]
    return _bounds(pose, np.concatenate(corners))


def eyes_box(
    appearance: Appearance, motion: ArrayLike, expression: ArrayLike, size: int = 512
) -> Box:
    """Pixels x0, y0, x1, y1 (the last ones excluded) that gaze and lids can change.

    Both eyes without the brows. motion (9,) and expression (8,) as for `render`. Raises
    ValueError as `render` does.
    """
    _, pose, mood = _read(motion, expression, size)
    corners = []
    for side in (-1, 1):
        eye = eye_of(appearance, mood, side, 0)
        corners += [eye.socket, eye.lash]
    return _bounds(pose, np.concatenate(corners))


def sheet(path: str | Path, size: int = 192) -> None:
    """Write a picture of the characters in every expression and of random faces."""
    half = np.array((0.55, 0.3, 0, 0.6, 0.4))
    rows = []
    for look in CHARACTERS.values():
        rows.append(
            [
                render(look, NEUTRAL_MOTION, REST_MOUTH, weights, size)
                for weights in np.eye(len(EXPRESSIONS))
            ]
        )
    rng = np.random.default_rng(0)
    for family, talking in (
        (random_appearance, REST_MOUTH),
        (random_appearance, half),
        (random_cartoon, REST_MOUTH),
        (random_cartoon, half),
    ):
        rows.append(
            [
                render(family(rng), NEUTRAL_MOTION, talking, np.zeros(len(EXPRESSIONS)), size)
                for _ in EXPRESSIONS
            ]
        )
    whole = np.concatenate([np.concatenate(row, 1) for row in rows])
    if not cv2.imwrite(str(path), whole[:, :, ::-1]):
        raise OSError(f'cannot write the picture {path}')


def _vector(name: str, values: ArrayLike, length: int) -> NDArray[np.float64]:
    vector = np.asarray(values, np.float64)
    if vector.shape != (length,):
        raise ValueError(f'{name} must have the shape ({length},), not {vector.shape}')
    if not np.isfinite(vector).all():
        raise ValueError(f'{name} must be finite, not {vector.tolist()}')
    return vector


def _read(
    motion: ArrayLike, expression: ArrayLike, size: int
) -> tuple[NDArray[np.float64], Pose, Mood]:
    if size < 32:
        raise ValueError(f'size must be at least 32 pixels, not {size}')
    values = _vector('motion', motion, len(MOTION))
    mood = mood_of(_vector('expression', expression, len(EXPRESSIONS)))
    yaw, pitch = (float(value) for value in np.clip(values[3:5], -1, 1))
    x, y, roll = (float(value) for value in values[:3])
    return values, Pose(size, x, y, roll, yaw, pitch), mood


def _bounds(pose: Pose, points: Points) -> Box:
    placed = pose.place(points)
    margin = 3
    low = np.clip(np.floor(placed.min(0)).astype(int) - margin, 0, pose.size)
    high = np.clip(np.ceil(placed.max(0)).astype(int) + margin, 0, pose.size)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _shade(look: Appearance, share: float) -> Colour:
    """A shade of the face: darker on a light one, lighter on a dark one."""
    dark = luminance(look.panel) < 0.3
    return mix(look.panel, look.brow if dark else mix(look.panel, look.brow, 0.8), share)


@lru_cache(maxsize=64)
def _grounds(look: Appearance, size: int) -> tuple[Picture, Picture]:
    """The ground and the panel's surface, each (size, size, 3), read-only."""
    share = np.linspace(0, 1, size)[:, None, None]

    def gradient(top: Colour, bottom: Colour) -> Picture:
        column = np.array(top) + (np.array(bottom) - np.array(top)) * share
        picture = np.ascontiguousarray(
            np.broadcast_to(np.rint(column), (size, size, 3)).astype(np.uint8)
        )
        picture.flags.writeable = False
        return picture

    surface = gradient(mix(look.panel, _WHITE, 0.12), mix(look.panel, _INK, 0.08))
    return gradient(look.ground, look.ground_low), surface


def _paint_panel(painter: Painter, look: Appearance, pose: Pose, surface: Picture) -> None:
    width, height, y = look.panel_width, look.panel_height, 0.022
    if look.cartoon:
        brow_y = look.eye_y - look.eye_height - look.brow_gap
        paint_head(
            painter,
            look.cartoon,
            (width, height, y),
            (look.ears, brow_y),
            (look.panel, surface),
            lambda points, follow: replace(pose, follow=follow).place(points),
        )
        return
    pose = replace(pose, follow=_FOLLOW)
    if width > 0.5 and height > 0.5:
        painter.picture[:] = surface
        return
    edge = mix(look.panel, _INK, 0.34)
    if look.ears > 0:
        ear = 0.045 * look.ears + 0.01
        for side in (-1, 1):
            outline = rounded_box(side * width, y - 0.01, ear, 0.1 * look.ears, 4.5)
            painter.fill(pose.place(outline), look.accent)
    if look.antenna > 0:
        top = y - height - 0.045 * look.antenna
        stalk = rounded_box(0, y - height, 0.016, 0.045 * look.antenna + 0.01, 4)
        painter.fill(pose.place(stalk), edge)
        painter.fill(pose.place(circle(0, top, 0.034 * look.antenna)), look.accent)
    painter.fill(pose.place(rounded_box(0, y + 0.016, width, height, look.panel_power, 128)), edge)
    painter.paste(pose.place(rounded_box(0, y, width, height, look.panel_power, 128)), surface)


def _paint_cheeks(painter: Painter, look: Appearance, mood: Mood, pose: Pose) -> None:
    strength = np.clip(look.cheek_strength * (1 + mood.blush) + 0.4 * mood.blush, 0, 0.95)
    y = look.eye_y + look.eye_height + 0.075 - mood.cheek_lift
    x = look.eye_gap + 0.055
    middles = pose.place(np.array(((-x, y), (x, y))))
    radius = 1.25 * look.cheek_size * pose.size
    for across, down in middles:
        painter.glow(across, down, radius, 0.78 * radius, look.cheek, float(strength))


def _paint_eye(
    painter: Painter, look: Appearance, mood: Mood, eye: Eye, pose: Pose, gaze: NDArray[np.float64]
) -> None:
    painter.fill(pose.place(eye.socket), _shade(look, 0.2))
    opening = pose.place(eye.opening)
    inner = painter.inset(opening, look.sclera)
    if inner is not None:
        base = look.iris_size * min(look.eye_width, look.eye_height)
        radius = base * (1 + np.clip(mood.iris, -0.3, 0.2))
        x = eye.x + gaze[0] * (eye.half_width - 0.6 * base)
        y = eye.y - gaze[1] * (eye.half_height - 0.7 * base)
        pupil = radius * look.pupil_size * (1 + np.clip(mood.pupil, -0.3, 0.3))

        def spot(dx: float, dy: float, share: float, colour: Colour) -> None:
            inner.fill(pose.place(circle(x + dx * radius, y + dy * radius, share)), colour)

        spot(0, 0, radius, mix(look.iris, _INK, 0.45))
        spot(0, 0, 0.86 * radius, look.iris)
        spot(0, 0.34, 0.5 * radius, mix(look.iris, _WHITE, 0.32))
        spot(0, 0, pupil, _INK)
        spot(-0.32, -0.36, 0.27 * radius, _WHITE)
        spot(0.36, 0.4, 0.13 * radius, mix(look.iris, _WHITE, 0.85))
        inner.fill(pose.place(eye.shadow), mix(look.brow, _INK, 0.5), 0.16)
        painter.clip(opening, inner, eye.seen)
    painter.fill(pose.place(eye.lash), look.brow)
    painter.fill(pose.place(eye.brow), look.brow)


def _paint_mouth(
    painter: Painter, look: Appearance, mood: Mood, controls: NDArray[np.float64], pose: Pose
) -> None:
    mouth = mouth_of(look, mood, controls)
    painter.fill(pose.place(mouth.lips), look.lip)
    opening = pose.place(mouth.opening)
    # Closed lips show a seam, which deepens into the dark of the mouth as they part.
    seam, dark = mix(look.lip, _INK, 0.55), mix(look.lip, (26, 4, 16), 0.85)
    inner = painter.inset(opening, mix(seam, dark, min(mouth.gap / (0.15 * JAW), 1.0)))
    if inner is None:
        return
    pixel = 1.0 / pose.size
    parted = min(mouth.gap / (0.06 * JAW), 1.0)
    tongue = mix(_TONGUE, look.lip, 0.15)
    rise = parted * min(mouth.tongue_rise / (3 * pixel), 1.0)
    inner.fill(pose.place(mouth.tongue), tongue, rise)
    inner.fill(pose.place(mouth.tongue_middle), mix(tongue, _WHITE, 0.16), rise)
    inner.fill(pose.place(mouth.teeth), _TEETH, parted * min(mouth.teeth_depth / (3 * pixel), 1.0))
    painter.clip(opening, inner)
