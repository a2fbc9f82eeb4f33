"""The clock that sound and picture share: in any order of arrival, and on a real sound server."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from conftest import until
from hypothesis import given
from hypothesis import strategies as st

from llia_ros.audio.loudspeaker import Loudspeaker
from llia_ros.display.player import EARLY, MOST_PICTURES, Player
from llia_ros.display.timeline import CUSHION, LEAD, SUDDEN, WINDOW, Timeline

PERIOD, SAMPLES, RATE = 0.04, 640, 16000
LOUD = np.full(SAMPLES, 9000, np.int16)
PICTURE = np.zeros((2, 2, 3), np.uint8)


class HandClock:
    """A loudspeaker whose time a test sets, with a latency of 30 ms."""

    def __init__(self) -> None:
        self.written = 10.0
        self.placed: dict[float, np.ndarray] = {}
        self.silenced = 0

    @property
    def heard(self) -> float:
        return self.written - 0.03

    def place(self, time: float, samples: np.ndarray) -> bool:
        if time < self.written:
            return False
        self.placed[time] = samples
        return True

    def silence(self) -> None:
        self.silenced += 1
        self.placed.clear()


def told(player: Player, index: int, epoch: int = 0) -> None:
    player.take_sound(index, epoch, LOUD)
    player.take_picture(index, epoch, PICTURE)


def test_a_picture_is_due_when_its_sound_is_heard_and_not_before() -> None:
    clock = HandClock()
    player = Player(clock)
    for k in range(3):
        told(player, k)
    begins = sorted(clock.placed)
    assert begins == pytest.approx([10 + LEAD + k * PERIOD for k in range(3)])
    for k, begin in enumerate(begins):
        clock.written = begin + 0.03 - EARLY - 0.001
        assert player.due() is None
        clock.written += 0.002
        picture = player.due()
        assert picture is not None and picture.index == k
        assert player.skew == pytest.approx(-EARLY + 0.001)


def test_an_interruption_drops_all_sounds_and_pictures_that_are_older() -> None:
    clock = HandClock()
    player = Player(clock)
    for k in range(12):
        told(player, k)
    told(player, 12, epoch=1)
    told(player, 5, epoch=0)
    assert len(clock.placed) == 1 and player.stale == 2
    clock.written += 1.0
    picture = player.due()
    assert picture is not None and picture.index == 12 and player.due() is None


@given(st.lists(st.floats(0, 0.3), min_size=5, max_size=80), st.randoms())
def test_pictures_keep_their_order_whatever_the_delays(delays: list[float], random) -> None:
    clock = HandClock()
    player = Player(clock)
    events: list[tuple[float, Callable[[], None]]] = []
    for k, delay in enumerate(delays):
        at = 10 + k * PERIOD + delay
        later = at + random.random() * 0.1
        events.append((at, lambda k=k: player.take_sound(k, 0, LOUD)))
        events.append((later, lambda k=k: player.take_picture(k, 0, PICTURE)))
    shown = []
    for at, take in sorted(events, key=lambda event: event[0]):
        clock.written = max(clock.written, at)
        take()
        picture = player.due()
        if picture is not None:
            shown.append(picture.index)
    assert shown == sorted(set(shown))
    assert len(player._pictures) <= MOST_PICTURES


def test_a_late_sound_moves_the_timeline_on_and_only_silence_moves_it_back() -> None:
    timeline = Timeline()
    assert timeline.place(0, 0.0, quiet=False) == pytest.approx(LEAD)
    late = 10 * PERIOD + 0.2
    assert timeline.place(10, late, quiet=False) == pytest.approx(late + LEAD)
    assert timeline.moved == 1
    for k in range(11, 11 + WINDOW):
        timeline.place(k, k * PERIOD, quiet=True)
    last = 11 + 2 * WINDOW
    moved = timeline.moved
    for k in range(11 + WINDOW, last):
        timeline.place(k, k * PERIOD, quiet=False)
    assert timeline.moved == moved
    begin = timeline.place(last, last * PERIOD, quiet=True)
    assert begin - last * PERIOD == pytest.approx(CUSHION)
    far = last + 2 + round(SUDDEN / PERIOD)
    assert timeline.place(far, last * PERIOD, quiet=False) == pytest.approx(last * PERIOD + LEAD)


@pytest.mark.parametrize('rate', [None, 48000], ids=['16 kHz', 'resampled'])
def test_a_loudspeaker_plays_each_sound_at_its_place_on_the_timeline(
    rate: int | None, pulse: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {**pulse, 'PULSE_SINK': ''}.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / 'recorded.raw'
    command = ['parec', '--device=vmic.monitor', '--raw', '--format=s16le', '--rate=16000']
    with path.open('wb') as file, closing(Loudspeaker('pulse:vmic', rate)) as speaker:
        with subprocess.Popen([*command, '--channels=1', '--latency-msec=10'], stdout=file) as tap:
            until(lambda: path.stat().st_size > 2000 and speaker.written > 0.1)
            first = speaker.written + 0.3
            placed = [speaker.place(first + at, LOUD) for at in (0, PERIOD, 0.3)]
            assert all(placed) and not speaker.place(speaker.written - 1, LOUD)
            until(lambda: speaker.heard > first + 0.7)
            assert 0 < speaker.written - speaker.heard < 0.5
            tap.terminate()
    loud = np.flatnonzero(np.abs(np.fromfile(path, np.int16)) > 4500)
    # Two blocks without a seam, then the third, to the sample.
    assert len(loud) == pytest.approx(3 * SAMPLES, abs=0 if rate is None else 2)
    [seam] = np.flatnonzero(np.diff(loud) > 1)
    assert seam + 1 == pytest.approx(2 * SAMPLES, abs=1)
    assert loud[seam + 1] - loud[0] == pytest.approx(0.3 * RATE, abs=1)


def test_a_card_that_stands_still_lets_pictures_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr('time.monotonic', lambda: now)
    player = Player(HandClock())
    player.due()
    now += 2
    told(player, 0)
    assert player.due() is not None
