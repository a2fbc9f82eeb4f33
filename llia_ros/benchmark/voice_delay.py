"""From a voice's first sample to "is speaking": how long it takes, by many voices.

The voices are espeak-ng's: its variants, in languages and with texts that no training heard.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from llia_ros.audio.stream import RATE
from llia_ros.audio.voice_activity import VoiceActivity
from llia_ros.benchmark.room import CHUNK, HISS
from llia_ros.training.augment import non_speech
from llia_ros.training.speech import TRAIN_VOICES, speak
from llia_ros.training.texts import UNSEEN_TEXTS

VARIANTS = (
    *(f'm{k}' for k in range(1, 9)),
    *(f'f{k}' for k in range(1, 6)),
    *('Alicia', 'Andrea', 'Andy', 'Annie', 'Denis', 'Diogo', 'Gene', 'Henrique', 'Jacky'),
    *('Lee', 'Marco', 'Mario', 'Michael', 'Mike', 'Tweaky', 'adam', 'anika', 'antonio'),
    *('aunty', 'belinda', 'benjamin', 'boris', 'caleb', 'david', 'edward', 'grandma'),
    *('grandpa', 'gustave', 'john', 'linda', 'marcelo', 'max', 'michel', 'miguel', 'pablo'),
    *('paul', 'pedro', 'quincy', 'rob', 'robert', 'sandro', 'shelby', 'steph', 'travis'),
)
VOICES = tuple(
    f'{language}+{variant}'
    for language in UNSEEN_TEXTS
    for variant in VARIANTS
    if f'{language}+{variant}' not in TRAIN_VOICES
)
# What counts as the beginning: that share of the voice's peak.
ONSET = 0.02
NOISE_SECONDS = 5.0
# A voice that is not found within that long was missed, s.
IN_TIME = 1.0


@dataclass(frozen=True)
class Voice:
    """An utterance from its first sound to its last, int16 at 16 kHz."""

    name: str
    samples: np.ndarray


@dataclass(frozen=True)
class Delays:
    """What was measured: ms by voice, None for one that was missed; false alarms of noises."""

    by_voice: dict[str, float | None]
    false_alarms: int
    noises: int


def utterance(rng: np.random.Generator, voice: str | None = None) -> Voice:
    """An unseen text by an unseen voice, speed, pitch and loudness; SpeechError without espeak."""
    voice = voice or VOICES[int(rng.integers(len(VOICES)))]
    texts = UNSEEN_TEXTS[voice.split('+')[0]]
    text = texts[int(rng.integers(len(texts)))]
    sound = speak(text, voice, int(rng.integers(120, 221)), int(rng.integers(20, 81))).samples
    level = np.abs(sound.astype(np.int32))
    loud = np.flatnonzero(level > ONSET * level.max())
    trimmed = sound[loud[0] : loud[-1] + 1].astype(np.float64)
    rms = 3000 * 10 ** (rng.uniform(-18, 3) / 20)
    trimmed *= rms / np.sqrt(np.mean(trimmed**2))
    return Voice(voice, trimmed.clip(-32768, 32767).astype(np.int16))


def long_speech(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """One voice that speaks for so long, with short pauses between its sentences, int16."""
    voice = VOICES[int(rng.integers(len(VOICES)))]
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < seconds * RATE:
        samples = utterance(rng, voice).samples.astype(np.float64)
        # A loudspeaker has one loudness.
        samples *= 3000 / np.sqrt(np.mean(samples**2))
        pause = np.zeros(int(rng.uniform(0.1, 0.4) * RATE))
        parts += [samples.clip(-32768, 32767).astype(np.int16), pause.astype(np.int16)]
    return np.concatenate(parts)[: round(seconds * RATE)]


def measure(
    voices: int = 150,
    noises: int = 400,
    seed: int = 0,
    make: Callable[[], VoiceActivity] = VoiceActivity,
) -> Delays:
    """Delay of `voices` voices and false alarms of `noises` noises, with what `make` makes."""
    rng = np.random.default_rng(seed)
    names = rng.permutation(VOICES)[:voices]
    by_voice = {}
    for name in track(names, 'voices', console=Console(stderr=True)):
        spoken = utterance(rng, str(name)).samples
        # Blocks of voice activity and chunks begin anywhere in a voice.
        lead = RATE + int(rng.integers(RATE // 10))
        sound = np.concatenate([np.zeros(lead), spoken, np.zeros(RATE // 2)])
        sound += rng.normal(size=len(sound)) * HISS
        found = first(make(), sound.clip(-32768, 32767).astype(np.int16), lead)
        late = None if found is None else 1000 * (found - lead) / RATE
        by_voice[str(name)] = late if late is None or late <= 1000 * IN_TIME else None
    alarms = 0
    for _ in track(range(noises), 'noises', console=Console(stderr=True)):
        alarms += first(make(), non_speech(rng, NOISE_SECONDS)) is not None
    return Delays(by_voice, alarms, noises)


def first(activity: VoiceActivity, sound: np.ndarray, after: int = 0) -> int | None:
    """The sample at which a chunk had to have arrived for speech to be known, None: never."""
    for start in range(0, len(sound) - CHUNK + 1, CHUNK):
        changes = activity.push(sound[start : start + CHUNK])
        if start + CHUNK > after and any(change.speaking for change in changes):
            return start + CHUNK
    return None


def table(delays: Delays) -> Table:
    """The distribution over voices, the slowest of them, and false alarms."""
    heard = [late for late in delays.by_voice.values() if late is not None]
    grid = Table('voice activity', 'figure', title="from a voice's first sample to is speaking")
    grid.columns[1].justify = 'right'
    for share in (50, 90, 95, 99):
        value = np.percentile(heard, share) if heard else np.nan
        grid.add_row(f'{len(heard)} voices, p{share}', f'{value:.0f} ms')
    missed = [name for name, late in delays.by_voice.items() if late is None]
    grid.add_row('missed', ', '.join(missed) or 'none')
    slow = sorted(delays.by_voice.items(), key=lambda item: -(item[1] or 0))[:5]
    for name, late in slow:
        grid.add_row(f'slow: {name}', f'{late:.0f} ms' if late else '-')
    grid.add_row(f'false alarms of {delays.noises} noises', str(delays.false_alarms))
    return grid
