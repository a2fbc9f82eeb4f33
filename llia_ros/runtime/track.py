"""The sound that leaves the robot, laid on frames: speech where there is some, silence elsewhere.

Its sample count is the engine's only clock. It also knows what each frame hears and which frames
carry speech.
"""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from llia_ros.runtime.ears import ears
from llia_ros.runtime.engine_config import EngineConfig


@dataclass
class Region:
    """One utterance on the track; positions in frames, lengths in samples."""

    first: int
    samples: int = 0
    end: int | None = None  # frame after its last one, once it is known
    ended_at: float = 0.0
    hang: int = 0  # frames after its end still drawn as speaking
    voiced: bytearray = field(default_factory=bytearray)
    totals: list[int] = field(default_factory=list)  # samples there after each chunk,
    times: list[float] = field(default_factory=list)  # and when it arrived


class Track:
    """Holds the last seconds of the output sound; used by one thread."""

    def __init__(self, config: EngineConfig, quiet: int = 100, hang: int = 20) -> None:
        """Start in silence.

        `quiet`: samples up to this size are silence; `hang`: frames of silence within an
        utterance that still count as speaking.
        """
        self.config = config
        self.frame = config.samples_per_frame
        self.gap = -(-config.lookahead // self.frame)  # what an utterance's last frame hears
        self.free = 0  # first frame where sound may be laid
        self._quiet, self._hang = quiet, hang
        self._regions: deque[Region] = deque()
        self._sound = np.zeros(0, np.int16)
        self._begin = 0  # sample of the track at _sound[0]
        self._ears = ears(config, self._samples)

    @property
    def end(self) -> int:
        """Samples laid so far; silence after that."""
        return self._begin + len(self._sound)

    @property
    def open(self) -> Region | None:
        """The utterance that may still grow."""
        return self._regions[-1] if self._regions and self._regions[-1].end is None else None

    @property
    def last(self) -> Region | None:
        """The latest utterance."""
        return self._regions[-1] if self._regions else None

    @property
    def drawable(self) -> int | None:
        """First frame whose sound is not yet there, ahead included; None: silence from here on."""
        if self.open is None:
            return None
        return max(0, self.end - self.config.lookahead) // self.frame

    def begin(self, first: int) -> None:
        """Begin an utterance at a frame, which must not lie before `free`."""
        assert self.open is None and first >= self.free
        self._lay(np.zeros(max(0, first * self.frame - self.end), np.int16))
        self._regions.append(Region(first))

    def lay(self, samples: np.ndarray, arrived: float) -> None:
        """Add samples (int16) to the open utterance."""
        region = self.open
        assert region is not None
        region.samples += len(samples)
        region.totals.append(region.samples)
        region.times.append(arrived)
        self._ears.rewind(self.end)  # silence was assumed here
        self._lay(samples)
        self._note_voice(region, region.samples // self.frame)

    def finish(self, now: float, hang: int = 0) -> None:
        """End the open utterance: silence to the end of its last frame and beyond."""
        region = self.open
        assert region is not None
        region.end = region.first - (-region.samples // self.frame)
        region.ended_at, region.hang = now, hang
        self._lay(np.zeros(max(0, region.end * self.frame - self.end), np.int16))
        self._note_voice(region, region.end - region.first)
        self.free = region.end + self.gap

    def cut(self, first: int) -> None:
        """Take back all sound from a frame on, as if it had never come."""
        while self._regions and self._regions[-1].first >= first:
            self._regions.pop()
        if self._regions:
            region = self._regions[-1]
            if region.end is None or region.end + region.hang > first:
                region.end = min(first, region.end if region.end is not None else first)
                region.samples = min(region.samples, (region.end - region.first) * self.frame)
                region.hang = first - region.end
                del region.voiced[region.end - region.first :]
        self._ears.rewind(first * self.frame)
        self._sound = self._sound[: max(0, first * self.frame - self._begin)]
        self.free = first

    def forget(self, frame: int) -> None:
        """Free what only frames before `frame` need."""
        samples = self._ears.forget(frame) - self._begin
        if samples > 32000:
            self._sound = self._sound[samples:].copy()
            self._begin += samples
        while len(self._regions) > 1 and self._regions[1].first <= frame:
            self._regions.popleft()
        for region in self._regions:
            done = bisect_left(region.totals, (frame - region.first) * self.frame)
            if done > 256:
                del region.totals[:done], region.times[:done]

    def speech(self, frame: int) -> Region | None:
        """Return the utterance whose sound this frame carries."""
        for region in reversed(self._regions):
            if region.first <= frame:
                return region if region.end is None or frame < region.end else None
        return None

    def speaking(self, frame: int) -> bool:
        """Return whether a drawable frame belongs to speech: voiced, or just before or after."""
        for region in reversed(self._regions):
            if region.first <= frame:
                if region.end is not None and frame >= region.end:
                    return frame < region.end + region.hang
                at = frame - region.first
                return any(region.voiced[max(0, at - self._hang) : at + 2])
        return False

    def boundary(self, frame: int) -> int | None:
        """Return the first frame after this one where an utterance is known to begin or end."""
        edges = [
            edge
            for region in self._regions
            for edge in (region.first, region.end)
            if edge is not None and edge > frame
        ]
        return min(edges, default=None)

    def arrived(self, frame: int) -> float | None:
        """Return when the last sample that a frame of speech needs had arrived, else None."""
        region = self.speech(frame)
        if region is None or not region.totals:
            return None
        needed = (frame + 1 - region.first) * self.frame + self.config.lookahead
        if needed > region.samples:
            return max(region.times[-1], region.ended_at)
        return region.times[bisect_left(region.totals, needed)]

    def onset(self, frame: int) -> float | None:
        """Return when the first sound had arrived of the utterance that begins with a frame."""
        region = self.speech(frame)
        return region.times[0] if region and region.first == frame and region.times else None

    def sound(self, first: int, frames: int) -> np.ndarray:
        """Return the sound of some frames, int16 (frames, samples a frame)."""
        return self._samples(first * self.frame, (first + frames) * self.frame).reshape(frames, -1)

    def hear(self, first: int, frames: int) -> np.ndarray:
        """Return what some frames hear, as `ears` has it; silence after the end."""
        return self._ears.hear(first, frames)

    def _note_voice(self, region: Region, frames: int) -> None:
        known = len(region.voiced)
        if frames > known:
            sound = self.sound(region.first + known, frames - known)
            loud = (sound > self._quiet) | (sound < -self._quiet)
            region.voiced.extend(loud.any(1).astype(np.uint8).tobytes())

    def _lay(self, samples: np.ndarray) -> None:
        self._sound = np.concatenate([self._sound, samples])

    def _samples(self, start: int, stop: int) -> np.ndarray:
        samples = np.zeros(stop - start, np.int16)
        low, high = max(start, self._begin), min(stop, self.end)
        if low < high:
            samples[low - start : high - start] = self._sound[
                low - self._begin : high - self._begin
            ]
        return samples
