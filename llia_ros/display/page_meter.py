"""What the pages tell about themselves: when each frame was really drawn and heard.

A report comes from outside, so that its size, rate and content are checked; one that is not as
page/meter.js writes it is dropped and counted. Times are compared across processes: a page on
another machine needs a clock that is set like the sender's.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_BYTES = 4096
MOST_FRAMES = 20
MOST_CUTS = 4
# Reports a second of one page; a page sends 2.5.
MOST_RATE = 5.0
# A frame that is told more than a minute after its time, or before it, is a wrong clock.
LONGEST_MS = 60_000.0
# Ten minutes of frames.
WINDOW = 15_000
FPS = 25
PARTS = ('generation', 'hold', 'transport', 'page transport', 'lead', 'drawing', 'ours')


class ReportError(ValueError):
    """A report that no page of ours has written."""


@dataclass(frozen=True)
class Drawn:
    """A frame on a page: `stamp` (s) is when it is due, all others are ms after that.

    `arrived`: at the page; `heard`: its sound leaves the loudspeaker, None where there is none.
    """

    index: int
    epoch: int
    stamp: float
    arrived: float
    decoded: float
    drawn: float
    heard: float | None


@dataclass(frozen=True)
class Cut:
    """The last picture and the last sound of what `epoch` has ended, s; None: no sound."""

    epoch: int
    drawn: float
    heard: float | None


@dataclass(frozen=True)
class Marks:
    """Before a frame came to a page, ms after its stamp (before it: negative).

    `complete`: the last sample that its clip needed had come; `made`: its picture was ready;
    `received`: both were at the display.
    """

    complete: float
    made: float
    received: float


def read_report(text: object) -> tuple[list[Drawn], list[Cut]]:
    """Read a page's report; ReportError for anything else."""
    if not isinstance(text, str) or len(text) > MOST_BYTES:
        raise ReportError('no text, or too long a one')
    try:
        report = json.loads(text)
    except (ValueError, RecursionError):
        raise ReportError('no JSON') from None
    if not isinstance(report, dict) or set(report) != {'frames', 'cuts'}:
        raise ReportError('expected frames and cuts')
    frames = [
        Drawn(_whole(row[0]), _whole(row[1]), row[2], *_within(row[3:6]), row[6])
        for row in _rows(report['frames'], MOST_FRAMES, 7)
    ]
    if any(frame.heard is not None and abs(frame.heard) > LONGEST_MS for frame in frames):
        raise ReportError('a sound of another time')
    cuts = [
        Cut(_whole(epoch), drawn, heard)
        for epoch, drawn, heard in _rows(report['cuts'], MOST_CUTS, 3)
    ]
    return frames, cuts


def _rows(rows: Any, most: int, columns: int) -> list[list[Any]]:
    """Rows of finite numbers, of which only the last may be null."""
    if not isinstance(rows, list) or len(rows) > most:
        raise ReportError(f'expected at most {most} rows')
    for row in rows:
        if not isinstance(row, list) or len(row) != columns:
            raise ReportError(f'expected {columns} columns')
        for value in row if row[-1] is not None else row[:-1]:
            # json reads NaN and Infinity; a huge whole number is no float.
            if type(value) not in (int, float) or not abs(value) < 2**53:
                raise ReportError('expected finite numbers')
    return rows


def _whole(value: float) -> int:
    if value != int(value):
        raise ReportError('expected a whole number')
    return int(value)


def _within(milliseconds: list[float]) -> tuple[float, float, float]:
    if any(abs(value) > LONGEST_MS for value in milliseconds):
        raise ReportError('a frame of another time')
    arrived, decoded, drawn = milliseconds
    return arrived, decoded, drawn


