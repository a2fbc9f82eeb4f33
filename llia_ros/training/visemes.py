"""Mouth shapes of speech sounds, and how they run into one another."""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLASSES = (
    'silence',
    'vowel open',
    'vowel mid',
    'vowel close',
    'vowel rounded',
    'bilabial',
    'labiodental',
    'dental',
    'alveolar',
    'sibilant',
    'approximant',
    'velar',
)

SILENCE_SYMBOL = ''

_Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Phone:
    """One speech sound: its IPA symbol (empty: silence), start and end in seconds."""

    symbol: str
    start: float
    end: float


@dataclass(frozen=True)
class Viseme:
    """A class of sounds and the mouth they aim at, in the order of `model.config.MOUTH`.

    `strength`: how firmly it holds the jaw, the lips, and teeth with tongue against its
    neighbours. `limit`: the widest the jaw may be at its core, whatever the neighbours want.
    """

    kind: str
    target: tuple[float, float, float, float, float]
    strength: tuple[float, float, float] = (1.0, 1.0, 1.0)
    limit: float = 1.0


def _vowel(kind: str, opening: float, wide: float, rounded: float) -> Viseme:
    teeth = 0.45 * wide + 0.12 * opening
    return Viseme(f'vowel {kind}', (opening, wide, rounded, teeth, 0.12 * opening))


_OPEN, _OPEN_FRONT = _vowel('open', 0.95, 0.30, 0.0), _vowel('open', 0.85, 0.55, 0.0)
_HALF_OPEN = _vowel('open', 0.75, 0.20, 0.05)
_MID_FRONT, _MID = _vowel('mid', 0.60, 0.60, 0.0), _vowel('mid', 0.42, 0.25, 0.05)
_MID_CLOSE = _vowel('mid', 0.42, 0.75, 0.0)
_CLOSE, _NEAR_CLOSE = _vowel('close', 0.24, 0.95, 0.0), _vowel('close', 0.32, 0.70, 0.0)
_CLOSE_BACK = _vowel('close', 0.28, 0.35, 0.15)
_ROUND_CLOSE, _ROUND_NEAR = _vowel('rounded', 0.22, 0.0, 1.0), _vowel('rounded', 0.30, 0.0, 0.75)
_ROUND_MID, _ROUND_OPEN = _vowel('rounded', 0.45, 0.0, 0.85), _vowel('rounded', 0.65, 0.0, 0.65)
_ROUND_LOW = _vowel('rounded', 0.80, 0.0, 0.40)

_BILABIAL = Viseme('bilabial', (0.0, 0.10, 0.0, 0.0, 0.0), (1.0, 0.15, 0.3), 0.0)
_NARROW = Viseme('bilabial', (0.12, 0.15, 0.2, 0.0, 0.0), (1.0, 0.3, 0.6), 0.15)
_LABIODENTAL = Viseme('labiodental', (0.10, 0.30, 0.0, 0.60, 0.0), (1.0, 0.6, 1.5), 0.12)
_DENTAL = Viseme('dental', (0.25, 0.30, 0.0, 0.50, 1.0), (0.8, 0.2, 1.5), 0.32)
_STOP = Viseme('alveolar', (0.20, 0.30, 0.0, 0.50, 0.50), (0.7, 0.12, 1.0), 0.38)
_NASAL = Viseme('alveolar', (0.22, 0.25, 0.0, 0.40, 0.55), (0.6, 0.12, 1.0), 0.42)
_LATERAL = Viseme('alveolar', (0.32, 0.25, 0.0, 0.30, 0.85), (0.6, 0.12, 1.2), 0.50)
_TRILL = Viseme('alveolar', (0.32, 0.25, 0.0, 0.30, 0.55), (0.5, 0.12, 1.0), 0.55)
_HISS = Viseme('sibilant', (0.12, 0.45, 0.0, 0.95, 0.10), (0.9, 0.35, 1.6), 0.22)
_HUSH = Viseme('sibilant', (0.18, 0.0, 0.55, 0.85, 0.05), (0.9, 0.9, 1.6), 0.28)
_PALATAL_HUSH = Viseme('sibilant', (0.16, 0.40, 0.15, 0.85, 0.10), (0.9, 0.5, 1.6), 0.26)
_ROUND_GLIDE = Viseme('approximant', (0.15, 0.0, 1.0, 0.0, 0.0), (0.9, 1.5, 1.0), 0.25)
_FRONT_ROUND_GLIDE = Viseme('approximant', (0.15, 0.0, 0.9, 0.05, 0.1), (0.9, 1.4, 1.0), 0.25)
_RHOTIC = Viseme('approximant', (0.28, 0.0, 0.45, 0.20, 0.35), (0.6, 0.7, 0.8), 0.50)
_PALATAL = Viseme('approximant', (0.20, 0.75, 0.0, 0.45, 0.20), (0.7, 0.6, 0.7), 0.45)
_VELAR = Viseme('velar', (0.35, 0.25, 0.0, 0.15, 0.0), (0.35, 0.1, 0.4), 0.65)
_BREATH = Viseme('velar', (0.40, 0.25, 0.0, 0.15, 0.0), (0.06, 0.05, 0.06))

