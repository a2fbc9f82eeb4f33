"""How long before its time a clip is to be planned: a jitter buffer's delay, from what was needed.

It is as long as the slowest of the last clips would have needed, but for a rare one: it grows
with the first that is slow and shrinks once that one is long past.
"""

from collections import deque
from collections.abc import Sequence

# Clips that are remembered; six a second begin in speech that comes at its own pace.
WINDOW = 100
# Of so many clips one may need longer.
RARE = 50
# s of either part: who needs more does not keep up anyway, and a hiccup soon has to be over.
LONGEST = 0.5


class Notice:
    """Learns from each short clip what it needed, and from each sound how late it came."""

    def __init__(self, length: int, period: float, margin: float) -> None:
        """`length`: frames of a short clip; `period`: seconds a frame; `margin`: seconds more."""
        self._length, self._period, self._margin = length, period, margin
        self._making: deque[float] = deque(maxlen=WINDOW)
        self._lag: deque[float] = deque(maxlen=WINDOW)
        self._free = 0.0
        self._began = 0, 0.0

    @property
    def seconds(self) -> float:
        """From planning a clip to the time of its first frame, so that none of it is late."""
        return _most(self._making) + _most(self._lag) + self._margin

    def made(self, length: int, planned: float, done: Sequence[float], end: float) -> None:
        """Note when a clip was planned, each of its pictures done, and the stages free again.

        One of another length, and one that had to queue, say nothing of what short ones need.
        """
        if length == self._length and planned >= self._free and done:
            needed = max(moment - at * self._period for at, moment in enumerate(done))
            self._making.append(needed - planned)
        self._free = end

    def sounded(self, frame: int, complete: float, onset: bool) -> None:
        """Note when the sound of a clip that begins with `frame` was complete.

        `onset`: it is an utterance's first, which all others follow at the pace of frames.
        """
        if onset:
            self._began = frame, complete
            return
        first, began = self._began
        self._lag.append(max(0.0, complete - began - (frame - first) * self._period))


def _most(seconds: Sequence[float]) -> float:
    return min(sorted(seconds)[-1 - len(seconds) // RARE], LONGEST) if seconds else 0.0
