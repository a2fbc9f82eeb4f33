"""The meter: every figure from the moments of a frame's life, and a foretold pace."""

from types import SimpleNamespace

import numpy as np
import pytest

from llia_ros.runtime.meter import Meter, Pace, summary


def clip(*arrived, onset=None):
    return SimpleNamespace(
        voice=bool(arrived),
        onset=onset,
        arrived=arrived or (None, None),
        planned=1.0,
        denoise=(1.01, 1.06),
        decode=(1.07, 1.10),
        done=[1.10, 1.10],
    )


def test_a_frame_is_followed_from_the_arrival_of_its_sound_to_its_time():
    meter = Meter()
    meter.made(clip(0.9, 0.96))
    meter.shown(clip(0.9, 0.96, onset=0.7), 0, now=1.2)
    stages = meter.stats()['stages_ms']
    assert {stage: figures['p50'] for stage, figures in stages.items()} == {
        'audio': 60,
        'ahead': 40,
        'queue': 20,
        'denoise': 50,
        'decode': 30,
        'hold': 100,
        'generation': 100,
        'latency': 200,
        'first_clip': 140,
        'onset': 500,
        'whole': 300,
        'own': 240,
    }
    parts = ('audio', 'ahead', 'queue', 'denoise', 'decode')
    assert sum(stages[part]['p50'] for part in parts) == stages['latency']['p50']
    assert meter.stats()['latency_ms'] == {'p50': 200, 'p95': 200, 'max': 200}


def test_silence_has_no_latency():
    meter = Meter()
    meter.shown(clip(), 0, now=1.2)
    stats = meter.stats()
    assert stats['latency_ms'] is None and 'audio' not in stats['stages_ms']
    assert (stats['frames'], stats['speech_frames']) == (1, 0)


def test_only_the_first_frame_of_an_utterance_tells_of_its_onset():
    meter = Meter()
    meter.shown(clip(0.9, 0.96, onset=0.7), 1, now=1.2)
    meter.shown(clip(0.9, 0.96), 0, now=1.2)
    stages = meter.stats()['stages_ms']
    assert 'onset' not in stages and 'first_clip' not in stages


def test_percentiles_cover_the_last_frames_only():
    meter = Meter(window=100)
    for _ in range(500):
        meter.add('hold', 9.0)
    for value in range(1, 101):
        meter.add('hold', value / 1000)
    assert meter.stats()['stages_ms']['hold'] == summary(np.arange(1.0, 101.0))
    assert summary(np.arange(1.0, 101.0)) == {
        'p50': 50.5,
        'p95': pytest.approx(95, abs=0.1),
        'max': 100,
    }


def test_the_frame_rate_is_that_of_the_last_seconds():
    meter = Meter()
    for second in range(60):
        meter.repeated(second, 'late_frames')
    for at in range(200):
        meter.shown(clip(), 1, 60 + at / 25)
    stats = meter.stats()
    assert stats['fps'] == pytest.approx(25)
    assert (stats['late_frames'], stats['frames']) == (60, 260)


def test_an_unknown_counter_or_stage_is_an_error():
    with pytest.raises(KeyError):
        Meter().count('mistakes')
    with pytest.raises(KeyError):
        Meter().add('lunch', 1.0)


def test_pace_foretells_from_like_clips_and_forgets_a_slow_start():
    pace = Pace(guess=0.03)
    assert pace.seconds(4) == pytest.approx(0.12)
    pace.observe(4, 0.9)
    assert pace.seconds(4) == pytest.approx(0.9)
    for _ in range(9):
        pace.observe(4, 0.1)
    assert pace.seconds(4) == pytest.approx(0.1)
    assert pace.seconds(8) == pytest.approx(0.2)  # none seen: from the nearest
    pace.observe(8, 0.15, turn=0.05)
    assert pace.seconds(8) == pytest.approx(0.15)
    assert (pace.turn(8), pace.turn(4)) == (pytest.approx(0.05), pytest.approx(0.1))


def test_pace_expects_what_happens_now_and_then():
    pace = Pace()
    for seconds in [0.1, 0.1, 0.2, 0.1, 0.1, 0.2, 0.1, 0.1, 0.2]:
        pace.observe(4, seconds)
    assert pace.seconds(4) == pytest.approx(0.2)