_SILENT = Viseme('silence', (0.0, 0.0, 0.0, 0.0, 0.0))

_LETTERS: dict[str, Viseme] = {
    letter: viseme
    for letters, viseme in (
        ('aɑɐ', _OPEN),
        ('æ', _OPEN_FRONT),
        ('ʌ', _HALF_OPEN),
        ('ɛ', _MID_FRONT),
        ('əɜɘɚɝɤ', _MID),
        ('e', _MID_CLOSE),
        ('i', _CLOSE),
        ('ɪᵻ', _NEAR_CLOSE),
        ('ɨɯ', _CLOSE_BACK),
        ('uyʉ', _ROUND_CLOSE),
        ('ʊʏ', _ROUND_NEAR),
        ('oøɵ', _ROUND_MID),
        ('ɔœɞ', _ROUND_OPEN),
        ('ɒɶ', _ROUND_LOW),
        ('pbmɓʙ', _BILABIAL),
        ('fvɱʋⱱ', _LABIODENTAL),
        ('ɸβ', _NARROW),
        ('θð', _DENTAL),
        ('tdʈɖɗ', _STOP),
        ('nɳɲȵ', _NASAL),
        ('lɫɭʎɬɮɺ', _LATERAL),
        ('rɾɽ', _TRILL),
        ('sz', _HISS),
        ('ʃʒʂʐɧ', _HUSH),
        ('ɕʑ', _PALATAL_HUSH),
        ('wʍ', _ROUND_GLIDE),
        ('ɥ', _FRONT_ROUND_GLIDE),
        ('ɹɻ', _RHOTIC),
        ('jçʝ', _PALATAL),
        ('kgɡxɣŋqɢχʁɴʀcɟɰʟ', _VELAR),
        ('hɦʔħʕ', _BREATH),
    )
    for letter in letters
}

# Length, stress, tone, tie bars and secondary articulation: no mouth shape of their own.
_MARKS = frozenset('ːˑˈˌ-.ʰʲʷˠˤᵝʼˀ˞‿|,;_^\u035c\u0361 0123456789˥˦˧˨˩?!*\'"')

_RATE = 200  # Points a second before averaging over frames.
_BEFORE, _AFTER = 0.032, 0.042  # Reach of a sound on its neighbours, seconds (Gaussian).
_CLOSING, _OPENING = 0.045, 0.060  # Seconds that lips take to and from a limit.
_RISE, _FALL = 0.050, 0.150  # Seconds from rest to speech and back.
_TRANSITION = 0.028  # The release is heard this long before the next sound's mark.
_CLOSURE = 0.050  # Lips stay shut at least this long.


def letters(symbol: str) -> str:
    """Return the IPA letters of a symbol without diacritics, length, stress and tone."""
    if symbol.startswith('('):  # The synthesizer names a change of language this way.
        return ''
    plain = unicodedata.normalize('NFD', symbol)
    return ''.join(c for c in plain if c not in _MARKS and not unicodedata.combining(c))


def unknown_letters(symbol: str) -> str:
    """Return the letters of a symbol that the table lacks; empty for a known symbol."""
    return ''.join(c for c in letters(symbol) if c not in _LETTERS)


def _viseme(letter: str) -> Viseme:
    if letter in _LETTERS:
        return _LETTERS[letter]
    # The nearest class by the letter's Latin relative: 'ᴇ' is an E, 'ʛ' a G.
    name = unicodedata.name(letter, '')
    for word in name.replace('-', ' ').lower().split():
        if len(word) == 1 and word in _LETTERS:
            return _LETTERS[word]
    return _VELAR


def visemes(symbol: str) -> tuple[Viseme, ...]:
    """Return the mouth shapes that an IPA symbol passes through, silence for none."""
    return tuple(_viseme(letter) for letter in letters(symbol)) or (_SILENT,)


def phone_class(symbol: str) -> str:
    """Return which of `CLASSES` a symbol belongs to, by its first letter."""
    return visemes(symbol)[0].kind


@dataclass(frozen=True)
class _Segment:
    viseme: Viseme
    start: float
    end: float


