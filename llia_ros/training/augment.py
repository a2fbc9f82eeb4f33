"""What rooms, microphones and lines do to a voice, and sound that is no voice at all."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 16000

_Sound = NDArray[np.floating[Any]]


def _int16(sound: _Sound) -> NDArray[np.int16]:
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def _decibels(value: float) -> float:
    return float(10.0 ** (value / 20.0))


def _filtered(sound: _Sound, gain: Callable[[_Sound], _Sound]) -> _Sound:
    """Apply a gain by frequency (Hz) without any phase, so that nothing moves in time."""
    length = len(sound) + 2048  # Room for the ringing, which would wrap around otherwise.
    size = 1 << (length - 1).bit_length()
    spectrum = np.fft.rfft(sound, size) * gain(np.fft.rfftfreq(size, 1 / RATE))
    return np.fft.irfft(spectrum, size)[: len(sound)]


def _slope(hertz: _Sound, decibels_per_octave: float) -> _Sound:
    octaves = np.log2(np.maximum(hertz, 60.0) / 1000.0)
    result: _Sound = 10.0 ** (decibels_per_octave * octaves / 20.0)
    return result


def _noise(rng: np.random.Generator, count: int, decibels_per_octave: float) -> _Sound:
    white = rng.normal(size=count)
    if decibels_per_octave == 0.0:
        return white
    return _filtered(white, lambda hertz: _slope(hertz, decibels_per_octave))


def _envelope(rng: np.random.Generator, count: int, hertz: float) -> _Sound:
    """Return a random curve of about `hertz` changes a second, 0 .. 1."""
    knots = rng.random(max(2, int(count / RATE * hertz) + 2))
    return np.interp(np.linspace(0, len(knots) - 1, count), np.arange(len(knots)), knots)


def _bump(centre: float, octaves: float) -> Callable[[_Sound], _Sound]:
    def gain(hertz: _Sound) -> _Sound:
        away = np.log2(np.maximum(hertz, 1.0) / centre) / octaves
        result: _Sound = np.exp(-0.5 * away**2)
        return result

    return gain


def _babble(rng: np.random.Generator, count: int) -> _Sound:
    """Return the murmur of several far voices: noise in the bands and at the pace of speech."""
    total = np.zeros(count)
    for _ in range(4):
        centre = rng.uniform(250.0, 2200.0)
        width = rng.uniform(0.25, 0.6)
        band = _filtered(rng.normal(size=count), _bump(centre, width))
        total += band * _envelope(rng, count, 5.0) ** 2
    return total


def _background(rng: np.random.Generator, count: int) -> _Sound:
    kind = rng.integers(4)
    if kind == 0:
        return _noise(rng, count, 0.0)
    if kind == 1:
        return _noise(rng, count, -3.0)
    if kind == 2:
        return _noise(rng, count, -6.0)
    return _babble(rng, count)


def _equalizer(rng: np.random.Generator) -> Callable[[_Sound], _Sound]:
    tilt = rng.uniform(-4.0, 4.0)
    peaks = [
        (
            np.exp(rng.uniform(np.log(150), np.log(6000))),
            rng.uniform(0.3, 1.2),
            rng.uniform(-9.0, 9.0),
        )
        for _ in range(int(rng.integers(0, 4)))
    ]

    def gain(hertz: _Sound) -> _Sound:
        octaves = np.log2(np.maximum(hertz, 30.0) / 1000.0)
        decibels = np.clip(tilt * octaves, -12.0, 12.0)
        for centre, width, height in peaks:
            away = (octaves - np.log2(centre / 1000.0)) / width
            decibels = decibels + height * np.exp(-0.5 * away**2)
        result: _Sound = 10.0 ** (decibels / 20.0)
        return result

    return gain


def _band(low: float, high: float) -> Callable[[_Sound], _Sound]:
    def gain(hertz: _Sound) -> _Sound:
        lower = (hertz / max(low, 1.0)) ** 8
        upper = (hertz / high) ** 12
        result: _Sound = np.sqrt(lower / (1.0 + lower) / (1.0 + upper))
        return result

    return gain


def _reverberation(rng: np.random.Generator, sound: _Sound) -> _Sound:
    """Add a room's tail behind the direct sound, which stays the first and the loudest."""
    seconds = rng.uniform(0.08, 0.35)
    count = int(seconds * RATE)
    time = np.arange(count) / RATE
    tail = rng.normal(size=count) * 10.0 ** (-3.0 * time / seconds)
    tail[: int(0.002 * RATE)] = 0.0
    tail *= _decibels(rng.uniform(-18.0, -6.0)) / np.sqrt(np.sum(tail**2))
    size = 1 << (len(sound) + count - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail, size), size)
    return sound + wet[: len(sound)]


def _loudness(sound: _Sound) -> float:
    """Return the root mean square of the part that is not silence."""
    loud = sound[np.abs(sound) > 50.0]
    return float(np.sqrt(np.mean(loud**2))) if len(loud) else 0.0


