"""Cuts the far end's sound into utterances, so that the face rests when nobody speaks there."""

from __future__ import annotations

import numpy as np

from llia_ros.audio.stream import RATE, SECOND, Chunk
from llia_ros.audio.voice_activity import BLOCK, VoiceActivity

# Speech is noticed that late at most; what came before is kept for its beginning.
KEPT = RATE
# A voice opens the way from its first sure block on: a noise that gets through is only heard.
ATTACK = 0.03


class Utterances:
    """Lets sound through while there is a voice in it; an empty chunk ends an utterance.

    `threshold` (probability) and `release` (s of silence that end it) as of the voice activity.
    """

    def __init__(self, threshold: float, release: float) -> None:
        self._activity = VoiceActivity(threshold, ATTACK, release)
        self._kept = np.zeros(0, np.int16)
        self.spoken = 0

    @property
    def speaking(self) -> bool:
        """Whether an utterance is open."""
        return self._activity.speaking

    def tune(self, threshold: float, release: float) -> None:
        """Set both anew, as parameters may change."""
        self._activity.hysteresis.threshold = threshold
        self._activity.hysteresis.release = release

    def push(self, chunk: Chunk) -> list[Chunk]:
        """16 kHz mono as it comes; returns what belongs to utterances, and their ends."""
        before = self.speaking
        changes = self._activity.push(chunk.samples)
        position = self._activity.position
        recent = np.concatenate([self._kept, chunk.samples])
        self._kept = recent[-KEPT:]

        def since(first: int) -> Chunk:
            count = min(len(recent), position - first)
            late = (len(chunk.samples) - count) * SECOND // RATE
            return Chunk(recent[len(recent) - count :], chunk.stamp + late)

        out = [chunk] if before and len(chunk.samples) else []
        for change in changes:
            if change.speaking:
                self.spoken += 1
                out.append(since(max(0, change.position - BLOCK)))
            else:
                out.append(Chunk(chunk.samples[:0], chunk.end))
                self._kept = self._kept[:0]
        return out

    def end(self, stamp: int) -> list[Chunk]:
        """No more sound comes; ends an open utterance at `stamp` ns."""
        self._kept = self._kept[:0]
        return [Chunk(self._kept, stamp) for _ in self._activity.end()]
