"""The voice that faces speak with while they are measured: that of the demo."""

from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np

from llia_ros.audio.files import read
from llia_ros.audio.stream import RATE

_LOUD = 300  # samples beyond this are no silence
_SPOKEN = ('story.ogg', 'introduction.ogg', 'request.ogg')


@cache
def _spoken() -> np.ndarray:
    folder = Path(str(resources.files('llia_ros'))) / 'demo' / 'speech'
    parts = []
    for name in _SPOKEN:
        samples = read(folder / name)
        loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _LOUD)
        parts.append(samples[loud[0] : loud[-1] + 1])
    return np.concatenate(parts)


def voice(seconds: float) -> np.ndarray:
    """Return so much speech, int16 (n,) at 16 kHz, over and over again where it is long."""
    return np.resize(_spoken(), round(seconds * RATE))