def augment(samples: NDArray[np.int16], rng: np.random.Generator) -> NDArray[np.int16]:
    """Return the same sound as another room, microphone or line would bring it.

    int16 at 16 kHz in and out, of equal length and without any shift in time. One sound in
    eight only changes its level. Gain -18 .. +6 dB, noise 5 .. 40 dB below the voice. Raises
    ValueError for samples that are not one-dimensional int16.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1 or samples.dtype != np.int16:
        raise ValueError(
            f'samples must be one-dimensional int16, not {samples.dtype} of shape '
            f'{samples.shape}: convert them first'
        )
    sound: _Sound = samples.astype(np.float64)
    if not len(sound):
        return samples.copy()
    clean = rng.random() < 0.125
    if not clean and rng.random() < 0.3:
        sound = _reverberation(rng, sound)
    if not clean and rng.random() < 0.6:
        sound = _filtered(sound, _equalizer(rng))
    if not clean and rng.random() < 0.6:
        noise = _background(rng, len(sound))
        # A pause or a silent clip still gets the noise of a quiet room.
        level = max(_loudness(sound), 300.0) * _decibels(-rng.uniform(5.0, 40.0))
        sound = sound + noise * (level / max(float(np.sqrt(np.mean(noise**2))), 1e-9))
    if not clean:
        line = rng.random()
        if line < 0.1:
            sound = _filtered(sound, _band(300.0, 3400.0))
        elif line < 0.2:
            sound = _filtered(sound, _band(20.0, rng.uniform(3800.0, 6500.0)))
        elif line < 0.3:
            sound = _filtered(sound, _band(rng.uniform(80.0, 250.0), 7800.0))
    sound = sound * _decibels(rng.uniform(-18.0, 6.0))
    if not clean and rng.random() < 0.15:
        peak = max(float(np.abs(sound).max()), 1.0)
        ceiling = peak * rng.uniform(0.25, 0.8)
        sound = ceiling * np.tanh(sound / ceiling)
    return _int16(sound)


def _hum(rng: np.random.Generator, count: int) -> _Sound:
    time = np.arange(count) / RATE
    base = rng.choice([50.0, 60.0, rng.uniform(80.0, 180.0)])
    return sum(
        (
            np.sin(2 * np.pi * base * k * time + rng.uniform(0, 6.28)) * rng.random() / k
            for k in range(1, 9)
        ),
        np.zeros(count),
    )


def _clicks(rng: np.random.Generator, count: int) -> _Sound:
    sound = np.zeros(count)
    for _ in range(max(1, int(count / RATE * rng.uniform(1.0, 8.0)))):
        length = min(count, int(rng.uniform(0.002, 0.03) * RATE))
        start = int(rng.integers(0, count - length + 1))
        decay = np.exp(-np.arange(length) / (0.2 * length + 1))
        sound[start : start + length] += rng.normal(size=length) * decay * rng.uniform(0.2, 1.0)
    return sound


def _music(rng: np.random.Generator, count: int) -> _Sound:
    sound = np.zeros(count)
    length = int(rng.uniform(0.15, 0.6) * RATE)
    root = rng.uniform(110.0, 330.0)
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12, 16, 19])
    for start in range(0, count, length):
        time = np.arange(min(2 * length, count - start)) / RATE
        shape = np.minimum(time / 0.01, 1.0) * np.exp(-time / rng.uniform(0.15, 0.8))
        for step in rng.choice(scale, int(rng.integers(1, 4)), replace=False):
            pitch = root * 2.0 ** (step / 12.0)
            for harmonic in range(1, 6):
                sound[start : start + len(time)] += (
                    shape / harmonic**1.5 * np.sin(2 * np.pi * pitch * harmonic * time)
                )
    return sound


def _laughter(rng: np.random.Generator, count: int) -> _Sound:
    """Return bursts of breath and voice, four to six a second, in falling groups."""
    sound = np.zeros(count)
    at = int(rng.uniform(0.0, 0.3) * RATE)
    while at < count:
        period = rng.uniform(0.16, 0.24)
        pitch = rng.uniform(160.0, 420.0)
        for burst in range(int(rng.integers(3, 9))):
            length = int(period * rng.uniform(0.4, 0.6) * RATE)
            part = np.arange(max(0, min(length, count - at)))
            if not len(part):
                break
            phase = 2 * np.pi * pitch * 0.96**burst * part / RATE
            voice = sum((np.sin(h * phase) / h for h in range(1, 12)), np.zeros(len(part)))
            breath = rng.normal(size=len(part))
            shape = np.sin(np.pi * part / length) * 0.9**burst
            sound[at : at + len(part)] += (0.5 * voice + breath) * shape
            at += int(period * RATE)
        at += int(rng.uniform(0.3, 1.2) * RATE)
    return _filtered(sound, _band(250.0, 4500.0))


def non_speech(rng: np.random.Generator, seconds: float) -> NDArray[np.int16]:
    """Return sound for which a mouth stays shut, (seconds * 16000,) int16.

    One of hum, clicks, music, laughter, steady noise and silence, at a level of speech or
    below it. Raises ValueError for a negative duration.
    """
    if seconds < 0:
        raise ValueError(f'seconds must not be negative, got {seconds}')
    count = round(seconds * RATE)
    makers = (
        _hum,
        _clicks,
        _music,
        _laughter,
        lambda r, n: _noise(r, n, -3.0),
        lambda r, n: np.zeros(n),
    )
    sound = makers[int(rng.integers(len(makers)))](rng, count)
    if not count or not sound.any():
        return np.zeros(count, np.int16)
    level = 3000.0 * _decibels(rng.uniform(-24.0, 3.0))
    return _int16(sound * (level / np.sqrt(np.mean(sound**2))))
