"""Which of the frames now being made will be seen: the few numbers that every stage agrees on.

Nothing is ever cleared from outside a stage. An interrupt raises `epoch`, a change of plan raises
`plan`; each stage asks `kept` when a clip reaches it and drops what nobody will see.
"""

import threading
import time
from math import inf
from typing import Protocol


class Closed(Exception):
    """The engine was closed or has failed; raised in the stages to end their threads."""


class Clock(Protocol):
    """Monotonic time, and how to wait for it."""

    def now(self) -> float:
        """Return seconds from any origin, never going back."""

    def wait(self, condition: threading.Condition, until: float | None) -> None:
        """Wait on a held condition until it is notified or this clock shows `until`."""


class SystemClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Return seconds since some fixed moment."""
        return time.monotonic()

    def wait(self, condition: threading.Condition, until: float | None) -> None:
        """Wait on a held condition until it is notified or this clock shows `until`."""
        condition.wait(None if until is None else max(0.0, until - self.now()))


class Shot(Protocol):
    """The part of a clip that decides whether it is still wanted."""

    plan: int
    epoch: int
    first: int
    keep: int
    voice: bool


class Course:
    """Counts frames shown, interrupts and changes of plan; all fields under the lock `changed`."""

    def __init__(self, clock: Clock | None = None) -> None:
        """Start with nothing shown."""
        self.clock: Clock = clock or SystemClock()
        self.changed = threading.Condition()
        self.shown = 0  # the first frame that was not shown yet
        self.made = 0  # the first frame that is not drawn yet
        self.due: float | None = None  # when the next frame goes out, once frames do on schedule
        self.epoch = 0  # interrupts so far
        self.plan = 0  # changes of plan so far
        self.closed = False
        self.failure: tuple[str, BaseException] | None = None
        # (plan, its first frame), first frames rising: a plan replaces every older one from its
        # first frame on, and so hides the firsts behind it.
        self._cuts: list[tuple[int, int]] = []

    def wait(self, until: float | None = None) -> None:
        """Wait, lock held, for a change or until the clock shows `until`; may raise Closed."""
        if not self.closed:
            self.clock.wait(self.changed, until)
        if self.closed:
            raise Closed

    def cut(self, first: int) -> None:
        """Begin a new plan, lock held: frames of older plans from `first` on will not be shown."""
        self.plan += 1
        self.made = min(self.made, first)
        while self._cuts and self._cuts[-1][1] >= first:
            self._cuts.pop()
        self._cuts.append((self.plan, first))
        # No clip stays on its way for as long as 64 later plans.
        del self._cuts[:-64]
        self.changed.notify_all()

    def kept(self, shot: Shot) -> int:
        """Return, lock held, how many frames of a clip, from its first on, are still wanted."""
        if shot.voice and shot.epoch < self.epoch:
            return 0
        limit = min((first for plan, first in self._cuts if plan > shot.plan), default=inf)
        return int(max(0, min(shot.keep, limit - shot.first)))

    def fail(self, stage: str, error: BaseException) -> None:
        """End every stage because one has failed; the caller who iterates is told why."""
        with self.changed:
            self.failure = self.failure or (stage, error)
            self.closed = True
            self.changed.notify_all()

    def close(self) -> None:
        """End every stage."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()
