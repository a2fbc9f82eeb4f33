"""Sound files of any kind as 16 kHz mono, and played at the pace of real time."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr

from llia_ros.audio.stream import RATE


class SoundFileError(ValueError):
    """A file holds no sound that can be read."""


def read(path: str | Path) -> np.ndarray:
    """A wav, flac, ogg or mp3 of any rate and channel count as int16 (n,) at 16 kHz.

    16 kHz mono PCM comes out bit-exact. Raises SoundFileError.
    """
    file = Path(path)
    if not str(path) or not file.exists():
        raise SoundFileError(f'sound file {str(path)!r} does not exist: give the path of a file')
    if file.is_dir():
        raise SoundFileError(f'{str(path)!r} is a folder: give the path of a sound file')
    try:
        samples, rate = soundfile.read(file, dtype='float32', always_2d=True)
    except (soundfile.LibsndfileError, OSError, ValueError, TypeError, MemoryError) as error:
        reason = ' '.join(str(error).split()).rstrip('.')
        raise SoundFileError(
            f'{str(path)!r} is not a readable sound file ({reason}): wav, flac, ogg and mp3 are'
        ) from None
    if not samples.size:
        raise SoundFileError(f'sound file {str(path)!r} is empty: it has no samples')
    mono = samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]
    if not np.isfinite(mono).all():
        raise SoundFileError(f'sound file {str(path)!r} holds values that are no numbers')
    if rate != RATE:
        mono = soxr.resample(mono, rate, RATE)
    return np.clip(np.rint(mono * 32768.0), -32768, 32767).astype(np.int16)


def play(
    samples: np.ndarray,
    chunk: int,
    emit: Callable[[np.ndarray, float], None],
    stopped: threading.Event,
    start: float | None = None,
) -> float:
    """Hand out `samples` in chunks at real-time pace, as a microphone would.

    `emit(samples, age)` gets each chunk when its last sample is due; `age` is how many seconds
    ago its first sample was. `start` is the time.monotonic() of the first sample; returns that
    of the sample after the last, to go on from. Setting `stopped` ends it early.
    """
    begun = time.monotonic() if start is None else start
    for position in range(0, len(samples), chunk):
        part = samples[position : position + chunk]
        due = begun + (position + len(part)) / RATE
        if stopped.wait(max(0.0, due - time.monotonic())):
            break
        emit(part, time.monotonic() - due + len(part) / RATE)
    return begun + len(samples) / RATE
