"""A stream at the pace of real time: sound arrives in 20 ms pieces, pictures leave every 40 ms."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from llia_ros.audio.stream import RATE
from llia_ros.benchmark.speech import voice
from llia_ros.benchmark.subject import Subject, encode
from llia_ros.runtime.avatar import Avatar
from llia_ros.runtime.meter import summary

CHUNK = RATE // 50
# A dialogue of short turns: so long is spoken, so long not, seconds.
TURN, REST = 1.2, 0.9
PHASES = ('speaking', 'turns', 'listening', 'idle')

Event = tuple[float, Callable[[], object]]


@dataclass(frozen=True)
class Phase:
    """What a stream of one kind was like; a frame is due every 1/fps seconds."""

    due: int
    shown: int  # in time
    late: int  # the picture before it went out again
    cpu: float  # CPU seconds of this process a second of the stream
    jitter: np.ndarray  # of the time between two frames handed out, seconds off 1/fps
    stages: dict[str, dict[str, float]]  # ms: p50, p95, max
    counts: dict[str, Any]  # of the engine's meter


def speaking(avatar: Avatar, seconds: float) -> Iterator[Event]:
    """Speech without end."""
    sound = voice(seconds)
    for at in range(0, len(sound), CHUNK):
        chunk = sound[at : at + CHUNK]
        # A piece is there when its last sample is.
        yield (at + CHUNK) / RATE, partial(avatar.push_audio, chunk)


def turns(avatar: Avatar, seconds: float) -> Iterator[Event]:
    """Short utterances, after which the face listens or idles in turn."""
    sound, start, turn = voice(seconds), REST / 2, 0
    while start + TURN <= seconds:
        first = round(start * RATE)
        spoken = sound[first : first + round(TURN * RATE)]
        for at in range(0, len(spoken), CHUNK):
            chunk = spoken[at : at + CHUNK]
            yield start + (at + CHUNK) / RATE, partial(avatar.push_audio, chunk)
        state = ('listening', 'idle')[turn % 2]
        yield start + TURN, avatar.end_of_speech
        yield start + TURN, partial(avatar.set_state, state)
        start, turn = start + TURN + REST, turn + 1


def silent(state: str) -> Callable[[Avatar, float], Iterator[Event]]:
    """Nothing is said at all."""

    def events(avatar: Avatar, seconds: float) -> Iterator[Event]:
        yield 0.0, partial(avatar.set_state, state)

    return events


SCRIPTS = {
    'speaking': speaking,
    'turns': turns,
    'listening': silent('listening'),
    'idle': silent('idle'),
}


def play(subject: Subject, phase: str, seconds: float) -> Phase:
    """Run one of PHASES for so long; each picture is encoded as the avatar node does."""
    with subject.avatar(paced=True) as avatar:
        return follow(avatar, SCRIPTS[phase](avatar, seconds), subject, seconds)


def follow(avatar: Avatar, events: Iterator[Event], subject: Subject, seconds: float) -> Phase:
    """Take frames from a paced engine while `events` happen at their times."""
    stop, start = threading.Event(), time.perf_counter()

    def perform() -> None:
        for at, action in events:
            if stop.wait(max(0.0, start + at - time.perf_counter())):
                return
            action()

    due = round(seconds * subject.config.fps)
    pusher = threading.Thread(target=perform, name='speech', daemon=True)
    handed: list[float] = []
    spent: dict[str, list[float]] = {'resize': [], 'encode': []}
    late = 0
    pusher.start()
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(due):
        frame = next(avatar)
        handed.append(time.perf_counter())
        late += frame.repeated
        image = subject.sized(frame.image)
        resized = time.perf_counter()
        encode(image)
        spent['resize'].append(resized - handed[-1])
        spent['encode'].append(time.perf_counter() - resized)
    used = (time.process_time() - cpu) / (time.perf_counter() - wall)
    stop.set()
    pusher.join()
    stats = avatar.stats()
    stages = {**stats['stages_ms']}
    for name, values in spent.items():
        stages[name] = summary(1000 * np.array(values))
    jitter = np.abs(np.diff(handed) - 1 / subject.config.fps)
    return Phase(due, due - late, late, used, jitter, stages, stats)