class PageMeter:
    """Collects what pages report and says how well a face is seen and heard; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.begin()

    def begin(self) -> None:
        """Forget everything."""
        with self._lock:
            self.reports = self.dropped = 0
            self._last: dict[object, Drawn] = {}
            self._budget: dict[object, tuple[float, float]] = {}
            self._after: deque[float] = deque(maxlen=WINDOW)
            self._passed: deque[float] = deque(maxlen=WINDOW)
            self._jitter: deque[float] = deque(maxlen=WINDOW)
            self._offset: deque[float] = deque(maxlen=WINDOW)
            self._parts: dict[str, deque[float]] = {part: deque(maxlen=WINDOW) for part in PARTS}
            self._marks: dict[float, Marks] = {}
            self._cuts: deque[Cut] = deque(maxlen=MOST_CUTS)
            self._late = self._left_out = 0

    def mark(self, stamp: float, marks: Marks) -> None:
        """Note the way of a frame up to the display; only the newest few are kept."""
        with self._lock:
            self._marks[stamp] = marks
            while len(self._marks) > 2 * FPS:
                del self._marks[next(iter(self._marks))]

    def take(self, page: object, text: object, now: float) -> bool:
        """Take a report of `page` (anything hashable) at `now` (s); False if it is dropped."""
        with self._lock:
            try:
                self._admit(page, now)
                frames, cuts = read_report(text)
            except ReportError:
                self.dropped += 1
                return False
            self.reports += 1
            for frame in frames:
                self._add(page, frame)
            self._cuts += cuts
            return True

    def leave(self, page: object) -> None:
        """A page was closed."""
        with self._lock:
            self._last.pop(page, None)
            self._budget.pop(page, None)

    def figures(self) -> dict[str, Any]:
        """Values for /diagnostics: what the last ten minutes were like at the pages."""
        with self._lock:
            values: dict[str, Any] = {
                'page reports': self.reports,
                'page reports dropped': self.dropped,
                'page frames late': self._late,
                'page frames left out': self._left_out,
            }
            if self._passed:
                values['page fps'] = 1000 * len(self._passed) / sum(self._passed)
            series = {
                'page jitter': self._jitter,
                'page due to drawn': self._after,
                'page lips after sound': self._offset,
                **{f'way {part}': spent for part, spent in self._parts.items()},
            }
            for name, numbers in series.items():
                values |= _percentiles(name, numbers)
            if self._cuts:
                values['page cuts'] = '; '.join(map(_cut_text, self._cuts))
            return values

    def _admit(self, page: object, now: float) -> None:
        tokens, before = self._budget.get(page, (MOST_RATE, now))
        tokens = min(MOST_RATE, tokens + max(0.0, now - before) * MOST_RATE)
        self._budget[page] = (max(0.0, tokens - 1), now)
        if tokens < 1:
            raise ReportError('too many reports')

    def _add(self, page: object, frame: Drawn) -> None:
        last, self._last[page] = self._last.get(page), frame
        if last is not None and last.epoch == frame.epoch and frame.index > last.index:
            steps = frame.index - last.index
            self._left_out += steps - 1
            if steps <= FPS:
                passed = 1000 * (frame.stamp - last.stamp) + frame.drawn - last.drawn
                self._passed.append(max(passed, 0.001))
                self._jitter.append(abs(passed - 1000 * steps / FPS))
        self._after.append(frame.drawn)
        if frame.heard is not None:
            self._offset.append(frame.drawn - frame.heard)
            self._late += frame.drawn - frame.heard > 1000 / FPS
        marks = self._marks.pop(frame.stamp, None)
        if marks is not None:
            spent = (
                marks.made - marks.complete,
                -marks.made,
                marks.received,
                frame.arrived - marks.received,
                max(0.0, (frame.heard or frame.arrived) - frame.arrived),
                frame.drawn - max(frame.arrived, frame.heard or frame.arrived),
                frame.drawn - marks.complete,
            )
            for part, milliseconds in zip(PARTS, spent, strict=True):
                self._parts[part].append(milliseconds)


def read_cuts(text: str) -> list[Cut]:
    """Undo the value `page cuts`; ReportError for anything else."""
    cuts = []
    for part in filter(None, text.split('; ')):
        try:
            epoch, drawn, heard = part.split()
            cuts.append(Cut(int(epoch), float(drawn), None if heard == '-' else float(heard)))
        except ValueError:
            raise ReportError(f'page cuts {text!r}: expected epoch, drawn and heard') from None
    return cuts


def _cut_text(cut: Cut) -> str:
    heard = '-' if cut.heard is None else f'{cut.heard:.4f}'
    return f'{cut.epoch} {cut.drawn:.4f} {heard}'


def _percentiles(name: str, numbers: Sequence[float] | deque[float]) -> dict[str, float]:
    if not numbers:
        return {}
    values = np.fromiter(numbers, float)
    p50, p95, p99 = np.percentile(values, (50, 95, 99))
    told = {f'{name} p50 ms': float(p50), f'{name} p95 ms': float(p95)}
    if 'jitter' in name:
        told[f'{name} p99 ms'] = float(p99)
    if 'lips' in name:
        # An offset has a sign: its size is what is bounded.
        told[f'{name} size p95 ms'] = float(np.percentile(np.abs(values), 95))
    return told
