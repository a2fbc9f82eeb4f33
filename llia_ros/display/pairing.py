"""Brings a frame's picture and its sound together again: they travel on two topics.

Only the sound names its frame (index, epoch, state); the picture has the same stamp. A picture
whose sound was lost is placed by its distance in time from a frame that is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

# Frames that wait for their other half. A stream keeps its order, so a half that is still
# missing when a later frame is whole will not come any more.
WAITING = 8
# After that many pictures without any sound a picture is not kept waiting for one.
SILENT_SOURCE = 25
# The epoch of pictures from a source whose sound was never heard: older than any that is named.
UNNAMED = -1


@dataclass(frozen=True)
class Frame:
    """One frame as it arrived: `picture` is JPEG, `sound` int16 PCM, None for what is missing.

    `stamp` is when the frame is to be seen, ns of ROS time. `way`, s before the stamp: the clip
    that begins here had its sound, and its pictures.
    """

    stamp: int
    index: int = 0
    epoch: int = 0
    state: str = 'idle'
    picture: bytes | None = None
    sound: bytes | None = None
    way: tuple[float, float] | None = None


class Pairing:
    """Joins the halves of frames by their stamp and hands them on in their order."""

    def __init__(self, fps: float = 25) -> None:
        self.incomplete = 0
        self.pace(fps)
        self._waiting: dict[int, Frame] = {}
        self._known: Frame | None = None
        self._unheard = 0

    def pace(self, fps: float | Fraction) -> None:
        """Set how many frames come each second."""
        self._period = round(1_000_000_000 / fps)

    def add_sound(self, frame: Frame) -> list[Frame]:
        """Take a sound with its frame's names; return the frames that are now settled."""
        self._unheard = 0
        self._known = frame
        return self._join(frame)

    def add_picture(self, stamp: int, picture: bytes, state: str) -> list[Frame]:
        """Take a picture; `state` is used where no sound ever named one."""
        self._unheard = min(self._unheard + 1, SILENT_SOURCE)
        settled = self._join(Frame(stamp, state=state, picture=picture))
        if self._unheard == SILENT_SOURCE:
            settled += self._settle(len(self._waiting))
        return settled

    def _join(self, half: Frame) -> list[Frame]:
        other = self._waiting.get(half.stamp)
        if other is None:
            self._waiting[half.stamp] = half
            return self._settle(len(self._waiting) - WAITING)
        named, shown = (half, other) if half.sound is not None else (other, half)
        self._waiting[half.stamp] = replace(named, picture=shown.picture)
        older = sum(stamp <= half.stamp for stamp in self._waiting)
        return self._settle(older)

    def _settle(self, count: int) -> list[Frame]:
        """Let go of the `count` oldest frames, whole or not."""
        settled = []
        for stamp in sorted(self._waiting)[: max(0, count)]:
            frame = self._waiting.pop(stamp)
            if self._known is not None and None in (frame.picture, frame.sound):
                self.incomplete += 1
            settled.append(frame if frame.sound is not None else self._placed(frame))
        return settled

    def _placed(self, frame: Frame) -> Frame:
        known = self._known
        if known is None:
            return replace(frame, index=round(frame.stamp / self._period), epoch=UNNAMED)
        distance = round((frame.stamp - known.stamp) / self._period)
        return replace(frame, index=known.index + distance, epoch=known.epoch, state=known.state)


class Slots:
    """Numbers frames for a recording: follows their index, and their stamps where it breaks.

    An index breaks when an avatar is started anew. `slot` never falls within one source, and a
    new source goes on where the old one would have been by its stamps.
    """

    def __init__(self, fps: float = 25) -> None:
        self.pace(fps)
        self._offset: int | None = None
        self._last: Frame | None = None

    def pace(self, fps: float | Fraction) -> None:
        """Set how many frames come each second."""
        self._period = round(1_000_000_000 / fps)

    def slot(self, frame: Frame) -> int:
        """Place of `frame` in the recording."""
        if self._last is None or self._offset is None:
            self._offset = -frame.index
        else:
            by_stamp = round((frame.stamp - self._last.stamp) / self._period)
            by_index = frame.index - self._last.index
            if abs(by_index - by_stamp) > 12:
                self._offset += max(by_stamp, 0) - by_index
        self._last = frame
        return frame.index + self._offset
