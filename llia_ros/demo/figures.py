"""The demo's figures, from what arrived on the topics: pure functions of a Log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from llia_ros.demo import page_figures
from llia_ros.demo.log import Log
from llia_ros.demo.page_figures import PageFigures

# RMS from which a frame of the robot's sound counts as voice.
VOICED = 0.01


@dataclass(frozen=True)
class Figures:
    """What the summary shows; None for what did not happen. Milliseconds end in `_ms`.

    Of several interruptions it is the slowest one.
    """

    seconds: float
    frames: int
    fps: float
    longest_gap_ms: float
    late_frames: int
    frames_lost: int
    first_picture_ms: float | None
    first_picture_of_each_answer_ms: tuple[float, ...]
    generation_p50_ms: float | None
    generation_p95_ms: float | None
    display_latency_p50_ms: float
    display_latency_p95_ms: float
    state_changes: int
    states: tuple[str, ...]
    reaction_to_user_ms: float | None
    interruptions: int
    interruption_ms: float | None
    interruption_after_detection_ms: float | None
    new_face_after_detection_ms: float | None
    old_frames_after_interruption: int | None
    video_frames: int | None = None
    video_seconds: float | None = None
    video_sound_seconds: float | None = None
    page: PageFigures | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Interruption:
    """One barge-in. Times in seconds of ROS time.

    `onset`: the user's first sample; `noticed`: the voice activity that reported it; `last_old`:
    the last frame of the old speech that arrived; `new_face`: the first picture thereafter that
    is not the last old one again; `overtaken`: old frames that arrived after a newer one.
    """

    onset: float
    noticed: float
    last_old: float
    new_face: float | None
    overtaken: int

    @property
    def silent_after(self) -> float:
        """Seconds from being noticed to the last old frame; 0 if none came any more."""
        return max(0.0, self.last_old - self.noticed)


def measure(log: Log) -> Figures:
    """Compute every figure; ValueError where no picture came at all."""
    if len(log.pictures) < 2:
        raise ValueError('no pictures came from the avatar')
    arrivals = np.array([picture.arrival for picture in log.pictures])
    stamps = np.array([picture.stamp for picture in log.pictures])
    lateness = 1000 * (arrivals - stamps)
    answers = first_pictures(log)
    stops = interruptions(log)
    slowest = max(stops, key=lambda stop: stop.silent_after, default=None)
    avatar = log.diagnostics.get('avatar', {})
    heard = {sound.stamp for sound in log.sounds}
    span = float(stamps[-1] - stamps[0])
    return Figures(
        seconds=span,
        frames=len(stamps),
        fps=(len(stamps) - 1) / span if span > 0 else 0.0,
        longest_gap_ms=float(1000 * np.diff(arrivals).max()),
        late_frames=int(avatar.get('late_frames', 0)),
        frames_lost=len(heard - {picture.stamp for picture in log.pictures}),
        first_picture_ms=answers[0] if answers else None,
        first_picture_of_each_answer_ms=tuple(answers),
        generation_p50_ms=_number(avatar.get('generation p50 ms')),
        generation_p95_ms=_number(avatar.get('generation p95 ms')),
        display_latency_p50_ms=float(np.percentile(lateness, 50)),
        display_latency_p95_ms=float(np.percentile(lateness, 95)),
        state_changes=max(0, len(log.states) - 1),
        states=tuple(state for _, state in log.states),
        reaction_to_user_ms=reaction(log),
        interruptions=len(stops),
        interruption_ms=1000 * (slowest.last_old - slowest.onset) if slowest else None,
        interruption_after_detection_ms=1000 * slowest.silent_after if slowest else None,
        new_face_after_detection_ms=(
            1000 * (slowest.new_face - slowest.noticed) if slowest and slowest.new_face else None
        ),
        old_frames_after_interruption=sum(stop.overtaken for stop in stops) if stops else None,
        page=page_figures.measure(log),
    )


def first_pictures(log: Log) -> list[float]:
    """Per answer, ms from its first published sample to the first picture that speaks it."""
    found = []
    voiced = [sound for sound in log.sounds if sound.level >= VOICED]
    arrivals = {picture.stamp: picture.arrival for picture in log.pictures}
    for line in log.spoken:
        if line.speaker != 'robot':
            continue
        first = _first(
            sound for sound in voiced if sound.arrival > line.start and sound.stamp in arrivals
        )
        if first is not None:
            found.append(1000 * (arrivals[first.stamp] - line.start))
    return found


def reaction(log: Log) -> float | None:
    """Ms from the user's first sample to the state `listening`."""
    line = _first(line for line in log.spoken if line.speaker == 'user')
    if line is None:
        return None
    heard = _first(at for at, state in log.states if state == 'listening' and at > line.start)
    return None if heard is None else 1000 * (heard - line.start)


def interruptions(log: Log) -> list[Interruption]:
    """Every time that the user talked into the robot's speech and ended it, in their order."""
    epochs = sorted({sound.epoch for sound in log.sounds})
    seen = {picture.stamp: picture for picture in log.pictures}
    found = []
    for before, after in zip(epochs, epochs[1:], strict=False):
        old = [sound for sound in log.sounds if sound.epoch == before]
        began = min(sound.arrival for sound in log.sounds if sound.epoch == after)
        shown = [seen[sound.stamp] for sound in old if sound.stamp in seen]
        onset = _last(
            line.start for line in log.spoken if line.speaker == 'user' and line.start < began
        )
        noticed = _last(at for at, speaks in log.user_speaks if speaks and at < began)
        if onset is None or noticed is None or not shown:
            continue
        last_old = max([old[-1].arrival, *(picture.arrival for picture in shown)])
        new_face = _first(
            picture.arrival
            for picture in log.pictures
            if picture.arrival > last_old and picture.data != shown[-1].data
        )
        overtaken = sum(sound.arrival > began for sound in old)
        found.append(Interruption(onset, noticed, last_old, new_face, overtaken))
    return found


def mouth_motion(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Change of the picture's lower middle from frame to frame, (n,) 0 .. 1; the first is 0.

    `pictures` are grey, uint8 (height, width), all of one size.
    """
    if not pictures:
        return np.zeros(0)
    stack = np.stack(pictures).astype(np.float64) / 255
    height, width = stack.shape[1:]
    mouths = stack[:, height // 2 : -height // 8, width // 4 : -width // 4]
    change = np.abs(np.diff(mouths, axis=0)).mean(axis=(1, 2))
    return np.concatenate([[0.0], change])


def _first(items: Any) -> Any:
    return next(iter(items), None)


def _last(items: Any) -> Any:
    return next(iter([*items][::-1]), None)


def _number(value: str | None) -> float | None:
    return None if value is None else float(value)
