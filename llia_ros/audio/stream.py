"""Sound as it comes in: any rate, any chunk, any jitter, made 16 kHz mono with steady stamps."""

from dataclasses import dataclass

import numpy as np
import soxr

RATE = 16000
SECOND = 1_000_000_000
# Of soxr's recipes the first that keeps all that a face listens to; it holds back 15-40 ms.
QUALITY = 'MQ'


@dataclass(frozen=True)
class Chunk:
    """Sound, int16 (n,) at 16 kHz, and the time of its first sample in ns."""

    samples: np.ndarray
    stamp: int

    @property
    def end(self) -> int:
        """Time after the last sample, ns."""
        return self.stamp + len(self.samples) * SECOND // RATE


def to_mono(samples: np.ndarray) -> np.ndarray:
    """int16 (n, channels) as int16 (n,), the mean of the channels."""
    if samples.ndim == 1:
        return samples
    if samples.shape[1] == 1:
        return samples[:, 0]
    return np.rint(samples.mean(axis=1, dtype=np.float64)).astype(np.int16)


class Converter:
    """Makes a stream of any rate and channel count 16 kHz mono; both may change on the way.

    At 16 kHz it passes samples on unchanged. Otherwise the resampler holds a little back, which
    `flush` gives out at an utterance's end.
    """

    def __init__(self) -> None:
        self._rate = RATE
        self._resampler: soxr.ResampleStream | None = None
        self._taken = 0
        self._given = 0
        self._start = 0

    def push(self, samples: np.ndarray, rate: int, stamp: int) -> Chunk:
        """int16 (n,) or (n, channels) at `rate` Hz; the chunk may be longer, shorter or empty."""
        mono = np.ascontiguousarray(to_mono(samples))
        if rate != self._rate:
            rest = self.flush().samples
            self._rate = rate
            chunk = self.push(mono, rate, stamp)
            joined = np.concatenate([rest, chunk.samples])
            return Chunk(joined, chunk.stamp - len(rest) * SECOND // RATE)
        if rate == RATE:
            self._start, self._given = stamp, len(mono)
            return Chunk(mono, stamp)
        if self._resampler is None:
            self._resampler = soxr.ResampleStream(rate, RATE, 1, dtype='int16', quality=QUALITY)
            self._taken = self._given = 0
        self._start = stamp - self._taken * SECOND // rate
        self._taken += len(mono)
        return self._give(self._resampler.resample_chunk(mono))

    def flush(self) -> Chunk:
        """What the resampler held back; the stream begins anew after it."""
        if self._resampler is None:
            return self._give(np.zeros(0, np.int16))
        rest = self._resampler.resample_chunk(np.zeros(0, np.int16), last=True)
        self._resampler = None
        return self._give(rest)

    def _give(self, converted: np.ndarray) -> Chunk:
        stamp = self._start + self._given * SECOND // RATE
        self._given += len(converted)
        return Chunk(converted.reshape(-1), stamp)


class SampleClock:
    """Steady stamps for a stream whose chunks arrive with jitter.

    Time goes by the sample count and is drawn slowly (1 % a chunk) to what is measured, so that
    it follows the drift of a sound card. A jump of more than `jump` ns, samples that were lost,
    is taken over at once.
    """

    def __init__(self, rate: int, jump: int = 100_000_000) -> None:
        self._rate = rate
        self._jump = jump
        self._start: float | None = None
        self._position = 0
        self.jumps = 0

    def stamp(self, count: int, measured: int) -> int:
        """Stamp (ns) of `count` samples the first of which was measured to be at `measured`."""
        if self._start is None:
            self._start = float(measured)
        expected = self._start + self._position * SECOND / self._rate
        error = measured - expected
        if abs(error) > self._jump:
            self.jumps += 1
            self._start += error
        else:
            self._start += 0.01 * error
        stamp = round(self._start + self._position * SECOND / self._rate)
        self._position += count
        return stamp


class Blocks:
    """Cuts a stream into blocks of one length and knows where each begins."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._rest = np.zeros(0, np.int16)
        self._position = 0

    @property
    def end(self) -> int:
        """Position after everything that was added."""
        return self._position + len(self._rest)

    def push(self, samples: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """Add int16 (n,); returns (position of the first sample, block) of each full block."""
        joined = np.concatenate([self._rest, samples])
        whole = len(joined) // self._length
        blocks = [
            (
                self._position + i * self._length,
                joined[i * self._length : (i + 1) * self._length],
            )
            for i in range(whole)
        ]
        self._rest = joined[whole * self._length :]
        self._position += whole * self._length
        return blocks

    def flush(self) -> tuple[int, np.ndarray]:
        """What is left of less than a block's length, with its position; may be empty."""
        position, rest = self._position, self._rest
        self._position += len(rest)
        self._rest = np.zeros(0, np.int16)
        return position, rest
