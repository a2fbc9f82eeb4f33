"""The tables of barge-in and of voices: a few rooms and voices of the many that they measure."""

import numpy as np
import pytest

from llia_ros.audio.stream import RATE
from llia_ros.benchmark import barge_in, voice_delay
from llia_ros.benchmark.barge_in import Trial, by_place, loudness
from llia_ros.benchmark.room import echo_of
from llia_ros.training.speech import TRAIN_VOICES

RNG = np.random.default_rng(0)


def cells(table) -> list[list[str]]:
    return [list(row) for row in zip(*(column.cells for column in table.columns), strict=True)]


def test_voices_are_many_and_none_of_training():
    assert len(voice_delay.VOICES) >= 150
    assert set(voice_delay.VOICES).isdisjoint(TRAIN_VOICES)


def test_voices_are_found_soon_and_silence_never():
    measured = voice_delay.measure(voices=6, noises=0, seed=3)
    delays = list(measured.by_voice.values())
    assert len(delays) == 6 and None not in delays
    assert all(0 < delay < 500 for delay in delays)
    assert voice_delay.first(voice_delay.VoiceActivity(), np.zeros(RATE, np.int16)) is None
    rows = cells(voice_delay.table(measured))
    assert rows[0] == ['6 voices, p50', f'{np.median(delays):.0f} ms']


def test_an_utterance_begins_with_its_first_sound():
    for _ in range(3):
        samples = np.abs(voice_delay.utterance(RNG).samples.astype(int))
        assert samples[:2].max() > 0.015 * samples.max()


def test_speech_is_as_long_and_as_loud_as_asked_for():
    speech = voice_delay.long_speech(RNG, 4.0)
    assert speech.dtype == np.int16 and len(speech) == 4 * RATE
    assert 2000 < loudness(speech) < 5000


@pytest.mark.parametrize('gain', [-6.0, -20.0])
def test_an_echo_comes_at_its_delay_and_loudness(gain):
    robot = voice_delay.long_speech(RNG, 2.0).astype(float)
    robot[:100] = 5000
    echo = echo_of(robot.astype(np.int16), 0.1, gain)
    assert np.abs(echo[: RATE // 10]).max() < 1
    assert np.abs(echo[RATE // 10 : RATE // 10 + 100]).max() > 100
    assert loudness(echo) == pytest.approx(loudness(robot) * 10 ** (gain / 20), rel=0.3)


def test_the_robot_alone_never_interrupts_and_a_user_does(monkeypatch):
    monkeypatch.setattr(barge_in, 'LEVELS', (-6.0,))
    monkeypatch.setattr(barge_in, 'DELAYS', (0.02, 0.2))
    monkeypatch.setattr(barge_in, 'ABOVE', (5.0,))
    done = barge_in.trials('mask', 1)
    assert [trial.above for trial in done] == [None, 5.0, None, 5.0]
    assert not any(trial.early for trial in done)
    assert all(trial.late is not None for trial in done if trial.above is not None)
    # Without any care the same robot interrupts itself: the rooms are no easy ones.
    assert all(trial.early for trial in barge_in.trials('off', 1) if trial.above is None)


def test_the_table_counts_by_level_and_delay():
    done = [
        Trial(-6.0, 0.02, None, True, None),
        Trial(-6.0, 0.02, None, False, None),
        Trial(-6.0, 0.02, 5.0, False, 0.2),
        Trial(-20.0, 0.2, 5.0, False, None),
    ]
    rows = cells(by_place(done))
    assert rows[0] == ['-6 dB', '20 ms', '1 of 2', '1 of 1', '200 ms', '200 ms']
    [everything] = [row for row in rows if row[0] == 'all']
    assert everything[2:4] == ['1 of 2', '1 of 2']


def test_an_unknown_package_is_one_line_and_code_2(monkeypatch, capsys):
    def missing(kind: str, margin: float) -> None:
        raise ValueError('echo cancellation needs livekit')

    monkeypatch.setattr(barge_in, 'make_echo', missing)
    assert barge_in.main(['--voices', '1', '--noises', '0', '--echo', 'aec']) == 2
    assert capsys.readouterr().err.strip().endswith('barge_in: echo cancellation needs livekit')
