"""Speech with exact phone times, spoken by the espeak-ng library."""

import ctypes
import ctypes.util
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from llia_ros.training.texts import TRAIN_TEXTS, UNSEEN_TEXTS, random_text
from llia_ros.training.visemes import SILENCE_SYMBOL, Phone, letters, mouth_track, phone_class

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
    'data_folder',
    'mouth_track',
    'random_utterance',
    'speak',
    'use_data',
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

_NAMES = ('libespeak-ng.so.1', 'libespeak-ng.so', 'libespeak-ng.1.dylib', 'libespeak-ng.dll')
_SYNCHRONOUS, _PHONEME_EVENTS, _IPA, _DONT_EXIT = 2, 1, 2, 0x8000
_UTF8, _PHONEME = 1, 7
_WORDS_A_MINUTE, _PITCH = 1, 3
_QUIET = 8  # Below this sample value the synthesizer is silent.
_LIQUID = 0.02, 0.05  # A liquid after a vowel shorter than this has this much of it.
_SHORTEST_GAP = 0.012  # Seconds of silence that count as such.
_UNNAMED = 0.02, 0.1  # Seconds of a sound that the library gives no symbol.
_LONGEST_CLOSURE = 0.12  # Seconds of silence before a plosive that are still the plosive.
_VOICELESS = frozenset('ptkqcʔʈ')
_PLOSIVES = _VOICELESS | frozenset('bdgɡɟɖ')
_RHOTIC = frozenset('rɾʁɹɽ')
_LIQUIDS = _RHOTIC | frozenset('lɫʎ')
_ECHO = 0.25  # An echo stays below this share of the sound before it.


class SpeechError(ValueError):
    """Speech could not be made; the message says why and what to do."""


class _Id(ctypes.Union):
    _fields_ = [('number', ctypes.c_int), ('name', ctypes.c_char_p), ('string', ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ('type', ctypes.c_int),
        ('unique', ctypes.c_uint),
        ('text_position', ctypes.c_int),
        ('length', ctypes.c_int),
        ('audio_position', ctypes.c_int),
        ('sample', ctypes.c_int),
        ('user', ctypes.c_void_p),
        ('id', _Id),
    ]


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class _Synthesizer:
    """The library, which knows one voice and one text at a time for a whole process."""

    def __init__(self, data: Path | None = None) -> None:
        self._library = _load()
        flags = _PHONEME_EVENTS | _IPA | _DONT_EXIT
        path = None if data is None else str(data).encode()
        self.rate = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, path, flags))
        if self.rate <= 0:
            raise SpeechError(
                'espeak-ng finds no voice data: install it with apt-get install espeak-ng'
            )
        self._samples: list[NDArray[np.int16]] = []
        self._marks: list[tuple[float, str]] = []
        self._callback = _CALLBACK(self._receive)  # Kept alive here: the library does not.
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(
        self,
        samples: 'ctypes._Pointer[ctypes.c_short]',
        count: int,
        events: 'ctypes._Pointer[_Event]',
    ) -> int:
        if samples and count > 0:
            self._samples.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type:
            event = events[index]
            if event.type == _PHONEME:
                # The eight bytes may lack a final zero and may cut a letter.
                symbol = bytes(event.id.string).decode('utf-8', 'ignore')
                self._marks.append((event.audio_position / 1000.0, symbol))
            index += 1
        return 0

    @property
    def data(self) -> Path:
        """Folder of the library's voices and rules."""
        path = ctypes.c_char_p()
        self._library.espeak_Info(ctypes.byref(path))
        return Path((path.value or b'').decode())

    def speak(
        self, text: str, voice: str, rate: int, pitch: int
    ) -> tuple[NDArray[np.int16], list[tuple[float, str]]]:
        """Return samples at `self.rate` and the start of every phone in seconds."""
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise SpeechError(f'espeak-ng has no voice {voice!r}: see espeak-ng --voices')
        self._library.espeak_SetParameter(_WORDS_A_MINUTE, rate, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        self._samples, self._marks = [], []
        data = text.encode() + b'\0'
        if self._library.espeak_Synth(data, len(data), 0, 1, 0, _UTF8, None, None) != 0:
            raise SpeechError(f'espeak-ng could not speak {text!r}')
        self._library.espeak_Synchronize()
        samples = np.concatenate(self._samples) if self._samples else np.zeros(0, np.int16)
        return samples, self._marks


def _load() -> ctypes.CDLL:
    found = ctypes.util.find_library('espeak-ng')
    for name in ((found,) if found else ()) + _NAMES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise SpeechError(
        'the library libespeak-ng is missing: install it with apt-get install espeak-ng'
    )


_lock = threading.Lock()
_synthesizer: _Synthesizer | None = None


def _after_fork() -> None:
    # Another thread of the parent may have held the lock; it does not exist here.
    global _lock
    _lock = threading.Lock()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_after_fork)


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


