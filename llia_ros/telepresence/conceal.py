"""Sound without clicks where packets are missing, and a little longer or shorter than it was."""

from __future__ import annotations

import numpy as np

from llia_ros.audio.stream import RATE

# Of a voice: from 400 Hz down to 50 Hz.
SHORTEST, LONGEST = RATE // 400, RATE // 50
OVERLAP = RATE // 200
# A hole is filled with the last period, which has faded away after that many samples.
FADED = RATE * 60 // 1000
_RISE = np.linspace(0.0, 1.0, OVERLAP + 2)[1:-1]


def crossfade(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """From `old` to `new`, both (OVERLAP,), as float."""
    return old * (1.0 - _RISE) + new * _RISE


def lengthen(samples: np.ndarray, count: int) -> np.ndarray:
    """int16 (n,) with its last `count` samples heard twice; n >= count + OVERLAP."""
    end = len(samples) - OVERLAP
    seam = crossfade(samples[end:], samples[end - count : len(samples) - count])
    return np.concatenate([samples[:end], _int16(seam), samples[len(samples) - count :]])


def shorten(samples: np.ndarray, count: int) -> np.ndarray:
    """int16 (n,) without `count` samples before its end; n >= count + OVERLAP."""
    end = len(samples) - count
    seam = crossfade(samples[end - OVERLAP : end], samples[len(samples) - OVERLAP :])
    return np.concatenate([samples[: end - OVERLAP], _int16(seam)])


class Concealer:
    """Fills holes in a stream of 16 kHz mono: the last period of the voice again, fading away."""

    def __init__(self) -> None:
        self._past = np.zeros(2 * LONGEST + OVERLAP)
        self._period = np.zeros(0)
        self._step = 0.0
        self._given = 0

    def heard(self, samples: np.ndarray) -> np.ndarray:
        """int16 (n,) that came; returned with its beginning faded in after a hole."""
        if len(self._period) and len(samples) >= OVERLAP:
            blended = crossfade(self._go_on(OVERLAP), samples[:OVERLAP])
            samples = np.concatenate([_int16(blended), samples[OVERLAP:]])
        self._period = self._period[:0]
        return self._remember(samples)

    def missing(self, count: int) -> np.ndarray:
        """int16 (count,) for samples that did not come."""
        if not len(self._period):
            self._begin()
        return self._remember(_int16(self._go_on(count)))

    def _remember(self, samples: np.ndarray) -> np.ndarray:
        self._past = np.concatenate([self._past, samples])[-len(self._past) :]
        return samples

    def _begin(self) -> None:
        past = self._past
        lag = _period_of(past)
        period = past[-lag:].copy()
        # The loop's end leads to its beginning, and its beginning goes on from what was heard.
        overlap = min(OVERLAP, lag)
        rise = np.linspace(0.0, 1.0, overlap)
        before = past[-lag - overlap : -lag]
        period[-overlap:] = period[-overlap:] * (1.0 - rise) + before * rise
        self._period = period
        self._step = float(past[-1] - past[-lag - 1])
        self._given = 0

    def _go_on(self, count: int) -> np.ndarray:
        at = np.arange(self._given, self._given + count)
        self._given += count
        gain = np.clip(1.0 - at / FADED, 0.0, 1.0)
        correction = self._step * np.clip(1.0 - at / OVERLAP, 0.0, 1.0)
        looped = self._period[at % len(self._period)]
        return gain * (looped + correction)


def _period_of(past: np.ndarray) -> int:
    """The lag, in samples, at which the end of `past` is most like what came before it."""
    recent = past[-LONGEST:]
    energy = np.sqrt(np.sum(recent**2)) + 1e-9
    lags = np.arange(SHORTEST, LONGEST + 1)
    windows = np.lib.stride_tricks.sliding_window_view(past[-2 * LONGEST :], LONGEST)
    earlier = windows[LONGEST - lags]
    likeness = earlier @ recent / (np.sqrt(np.sum(earlier**2, axis=1)) + 1e-9) / energy
    # The first peak that is nearly as high as the highest: not two periods where one does.
    best = int(np.argmax(likeness >= 0.95 * likeness.max()))
    while best + 1 < len(lags) and likeness[best + 1] > likeness[best]:
        best += 1
    return int(lags[best])


def _int16(samples: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
