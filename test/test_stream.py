"""Streams of sound: nothing is lost, nothing is doubled, stamps are true."""

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from llia_ros.audio.stream import RATE, SECOND, Blocks, Converter, SampleClock, to_mono

NOISE = np.random.default_rng(1).integers(-9000, 9000, 48000).astype(np.int16)


def pieces(samples: np.ndarray, lengths: list[int]) -> list[np.ndarray]:
    cut, start = [], 0
    while start < len(samples):
        length = lengths[len(cut) % len(lengths)]
        cut.append(samples[start : start + length])
        start += length
    return cut


def smooth(rate: int, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(int(rate * seconds)) / rate
    return (8000 * np.sin(2 * np.pi * 300 * time) * np.sin(2 * np.pi * 3 * time)).astype(np.int16)


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=9))
def test_16_khz_mono_passes_unchanged(lengths: list[int]) -> None:
    converter, got, stamp = Converter(), [], 7 * SECOND
    for piece in pieces(NOISE, lengths):
        chunk = converter.push(piece, RATE, stamp)
        assert chunk.stamp == stamp
        got.append(chunk.samples)
        stamp += len(piece) * SECOND // RATE
    assert np.array_equal(np.concatenate(got), NOISE)
    assert len(converter.flush().samples) == 0


@settings(deadline=None, max_examples=30)
@given(
    rate=st.sampled_from([8000, 11025, 22050, 44100, 48000]),
    lengths=st.lists(st.integers(100, 3000), min_size=1, max_size=5),
    channels=st.sampled_from([1, 2, 6]),
)
def test_any_rate_comes_out_as_if_converted_at_once_with_true_stamps(
    rate, lengths, channels
) -> None:
    mono = smooth(rate)
    converter, start = Converter(), 5 * SECOND
    chunks, taken = [], 0
    for piece in pieces(mono, lengths):
        stamp = start + taken * SECOND // rate
        chunks.append(converter.push(np.repeat(piece[:, None], channels, 1), rate, stamp))
        taken += len(piece)
    chunks.append(converter.flush())
    got = np.concatenate([chunk.samples for chunk in chunks])
    expected = soxr.resample(mono, rate, RATE, quality='MQ')
    assert abs(len(got) - len(expected)) <= 1
    both = min(len(got), len(expected))
    assert np.abs(got[:both].astype(int) - expected[:both]).max() <= 2
    given_out = 0
    for chunk in chunks:
        assert abs(chunk.stamp - start - given_out * SECOND / RATE) < 100_000
        given_out += len(chunk.samples)


def test_a_rate_that_changes_on_the_way_loses_nothing() -> None:
    converter = Converter()
    first = converter.push(smooth(48000), 48000, 0)
    second = converter.push(smooth(RATE), RATE, SECOND)
    assert len(first.samples) + len(second.samples) == 2 * RATE
    assert np.array_equal(second.samples[-RATE:], smooth(RATE))
    assert abs(second.stamp - first.end) < 100_000


def test_channels_are_averaged() -> None:
    assert np.array_equal(to_mono(np.array([[10, 20], [-5, -7]], np.int16)), [15, -6])
    loud = np.full((4, 2), 32767, np.int16)
    assert np.array_equal(to_mono(loud), loud[:, 0])


@given(st.lists(st.integers(0, 2000), min_size=1, max_size=20), st.integers(1, 700))
def test_blocks_join_to_what_was_cut(lengths: list[int], length: int) -> None:
    blocks, taken, whole = Blocks(length), 0, []
    for count in lengths:
        for position, block in blocks.push(NOISE[taken : taken + count]):
            assert position == len(whole) * length
            assert len(block) == length
            whole.append(block)
        taken = min(len(NOISE), taken + count)
        assert blocks.end == taken
    position, rest = blocks.flush()
    assert position == len(whole) * length
    assert np.array_equal(np.concatenate([*whole, rest]), NOISE[:taken])


def test_the_clock_smooths_jitter_and_follows_a_slow_card() -> None:
    rng = np.random.default_rng(0)
    clock = SampleClock(RATE)
    real_rate = RATE * 0.9998  # 0.2 ms a second slower than it says
    stamps, truth = [], []
    for chunk in range(3000):
        true = SECOND + chunk * 320 * SECOND / real_rate
        truth.append(true)
        stamps.append(clock.stamp(320, round(true + rng.normal() * 2e6)))
    error = np.array(stamps[500:]) - np.array(truth[500:])
    assert np.abs(error).max() < 2_500_000
    assert np.diff(stamps).std() < 0.2e6
    assert clock.jumps == 0


def test_the_clock_takes_over_a_gap_at_once() -> None:
    clock = SampleClock(RATE)
    for chunk in range(10):
        clock.stamp(320, chunk * 20_000_000)
    late = 10 * 20_000_000 + SECOND
    assert abs(clock.stamp(320, late) - late) < 1000
    assert clock.jumps == 1


@pytest.mark.parametrize('rate', [RATE, 44100])
def test_an_empty_chunk_is_no_chunk(rate: int) -> None:
    converter = Converter()
    assert len(converter.push(np.zeros((0, 1), np.int16), rate, 5).samples) == 0
