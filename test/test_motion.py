"""The motion process: within its ranges, alive as a face is, and a function of seed and states."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llia_ros.model.config import MOTION, STATES
from llia_ros.runtime.motion import EYE_REACH, FPS, LOWEST, RANGES, MotionProcess

LIDS = [MOTION.index('lid_left'), MOTION.index('lid_right')]
GAZE = [MOTION.index('gaze_x'), MOTION.index('gaze_y')]
HEAD = [MOTION.index(name) for name in ('x', 'y', 'roll', 'yaw', 'pitch')]
TURN = [MOTION.index('yaw'), MOTION.index('pitch')]

steps = st.lists(
    st.tuples(st.sampled_from(STATES), st.none() | st.tuples(st.floats(-1, 1), st.floats(-1, 1))),
    min_size=1,
    max_size=80,
)


def blink_starts(motion: np.ndarray) -> np.ndarray:
    shut = motion[:, LIDS[0]] > 0.8
    return np.flatnonzero(shut[1:] & ~shut[:-1]) + 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), steps)
def test_stays_within_its_ranges_whatever_is_asked(seed, sequence):
    process = MotionProcess(seed)
    motion = np.stack([process.step(state, target) for state, target in sequence])
    assert motion.dtype == np.float32 and motion.shape == (len(sequence), 9)
    assert (motion >= LOWEST).all() and (motion <= RANGES).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), steps, steps, steps)
def test_restoring_a_snapshot_forgets_the_frames_made_since(seed, before, dropped, after):
    straight, rewound = MotionProcess(seed), MotionProcess(seed)
    for process in (straight, rewound):
        for step in before:
            process.step(*step)
    snapshot = rewound.snapshot()
    for _ in range(2):
        for step in dropped:
            rewound.step(*step)
        rewound.restore(snapshot)
    for step in after:
        assert np.array_equal(straight.step(*step), rewound.step(*step))


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32),
    st.lists(st.sampled_from(STATES), min_size=2, max_size=60),
    st.integers(1, 59),
)
def test_clips_of_any_length_make_the_same_frames(seed, states, cut):
    whole, parts = MotionProcess(seed), MotionProcess(seed)
    cut = min(cut, len(states))
    joined = np.concatenate([parts.clip(states[:cut]), parts.clip(states[cut:])])
    assert np.array_equal(whole.clip(states), joined)


def test_seeds_move_differently():
    first, second = (MotionProcess(seed).clip(['idle'] * 200) for seed in (1, 2))
    assert np.abs(first - second).mean() > 0.01


@pytest.mark.parametrize('state', STATES)
def test_blinks_as_people_do(state):
    starts = np.concatenate(
        [
            blink_starts(MotionProcess(seed).clip([state] * 120 * FPS)) + seed * 10**6
            for seed in range(5)
        ]
    )
    gaps = np.diff(starts) / FPS
    gaps = gaps[gaps < 1000]
    assert 8 <= len(starts) / 10 <= 26  # a minute
    natural = gaps[gaps > 0.6]  # the others are double blinks
    assert natural.min() >= 1.9 and natural.max() <= 7
    assert 0 < (gaps < 0.6).mean() < 0.3


def test_a_blink_shuts_both_lids_for_a_quarter_of_a_second():
    motion = MotionProcess(4).clip(['listening'] * 60 * FPS)
    assert np.array_equal(motion[:, LIDS[0]], motion[:, LIDS[1]])
    lid = motion[:, LIDS[0]]
    for start in blink_starts(motion)[:-1]:
        around = lid[start - 3 : start + 8]
        assert around.max() >= 0.95
        assert 3 <= (around > 0.3).sum() <= 7


@pytest.mark.parametrize('state', STATES)
def test_eyes_jump_and_then_rest_on_what_they_see(state):
    motion = MotionProcess(7).clip([state] * 120 * FPS)
    sight = motion[:, GAZE] + motion[:, TURN]  # where eyes and head look together
    held = np.abs(motion[:, GAZE]).max(1) < EYE_REACH
    moved = np.abs(np.diff(sight, axis=0)).max(1) > 1e-3
    moved &= held[1:] & held[:-1]
    run = longest = 0
    for frame in moved:
        run = run + 1 if frame else 0
        longest = max(longest, run)
    assert 1 <= longest <= 2
    assert 20 <= moved.sum() <= 300


def test_gaze_is_central_when_listening_and_wanders_when_idle():
    spread = {
        state: np.concatenate(
            [MotionProcess(seed).clip([state] * 60 * FPS)[:, GAZE + TURN] for seed in range(3)]
        )
        for state in STATES
    }
    sight = {state: np.abs(m[:, :2] + m[:, 2:]).mean() for state, m in spread.items()}
    assert sight['listening'] < 0.5 * sight['idle']


def test_only_a_listening_face_nods_deeply():
    depth = {
        state: np.percentile(np.diff(MotionProcess(5).clip([state] * 120 * FPS)[:, 4]), 1)
        for state in STATES
    }
    assert depth['listening'] < 3 * depth['idle'] < 0


def test_the_head_never_jumps_even_when_the_state_does():
    rng = np.random.default_rng(0)
    states = [
        state for _ in range(300) for state in [STATES[rng.integers(3)]] * rng.integers(1, 9)
    ]
    motion = MotionProcess(6).clip(states)
    assert (np.abs(np.diff(motion[:, HEAD], axis=0)).max(0) < 0.2 * RANGES[HEAD]).all()


@pytest.mark.parametrize('state', STATES)
@pytest.mark.parametrize('target', [(0.6, 0.2), (-0.75, -0.3), (0.1, 0.4)])
def test_eyes_reach_a_target_at_once_and_the_head_takes_over(state, target):
    for seed in range(5):
        process = MotionProcess(seed)
        process.clip([state] * 100)
        motion = process.clip([state] * 40, target)
        sight = motion[:, GAZE] + motion[:, TURN]
        within_reach = np.abs(np.array(target) - motion[:, TURN]) < EYE_REACH
        assert np.abs(sight - target)[1:][within_reach[1:]].max() < 0.07
        # After 0.6 s most of what the head will do is done, and the eyes are nearer to centre.
        assert np.abs(motion[15:, TURN] - 0.6 * np.array(target)).max() < 0.36
        assert abs(motion[-1, GAZE[0]]) < 0.55 * abs(target[0]) + 0.1


def test_a_target_beyond_the_eyes_is_reached_with_the_head():
    process = MotionProcess(1)
    process.clip(['idle'] * 50)
    motion = process.clip(['idle'] * 40, (1.0, 0.0))
    for frame in motion[1:20]:
        assert frame[5] == pytest.approx(min(EYE_REACH, 1 - frame[3]), abs=0.05)
    assert motion[-1, GAZE[0]] + motion[-1, TURN[0]] == pytest.approx(1.0, abs=0.05)


def test_a_moving_target_is_followed_without_jumps():
    process = MotionProcess(3)
    path = [(0.5 * np.sin(frame / 25), 0.2) for frame in range(150)]
    process.clip(['listening'] * 10, path[0])
    motion = np.stack([process.step('listening', target) for target in path])
    sight = motion[:, GAZE] + motion[:, TURN]
    assert np.abs(sight - path).max() < 0.08
    assert np.abs(np.diff(motion[:, GAZE], axis=0)).max() < 0.12


def test_a_state_change_is_seen_within_200_ms():
    for seed in range(10):
        process = MotionProcess(seed)
        process.clip(['listening'] * 100)
        before = process.snapshot()
        stay = process.clip(['listening'] * 5)
        process.restore(before)
        change = process.clip(['idle'] * 5)
        assert np.abs(change - stay)[:, GAZE].max() > 0.08


def test_an_unknown_state_is_named():
    with pytest.raises(ValueError, match="'dancing'.*speaking, listening, idle"):
        MotionProcess(0).step('dancing')
