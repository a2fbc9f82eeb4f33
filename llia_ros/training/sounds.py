"""Speech without pictures: far more voices than scenes can hold, since nothing is rendered.

Voices read texts of any language by their own rules, at other speeds, pitches and sizes of the
head, with formants moved at random (as in vocal tract length perturbation, Jaitly and Hinton,
2013, but bent), and every second one is a voice that was invented for it.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soxr

from llia_ros.audio.features import COLUMNS_PER_FRAME, SILENCE, log_mel
from llia_ros.model.config import MOUTH
from llia_ros.training.augment import augment, non_speech
from llia_ros.training.espeak import SpeechError, data_folder, use_data
from llia_ros.training.invented_voices import Inventor
from llia_ros.training.speech import (
    RATE,
    TRAIN_TEXTS,
    TRAIN_VOICES,
    Utterance,
    random_utterance,
    speak,
)
from llia_ros.training.texts import random_text

# Languages with Latin letters, none of them held out, and variants, none of them held out.
LANGUAGES = (
    *('en-us', 'en-gb', 'en-gb-scotland', 'en-gb-x-rp', 'en-029', 'de', 'fr-fr', 'fr-ch', 'es'),
    *('es-419', 'it', 'pt', 'pt-br', 'nl', 'pl', 'sv', 'cs', 'hu', 'tr', 'da', 'nb', 'et', 'eo'),
    *('hr', 'sk', 'sl', 'lt', 'lv', 'sq', 'ca', 'eu', 'id', 'af', 'is', 'cy', 'sw', 'la'),
)
VARIANTS = (
    *('', 'f2', 'f3', 'f4', 'f5', 'm1', 'm2', 'm3', 'm4', 'm7', 'Andy', 'Annie', 'linda'),
    *('klatt2', 'klatt3', 'Denis', 'Gene', 'Jacky', 'Lee', 'Marco', 'Mario', 'Michael', 'adam'),
    *('anika', 'antonio', 'belinda', 'benjamin', 'boris', 'caleb', 'david', 'edward', 'grandma'),
    *('iven', 'john', 'max', 'michel', 'miguel', 'pablo', 'paul', 'pedro', 'quincy', 'rob'),
    *('sandro', 'shelby', 'steph', 'travis', 'victor', 'zac', 'croak', 'whisper'),
)
KNOWN_SHARE = 0.2  # utterances by the voices and in the languages of the scenes
INVENTED_SHARE = 0.6  # of the others
BENT_SHARE = 0.3
NON_SPEECH_SHARE = 0.06
KEPT = 4000  # pieces of sound in memory
FIRST = 100

Sound = tuple[np.ndarray, np.ndarray]  # log-mel columns (4 T, M) and mouths (T, 5)


def resized(said: Utterance, factor: float) -> Utterance:
    """Return speech played `factor` times as fast: voices of smaller heads, and larger ones."""
    sound = soxr.resample(said.samples, RATE * factor, RATE)
    phones = tuple(replace(p, start=p.start / factor, end=p.end / factor) for p in said.phones)
    return replace(said, samples=sound, phones=phones)


def any_utterance(rng: np.random.Generator, inventor: Inventor) -> Utterance:
    """Return a random text by a random voice, which need not know its language."""
    languages = sorted(TRAIN_TEXTS)
    text = random_text(rng, TRAIN_TEXTS[languages[rng.integers(len(languages))]], 2)
    invented = rng.random() < INVENTED_SHARE
    variant = inventor.change(rng) if invented else rng.choice(VARIANTS)
    voice = f'{rng.choice(LANGUAGES)}+{variant}'.removesuffix('+')
    factor = float(rng.uniform(0.8, 1.4)) if rng.random() < 0.4 else 1.0
    rate = int(np.clip(rng.integers(110, 260) / factor, 80, 450))
    return resized(speak(text, voice, rate, int(rng.integers(5, 96))), factor)


def bent(columns_NM: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return columns whose bands are moved, each part of the spectrum its own way."""
    bins = columns_NM.shape[1]
    knots = np.linspace(0, bins - 1, 6)
    moves = rng.normal(0, 2.0, len(knots)) * (knots > 0)
    source = np.maximum.accumulate(np.arange(bins) + np.interp(np.arange(bins), knots, moves))
    source = source.clip(0, bins - 1.001)
    low, share = source.astype(int), source % 1
    return columns_NM[:, low] * (1 - share) + columns_NM[:, low + 1] * share


