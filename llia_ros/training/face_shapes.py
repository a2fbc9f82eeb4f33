"""Where the parts of a face lie: its pose, its expression, outlines of eyes, brows and mouth.

Lengths are fractions of the picture's width from the middle of the face, x right and y down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llia_ros.model.config import EXPRESSIONS
from llia_ros.training.drawing import Points, band
from llia_ros.training.face_family import Appearance

_TURN = 0.21  # radians at yaw or pitch 1
_DEPTH = 0.28  # of the middle of the face before the axis it turns about
_ACROSS = -np.cos(np.linspace(0, np.pi, 41))  # -1 .. 1, dense at the corners

JAW = 0.175  # height of the widest opening
SEAM = 0.006  # half height of the line between closed lips
LASH = 0.017


@dataclass(frozen=True)
class Pose:
    """Takes points of the face to pixels; `follow` 0 .. 1 is how much of the motion is felt."""

    size: int
    x: float
    y: float
    roll: float
    yaw: float
    pitch: float
    follow: float = 1.0

    def place(self, points: Points) -> Points:
        """Points (N, 2) of the face to pixels (N, 2) of the picture."""
        across, down = points[:, 0], points[:, 1]
        depth = _DEPTH - 0.8 * (across * across + down * down)
        yaw, pitch = _TURN * self.yaw * self.follow, _TURN * self.pitch * self.follow
        if self.follow < 1:
            depth = np.full_like(across, _DEPTH)
            across, down = across + depth * np.sin(yaw), down - depth * np.sin(pitch)
        else:
            turned = across * np.cos(yaw) + depth * np.sin(yaw)
            depth = depth * np.cos(yaw) - across * np.sin(yaw)
            across, down = turned, down * np.cos(pitch) - depth * np.sin(pitch)
        cos, sin = np.cos(self.roll * self.follow), np.sin(self.roll * self.follow)
        return self.size * np.stack(
            (
                0.5 + self.follow * self.x + across * cos - down * sin,
                0.5 + self.follow * self.y + across * sin + down * cos,
            ),
            1,
        )


# How each expression, at weight 1, differs from the neutral face. Lifts of brows and cheeks
# are lengths, tilt > 0 raises the inner ends; slant > 0 lets the outer ends of lids hang.
_MOODS: dict[str, dict[str, float]] = {
    'neutral': {},
    'happy': {
        'lift_left': 0.012,
        'lift_right': 0.012,
        'arch': 0.012,
        'low': 0.42,
        'smile': 0.042,
        'width': 0.14,
        'cheek_lift': 0.022,
        'blush': 0.25,
        'lid': 0.04,
    },
    'sad': {
        'tilt': 0.34,
        'lift_left': 0.004,
        'lift_right': 0.004,
        'arch': -0.012,
        'lid': 0.12,
        'slant': 0.34,
        'smile': -0.066,
        'width': -0.1,
        'blush': -0.15,
    },
    'surprised': {
        'lift_left': 0.04,
        'lift_right': 0.04,
        'arch': 0.016,
        'lid': -0.07,
        'eye': 0.13,
        'iris': -0.14,
        'smile': -0.014,
        'width': -0.14,
    },
    'angry': {
        'tilt': -0.36,
        'lift_left': -0.016,
        'lift_right': -0.016,
        'arch': -0.01,
        'lid': 0.06,
        'slant': -0.42,
        'low': 0.16,
        'smile': -0.046,
        'width': -0.02,
        'pupil': -0.1,
    },
    'thinking': {
        'lift_left': -0.012,
        'lift_right': 0.034,
        'arch': 0.006,
        'lid': 0.08,
        'squint': 0.2,
        'low': 0.1,
        'smile': -0.014,
        'width': -0.22,
        'skew': 0.03,
    },
    'sleepy': {
        'lift_left': -0.006,
        'lift_right': -0.006,
        'tilt': 0.08,
        'lid': 0.44,
        'low': 0.06,
        'slant': 0.12,
        'smile': -0.012,
        'width': -0.08,
    },
    'loving': {
        'lift_left': 0.012,
        'lift_right': 0.012,
        'tilt': 0.12,
        'arch': 0.012,
        'lid': 0.1,
        'low': 0.24,
        'smile': 0.028,
        'width': 0.02,
        'cheek_lift': 0.014,
        'blush': 0.5,
        'iris': 0.14,
        'pupil': 0.22,
    },
}


@dataclass(frozen=True)
class Mood:
    """The sum of the weighted expressions."""

    lift_left: float
    lift_right: float
    tilt: float
    arch: float
    lid: float
    squint: float
    low: float
    slant: float
    eye: float
    iris: float
    pupil: float
    smile: float
    width: float
    skew: float
    cheek_lift: float
    blush: float


_FIELDS = tuple(Mood.__dataclass_fields__)
_TABLE = np.array([[_MOODS[name].get(key, 0.0) for key in _FIELDS] for name in EXPRESSIONS])


def mood_of(expression: NDArray[np.floating]) -> Mood:
    """Blend the expressions by their weights, (8,)."""
    values = np.asarray(expression, np.float64) @ _TABLE
    return Mood(*(float(value) for value in values))


@dataclass(frozen=True)
class Eye:
    """Outlines of one eye in face lengths."""

    x: float
    y: float
    half_width: float
    half_height: float
    socket: Points
    opening: Points
    shadow: Points
    lash: Points
    brow: Points
    seen: float  # 1, less just before the lids meet, 0 when they have


def eye_of(look: Appearance, mood: Mood, side: int, lid: float) -> Eye:
    """The viewer's left (side -1) or right (+1) eye with its lid 0 open .. 1 shut."""
    width = look.eye_width
    height = look.eye_height * (1 + min(mood.eye, 0.2))
    x, y, u = side * look.eye_gap, look.eye_y, _ACROSS
    arch = (1 - np.abs(u) ** look.eye_power) ** (1 / look.eye_power)
    shut = 0.42 * height * (1 - u * u)
    rest = np.clip(0.07 + mood.lid + (mood.squint if side < 0 else 0.0), 0, 0.9)
    outer = side * u
    hang = abs(mood.slant) * (0.5 + 0.5 * outer * np.sign(mood.slant))
    closed = 1 - (1 - rest) * (1 - np.clip(hang, 0, 0.9)) * (1 - lid)
    # The lower lid comes up to meet the upper one at the end of a blink.
    raised = 1 - (1 - np.clip(mood.low, 0, 0.8)) * (1 - lid * lid)
    upper = -height * arch + (shut + height * arch) * closed
    lower = height * arch + (shut - height * arch) * raised

    def curve(scale: float, line: NDArray[np.float64]) -> Points:
        return np.stack((x + width * scale * u, y + line), 1)

    rim = 1 + 0.014 / width
    taper = LASH * (0.55 + 0.45 * (1 - u**4))
    return Eye(
        x,
        y,
        width,
        height,
        socket=band(curve(rim, -(height + 0.014) * arch), curve(rim, (height + 0.014) * arch)),
        opening=band(curve(1, upper), curve(1, lower)),
        shadow=band(curve(1.2, upper - 0.05), curve(1.2, upper + 0.02 + 0.0 * u)),
        lash=band(
            curve(1 + 0.35 * LASH / width, upper - 0.7 * taper),
            curve(1 - 0.1 * LASH / width, upper + 0.3 * taper),
        ),
        brow=_brow(look, mood, side),
        seen=min(float((lower - upper).max()) / 0.008, 1.0),
    )