def _segments(phones: Sequence[Phone]) -> list[_Segment]:
    """Split diphthongs and affricates; move ends to where the release is heard."""
    result: list[_Segment] = []
    for index, phone in enumerate(phones):
        parts = visemes(phone.symbol)
        if parts[0] is _SILENT or phone.end <= phone.start:
            continue
        start, end = phone.start, phone.end
        # A consonant is over, and its vowel heard, before the synthesizer's mark of the vowel.
        if index and result and abs(result[-1].end - start) < 1e-6:
            last = result[-1]
            if _is_vowel(parts[0]) and not _is_vowel(last.viseme):
                start -= min(_TRANSITION, 0.45 * (last.end - last.start))
                result[-1] = _Segment(last.viseme, last.start, start)
        weights = np.array([1.2 if _is_vowel(part) else 0.8 for part in parts])
        edges = start + (end - start) * np.concatenate([[0.0], np.cumsum(weights)]) / sum(weights)
        for part, low, high in zip(parts, edges[:-1], edges[1:], strict=True):
            result.append(_Segment(part, float(low), float(high)))
    return result


def _is_vowel(viseme: Viseme) -> bool:
    return viseme.kind.startswith('vowel')


def _smooth(x: _Array) -> _Array:
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def _blend(segments: Sequence[_Segment], times: _Array) -> _Array:
    """Return the average of all targets, each weighted by its dominance, (T, 5)."""
    starts = np.array([s.start for s in segments])
    ends = np.array([s.end for s in segments])
    inset = np.minimum(0.3 * (ends - starts), 0.03)
    before = np.maximum(starts + inset - times[:, None], 0.0) / _BEFORE
    after = np.maximum(times[:, None] - ends + inset, 0.0) / _AFTER
    exponent = 0.5 * (before + after) ** 2
    dominance = np.exp(exponent.min(axis=1, keepdims=True) - exponent)
    targets = np.array([s.viseme.target for s in segments])
    strength = np.array([s.viseme.strength for s in segments])[:, [0, 1, 1, 2, 2]]
    return (dominance @ (strength * targets)) / (dominance @ strength)


def _near(
    times: _Array, start: float, end: float, rise: float, fall: float
) -> tuple[slice, _Array]:
    """Return the times that an interval touches, and 1 within it, 0 beyond rise and fall."""
    low, high = np.searchsorted(times, [start - rise, end + fall])
    part = times[low:high]
    away = np.maximum(np.maximum((start - part) / rise, (part - end) / fall), 0.0)
    return slice(int(low), int(high)), 1.0 - _smooth(away)


def _limit(mouth: _Array, segments: Sequence[_Segment], times: _Array) -> None:
    """Shut the jaw where a consonant needs it, in place."""
    last_end = -math.inf
    for segment in segments:
        limit = segment.viseme.limit
        # Shut from rest, lips must not part first.
        closing = _CLOSING if segment.start - last_end < _FALL else 2 * _RISE
        last_end = segment.end
        if limit >= 1.0:
            continue
        start, end = segment.start, segment.end
        if limit == 0.0:
            missing = max(0.0, _CLOSURE - (end - start)) / 2
            start, end = start - missing, end + missing
        part, near = _near(times, start, end, closing, _OPENING)
        ceiling = limit + (1.0 - near) * (1.0 - limit)
        mouth[part, 0] = np.minimum(mouth[part, 0], ceiling)
        if limit == 0.0:
            mouth[part, 3:] *= (1.0 - near)[:, None]


def _voiced(segments: Sequence[_Segment], times: _Array) -> _Array:
    """Return 1 while sounds last, 0 in silence, with the mouth's way there and back."""
    result = np.zeros(len(times))
    runs: list[list[float]] = []
    for segment in segments:
        if runs and segment.start - runs[-1][1] < 1e-3:
            runs[-1][1] = max(runs[-1][1], segment.end)
        else:
            runs.append([segment.start, segment.end])
    for start, end in runs:
        part, near = _near(times, start, end, _RISE, _FALL)
        result[part] = np.maximum(result[part], near)
    return result


def mouth_track(phones: Sequence[Phone], seconds: float, fps: float = 25) -> NDArray[np.float32]:
    """Return the mouth of every frame, (ceil(seconds * fps), 5) float32, each 0 .. 1.

    Frame k is the average over [k / fps, (k + 1) / fps); the columns are `model.config.MOUTH`.
    Neighbouring sounds blend over some 60 ms, lips shut for p, b and m, and 150 ms after the
    last sound the mouth is at rest, exactly 0. Raises ValueError for a negative duration.
    """
    if seconds < 0 or fps <= 0:
        raise ValueError(f'seconds and fps must be positive, not {seconds} and {fps}')
    frames = math.ceil(seconds * fps - 1e-6)
    points = max(1, round(_RATE / fps))
    times = (np.arange(frames * points) + 0.5) / (points * fps)
    segments = _segments(phones)
    if not segments or not frames:
        return np.zeros((frames, 5), np.float32)
    mouth = _blend(segments, times)
    _limit(mouth, segments, times)
    mouth *= _voiced(segments, times)[:, None]
    return mouth.reshape(frames, points, 5).mean(axis=1).astype(np.float32)
