"""A room with a robot in it: what the microphone hears, and when a user is found to speak."""

from dataclasses import dataclass

import numpy as np

from llia_ros.audio.echo import Echo
from llia_ros.audio.stream import RATE, SECOND, Chunk
from llia_ros.audio.voice_activity import VoiceActivity

# ROS time of the first sample, ns.
START = 1_700_000_000 * SECOND + 3_000_000
CHUNK = RATE // 50  # what audio_capture sends
FRAME = RATE // 25  # what the avatar sends
HISS = 15.0  # RMS of the microphone's own noise


@dataclass(frozen=True)
class Found:
    """Somebody began to speak: where that was, and where it was known, s from the start."""

    began: float
    known: float


def echo_of(robot: np.ndarray, delay: float, gain: float, seed: int = 3) -> np.ndarray:
    """What comes back of the robot's int16 (n,): `delay` s later, at `gain` dB; float64.

    A room of `seed` answers with 0.2 s of decaying reverberation.
    """
    rng = np.random.default_rng(seed)
    direct, tail = round(delay * RATE), 3200
    response = np.zeros(direct + tail)
    response[direct:] = rng.normal(size=tail) * np.exp(-np.arange(tail) / 800) * 0.05
    response[direct] = 1.0
    size = 1 << (len(robot) + len(response) - 1).bit_length()
    spectrum = np.fft.rfft(robot, size) * np.fft.rfft(response, size)
    heard = np.fft.irfft(spectrum, size)[: len(robot) + len(response) - 1]
    loudness = np.sqrt(np.mean(robot.astype(float) ** 2) / max(np.mean(heard**2), 1e-9))
    return np.asarray(heard * loudness * 10 ** (gain / 20))


def microphone(
    echo: np.ndarray, user: np.ndarray | None = None, at: float = 0.0, seed: int = 1
) -> np.ndarray:
    """The echo, a second of silence behind it, hiss, and `user` from `at` s on; int16."""
    rng = np.random.default_rng(seed)
    heard = np.concatenate([echo, np.zeros(RATE)]) + rng.normal(size=len(echo) + RATE) * HISS
    if user is not None:
        start = round(at * RATE)
        part = user[: len(heard) - start]
        heard[start : start + len(part)] += part
    return heard.clip(-32768, 32767).astype(np.int16)


def beginnings(judge: Echo, heard: np.ndarray, robot: np.ndarray) -> list[Found]:
    """Judge a recording as the node dialogue_state does, chunk by chunk.

    `heard` and `robot` are int16 (n,); the robot's voice is played from the first sample on.
    """
    played = np.zeros(len(heard), np.int16)
    played[: len(robot)] = robot[: len(heard)]
    activity, found = VoiceActivity(), []
    for start in range(0, len(heard) - CHUNK + 1, CHUNK):
        stamp = START + start * SECOND // RATE
        if start % FRAME == 0:
            judge.played(Chunk(played[start : start + FRAME], stamp))
        chunk = judge.heard(Chunk(heard[start : start + CHUNK], stamp))
        end = activity.position + len(chunk.samples)

        def counts(position: int, block: np.ndarray, chunk: Chunk = chunk, end: int = end) -> bool:
            return judge.counts(Chunk(block, chunk.end - (end - position) * SECOND // RATE))

        for change in activity.push(chunk.samples, counts):
            if change.speaking:
                found.append(Found(change.position / RATE, (start + CHUNK) / RATE))
    return found
