"""What the evaluation computes, on numbers whose answer is known."""

import numpy as np
import pytest

from llia_ros.training.long_run import STRATEGIES, Stream, long_run
from llia_ros.training.measures import (
    best_lag,
    correlation,
    frames_to_rest,
    mouth_motion,
    phone_errors,
    psnr,
    seam_ratio,
)
from llia_ros.training.speech import speak


def test_a_late_mouth_is_late_by_as_many_frames():
    track = np.random.default_rng(0).random(80)
    for late in (-3, 0, 2):
        assert best_lag(np.roll(track, late), track) == late


def test_what_does_not_move_correlates_with_nothing():
    assert correlation(np.ones(9), np.arange(9)) == 0
    assert correlation(np.arange(9), -np.arange(9)) == pytest.approx(-1)


def test_a_shut_mouth_does_not_move():
    mouth = np.zeros((20, 5))
    assert mouth_motion(mouth) == 0
    mouth[:, 3] = np.arange(20)  # teeth behind closed lips
    assert mouth_motion(mouth) == 0


def test_psnr_of_one_grey_level_everywhere():
    a = np.full((4, 4, 3), 7, np.uint8)
    assert psnr(a, a + np.uint8(1)) == pytest.approx(48.13, abs=0.01)


def test_seams_that_jump_twice_as_far():
    change = np.ones(33)
    assert seam_ratio(change, 8) == pytest.approx(1)
    change[8::8] = 2
    assert seam_ratio(change, 8) == pytest.approx(2)


def test_rest_begins_where_it_lasts():
    assert frames_to_rest(np.array([0.9, 0.1, 0.4, 0.1, 0.1, 0.1])) == 3
    assert frames_to_rest(np.array([0.0, 0.0, 0.0])) == 0
    assert frames_to_rest(np.ones(6)) == 6


def test_truth_has_no_error_in_any_class_of_sound():
    said = speak('Papa, you see my fish.', 'en-us')
    errors = phone_errors(said.mouth(), said)
    assert {'bilabial', 'silence', 'vowel open', 'vowel close'} <= set(errors)
    assert all(np.all(np.stack(e) == 0) for e in errors.values())
    shut = phone_errors(np.zeros_like(said.mouth()), said)
    assert np.mean(shut['vowel open'], axis=0)[0] > 0.5
    assert np.mean(shut['bilabial'], axis=0)[0] < 0.3


class Echo:
    """A denoiser whose every clip drifts from its past by what the noise says."""

    def __init__(self) -> None:
        from llia_ros.model.config import tiny

        self.config = tiny()

    def denoise(self, noise, mel, motion, state, reference, past, steps):
        start = reference if past is None else past[-1]
        return start + 0.1 * noise


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_a_strategy_decides_noise_and_past(strategy):
    shape = Echo().config.latent_shape
    stream = Stream(Echo(), np.ones(shape, np.float32), strategy, seed=3, steps=1)
    clips = [stream.draw(k, None, None) for k in range(3)]
    noises = [stream._noise(k) for k in range(2)]
    still = [np.allclose(noise, noise[:1]) for noise in noises]
    assert all(still) == (strategy in ('fixed field', 'anchored'))
    assert np.array_equal(*noises) == (strategy in ('fixed field', 'anchored'))
    kept = np.allclose(stream.past, clips[-1][-2:])
    assert kept == (strategy not in ('noised past', 'anchored'))


def test_a_restart_shows_what_the_stream_has_lost():
    from llia_ros.runtime.backends import load_backend

    drawer = load_backend('tiny', 'openvino')
    figures = long_run(drawer, minutes=0.1, windows_seen=2)
    assert abs(figures['drift_db']) < 1
    assert figures['psnr_db'] > 18
    with pytest.raises(ValueError, match='unknown strategy'):
        long_run(drawer, 'hope', minutes=0.1)