def _brow(look: Appearance, mood: Mood, side: int) -> Points:
    lift = mood.lift_left if side < 0 else mood.lift_right
    along = np.linspace(-1, 1, 25)
    tilt = np.clip(0.06 + mood.tilt, -0.5, 0.5) * side
    arch = look.brow_arch + mood.arch
    middle = np.stack((look.brow_length * along, -arch * (1 - along**2) + 0.35 * arch), 1)
    normal = np.stack((2 * arch * along, -np.full_like(along, look.brow_length)), 1)
    normal /= np.hypot(normal[:, 0], normal[:, 1])[:, None]
    # The inner end is the thicker one.
    half = 0.5 * look.brow_thickness * (1.0 - 0.24 * side * along)[:, None]
    angle = np.linspace(0, np.pi, 9)[1:-1]
    caps = [
        middle[end]
        + half[end]
        * (
            normal[end] * np.cos(angle)[:, None] * turn
            + np.array((-normal[end, 1], normal[end, 0])) * np.sin(angle)[:, None] * turn
        )
        for end, turn in ((-1, 1), (0, -1))
    ]
    outline = np.concatenate(
        (middle + half * normal, caps[0], (middle - half * normal)[::-1], caps[1])
    )
    cos, sin = np.cos(tilt), np.sin(tilt)
    x, y = outline[:, 0], outline[:, 1]
    return np.stack(
        (
            side * (look.eye_gap + 0.004) + x * cos - y * sin,
            look.eye_y - look.eye_height - look.brow_gap - lift + x * sin + y * cos,
        ),
        1,
    )


