"""The far end of a measured call: what it says, and when that comes back as sound and picture."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from typing import Any

import numpy as np

from llia_ros.audio.stream import RATE, SECOND
from llia_ros.benchmark.speech import voice
from llia_ros.telepresence import far_end

UTTERANCE, PAUSE = 2.0, 1.2  # s
# Speech is found again by parts of it: a hole between two of them moves what follows, s.
PART = 0.35
# Where a returned utterance is looked for, s after it was spoken.
LATEST = 4.0
ALIKE = 0.5


def spoken(utterances: int) -> np.ndarray:
    """Utterances with pauses around them, int16 at 16 kHz."""
    speech = voice(utterances * UTTERANCE).reshape(utterances, -1)
    pause = np.zeros(round(PAUSE * RATE), np.int16)
    return np.concatenate([pause, *(part for each in speech for part in (each, pause))])


def far(url: str, near: str, utterances: int) -> dict[str, Any]:
    """The far end, in a process of its own: one call, what came back, and when.

    Latencies are from a sample's being spoken to the arrival of the sound that carries it, and
    to that of its picture, with the way back.
    """
    # A microphone goes on sending when nothing is said.
    speech = np.pad(spoken(utterances), (0, round(LATEST * RATE)))
    figures: dict[str, Any] = {}

    async def both() -> far_end.Call:
        talking = asyncio.ensure_future(far_end.call(url, speech, tail=0.2))
        while not talking.done():
            await asyncio.wait([talking], timeout=0.5)
            try:
                told = await asyncio.to_thread(get, f'{near}figures')
            except OSError:
                continue  # too busy to tell; it is asked again
            if told.get('packets'):
                figures.update(told)
        return await talking

    made = asyncio.run(both())
    sound, face = latencies(made, speech, utterances)
    seconds = made.figures['seconds']
    return {
        'sound': sound,
        'face': face,
        'near': figures,
        'seconds': seconds,
        'pictures': len(made.pictures) / seconds,
    }


def latencies(
    made: far_end.Call, speech: np.ndarray, utterances: int
) -> tuple[list[float], list[float]]:
    """ms, of each part of speech that is found again, of its sound and of its pictures."""
    if not made.sound:
        return [], []
    origin = made.began
    length = len(speech) + round(LATEST * RATE)
    line = np.zeros(length)
    for _, chunk in made.sound:
        place = (chunk.stamp - origin) * RATE // SECOND
        if 0 <= place < length - len(chunk.samples):
            line[place : place + len(chunk.samples)] = chunk.samples
    # Stream time of pictures and sound begins with the same frame.
    first = made.sound[0][1].stamp
    behind = np.array([(arrival - first) / SECOND - at for arrival, at, _ in made.pictures])
    when = np.array([arrival for arrival, _, _ in made.pictures]) - origin
    sound, face = [], []
    for begin in places(utterances):
        part = speech[begin : begin + round(PART * RATE)].astype(float)
        lag = _lag(part, line[begin:][: len(part) + round(LATEST * RATE)])
        if lag is None:
            continue
        sound.append(1000 * lag)
        middle = (begin / RATE + PART / 2 + lag) * SECOND
        around = np.abs(when - middle) < SECOND / 4
        if around.any():
            face.append(1000 * (lag + float(np.median(behind[around]))))
    return sound, face


def places(utterances: int) -> list[int]:
    """First samples of the parts of speech that are looked for, without the beginnings."""
    count = round((UTTERANCE - 0.25) / PART) - 1
    return [
        round((PAUSE + number * (UTTERANCE + PAUSE) + 0.25 + k * PART) * RATE)
        for number in range(utterances)
        for k in range(count)
    ]


def _lag(part: np.ndarray, line: np.ndarray) -> float | None:
    """s by which `part` is found later in `line`; None where it is not."""
    size = 1 << int(np.ceil(np.log2(len(line) + len(part))))
    product = np.fft.irfft(np.fft.rfft(line, size) * np.conj(np.fft.rfft(part, size)), size)
    lags = product[: len(line) - len(part)]
    energy = np.cumsum(np.concatenate([[0.0], line**2]))
    own = energy[len(part) :][: len(lags)] - energy[: len(lags)]
    alike = lags / np.sqrt(np.maximum(own, 1.0) * np.sum(part**2))
    best = int(np.argmax(alike))
    return best / RATE if alike[best] > ALIKE else None


def get(url: str) -> dict[str, Any]:
    """JSON from an address."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        return dict(json.load(answer))
