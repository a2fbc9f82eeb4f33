"""While nobody speaks some frames are drawn and the others mixed of them, and nothing is lost."""

import threading

import numpy as np
import pytest
from analytic_backend import PORTRAIT, SIZE, AnalyticBackend, voice
from hypothesis import given, settings
from hypothesis import strategies as st
from player import player
from test_engine_planner import Desk

from llia_ros.runtime.avatar import Avatar
from llia_ros.runtime.keys import APART, LONGEST_GAP, OFF, REACH, choose, fill
from llia_ros.runtime.motion import BLINKS, MotionProcess

COUNT, SPAN = 4, 16


@st.composite
def paths(draw):
    """Some frames of a living face, the frame before them, and how many they are."""
    process = MotionProcess(draw(st.integers(0, 10**6)))
    state = draw(st.sampled_from(['idle', 'listening', 'speaking']))
    process.clip([state] * draw(st.integers(0, 200)))
    before = process.step(state) if draw(st.booleans()) else None
    return process.clip([state] * draw(st.integers(COUNT, SPAN))), before


@settings(max_examples=60, deadline=None)
@given(paths())
def test_each_frame_is_drawn_or_lies_between_two_that_are(path):
    motion, before = path
    keys = choose(motion, before, COUNT)
    assert len(keys.drawn) == COUNT and list(keys.drawn) == sorted(set(keys.drawn))
    assert keys.drawn[-1] == len(keys.mixes) - 1 < len(motion)
    assert before is not None or keys.drawn[0] == 0
    known = {-1: before, **{place: motion[at] for place, at in enumerate(keys.drawn)}}
    placed = {-1: -1, **dict(enumerate(keys.drawn))}
    for at, (left, right, weight) in enumerate(keys.mixes):
        if at in keys.drawn:
            assert keys.drawn[right] == at and weight == 1
            continue
        assert left == right - 1 and placed[left] < at < placed[right]
        assert placed[right] - placed[left] <= LONGEST_GAP
        way = (known[right] - known[left]) * REACH
        off = (motion[at] - known[left]) * REACH - weight * way
        # A weight that is next to nothing was left out.
        assert np.linalg.norm(off) <= OFF + 0.04 * np.linalg.norm(way)
        assert 2 * np.sqrt(weight * (1 - weight)) * np.linalg.norm(way) <= APART * 1.001


@settings(max_examples=15, deadline=None)
@given(paths(), st.integers(0, 5))
def test_which_frames_are_drawn_follows_from_the_motion_alone(path, seed):
    motion, before = path
    keys = choose(motion, before, COUNT)
    np.random.default_rng(seed).standard_normal(3)
    assert choose(motion.copy(), None if before is None else before.copy(), COUNT) == keys


@pytest.mark.parametrize('shape', range(len(BLINKS)))
def test_blinks_and_jumps_of_the_eyes_are_drawn(shape):
    lids = BLINKS[shape]
    motion = np.zeros((SPAN, 9), np.float32)
    motion[2 : 2 + len(lids), 7:] = np.array(lids)[:, None]
    keys = choose(motion, motion[0], SPAN - 1)
    moving = [at for at in range(1, SPAN) if abs(motion[at, 7] - motion[at - 1, 7]) > 0.1]
    assert set(moving) <= set(keys.drawn)
    motion = np.zeros((SPAN, 9), np.float32)
    motion[5, 5], motion[6:, 5] = 0.35, 0.5
    keys = choose(motion, motion[0], COUNT)
    assert 5 in keys.drawn
    # Nothing of the jump is seen before it, and nothing of where it began after it.
    gaze = [*motion[list(keys.drawn), 5], 0.0]
    seen = [(1 - weight) * gaze[left] + weight * gaze[right] for left, right, weight in keys.mixes]
    np.testing.assert_allclose(seen, motion[: len(seen), 5])


def test_a_still_face_is_drawn_seldom_and_a_restless_one_always():
    still = choose(np.zeros((32, 9), np.float32), np.zeros(9, np.float32), COUNT)
    assert still.drawn == tuple(range(LONGEST_GAP - 1, 32, LONGEST_GAP))
    still = choose(np.zeros((SPAN, 9), np.float32), np.zeros(9, np.float32), COUNT)
    assert still.drawn == (3, 7, 11, 15)
    restless = np.random.default_rng(0).uniform(-0.5, 0.5, (SPAN, 9)).astype(np.float32)
    assert choose(restless, -restless[0], COUNT).drawn == (0, 1, 2, 3)


def test_a_mixed_picture_lies_between_its_neighbours():
    motion = np.zeros((8, 9), np.float32)
    motion[:, 0] = np.arange(1, 9) * 0.1 / 512
    keys = choose(motion, np.zeros(9, np.float32), 1)
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 240, np.uint8)
    frames = fill(keys, [white], black)
    assert [int(frame[0, 0, 0]) for frame in frames] == [30, 60, 90, 120, 150, 180, 210, 240]
    assert frames[-1] is white
    assert all(frame is white for frame in fill(keys, [white], None))


def silent(frames, state='idle', **options):
    backend = AnalyticBackend()
    with Avatar(backend, PORTRAIT, paced=False, **options) as avatar:
        avatar.set_state(state)
        avatar.push_audio(np.zeros(640 * frames, np.int16))
        avatar.finish()
        return list(avatar), backend


