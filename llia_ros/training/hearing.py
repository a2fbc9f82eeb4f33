"""The audio encoder by itself: far more voices than scenes can hold, since nothing is rendered.

Voices read texts of any language by their own rules, at other speeds, pitches and sizes of the
head, with formants moved at random (as in vocal tract length perturbation, Jaitly and Hinton,
2013, but bent), so that sounds come in orders and colours that no scene has.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import soxr
import torch
from torch import nn

from llia_ros.audio.features import COLUMNS_PER_FRAME, SILENCE, log_mel
from llia_ros.model.audio_encoder import AudioEncoder
from llia_ros.model.config import MOUTH, AudioConfig
from llia_ros.training.augment import augment, non_speech
from llia_ros.training.muon import Muon, split
from llia_ros.training.run import Run, device
from llia_ros.training.speech import (
    RATE,
    TRAIN_TEXTS,
    TRAIN_VOICES,
    SpeechError,
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
KEPT = 4000  # pieces of sound in memory
FIRST = 100
FRAMES_A_STEP = 1024
FOREIGN_SHARE = 0.7  # utterances by any voice in any language's text
BENT_SHARE = 0.5
NON_SPEECH_SHARE = 0.06


def resized(said: Utterance, factor: float) -> Utterance:
    """Return speech played `factor` times as fast: voices of smaller heads, and larger ones."""
    sound = soxr.resample(said.samples, RATE * factor, RATE)
    phones = tuple(replace(p, start=p.start / factor, end=p.end / factor) for p in said.phones)
    return replace(said, samples=sound, phones=phones)


def any_utterance(rng: np.random.Generator) -> Utterance:
    """Return a random text by a random voice, which need not know its language."""
    languages = sorted(TRAIN_TEXTS)
    text = random_text(rng, TRAIN_TEXTS[languages[rng.integers(len(languages))]], 2)
    voice = f'{rng.choice(LANGUAGES)}+{rng.choice(VARIANTS)}'.removesuffix('+')
    factor = float(rng.uniform(0.8, 1.4)) if rng.random() < 0.6 else 1.0
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


def one_sound(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return log-mel columns (4 T, M) of a random sound and the mouth (T, 5) that makes it."""
    if rng.random() < NON_SPEECH_SHARE:
        sound = non_speech(rng, 2.0)
        return log_mel(sound), np.zeros((len(sound) * 25 // RATE, len(MOUTH)), np.float32)
    known = rng.random() > FOREIGN_SHARE
    said = random_utterance(rng, TRAIN_VOICES, TRAIN_TEXTS) if known else any_utterance(rng)
    said = said.padded(*rng.uniform(0, 0.3, 2))
    sound = augment(said.samples, rng) if rng.random() < 0.75 else said.samples
    columns, mouth = log_mel(sound), said.mouth()
    if rng.random() < BENT_SHARE:
        columns = bent(columns, rng)
    frames = len(columns) // COLUMNS_PER_FRAME
    return columns[: frames * COLUMNS_PER_FRAME], mouth[:frames]


class Sounds:
    """The last KEPT random sounds, and windows drawn from them."""

    def __init__(self, cfg: AudioConfig, rng: np.random.Generator):
        self.cfg, self.rng = cfg, rng
        self.columns: list[np.ndarray] = []
        self.mouths: list[np.ndarray] = []

    def add(self) -> None:
        """Make one more sound; the oldest goes once there are KEPT."""
        try:
            columns, mouth = one_sound(self.rng)
        except SpeechError:  # a voice that has no sound for letters it does not know
            return
        if not len(mouth):
            return
        around = ((self.cfg.columns_before, self.cfg.columns_after), (0, 0))
        columns = np.pad(columns, around, constant_values=SILENCE)
        self.columns = [*self.columns[-KEPT + 1 :], columns.astype(np.float16)]
        self.mouths = [*self.mouths[-KEPT + 1 :], mouth]

    def draw(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return windows (count, T, M) and mouths (count, 5)."""
        offsets, heard, shown = np.arange(self.cfg.columns), [], []
        each = 16
        for i in self.rng.integers(len(self.mouths), size=count // each):
            frames = self.rng.integers(len(self.mouths[i]), size=each)
            heard.append(self.columns[i][COLUMNS_PER_FRAME * frames[:, None] + offsets])
            shown.append(self.mouths[i][frames])
        return (
            torch.from_numpy(np.concatenate(heard)).float(),
            torch.from_numpy(np.concatenate(shown)).float(),
        )


def train(
    encoder: AudioEncoder, cfg: AudioConfig, minutes: float, out: Path, seed: int = 0
) -> AudioEncoder:
    """Train an audio encoder to tell mouths; returns it with the average of its weights."""
    torch.manual_seed(seed)
    rng, where = np.random.default_rng(seed), device()
    sounds, encoder = Sounds(cfg, rng), encoder.to(where)
    for _ in range(FIRST):
        sounds.add()
    run = Run('hearing', encoder, Muon(split(encoder), lr=2e-3, weight_decay=0.01), minutes, out)
    for _ in run.steps():
        sounds.add()
        heard, shown = (x.to(where) for x in sounds.draw(FRAMES_A_STEP))
        error = (encoder.mouth(encoder(heard)) - shown).square().mean()
        run.optimizer.zero_grad(set_to_none=True)
        error.backward()
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        run.optimizer.step()
        run.note(error=error.detach())
    return run.averaged(AudioEncoder(cfg))