@dataclass(frozen=True)
class Mouth:
    """Outlines of a mouth in face lengths."""

    lips: Points
    opening: Points
    teeth: Points
    tongue: Points
    tongue_middle: Points
    gap: float  # height of the opening
    teeth_depth: float
    tongue_rise: float


def mouth_of(look: Appearance, mood: Mood, mouth: NDArray[np.floating]) -> Mouth:
    """Outlines for a mouth of controls 0 .. 1, (5,)."""
    jaw, wide, narrow, teeth, tongue = (float(value) for value in mouth)
    width = (
        look.mouth_width
        * (1 + np.clip(mood.width, -0.3, 0.2))
        * (1 + 0.3 * wide - 0.46 * narrow - 0.06 * jaw)
    )
    gap = JAW * jaw * (1 - 0.18 * wide - 0.12 * narrow)
    smile = (
        (look.smile + np.clip(mood.smile, -0.08, 0.06) + 0.01 * wide)
        * (1 - 0.75 * narrow)
        * (1 - 0.4 * jaw)
    )
    above, below = 0.34 * gap + SEAM, 0.66 * gap + SEAM
    thick = look.lip_thickness * (1 + 0.5 * narrow - 0.12 * wide)
    u = _ACROSS
    arch = (1 - u * u) ** (0.5 + 0.12 * (1 - narrow))
    # A dropped jaw is rounder than closed lips.
    full = (1 - u * u) ** (0.5 + 0.12 * (1 - narrow) * (1 - jaw) - 0.08 * jaw)
    reach = width + 0.75 * thick
    middle_x = mood.skew * (1 - 0.5 * narrow)

    def base(x: NDArray[np.float64]) -> NDArray[np.float64]:
        along = x / width
        rise = smile * (0.35 - along * along) - 0.35 * mood.skew * along
        return np.asarray(rise, np.float64)

    def curve(x: NDArray[np.float64], y: NDArray[np.float64]) -> Points:
        return np.stack((middle_x + x, look.mouth_y + base(x) + y), 1)

    x, out = width * u, reach * u
    bow = 1 - 0.2 * np.exp(-((u / 0.16) ** 2)) * (1 - 0.6 * narrow)
    rim = np.sqrt(1 - u * u)
    lips = band(
        curve(out, -above * arch - thick * rim * bow), curve(out, below * full + 1.2 * thick * rim)
    )
    opening = band(curve(x, -above * arch), curve(x, below * full))
    depth = 0.05 * teeth * (0.55 + 0.45 * min(gap / 0.06, 1.0))
    teeth_edge = (-above * arch) * (1 - 0.25 * u * u) + depth * (1 - 0.35 * u**4)
    rise = tongue * (0.72 * gap + SEAM)
    spread = (1 - np.clip(np.abs(u), 0, 1) ** 2.4) ** 0.6
    tongue_x = 0.86 * width * u
    tongue_top = below - rise * spread + 0.3 * below * (1 - spread)
    tongue_low = np.full_like(u, below + 0.03)
    small = 0.34 * width * u
    return Mouth(
        lips,
        opening,
        teeth=band(curve(x, -above * arch - 0.02), curve(x, teeth_edge)),
        tongue=band(curve(tongue_x, tongue_top), curve(tongue_x, tongue_low)),
        tongue_middle=band(curve(small, below - 0.72 * rise * rim), curve(small, tongue_low)),
        gap=gap,
        teeth_depth=depth,
        tongue_rise=rise,
    )
