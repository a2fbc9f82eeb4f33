"""Log-mel columns: the same however they are pushed, and in time with the sound."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llia_ros.audio.features import (
    BINS,
    COLUMNS_PER_FRAME,
    HOP,
    SILENCE,
    SILENCE_COLUMN,
    LogMel,
    log_mel,
    windows,
)
from llia_ros.model import viseme_predictor
from llia_ros.model.config import AudioConfig, tiny

CONFIG = AudioConfig()


def noise(count: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=count) * 3000).astype(np.int16)


def test_a_frame_has_the_columns_that_models_take_it_to_have():
    assert COLUMNS_PER_FRAME == viseme_predictor.COLUMNS_PER_FRAME
    assert COLUMNS_PER_FRAME * HOP == tiny().samples_per_frame


@settings(max_examples=60, deadline=None)
@given(chunks=st.lists(st.integers(0, 1500), min_size=1, max_size=25), seed=st.integers(0, 1000))
def test_streaming_in_any_chunks_is_bit_equal_to_all_at_once(chunks, seed):
    samples = noise(sum(chunks), seed)
    stream = LogMel()
    parts = [stream.push(part) for part in np.split(samples, np.cumsum(chunks)[:-1])]
    whole = log_mel(samples)
    assert whole.shape == (len(samples) // HOP, BINS)
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_a_long_sound_has_the_columns_of_its_parts():
    samples = noise(HOP * 5000 + 7)
    stream = LogMel()
    parts = [stream.push(samples[i : i + 7777]) for i in range(0, len(samples), 7777)]
    np.testing.assert_array_equal(np.concatenate(parts), log_mel(samples))


def test_a_column_comes_with_the_last_sample_of_its_hop():
    stream = LogMel()
    assert len(stream.push(noise(HOP - 1))) == 0
    assert len(stream.push(noise(1))) == 1
    assert len(stream.push(noise(HOP))) == 1


@pytest.mark.parametrize('sample', [0, 30, 159, 160, 1000, 1640, 3199])
def test_an_impulse_is_heard_in_the_columns_that_cover_it_and_in_no_other(sample):
    samples = np.zeros(4000, np.int16)
    samples[sample] = 32767
    heard = (log_mel(samples) > SILENCE).any(axis=1)
    j = np.arange(len(heard))
    covers = (HOP * j - 240 <= sample) & (sample < HOP * j + 160)
    assert not heard[~covers].any()
    # The window fades out at its edges, so only columns that hold the impulse well inside count.
    assert heard[covers & (sample < HOP * j + 140) & (sample >= HOP * j - 220)].all()


def test_reset_starts_a_new_stream():
    stream = LogMel()
    stream.push(noise(1234))
    stream.reset()
    np.testing.assert_array_equal(stream.push(noise(3200, 1)), log_mel(noise(3200, 1)))


def test_silence_is_one_value_with_and_without_dither():
    dither = np.random.default_rng(0).integers(-1, 2, 16000).astype(np.int16)
    for samples in (np.zeros(16000, np.int16), dither):
        np.testing.assert_array_equal(log_mel(samples), np.tile(SILENCE_COLUMN, (100, 1)))


def test_loud_sound_stays_near_one_and_pitch_moves_up_the_bins():
    time = np.arange(16000) / 16000
    bins = []
    for hertz in (200, 500, 1000, 2000, 4000, 7000):
        columns = log_mel((32767 * np.sin(2 * np.pi * hertz * time)).astype(np.int16))
        assert 0.9 < columns.max() < 1.25
        bins.append(int(columns[50].argmax()))
    assert bins == sorted(set(bins))


def test_every_bin_hears_something():
    assert (log_mel(noise(16000))[10:] > SILENCE + 0.2).all()


@pytest.mark.parametrize('samples', [np.zeros(400, np.float32), np.zeros((400, 2), np.int16)])
def test_other_sound_than_mono_int16_is_refused(samples):
    with pytest.raises(ValueError, match='one-dimensional int16'):
        log_mel(samples)


def test_a_frame_hears_its_window_and_silence_where_there_is_nothing():
    columns = log_mel(noise(16000))
    heard = windows(columns, 0, 25, CONFIG)
    assert heard.shape == (25, CONFIG.columns, BINS)
    assert heard.dtype == np.float32
    for k in range(25):
        for i, j in enumerate(
            range(
                COLUMNS_PER_FRAME * k - CONFIG.columns_before,
                COLUMNS_PER_FRAME * k + CONFIG.columns_after,
            )
        ):
            expected = columns[j] if 0 <= j < len(columns) else SILENCE_COLUMN
            np.testing.assert_array_equal(heard[k, i], expected)


@given(first=st.integers(0, 30), frames=st.integers(0, 20), dropped=st.integers(0, 100))
def test_windows_of_a_part_of_the_stream_are_those_of_the_whole(first, frames, dropped):
    columns = log_mel(noise(16000))
    whole = windows(columns, 0, 50, CONFIG)[first : first + frames]
    dropped = min(dropped, max(0, COLUMNS_PER_FRAME * first - CONFIG.columns_before))
    np.testing.assert_array_equal(
        windows(columns[dropped:], first, frames, CONFIG, first_column=dropped), whole
    )


def test_a_frame_needs_no_sample_beyond_its_look_ahead():
    samples = noise(16000)
    frame = 10
    until = CONFIG.rate // 25 * frame + COLUMNS_PER_FRAME * HOP + 960
    changed = samples.copy()
    changed[until:] = 0
    before, after = (windows(log_mel(s), frame, 1, CONFIG) for s in (samples, changed))
    np.testing.assert_array_equal(before, after)
    changed[until - 100 :] = 0
    assert (windows(log_mel(changed), frame, 1, CONFIG) != before).any()


def test_columns_of_another_width_are_refused():
    with pytest.raises(ValueError, match=r'\(n, 64\)'):
        windows(np.zeros((10, 80), np.float32), 0, 1, CONFIG)
