"""Voice activity: real speech is found where it is, noise and tones are not speech."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llia_ros.audio.stream import RATE
from llia_ros.audio.voice_activity import BLOCK, SURE, Change, Hysteresis, VoiceActivity

SECOND_OF_SILENCE = np.zeros(RATE, np.int16)


def changes(samples: np.ndarray, chunk: int = 320, **settings) -> list[Change]:
    activity = VoiceActivity(**settings)
    found = []
    for start in range(0, len(samples), chunk):
        found += activity.push(samples[start : start + chunk])
    return found


def test_a_sentence_begins_and_ends_where_it_does(sentence: np.ndarray) -> None:
    samples = np.concatenate([SECOND_OF_SILENCE, sentence, SECOND_OF_SILENCE])
    begin, end = changes(samples)
    assert (begin.speaking, end.speaking) == (True, False)
    assert abs(begin.position - RATE) < 0.15 * RATE
    assert abs(end.position - RATE - len(sentence)) < 0.4 * RATE


def test_chunks_of_any_size_find_the_same(sentence: np.ndarray) -> None:
    samples = np.concatenate([SECOND_OF_SILENCE, sentence, SECOND_OF_SILENCE])
    expected = changes(samples, len(samples))
    assert expected
    for chunk in (160, 320, 512, 573, 4000):
        assert changes(samples, chunk) == expected


def test_speech_is_found_in_noise(sentence: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    samples = np.concatenate([SECOND_OF_SILENCE, sentence, SECOND_OF_SILENCE])
    loudness = np.sqrt(np.mean(sentence.astype(float) ** 2))
    noisy = samples + rng.normal(size=len(samples)) * loudness / 10
    begin, _ = changes(noisy.clip(-32768, 32767).astype(np.int16))
    assert begin.speaking and abs(begin.position - RATE) < 0.3 * RATE


@pytest.mark.parametrize('loudness', [30, 1000, 8000])
def test_noise_is_no_speech(loudness: int) -> None:
    rng = np.random.default_rng(loudness)
    noise = (rng.normal(size=5 * RATE) * loudness).clip(-32768, 32767).astype(np.int16)
    assert changes(noise) == []


def test_a_tone_and_clicks_are_no_speech() -> None:
    time = np.arange(4 * RATE) / RATE
    tone = (8000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
    clicks = np.zeros(4 * RATE, np.int16)
    clicks[::4000] = 32000
    assert changes(tone) == []
    assert changes(clicks) == []


def test_a_stream_that_stops_ends_speech_and_begins_anew(sentence: np.ndarray) -> None:
    activity = VoiceActivity()
    assert [change.speaking for change in activity.push(sentence[: 2 * RATE])] == [True]
    assert activity.end() == [Change(False, 2 * RATE)]
    assert activity.end() == []
    again = activity.push(sentence)
    assert again[0].speaking and again[0].position >= 2 * RATE


def test_a_gate_keeps_blocks_from_counting(sentence: np.ndarray) -> None:
    activity = VoiceActivity()
    seen: list[tuple[int, int]] = []

    def gate(position: int, block: np.ndarray) -> bool:
        seen.append((position, len(block)))
        return False

    assert activity.push(sentence, gate) == []
    assert seen == [(i * BLOCK, BLOCK) for i in range(len(sentence) // BLOCK)]


probabilities = st.lists(st.floats(0, 1), max_size=300)


@given(
    probabilities,
    st.floats(0.1, 0.9),
    st.floats(0, 0.5),
    st.floats(0, 1.0),
)
def test_changes_alternate_and_come_no_faster_than_attack_and_release(
    values, threshold, attack, release
) -> None:
    hysteresis = Hysteresis(threshold, attack, release)
    found = []
    for index, value in enumerate(values):
        change = hysteresis.push(value, index * BLOCK, BLOCK)
        if change is None:
            continue
        now = (index + 1) * BLOCK
        # What is surely speech counts double.
        needed = attack / 2 if change.speaking else release
        # Reported no sooner than it has lasted, at the block where it really happened.
        assert now - change.position >= needed * RATE
        lasted = values[change.position // BLOCK : index + 1]
        if change.speaking:
            assert min(lasted) >= threshold
        else:
            assert max(lasted) < threshold
        found.append(change)
    assert [change.speaking for change in found] == [i % 2 == 0 for i in range(len(found))]
    assert [change.position for change in found] == sorted({c.position for c in found})
    assert hysteresis.speaking == bool(len(found) % 2)


def test_a_probability_between_the_thresholds_changes_nothing() -> None:
    hysteresis = Hysteresis(0.5, 0.0, 0.0)
    assert hysteresis.push(0.45, 0, BLOCK) is None
    assert hysteresis.push(0.6, BLOCK, BLOCK) == Change(True, BLOCK)
    assert hysteresis.push(0.45, 2 * BLOCK, BLOCK) is None
    assert hysteresis.push(0.2, 3 * BLOCK, BLOCK) == Change(False, 3 * BLOCK)


def blocks_until_it_speaks(probability: float) -> int:
    hysteresis = Hysteresis(0.5, attack=0.25)
    return next(k for k in range(1, 99) if hysteresis.push(probability, k * BLOCK, BLOCK))


def test_the_surer_it_is_the_sooner_it_counts() -> None:
    whole = int(np.ceil(0.25 * RATE / BLOCK))
    assert blocks_until_it_speaks(0.5) == whole
    assert blocks_until_it_speaks(0.95) == blocks_until_it_speaks(SURE) == -(-whole // 2)
    assert -(-whole // 2) < blocks_until_it_speaks(0.7) < whole


def test_a_doubt_begins_the_count_anew() -> None:
    hysteresis = Hysteresis(0.5, attack=3.5 * BLOCK / RATE)
    values = [1.0, 0.4, 1.0, 1.0]
    found = [hysteresis.push(value, k * BLOCK, BLOCK) for k, value in enumerate(values)]
    assert found == [None, None, None, Change(True, 2 * BLOCK)]


COUNT_THREADS = """
import os
import numpy as np
from llia_ros.audio.voice_activity import VoiceActivity
before = len(os.listdir('/proc/self/task'))
VoiceActivity().push(np.zeros(16000, np.int16))
print(len(os.listdir('/proc/self/task')) - before, os.environ.get('OMP_THREAD_LIMIT'))
"""


@pytest.mark.parametrize('limit', [None, '3'])
def test_the_detector_takes_no_threads_and_leaves_others_theirs(limit: str | None) -> None:
    env = {key: value for key, value in os.environ.items() if key != 'OMP_THREAD_LIMIT'}
    env |= {'OMP_THREAD_LIMIT': limit} if limit else {}
    command = [sys.executable, '-c', COUNT_THREADS]
    told = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
    assert told.split() == ['0', str(limit)]
