"""What frames hear of a track, taken from its samples by windows that do not depend on chunks."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from llia_ros.audio.features import COLUMNS_PER_FRAME, HOP, SILENCE, WINDOW, LogMel, windows
from llia_ros.model.config import AudioConfig
from llia_ros.model.pretrained import SpeechConfig
from llia_ros.runtime.engine_config import EngineConfig

# Columns whose samples must be heard again before a column comes out right after a jump back.
_REHEARD = -(-(WINDOW - HOP) // HOP) + 1

# From one sample of the track to another; silence where there is none.
Samples = Callable[[int, int], np.ndarray]


class Ears(Protocol):
    """Hears for frames in their order; F frames have windows (F, rows, ...), see `silence`."""

    def hear(self, first: int, frames: int) -> np.ndarray:
        """Return what some frames hear."""

    def rewind(self, sample: int) -> None:
        """Unhear what comes after a sample: it will be another."""

    def forget(self, frame: int) -> int:
        """Free what only frames before `frame` need; return the first sample still needed."""


class LogMelEars:
    """Windows of log-mel columns (F, columns, bins), each column computed once."""

    def __init__(self, audio: AudioConfig, frame: int, samples: Samples) -> None:
        """`frame`: samples a frame."""
        self._audio, self._frame, self._samples = audio, frame, samples
        self._mel = LogMel()
        self._heard = 0  # samples that became columns
        self._columns = np.zeros((0, audio.bins), np.float32)
        self._first_column = 0

    def hear(self, first: int, frames: int) -> np.ndarray:
        """Return what some frames hear."""
        until = (COLUMNS_PER_FRAME * (first + frames - 1) + self._audio.columns_after) * HOP
        if until > self._heard:
            new = self._mel.push(self._samples(self._heard, until))
            self._columns = np.concatenate([self._columns, new])
            self._heard = until
        return windows(self._columns, first, frames, self._audio, self._first_column)

    def rewind(self, sample: int) -> None:
        """Unhear the columns that end after a sample."""
        start = sample // HOP
        if start * HOP >= self._heard:
            return
        self._columns = self._columns[: max(0, start - self._first_column)]
        self._mel.reset()
        self._mel.push(self._samples((start - _REHEARD) * HOP, start * HOP))
        self._heard = start * HOP

    def forget(self, frame: int) -> int:
        """Free columns; return the first sample still needed."""
        columns = COLUMNS_PER_FRAME * frame - self._audio.columns_before - self._first_column
        if columns > 256:
            self._columns = self._columns[columns:].copy()
            self._first_column += columns
        return min(frame * self._frame, self._heard) - 4 * WINDOW


class SoundEars:
    """Windows of the sound itself (F, samples), int16, for a model with a speech encoder."""

    def __init__(self, audio: SpeechConfig, frame: int, past: int, samples: Samples) -> None:
        """`frame`: samples a frame; `past`: frames before a clip, which are heard with it."""
        self._before = audio.samples_before + past * frame
        self._after, self._frame, self._samples = audio.samples_after, frame, samples

    def hear(self, first: int, frames: int) -> np.ndarray:
        """Return what some frames hear."""
        start, length = first * self._frame - self._before, self._before + self._after
        sound = self._samples(start, start + length + (frames - 1) * self._frame)
        views = np.lib.stride_tricks.sliding_window_view(sound, length)
        return np.ascontiguousarray(views[:: self._frame])

    def rewind(self, sample: int) -> None:
        """Do nothing: no sound is kept."""

    def forget(self, frame: int) -> int:
        """Return the first sample still needed."""
        return frame * self._frame - self._before


def ears(config: EngineConfig, samples: Samples) -> Ears:
    """Return the ears of a model."""
    audio, frame = config.audio, config.samples_per_frame
    if isinstance(audio, AudioConfig):
        return LogMelEars(audio, frame, samples)
    return SoundEars(audio, frame, config.past_frames, samples)


def silence(config: EngineConfig, frames: int) -> np.ndarray:
    """Return what frames hear where nobody speaks."""
    audio = config.audio
    if isinstance(audio, AudioConfig):
        return np.full((frames, audio.columns, audio.bins), SILENCE, np.float32)
    past = config.past_frames * config.samples_per_frame
    return np.zeros((frames, audio.samples_before + audio.samples_after + past), np.int16)


def followed_by_silence(config: EngineConfig, heard: np.ndarray, length: int) -> np.ndarray:
    """Lengthen what frames hear to `length` frames; nobody will see those added."""
    extra = length - len(heard)
    if extra <= 0:
        return heard
    quiet = silence(config, extra)
    rows = heard.shape[1]
    step = COLUMNS_PER_FRAME if heard.ndim == 3 else config.samples_per_frame
    for at in range(extra):
        left = rows - step * (at + 1)
        if left > 0:
            quiet[at, :left] = heard[-1, rows - left :]
    return np.concatenate([heard, quiet])
