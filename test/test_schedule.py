"""The schedule in angles: its identities, and its equality with the formula it stands for."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llia_ros.model import schedule

angle = st.floats(0, schedule.PURE_NOISE)


@given(angle, st.floats(-5, 5), st.floats(-5, 5))
def test_the_velocity_gives_back_the_clean_latent(a, x0, noise):
    cos, sin = math.cos(a), math.sin(a)
    x = schedule.add_noise(x0, noise, cos, sin)
    v = schedule.velocity(x0, noise, cos, sin)
    assert schedule.clean(x, v, cos, sin) == pytest.approx(x0, abs=1e-9)


@given(angle, angle, st.floats(-5, 5), st.floats(-5, 5))
def test_a_step_with_the_true_velocity_stays_on_the_path(a, b, x0, noise):
    x = schedule.add_noise(x0, noise, math.cos(a), math.sin(a))
    v = schedule.velocity(x0, noise, math.cos(a), math.sin(a))
    there = schedule.add_noise(x0, noise, math.cos(b), math.sin(b))
    assert schedule.rotate(x, v, a, b) == pytest.approx(there, abs=1e-9)


@pytest.mark.parametrize('steps', [1, 2, 5, 16])
def test_sampling_with_the_true_velocity_ends_at_the_clean_latent(steps):
    rng = np.random.default_rng(steps)
    x0, noise = rng.normal(size=(2, 3, 4))
    found = schedule.sample(
        lambda x, a: schedule.velocity(x0, noise, math.cos(a), math.sin(a)), noise, steps
    )
    np.testing.assert_allclose(found, x0, atol=1e-12)


def test_sampling_starts_at_pure_noise_and_goes_down_evenly():
    assert schedule.angles(4) == pytest.approx(
        [math.pi / 2, 3 * math.pi / 8, math.pi / 4, math.pi / 8]
    )
    with pytest.raises(ValueError, match='at least one step'):
        schedule.angles(0)


def test_angles_equal_ddim_with_zero_terminal_snr():
    """A DDIM step written with alphas (2010.02502, eq. 12) is a rotation between their angles."""
    found = schedule.linear_beta_angles()
    assert found[-1] == pytest.approx(schedule.PURE_NOISE, abs=1e-7)
    assert (np.diff(found) > 0).all()
    rng = np.random.default_rng(0)
    for high, low in ((999, 833), (500, 333), (100, 0)):
        x, v = rng.normal(size=2)
        alpha, before = np.cos(found[high]) ** 2, np.cos(found[low]) ** 2
        x0 = alpha**0.5 * x - (1 - alpha) ** 0.5 * v
        noise = alpha**0.5 * v + (1 - alpha) ** 0.5 * x
        expected = before**0.5 * x0 + (1 - before) ** 0.5 * noise
        assert schedule.rotate(x, v, found[high], found[low]) == pytest.approx(expected)


def test_trailing_steps_are_as_long_as_each_other_even_where_that_misses_the_next():
    assert schedule.trailing_steps(2) == [(999, 499), (499, None)]
    assert schedule.trailing_steps(6)[:2] == [(999, 833), (832, 666)]
    for steps in (0, 1001):
        with pytest.raises(ValueError, match='1 to 1000 steps'):
            schedule.trailing_steps(steps)
