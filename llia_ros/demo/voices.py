"""Speaks the demo's lines anew with espeak-ng: `python -m llia_ros.demo.voices`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from llia_ros.demo.conversation import LINES, VOICES, Line
from llia_ros.training.speech import RATE, speak

RATES = {'user': 160, 'robot': 150}
# Speech files are brought to that share of full scale.
PEAK = 0.6


def spoken(line: Line) -> np.ndarray:
    """One line, int16 (n,) at 16 kHz, from its first sound to its last."""
    samples = speak(line.text, VOICES[line.speaker], RATES[line.speaker]).samples
    level = np.abs(samples.astype(np.int32))
    loud = np.flatnonzero(level > 0.02 * level.max())
    trimmed = samples[loud[0] : loud[-1] + 1].astype(np.float32)
    return (trimmed * (PEAK * 32767 / level.max())).astype(np.int16)


def main() -> None:
    """Write every line's file into the package."""
    folder = Path(__file__).parent / 'speech'
    folder.mkdir(exist_ok=True)
    for line in LINES:
        path = folder / f'{line.name}.ogg'
        soundfile.write(path, spoken(line), RATE, format='OGG', subtype='VORBIS')
        print(f'{path.name}: {path.stat().st_size / 1024:.0f} kB')


if __name__ == '__main__':
    main()
