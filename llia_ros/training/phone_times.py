"""When each phone sounds: the library's times, corrected by what its samples show."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from llia_ros.training.visemes import SILENCE_SYMBOL, Phone, letters, phone_class

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


def split_silence(phones: Sequence[Phone], samples: NDArray[np.int16], rate: int) -> list[Phone]:
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