def _level(phone: Phone, samples: NDArray[np.int16], rate: int) -> float:
    """Return the root mean square of a phone's second half, past the tail of the one before."""
    part = samples[int((phone.start + phone.end) / 2 * rate) : int(phone.end * rate)]
    return float(np.sqrt(np.mean(part.astype(np.float64) ** 2))) if len(part) else 0.0


def _unnamed(
    phone: Phone, before: Sequence[Phone], following: str, samples: NDArray[np.int16], rate: int
) -> str:
    """Return the symbol of a sound that the library gives none, empty for real silence.

    Those are a short vowel before r, and else a glide.
    """
    last = next((p for p in reversed(before[-2:]) if p.symbol), None)
    if last is None or not _UNNAMED[0] < phone.end - phone.start < _UNNAMED[1]:
        return SILENCE_SYMBOL
    if _level(phone, samples, rate) <= _ECHO * _level(last, samples, rate):
        return SILENCE_SYMBOL
    return 'ə' if following in _RHOTIC else 'j'


def _sound_end(phone: Phone, samples: NDArray[np.int16], rate: int, share: float) -> float:
    """Return when a phone falls silent: below `share` of its own peak, in seconds."""
    first = int(phone.start * rate)
    level = np.abs(samples[first : max(first + 1, int(phone.end * rate))].astype(np.int32))
    loud = np.flatnonzero(level > max(_QUIET, share * level.max(initial=0)))
    return (first + int(loud[-1]) + 1) / rate if len(loud) else phone.start


def _with_liquids(phones: Sequence[Phone], samples: NDArray[np.int16], rate: int) -> list[Phone]:
    """Give an l or r that is drawn as the end of its vowel, and marked after it, its time."""
    result = list(phones)
    for index in range(1, len(result)):
        before, phone = result[index - 1 : index + 1]
        if letters(phone.symbol) not in _LIQUIDS or not phone_class(before.symbol).startswith(
            'vowel'
        ):
            continue
        if _sound_end(phone, samples, rate, 0.0) - phone.start < _LIQUID[0]:
            end = _sound_end(before, samples, rate, 0.0)
            start = end - min(_LIQUID[1], 0.4 * (end - before.start))
            result[index - 1 : index + 1] = [
                replace(before, end=start),
                replace(phone, start=start),
            ]
    return result


def _split_silence(phones: Sequence[Phone], samples: NDArray[np.int16], rate: int) -> list[Phone]:
    """Cut silence off the ends of phones; before a plosive it is that plosive's closure."""
    phones = _with_liquids(phones, samples, rate)
    result: list[Phone] = []
    for index, phone in enumerate(phones):
        following = letters(phones[index + 1].symbol)[:1] if index + 1 < len(phones) else ''
        if not letters(phone.symbol):
            sound = _unnamed(phone, result, following, samples, rate)
            if sound:
                result.append(replace(phone, symbol=sound))
                continue
            start = result.pop().start if result and not result[-1].symbol else phone.start
            result.append(Phone(SILENCE_SYMBOL, start, phone.end))
            continue
        cut = _sound_end(phone, samples, rate, 0.0)
        if phone.end - cut < _SHORTEST_GAP and following in _VOICELESS:
            # Some voices have an echo, which fills the closure.
            cut = _sound_end(phone, samples, rate, _ECHO)
        gap = phone.end - cut
        if gap < _SHORTEST_GAP:
            result.append(phone)
            continue
        result.append(replace(phone, end=cut))
        if following in _PLOSIVES and gap <= _LONGEST_CLOSURE:
            phones[index + 1] = replace(phones[index + 1], start=cut)
        else:
            result.append(Phone(SILENCE_SYMBOL, cut, phone.end))
    return [phone for phone in result if phone.end > phone.start]


def data_folder() -> Path:
    """Return the folder of espeak-ng's voices; SpeechError where the library is missing."""
    global _synthesizer
    with _lock:
        _synthesizer = _synthesizer or _Synthesizer()
        return _synthesizer.data


def use_data(folder: Path) -> None:
    """Take voices from `folder` / espeak-ng-data; SpeechError once this process has spoken."""
    global _synthesizer
    with _lock:
        if _synthesizer is not None:
            raise SpeechError('espeak-ng cannot change its voices any more: use a fresh process')
        _synthesizer = _Synthesizer(folder)


def speak(text: str, voice: str = 'en-us', rate: int = 165, pitch: int = 50) -> Utterance:
    """Return `text` spoken by an espeak-ng voice ('de', 'en-us+f3') with its phones.

    `rate` in words a minute (80 .. 450), `pitch` 0 .. 100. A plosive's phone begins with its
    silent closure. Safe to call from several threads and in forked processes. Raises
    SpeechError where the library or the voice is missing or no sound came out.
    """
    global _synthesizer
    with _lock:
        if _synthesizer is None:
            _synthesizer = _Synthesizer()
        samples, marks = _synthesizer.speak(text, voice, rate, pitch)
        source_rate = _synthesizer.rate
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
    return Utterance(sound, tuple(_split_silence(phones, samples, source_rate)), voice, text)


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
