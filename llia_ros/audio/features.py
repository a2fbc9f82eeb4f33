"""Log-mel columns of a voice, one every 10 ms, the same whether streamed or computed at once."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

RATE = 16000
HOP = 160
WINDOW = 400
FFT = 512
BINS = 64
COLUMNS_PER_FRAME = 4

LOWEST_HZ = 50.0
HIGHEST_HZ = 7600.0

# A sine of full scale has log10 power 4; the noise of 16 bit rounding lies below the floor, so
# that digital silence, dithered or not, is this one value.
RANGE = 4.0
SILENCE = -1.0
SILENCE_COLUMN: NDArray[np.float32] = np.full(BINS, SILENCE, np.float32)
SILENCE_COLUMN.setflags(write=False)

_Array = NDArray[np.floating[Any]]

# Bounds the memory of a long file; columns do not depend on it.
_BATCH = 2048


class WindowShape(Protocol):
    """The part of a model's audio configuration that `windows` reads."""

    @property
    def bins(self) -> int:
        """Values a column."""

    @property
    def columns_before(self) -> int:
        """Columns that a frame hears before its own first one."""

    @property
    def columns_after(self) -> int:
        """Columns that a frame hears from its own first one on."""


def _mel(hertz: _Array) -> _Array:
    return 2595.0 * np.log10(1.0 + hertz / 700.0)


def _filters() -> tuple[NDArray[np.intp], _Array]:
    """Return each triangle as FFT bins and their weights, (taps, BINS) both, padded by zeros."""
    bins = _mel(np.arange(FFT // 2 + 1) * (RATE / FFT))
    low, high = _mel(np.array([LOWEST_HZ, HIGHEST_HZ]))
    edges = np.linspace(low, high, BINS + 2)
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(0.0, np.minimum(rise, fall))
    # The lowest triangles are narrower than an FFT bin and may miss all of them.
    centres = np.abs(bins - edges[1:-1, None]).argmin(axis=1)
    rows = np.arange(BINS)
    weights[rows, centres] = np.maximum(weights[rows, centres], 0.1)
    first = (weights > 0).argmax(axis=1)
    taps = int((weights > 0).sum(axis=1).max())
    index = np.minimum(first + np.arange(taps)[:, None], FFT // 2)
    chosen = weights[rows, index]
    chosen[first + np.arange(taps)[:, None] > FFT // 2] = 0.0
    return index, chosen


_HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
_INDEX, _WEIGHTS = _filters()


def _columns(samples: NDArray[np.int16], count: int) -> NDArray[np.float32]:
    """Return the columns of (WINDOW - HOP + HOP * count,) samples, (count, BINS)."""
    result = np.empty((count, BINS), np.float32)
    if not count:
        return result
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    for start in range(0, count, _BATCH):
        part = frames[start : min(count, start + _BATCH)] * (_HANN / 32768.0)
        spectrum = np.fft.rfft(part, FFT, axis=1)
        power = spectrum.real**2 + spectrum.imag**2
        # Summed tap by tap: a matrix product rounds differently for different row counts.
        total = np.zeros((len(part), BINS))
        for index, weight in zip(_INDEX, _WEIGHTS, strict=True):
            total += power[:, index] * weight
        result[start : start + _BATCH] = np.log10(np.maximum(total, 10.0**-RANGE)) / RANGE
    return result


def _checked(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    samples = np.asarray(samples)
    if samples.ndim != 1 or samples.dtype != np.int16:
        raise ValueError(
            f'samples must be one-dimensional int16 at {RATE} Hz, not {samples.dtype} of shape '
            f'{samples.shape}: convert them first'
        )
    return samples


class LogMel:
    """Turn a stream of 16 kHz sound into log-mel columns, each computed once.

    Column j covers the samples [160 j - 240, 160 j + 160) and is returned by the `push` that
    completes it. What comes before the stream counts as silence.
    """

    def __init__(self) -> None:
        self._pending: NDArray[np.int16] = np.zeros(0, np.int16)
        self.reset()

    def reset(self) -> None:
        """Forget all sound: the next sample pushed is sample 0 of a new stream."""
        self._pending = np.zeros(WINDOW - HOP, np.int16)

    def push(self, samples: NDArray[np.int16]) -> NDArray[np.float32]:
        """Return the columns that these int16 samples complete, (n, 64) float32, n may be 0.

        Raises ValueError for samples that are not one-dimensional int16.
        """
        self._pending = np.concatenate([self._pending, _checked(samples)])
        count = (len(self._pending) - (WINDOW - HOP)) // HOP
        columns = _columns(self._pending, count)
        self._pending = self._pending[count * HOP :].copy()
        return columns


def log_mel(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return all columns of int16 sound at 16 kHz, (len(samples) // 160, 64) float32.

    Raises ValueError for samples that are not one-dimensional int16.
    """
    return LogMel().push(samples)


def windows(
    columns: NDArray[np.float32],
    first_frame: int,
    frames: int,
    config: WindowShape,
    first_column: int = 0,
) -> NDArray[np.float32]:
    """Return what each frame hears, (frames, columns_before + columns_after, 64) float32.

    Frame k hears the columns [4 k - columns_before, 4 k + columns_after). `columns` (n, 64)
    starts with column `first_column` of the stream; columns it lacks on either side are silence.
    Raises ValueError for columns of another width than the configuration's.
    """
    columns = np.asarray(columns, np.float32)
    if columns.ndim != 2 or columns.shape[1] != config.bins:
        raise ValueError(
            f'columns must have shape (n, {config.bins}), not {columns.shape}: use log_mel'
        )
    length = config.columns_before + config.columns_after
    start = COLUMNS_PER_FRAME * first_frame - config.columns_before - first_column
    needed = COLUMNS_PER_FRAME * max(0, frames - 1) + length
    span = np.full((needed, config.bins), SILENCE, np.float32)
    low, high = max(0, start), min(len(columns), start + needed)
    if low < high:
        span[low - start : high - start] = columns[low:high]
    views = np.lib.stride_tricks.sliding_window_view(span, length, axis=0)[::COLUMNS_PER_FRAME]
    return np.ascontiguousarray(views[:frames].transpose(0, 2, 1))
