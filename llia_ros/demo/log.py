"""What the demo saw and heard on the topics, in the order of arrival; free of ROS."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from llia_ros.display.page_meter import Cut


@dataclass(frozen=True)
class Picture:
    """A picture that arrived; times in seconds of ROS time, `data` is JPEG.

    It is empty where a long conversation has more of them than memory should hold.
    """

    arrival: float
    stamp: float
    data: bytes


@dataclass(frozen=True)
class Sound:
    """The sound of one frame that arrived from the avatar; `level` is its RMS, 0 .. 1."""

    arrival: float
    stamp: float
    index: int
    epoch: int
    state: str
    level: float


@dataclass(frozen=True)
class Spoken:
    """A line that was begun: the conductor's or the user's, `start` and `end` (s)."""

    name: str
    speaker: str
    start: float
    end: float


@dataclass
class Log:
    """Everything that figures and plot are made of. Times in seconds of ROS time."""

    pictures: list[Picture] = field(default_factory=list)
    sounds: list[Sound] = field(default_factory=list)
    user: list[tuple[float, float]] = field(default_factory=list)
    states: list[tuple[float, str]] = field(default_factory=list)
    playing: list[tuple[float, bool]] = field(default_factory=list)
    user_speaks: list[tuple[float, bool]] = field(default_factory=list)
    spoken: list[Spoken] = field(default_factory=list)
    diagnostics: dict[str, dict[str, str]] = field(default_factory=dict)
    cuts: dict[int, Cut] = field(default_factory=dict)
    unusable: int = 0

    def line(self, name: str) -> Spoken | None:
        """The line of that name, if it was begun."""
        return next((line for line in self.spoken if line.name == name), None)

    def until(self, end: float) -> Log:
        """The same, as it was at `end`: of what arrives and is said, only what came before."""
        return replace(
            self,
            pictures=[picture for picture in self.pictures if picture.arrival < end],
            sounds=[sound for sound in self.sounds if sound.arrival < end],
            user=[entry for entry in self.user if entry[0] < end],
            states=[entry for entry in self.states if entry[0] < end],
            playing=[entry for entry in self.playing if entry[0] < end],
            user_speaks=[entry for entry in self.user_speaks if entry[0] < end],
            spoken=[line for line in self.spoken if line.start < end],
        )


def level(samples: np.ndarray) -> float:
    """RMS of int16 samples, 0 .. 1."""
    if not samples.size:
        return 0.0
    return float(np.sqrt(np.mean(np.square(samples.astype(np.float64) / 32768))))
