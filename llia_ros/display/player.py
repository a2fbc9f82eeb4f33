"""Plays frames as they arrive: sound on a clock, each picture with its sound, nothing old."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from llia_ros.display.timeline import SUDDEN, Timeline

# A picture may be drawn that much before its sound, s: half of what a screen takes to show it,
# so lips are as often before as after.
EARLY = 0.008
MOST_PICTURES = 25
QUIET = 50  # of 32768
RATE = 16000
# A card that has not moved for that long was pulled out, s.
STUCK = 1.0


class Clock(Protocol):
    """What leads: a loudspeaker, or the time of day where there is none."""

    @property
    def written(self) -> float:
        """Seconds up to which it is too late to place sound."""

    @property
    def heard(self) -> float:
        """Second that is heard now."""

    def place(self, time: float, samples: np.ndarray) -> bool:
        """Play int16 samples at a second; False where that is too late."""

    def silence(self) -> None:
        """Play nothing of what was placed any more."""


class SilentClock:
    """The clock of a machine without a loudspeaker."""

    @property
    def written(self) -> float:
        """Now."""
        return time.monotonic()

    heard = written

    def place(self, time: float, samples: np.ndarray) -> bool:
        """Nobody hears it."""
        return True

    def silence(self) -> None:
        """There is nothing else."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture, uint8 (height, width, 3), of a frame."""

    index: int
    pixels: np.ndarray


class Player:
    """Takes sounds and pictures from one thread, tells another which picture is due."""

    def __init__(self, clock: Clock) -> None:
        self.epoch = -1
        self.late = self.skipped = self.stale = self.sounds = 0
        self.skew = 0.0
        self._clock = clock
        self._timeline = Timeline()
        self._pictures: dict[int, Picture] = {}
        self._shown = -1.0
        self._sound_at = -SUDDEN
        self._moved = (-1.0, time.monotonic())
        self._lock = threading.Lock()
        self._forget()

    @property
    def moved(self) -> int:
        """How often the timeline had to move."""
        return self._timeline.moved

    def admit(self, epoch: int) -> bool:
        """Drop everything older than an epoch; False if the epoch itself is older."""
        with self._lock:
            if epoch < self.epoch:
                self.stale += 1
                return False
            if epoch > self.epoch:
                self.epoch = epoch
                self._forget()
            return True

    def take_sound(self, index: int, epoch: int, samples: np.ndarray) -> None:
        """Take the int16 samples (16 kHz) of a frame."""
        if not self.admit(epoch):
            return
        with self._lock:
            self.sounds += 1
            self._sound_at = time.monotonic()
            if len(samples):
                self._timeline.period = len(samples) / RATE
            quiet = not len(samples) or int(np.abs(samples.astype(np.int32)).max()) < QUIET
            begin = self._timeline.place(index, self._clock.written, quiet)
            if len(samples):
                self.late += not self._clock.place(begin, samples)

    def take_picture(self, index: int, epoch: int, pixels: np.ndarray) -> None:
        """Take the picture of a frame; without sound the pictures themselves set the pace."""
        if not self.admit(epoch):
            return
        with self._lock:
            if time.monotonic() - self._sound_at > SUDDEN:
                self._timeline.place(index, self._clock.written, True)
            if index <= self._shown:
                self.late += 1
                return
            self._pictures[index] = Picture(index, pixels)
            if len(self._pictures) > MOST_PICTURES:
                del self._pictures[min(self._pictures)]
                self.skipped += 1

    def due(self) -> Picture | None:
        """The picture to draw now, or None where the one on the screen is still right."""
        with self._lock:
            heard = self._timeline.frame_at(self._clock.heard + EARLY)
            if self.stuck:
                heard = float('inf')
            ready = [index for index in self._pictures if index <= heard]
            if not ready:
                return None
            best = max(ready)
            picture = self._pictures[best]
            for index in ready:
                del self._pictures[index]
            self.skipped += len(ready) - 1
            self._shown = best
            begins = self._timeline.starts(best)
            self.skew = 0.0 if self.stuck else self._clock.heard - begins
            return picture

    @property
    def stuck(self) -> bool:
        """Whether the sound card stands still."""
        written, now = self._clock.written, time.monotonic()
        if written != self._moved[0]:
            self._moved = (written, now)
        return now - self._moved[1] > STUCK

    def _forget(self) -> None:
        self._clock.silence()
        self._pictures.clear()
        self._timeline.forget()
        self._shown = -1.0