def one_sound(rng: np.random.Generator, inventor: Inventor) -> Sound:
    """Return the columns of a random sound and the mouths that make it; SpeechError for none."""
    if rng.random() < NON_SPEECH_SHARE:
        sound = non_speech(rng, 2.0)
        return log_mel(sound), np.zeros((len(sound) * 25 // RATE, len(MOUTH)), np.float32)
    if rng.random() < KNOWN_SHARE:
        said = random_utterance(rng, TRAIN_VOICES, TRAIN_TEXTS)
    else:
        said = any_utterance(rng, inventor)
    said = said.padded(*rng.uniform(0, 0.4, 2))
    sound = augment(said.samples, rng) if rng.random() < 0.75 else said.samples
    columns, mouth = log_mel(sound), said.mouth()
    if rng.random() < BENT_SHARE:
        columns = bent(columns, rng)
    frames = min(len(columns) // COLUMNS_PER_FRAME, len(mouth))
    if not frames:
        raise SpeechError('no sound is shorter than a frame')
    return columns[: frames * COLUMNS_PER_FRAME], mouth[:frames]


def _make(installed: Path, seed: int, queue: multiprocessing.Queue[Sound]) -> None:
    rng = np.random.default_rng(seed)
    with TemporaryDirectory() as folder:
        inventor = Inventor(installed, Path(folder))
        use_data(Path(folder))
        while True:
            try:
                columns, mouth = one_sound(rng, inventor)
            except SpeechError:  # a voice that has no sound for letters it does not know
                continue
            queue.put((columns.astype(np.float16), mouth))


def make_sounds(seed: int) -> Generator[Sound, None, None]:
    """Yield random sounds without end, made by a process that has its own voices.

    The synthesizer knows one folder of voices for the whole life of a process.
    """
    context = multiprocessing.get_context('spawn')
    queue: multiprocessing.Queue[Sound] = context.Queue(64)
    maker = context.Process(target=_make, args=(data_folder(), seed, queue), daemon=True)
    maker.start()
    try:
        while True:
            yield queue.get(timeout=120)
    finally:
        maker.terminate()
        maker.join()


class Sounds:
    """The last KEPT random sounds, and pieces drawn from them."""

    def __init__(self, seed: int):
        self.rng, self.made = np.random.default_rng(seed), make_sounds(seed)
        self.kept: deque[Sound] = deque(maxlen=KEPT)
        for _ in range(FIRST):
            self.add()

    def add(self) -> None:
        """Take one more sound; the oldest goes once there are KEPT."""
        self.kept.append(next(self.made))

    def end(self) -> None:
        """End the process that makes sounds."""
        self.made.close()

    def draw(self, count: int, frames: int, before: int, after: int) -> Sound:
        """Return pieces (count, before + 4 frames - 4 + after, M) and their mouths (count, F, 5).

        `before`, `after`: columns around the start of a piece's first and last frame.
        """
        bins = self.kept[0][0].shape[1]
        heard = np.full(
            (count, before + COLUMNS_PER_FRAME * (frames - 1) + after, bins), SILENCE, np.float32
        )
        shown = np.zeros((count, frames, len(MOUTH)), np.float32)
        for row, i in enumerate(self.rng.integers(len(self.kept), size=count)):
            columns, mouth = self.kept[i]
            first = int(
                self.rng.integers(min(0, len(mouth) - frames), max(1, len(mouth) - frames + 1))
            )
            low, high = max(first, 0), min(first + frames, len(mouth))
            shown[row, low - first : high - first] = mouth[low:high]
            start = COLUMNS_PER_FRAME * first - before
            low, high = max(start, 0), min(start + heard.shape[1], len(columns))
            heard[row, low - start : high - start] = columns[low:high]
        return heard, shown