@pytest.mark.parametrize('state', ['idle', 'listening'])
def test_silence_takes_less_than_half_the_frames_and_speech_all(state):
    frames, backend = silent(250, state)
    assert len(frames) == 250
    assert set(backend.lengths) == {4}
    assert sum(backend.lengths) < 0.45 * 250
    for options in ({'mix': 1}, {'led': False}):
        _, backend = silent(44, state, **options)
        assert sum(backend.lengths) == 44
    with pytest.raises(ValueError, match='each frame drawn shows at least one, not 0'):
        silent(4, mix=0)


def test_the_first_frames_after_a_change_are_all_drawn():
    desk = Desk(paced=False, mix=4)
    for change in ({}, {'state': 'listening'}, {'override': 'idle'}, {'state': 'idle'}):
        desk.change(**change)
        desk.push(12)
        desk.planner.inbox[-1].samples[:] = 0
    desk.push(20, end=True)
    clips = desk.plan()
    assert any(clip.keys for clip in clips)
    for before, clip in zip([None, *clips], clips, strict=False):
        if before is None or (clip.state, clip.playing) != (before.state, before.playing):
            assert clip.keys is None
        assert not (clip.playing and clip.keys)


def test_what_is_mixed_hears_and_moves_as_if_it_were_drawn():
    plans = []
    for mix in (1, 4):
        desk = Desk(paced=False, mix=mix)
        desk.push(60, end=True)
        desk.planner.inbox[0].samples[:] = voice(640 * 60) // 200
        plans.append(desk.plan())
    heard = np.concatenate([clip.heard[: clip.keep] for clip in plans[0]])
    motion = np.concatenate([clip.motion[: clip.keep] for clip in plans[0]])
    assert sum(clip.keep for clip in plans[1]) == 60
    assert sum(clip.length for clip in plans[1]) < 60
    for clip in plans[1]:
        drawn = clip.keys.drawn if clip.keys else range(clip.keep)
        at = [clip.first + place for place in drawn]
        assert np.array_equal(clip.motion[: len(at)], motion[at])
        assert np.array_equal(clip.heard[: len(at)], heard[at])


def until(mix, act, seen):
    """Return how many frames pass from an act until it is seen."""
    with player(mix=mix) as p:
        p.play(37)
        act(p.avatar)
        p.until(seen)
        assert not any(frame.repeated for frame in p.frames)
        return len(p.frames) - 37


@pytest.mark.parametrize(
    ('act', 'seen'),
    [
        (lambda a: a.set_state('listening'), lambda frame: frame.state == 'listening'),
        (lambda a: a.push_audio(voice(640 * 20)), lambda frame: frame.playing),
    ],
)
def test_changes_and_speech_are_seen_as_soon_as_if_all_were_drawn(act, seen):
    assert until(4, act, seen) == until(1, act, seen) <= 4


def test_a_target_that_moves_smoothly_is_followed_within_a_clip_and_its_reserve():
    desk = Desk(seconds=0.02, mix=4)
    desk.change(target=(0.1, 0.0))
    desk.plan()
    desk.play(100)
    ahead = desk.planner._plan.next - desk.course.shown
    desk.change(target=(0.15, 0.0))
    clips = desk.plan()
    assert desk.planner._plan.next - desk.course.shown <= 3 + 4 + 4
    clips += desk.play(8)
    first = min(clip.first for clip in clips) - desk.course.shown + 8
    assert first <= 3 + 4 and ahead >= first
    assert all(clip.keys is None for clip in clips)
    assert any(clip.keys for clip in desk.play(100))


class Watched(AnalyticBackend):
    """Notes whether it was asked for two things at once."""

    def __init__(self):
        super().__init__()
        self.lock, self.together = threading.Lock(), 0
        self.meet = threading.Barrier(2)

    def denoise(self, *given):
        return self._alone(lambda: super(Watched, self).denoise(*given))

    def decode(self, latents):
        return self._alone(lambda: super(Watched, self).decode(latents))

    def _alone(self, work):
        alone = self.lock.acquire(blocking=False)
        self.together += not alone
        try:
            # Whoever comes meanwhile is met here.
            self.meet.wait(0.02)
        except threading.BrokenBarrierError:
            self.meet.reset()
        done = work()
        if alone:
            self.lock.release()
        return done


@pytest.mark.parametrize('overlapped', [True, False])
def test_denoiser_and_decoder_work_side_by_side_only_if_they_may(overlapped):
    backend = Watched()
    with Avatar(backend, PORTRAIT, paced=False, overlapped=overlapped) as avatar:
        avatar.push_audio(voice(640 * 120))
        avatar.finish()
        frames = list(avatar)
    assert (backend.together > 0) == overlapped
    with Avatar(AnalyticBackend(), PORTRAIT, paced=False) as avatar:
        avatar.push_audio(voice(640 * 120))
        avatar.finish()
        assert all(
            np.array_equal(one.image, other.image)
            for one, other in zip(frames, avatar, strict=True)
        )


def test_pictures_handed_out_stay_as_they_were():
    kept = []
    with Avatar(AnalyticBackend(), PORTRAIT, paced=False) as avatar:
        avatar.push_audio(np.zeros(640 * 80, np.int16))
        avatar.push_audio(voice(640 * 20))
        avatar.finish()
        for frame in avatar:
            assert frame.image.shape == (SIZE, SIZE, 3)
            kept.append((frame.image, frame.image.copy()))
    assert all(np.array_equal(image, copy) for image, copy in kept)
