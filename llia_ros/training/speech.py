"""Speech with exact phone times, spoken by the espeak-ng library."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import soxr
from numpy.typing import NDArray

from llia_ros.training.espeak import SpeechError, synthesize
from llia_ros.training.phone_times import split_silence
from llia_ros.training.texts import TRAIN_TEXTS, UNSEEN_TEXTS, random_text
from llia_ros.training.visemes import SILENCE_SYMBOL, Phone, mouth_track

__all__ = [
    'RATE',
    'TRAIN_TEXTS',
    'TRAIN_VOICES',
    'UNSEEN_TEXTS',
    'UNSEEN_VOICES',
    'Phone',
    'SpeechError',
    'Utterance',
    'language',
    'mouth_track',
    'random_utterance',
    'speak',
]

RATE = 16000
FRAME = 640

TRAIN_VOICES = (
    'en-us',
    'en-us+f2',
    'en-us+f3',
    'en-us+m3',
    'en-us+m7',
    'en-us+Andy',
    'en-us+linda',
    'en-us+klatt2',
    'en-gb-x-rp',
    'en-gb-x-rp+f4',
    'en-gb-x-rp+m1',
    'en-gb-x-rp+m4',
    'en-gb-x-rp+Annie',
    'de',
    'de+f2',
    'de+m2',
    'de+m3',
    'de+f5',
    'fr',
    'fr+f4',
    'fr+m3',
    'es',
    'es+f2',
    'es+m4',
    'it',
    'it+f3',
    'it+m2',
    'pt',
    'pt+f5',
    'pt+m7',
    'nl',
    'nl+f2',
    'nl+m4',
    'pl',
    'pl+f3',
    'pl+m1',
    'sv',
    'sv+f4',
    'sv+m2',
    'cs',
    'cs+f2',
    'cs+m3',
    'ja',
    'ja+f3',
    'ja+m7',
)
# Variants that training never hears, and two languages that it never hears at all.
UNSEEN_VOICES = (
    'en-us+f1',
    'en-us+m6',
    'en-gb-x-rp+Alicia',
    'de+m5',
    'de+Andrea',
    'fr+m8',
    'es+f1',
    'it+m6',
    'fi',
    'fi+f1',
    'ro',
    'ro+m5',
)


@dataclass(frozen=True)
class Utterance:
    """Speech, int16 at 16 kHz, and its phones, which cover it without gaps."""

    samples: NDArray[np.int16]
    phones: tuple[Phone, ...]
    voice: str
    text: str

    @property
    def seconds(self) -> float:
        """Duration of the sound."""
        return len(self.samples) / RATE

    def mouth(self, fps: float = 25) -> NDArray[np.float32]:
        """Return the mouth of every frame, see `mouth_track`."""
        return mouth_track(self.phones, self.seconds, fps)

    def padded(self, before: float, after: float) -> 'Utterance':
        """Return the same with silence around it, in seconds."""
        head, tail = round(before * RATE), round(after * RATE)
        shift = head / RATE
        length = shift + self.seconds + tail / RATE
        phones = [replace(p, start=p.start + shift, end=p.end + shift) for p in self.phones]
        if head:
            phones.insert(0, Phone(SILENCE_SYMBOL, 0.0, shift))
        if tail:
            phones.append(Phone(SILENCE_SYMBOL, shift + self.seconds, length))
        return replace(self, samples=np.pad(self.samples, (head, tail)), phones=tuple(phones))


def language(voice: str) -> str:
    """Return the language of a voice as `texts` names it: 'en' for 'en-us+f3'."""
    return voice.split('+')[0].split('-')[0]


def speak(text: str, voice: str = 'en-us', rate: int = 165, pitch: int = 50) -> Utterance:
    """Return `text` spoken by an espeak-ng voice ('de', 'en-us+f3') with its phones.

    `rate` in words a minute (80 .. 450), `pitch` 0 .. 100. A plosive's phone begins with its
    silent closure. Safe to call from several threads and in forked processes. Raises
    SpeechError where the library or the voice is missing or no sound came out.
    """
    samples, source_rate, marks = synthesize(text, voice, rate, pitch)
    if not len(samples) or not marks:
        raise SpeechError(f'voice {voice!r} has no sound for {text!r}: give it other words')
    sound = soxr.resample(samples, source_rate, RATE, quality='HQ').astype(np.int16)
    length = len(sound) / RATE
    starts = [min(start, length) for start, _ in marks] + [length]
    phones = [
        Phone(symbol, start, end)
        for (_, symbol), start, end in zip(marks, starts, starts[1:], strict=False)
    ]
    if phones[0].start > 0:
        phones.insert(0, Phone(SILENCE_SYMBOL, 0.0, phones[0].start))
    return Utterance(sound, tuple(split_silence(phones, samples, source_rate)), voice, text)


def random_utterance(
    rng: np.random.Generator,
    voices: Sequence[str] = TRAIN_VOICES,
    texts: Mapping[str, Sequence[str]] = TRAIN_TEXTS,
) -> Utterance:
    """Return a random text by a random voice, speed and pitch, a whole number of frames long.

    `texts` are sentences by language and must have every voice's language. Half of the
    utterances have up to 0.6 s of silence before them, and half after them. The same generator
    gives the same words; in a fresh process the same sound, too, to the bit: the library's
    noise and pauses go on from what it spoke before.
    """
    voice = voices[int(rng.integers(len(voices)))]
    if language(voice) not in texts:
        raise SpeechError(
            f'no texts in {language(voice)!r} for voice {voice!r}: add them or leave it out'
        )
    text = random_text(rng, texts[language(voice)])
    spoken = speak(text, voice, int(rng.integers(120, 221)), int(rng.integers(20, 81)))
    before, after = rng.uniform(0.0, 0.6, 2) * (rng.random(2) < 0.5)
    head, tail = round(before * RATE), round(after * RATE)
    tail += -(head + len(spoken.samples) + tail) % FRAME
    return spoken.padded(head / RATE, tail / RATE)
