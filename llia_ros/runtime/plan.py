"""The frames that are planned and may still be taken back, and the motion that goes with them."""

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from llia_ros.runtime.course import Course
from llia_ros.runtime.motion import MotionProcess
from llia_ros.runtime.requests import Wish


@dataclass
class Planned:
    """A clip that may still be taken back, in part or whole."""

    first: int
    keep: int
    length: int  # frames drawn, of which `keep` are to be shown
    voice: bool
    playing: bool
    state: str
    wish: Wish
    motion: Any  # snapshot before its first frame


class Plan:
    """Remembers planned clips until they are shown; used by one thread, with the course's lock."""

    def __init__(self, course: Course, seed: int) -> None:
        """Start with nothing planned."""
        self.next = 0  # the first frame not planned
        self._course = course
        self._clips: deque[Planned] = deque()
        self._motion = MotionProcess(seed)
        self._before: np.ndarray | None = None

    @property
    def last(self) -> Planned | None:
        """The latest clip."""
        return self._clips[-1] if self._clips else None

    @property
    def unmade(self) -> list[int]:
        """Lengths of the clips that are still being drawn."""
        made = self._course.made
        return [clip.length for clip in self._clips if clip.first + clip.keep > made]

    def add(self, keep: int, length: int, label: tuple[bool, bool, str], wish: Wish) -> Planned:
        """Plan `keep` frames more; label: carries speech, is heard speaking, state."""
        clips = self._clips
        # The clip before the first frame not shown is never taken back, but looked back at.
        while len(clips) > 1 and clips[1].first < self._course.shown:
            clips.popleft()
        planned = Planned(self.next, keep, length, *label, wish, self._motion.snapshot())
        clips.append(planned)
        self.next += keep
        return planned

    @property
    def before(self) -> np.ndarray | None:
        """Motion (9,) of the frame before the next, None if its picture may not be there."""
        return self._before

    def find(self, voice: bool, start: int) -> int | None:
        """Return the first planned frame from `start` on that carries speech, or does not."""
        return next(
            (
                max(start, clip.first)
                for clip in self._clips
                if clip.voice == voice and clip.first + clip.keep > start
            ),
            None,
        )

    def rewind(self, first: int) -> int:
        """Take back the frames from `first` on, none of which was shown; return how many."""
        dropped = self.next - first
        if dropped <= 0:
            return 0
        self._course.cut(first)
        self._before = None
        while self._clips and self._clips[-1].first >= first:
            self._motion.restore(self._clips.pop().motion)
        if self._clips and self._clips[-1].first + self._clips[-1].keep > first:
            last = self._clips[-1]
            last.keep = first - last.first
            self._motion.restore(last.motion)
            self._motion.clip([last.state] * last.keep, last.wish.target)
        self.next = first
        return dropped

    def foresee(self, state: str, target: tuple[float, float] | None, frames: int) -> np.ndarray:
        """Return the motion of the next frames, (frames, 9), without going there."""
        here = self._motion.snapshot()
        motion = self._motion.clip([state] * frames, target)
        self._motion.restore(here)
        return motion

    def lead(self, planned: Planned) -> np.ndarray:
        """Return the motion of the latest clip, (length, 9), and forget that of unkept frames."""
        process, state, target = self._motion, planned.state, planned.wish.target
        kept = process.clip([state] * planned.keep, target)
        self._before = kept[-1]
        after = process.snapshot()
        extra = process.clip([state] * (planned.length - planned.keep), target)
        process.restore(after)
        return np.concatenate([kept, extra])
