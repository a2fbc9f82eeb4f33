"""One clock for sound and picture: the frame's index on the timeline of a loudspeaker.

The page's player does the same in a browser. Sound is placed on the timeline by its index, and
the picture to be seen is the one whose sound is just leaving the loudspeaker.
"""

from __future__ import annotations

import math

LEAD = 0.04  # s from the arrival of a sound to its place: what the way here may be late
LEAST = 0.005  # s that a sound must be early
CUSHION = 0.02  # s that the latest sound of a window should have been early
WORTHWHILE = 0.005  # s; less is not worth a move
WINDOW = 50  # sounds, two seconds
SUDDEN = 0.5  # s; a frame that far ahead belongs to a sender that jumped


class Timeline:
    """Tells when each frame begins, in seconds of a clock that whoever calls it reads."""

    def __init__(self) -> None:
        self.period = 0.04
        self.moved = 0
        self._least = math.inf
        self._placed = 0
        self._origin: float | None = None

    def forget(self) -> None:
        """Begin anew with the next frame."""
        self._origin = None
        self._reset_slack()

    def starts(self, index: int) -> float:
        """Second at which frame `index` begins; before any frame was placed, infinity."""
        return math.inf if self._origin is None else self._origin + index * self.period

    def frame_at(self, second: float) -> float:
        """Index of the frame that runs at a second; before any was placed, minus infinity."""
        if self._origin is None:
            return -math.inf
        return math.floor((second - self._origin) / self.period + 1e-6)

    def place(self, index: int, now: float, quiet: bool) -> float:
        """Fit the timeline to a frame that arrives at `now`; return when it begins.

        The timeline moves on when a frame would come too late, and back only in silence
        (`quiet`), where nobody hears the seam.
        """
        if self._origin is None:
            self._origin = now + LEAD - index * self.period
        slack = self.starts(index) - now
        if slack < LEAST or slack > SUDDEN:
            self._move(LEAD - slack)
            self._reset_slack()
            slack = LEAD
        self._least = min(self._least, slack)
        self._placed += 1
        if self._placed >= WINDOW and quiet:
            if self._least > CUSHION + WORTHWHILE:
                self._move(CUSHION - self._least)
            self._reset_slack()
        return self.starts(index)

    def _move(self, seconds: float) -> None:
        assert self._origin is not None
        self._origin += seconds
        self.moved += 1

    def _reset_slack(self) -> None:
        self._least = math.inf
        self._placed = 0
