"""How a living face moves by itself: blinks, glances, breath, small turns of the head, nods.

One seeded random process, advanced one frame at a time, leads the model when it runs and made
the motion it was trained on. The frame it returns depends on nothing but the seed and the states
and targets of the frames so far; `snapshot` and `restore` take back frames nobody saw.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from math import cos, pi, sin, tau
from typing import Any

import numpy as np

from llia_ros.model.config import MOTION, STATES

FPS = 25
RANGES = np.array([0.04, 0.04, 0.1, 0.7, 0.7, 0.8, 0.8, 1, 1], np.float32)
LOWEST = np.where(np.char.startswith(MOTION, 'lid'), 0, -RANGES).astype(np.float32)

# The head takes this share of a look aside; the eyes keep the rest. Yaw 1 turns the head as far
# as gaze 1 turns the eyes, so that `gaze + yaw` is where the face looks.
HEAD_SHARE = 0.6
EYE_REACH = 0.8
ONE_FRAME_SACCADE = 0.25
# A target that moves less than this from one frame to the next is followed smoothly.
PURSUIT = 0.12
# Gaze 1, radians.
EYE_RANGE = pi / 6

# Lids over the frames of a blink: shut within two frames, opened more slowly.
BLINKS = (
    (0.55, 1.0, 0.9, 0.5, 0.15),
    (0.5, 1.0, 1.0, 0.65, 0.35, 0.1),
    (0.4, 0.95, 1.0, 0.85, 0.5, 0.25, 0.08),
)


@dataclass(frozen=True)
class Manner:
    """How one state behaves; times in seconds, (least, most)."""

    blink: tuple[float, float]
    fixation: tuple[float, float]
    glance: tuple[float, float]
    away: float
    posture: tuple[float, float]
    yaw: float
    pitch: float
    roll: float
    shift: float
    speed: float
    nod: tuple[float, float]
    nod_depth: tuple[float, float]
    nod_cycles: int


MANNERS = {
    'speaking': Manner(
        (2.0, 5.0),
        (0.6, 2.2),
        (0.35, 0.25),
        0.3,
        (0.7, 2.2),
        0.22,
        0.14,
        0.05,
        0.016,
        5.0,
        (0.9, 3.0),
        (0.04, 0.12),
        1,
    ),
    'listening': Manner(
        (2.4, 6.0),
        (0.9, 3.0),
        (0.12, 0.1),
        0.1,
        (2.0, 5.0),
        0.14,
        0.1,
        0.055,
        0.012,
        3.5,
        (2.5, 6.0),
        (0.14, 0.3),
        2,
    ),
    'idle': Manner(
        (2.0, 6.0),
        (0.5, 2.6),
        (0.55, 0.36),
        0.75,
        (2.5, 7.0),
        0.3,
        0.18,
        0.05,
        0.016,
        2.5,
        (1e6, 2e6),
        (0.0, 0.0),
        1,
    ),
}


@dataclass(slots=True)
class _Body:
    """Everything the process remembers between frames but its generator; values immutable."""

    frame: int = 0
    state: str | None = None
    target: tuple[float, float] | None = None
    changed: bool = False
    # x, y, roll, yaw, pitch of a damped spring, what pulls it, and how fast it goes there
    head: tuple[float, ...] = (0.0,) * 5
    speed: tuple[float, ...] = (0.0,) * 5
    posture: tuple[float, ...] = (0.0,) * 5
    posture_due: int = 0
    # where the eyes look (head and eyes together), where they come from, frames since the jump
    fixation: tuple[float, float] = (0.0, 0.0)
    origin: tuple[float, float] = (0.0, 0.0)
    since: int = 9
    saccade_due: int = 0
    # frames into the blink now running (-1: none), its shape, whether another follows
    blink: int = -1
    shape: int = 0
    again: bool = False
    blink_due: int = 0
    # frames into the nod now running (-1: none), its frames, cycles and depth
    nod: int = -1
    nod_frames: int = 1
    nod_cycles: int = 1
    nod_depth: float = 0.0
    nod_due: int = 0
    lids: float = 0.0


class MotionProcess:
    """Leads a face: `step` gives the next frame's motion vector, float32 (9,), order of MOTION.

    Ranges: |x|, |y| <= .04, |roll| <= .1, |yaw|, |pitch| <= .7, |gaze| <= .8, lids 0 .. 1.
    """

    def __init__(self, seed: int = 0) -> None:
        """Start a face at rest; the same seed moves the same way."""
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self._body = _Body()
        draw = self._rng.random
        # Slow waves that never repeat within an hour: frequency in radians a frame, phase.
        self._waves = tuple(
            (
                tau * (0.04 + 0.14 * draw()) / FPS,
                tau * draw(),
                tau * (0.19 + 0.12 * draw()) / FPS,
                tau * draw(),
            )
            for _ in range(5)
        )
        self._breath = tau * (0.2 + 0.08 * draw()) / FPS, tau * draw()
        self._body.blink_due = round((0.6 + 3.0 * draw()) * FPS)

    def snapshot(self) -> Any:
        """Return what `restore` needs to come back to this frame; opaque, a few hundred bytes."""
        return copy(self._body), self._rng.bit_generator.state

    def restore(self, snapshot: Any) -> None:
        """Forget the frames made after `snapshot`, which may be restored any number of times."""
        body, generator = snapshot
        self._body = copy(body)
        self._rng.bit_generator.state = generator

    def clip(self, states: Sequence[str], target: tuple[float, float] | None = None) -> np.ndarray:
        """Return the next frames' motion, float32 (len(states), 9), one state name a frame."""
        motion = np.empty((len(states), len(MOTION)), np.float32)
        for row, state in enumerate(states):
            motion[row] = self.step(state, target)
        return motion

    def step(self, state: str, target: tuple[float, float] | None = None) -> np.ndarray:
        """Return the next frame's motion, float32 (9,).

        `target`: where to look, right and up, in units of the eye's range (-1 .. 1), or None to
        look around freely. ValueError for a state that is none of STATES.
        """
        manner = MANNERS.get(state)
        if manner is None:
            raise ValueError(f'unknown state {state!r}: one of {", ".join(STATES)}')
        body = self._body
        if state == body.state and target and body.target and target != body.target:
            self._pursue(target)
        if state != body.state or target != body.target:
            # A face answers a change at once, with its eyes first.
            body.saccade_due = body.posture_due = body.frame
            if state != body.state:
                body.nod_due = body.frame + self._frames(manner.nod)
            body.state, body.target, body.changed = state, target, True
        x, y, roll, yaw, pitch = self._move_head(manner)
        gaze_x, gaze_y = self._move_eyes(manner, yaw, pitch)
        lid = self._move_lids(manner, gaze_y)
        body.frame += 1
        motion = np.array((x, y, roll, yaw, pitch, gaze_x, gaze_y, lid, lid), np.float32)
        return np.minimum(np.maximum(motion, LOWEST), RANGES)

    def _uniform(self, least: float, most: float) -> float:
        return least + (most - least) * self._rng.random()

    def _around(self, spread: float) -> float:
        """Draw from a bell of about this spread that never leaves twice the spread."""
        draw = self._rng.random
        return spread * 2 * (draw() + draw() + draw() - 1.5) / 1.5

    def _frames(self, seconds: tuple[float, float]) -> int:
        return round(self._uniform(*seconds) * FPS)

    def _move_head(self, manner: Manner) -> tuple[float, ...]:
        body = self._body
        if body.frame >= body.posture_due:
            body.posture_due = body.frame + self._frames(manner.posture)
            if body.target is None:
                yaw = self._around(manner.yaw) + 0.25 * body.fixation[0]
                pitch = self._around(manner.pitch) + 0.15 * body.fixation[1]
            else:
                yaw = HEAD_SHARE * body.target[0] + self._around(0.02)
                pitch = HEAD_SHARE * body.target[1] + self._around(0.02)
            body.posture = (
                self._around(manner.shift) + 0.01 * yaw,
                self._around(0.7 * manner.shift),
                self._around(manner.roll),
                yaw,
                pitch,
            )
        rate = (6.5 if body.target is not None else manner.speed) / FPS
        speed = tuple(
            v + rate * (rate * (to - at) - 2 * v)
            for v, at, to in zip(body.speed, body.head, body.posture, strict=True)
        )
        body.speed = speed
        body.head = tuple(at + v for at, v in zip(body.head, speed, strict=True))
        drift = [
            sin(low * body.frame + phase) + 0.5 * sin(high * body.frame + other)
            for low, phase, high, other in self._waves
        ]
        breath = sin(self._breath[0] * body.frame + self._breath[1])
        x, y, roll, yaw, pitch = body.head
        return (
            x + 0.003 * drift[0],
            y + 0.002 * drift[1] + 0.0045 * breath,
            roll + 0.008 * drift[2],
            yaw + 0.025 * drift[3],
            pitch + 0.02 * drift[4] + 0.012 * breath + self._nod(manner),
        )

    def _nod(self, manner: Manner) -> float:
        body = self._body
        if body.nod < 0 and body.frame >= body.nod_due:
            body.nod = 0
            body.nod_cycles = 1 + int(self._rng.random() * manner.nod_cycles)
            body.nod_frames = round(self._uniform(0.4, 0.56) * FPS) * body.nod_cycles
            body.nod_depth = self._uniform(*manner.nod_depth)
            body.nod_due = body.frame + body.nod_frames + self._frames(manner.nod)
        if body.nod < 0:
            return 0.0
        body.nod += 1
        if body.nod >= body.nod_frames:
            body.nod = -1
            return 0.0
        part = body.nod / body.nod_frames
        # Each nod is shallower than the one before.
        depth = body.nod_depth * (1 - 0.5 * part)
        return -depth * 0.5 * (1 - cos(tau * body.nod_cycles * part))

    def _move_eyes(self, manner: Manner, yaw: float, pitch: float) -> tuple[float, float]:
        body = self._body
        if body.frame >= body.saccade_due:
            body.origin, body.since = body.fixation, 0
            body.saccade_due = body.frame + self._frames(manner.fixation)
            body.fixation = self._look(manner)
            body.changed = False
        body.since += 1
        aim_x, aim_y = body.fixation
        if body.since == 1:
            from_x, from_y = body.origin
            if max(abs(aim_x - from_x), abs(aim_y - from_y)) > ONE_FRAME_SACCADE:
                aim_x, aim_y = from_x + 0.7 * (aim_x - from_x), from_y + 0.7 * (aim_y - from_y)
        # The eyes stay on their target while the head turns below them.
        return (
            max(-EYE_REACH, min(EYE_REACH, aim_x - yaw)),
            max(-EYE_REACH, min(EYE_REACH, aim_y - pitch)),
        )

    def _pursue(self, target: tuple[float, float]) -> None:
        """Follow a target that moves a little without a jump of the eyes."""
        body = self._body
        assert body.target is not None
        across, upward = target[0] - body.target[0], target[1] - body.target[1]
        if max(abs(across), abs(upward)) > PURSUIT:
            return
        body.target = target
        body.fixation = body.fixation[0] + across, body.fixation[1] + upward
        x, y, roll, yaw, pitch = body.posture
        body.posture = x, y, roll, yaw + HEAD_SHARE * across, pitch + HEAD_SHARE * upward

    def _look(self, manner: Manner) -> tuple[float, float]:
        body = self._body
        if body.target is not None:
            scatter = 0.0 if body.fixation != body.target else 0.015
            return body.target[0] + self._around(scatter), body.target[1] + self._around(scatter)
        away = self._rng.random() < manner.away
        if body.changed:
            # Attention is seen at once: to the viewer for a dialogue, elsewhere for idling.
            away = body.state == 'idle'
        if not away:
            return self._around(0.05), self._around(0.04)
        across, upward = manner.glance
        side = pi * self._rng.random()
        return (
            across * cos(side) + self._around(0.25 * across),
            upward * (sin(side) - 0.45) + self._around(0.3 * upward),
        )

    def _move_lids(self, manner: Manner, gaze_y: float) -> float:
        body = self._body
        if body.blink < 0 and body.frame >= body.blink_due:
            body.blink, body.shape = 0, int(self._rng.random() * len(BLINKS))
            if body.again:
                body.again = False
            else:
                body.again = self._rng.random() < 0.12
            wait = (0.08, 0.2) if body.again else manner.blink
            body.blink_due = body.frame + len(BLINKS[body.shape]) + self._frames(wait)
        # Lids follow a look down, and lag a little behind it.
        body.lids += 0.4 * (0.03 + 0.22 * max(0.0, -gaze_y) - body.lids)
        if body.blink < 0:
            return body.lids
        shut = BLINKS[body.shape][body.blink]
        body.blink += 1
        if body.blink == len(BLINKS[body.shape]):
            body.blink = -1
        return body.lids + (1 - body.lids) * shut
