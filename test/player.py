"""Plays an engine frame by frame on a clock that the test moves."""

import time
from contextlib import contextmanager

import numpy as np
from analytic_backend import (
    BEFORE_LAST,
    LAST,
    PLACE,
    PORTRAIT,
    SERIAL,
    AnalyticBackend,
    ManualClock,
    read,
    voice,
)

from llia_ros.runtime.avatar import Avatar

FRAME = 0.04


class Player:
    """Takes frames one by one, each 40 ms of the test's own clock after the one before."""

    def __init__(self, avatar, clock, backend):
        self.avatar, self.clock, self.backend = avatar, clock, backend
        self.frames = []

    def tick(self, wait=True):
        """Take a frame at its time, once it is ready, or at its time ready or not."""
        if wait:
            self.settle()
            # On this clock drawing takes no time, however many cores there are.
            self.rest()
        if self.frames:
            self.clock.advance(FRAME)
        self.frames.append(next(self.avatar))
        return self.frames[-1]

    def play(self, count):
        return [self.tick() for _ in range(count)]

    def until(self, wanted, limit=60):
        """Take frames up to and with the first that is wanted."""
        for _ in range(limit):
            if wanted(self.tick()):
                return self.frames[-1]
        raise AssertionError('it never came')

    def settle(self, ready=1):
        """Wait until so many frames are ready."""
        patience = time.monotonic() + 20
        while self.avatar.ready < ready:
            assert time.monotonic() < patience, 'no frame became ready'
            time.sleep(0.0005)

    def rest(self):
        """Wait until all stages wait: for sound, for room, for time or before a gate."""
        avatar, changed = self.avatar, self.avatar._course.changed
        patience = time.monotonic() + 20
        while True:
            with changed:
                # A thread that was notified is no waiter any more, awake or not.
                idle = len(changed._waiters)
                idle += self.backend.gate.waiting + self.backend.decode_gate.waiting
                if idle >= sum(thread.is_alive() for thread in avatar._threads):
                    return
            assert time.monotonic() < patience, 'the stages never came to rest'
            time.sleep(0.0002)

    @property
    def heard(self):
        return np.concatenate([frame.audio for frame in self.frames])


@contextmanager
def player(**options):
    # Mixed pictures tell nothing of how they were drawn.
    options = {'mix': 1, **options}
    backend, clock = AnalyticBackend(serial=True), ManualClock()
    with Avatar(
        backend, PORTRAIT, timer=clock, clock=lambda: 1000 + clock.now(), **options
    ) as avatar:
        yield Player(avatar, clock, backend)


def continues(frames):
    """Return whether each clip began with the two frames that were seen before it as its past."""
    drawn = [read(frame.image) for frame in frames if not frame.repeated]
    starts = [at for at in range(2, len(drawn)) if drawn[at][PLACE] == 0]
    return len(starts) > 0 and all(
        drawn[at][LAST] == drawn[at - 1][SERIAL]
        and drawn[at][BEFORE_LAST] == drawn[at - 2][SERIAL]
        for at in starts
    )


def speech_in(player):
    """Return what was heard from the first to the last sample that is not zero."""
    sound = np.flatnonzero(player.heard)
    return player.heard[sound[0] : sound[-1] + 1]


def loud(length, seed=1):
    sound = voice(length, seed)
    sound[sound == 0] = 1
    return sound
