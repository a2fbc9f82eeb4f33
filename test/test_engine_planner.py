"""How long a clip is planned, and when: the planner alone, time and stages told by hand."""

import numpy as np
import pytest
from analytic_backend import CONFIG, PORTRAIT, AnalyticBackend, voice
from hypothesis import given, settings
from hypothesis import strategies as st

from llia_ros.runtime.course import Course
from llia_ros.runtime.meter import Meter, Pace
from llia_ros.runtime.motion import MotionProcess
from llia_ros.runtime.notice import Notice
from llia_ros.runtime.planner import Planner
from llia_ros.runtime.portraits import Look, Portrait
from llia_ros.runtime.requests import Change, End, Options, Sound


class NothingToDo(Exception):
    """The planner waits."""


class Still:
    """A clock that stands; who waits for it is told so."""

    time = 0.0

    def now(self):
        return self.time

    def wait(self, condition, until):
        raise NothingToDo


class Desk:
    """A planner whose clips are drawn when the test says so, at a stated pace."""

    def __init__(self, seconds=0.02, **options):
        self.clock = Still()
        self.course = Course(self.clock)
        pace = Pace()
        for length in CONFIG.clip_lengths:
            pace.observe(length, seconds * length)
        look = Look(Portrait(PORTRAIT))
        look.reference(AnalyticBackend())
        self.meter = Meter()
        options = Options(**{'mix': 1, **options})
        self.notice = Notice(4, 0.04, options.margin)
        self.notice.made(4, 0.0, [4 * seconds - 0.015], 4 * seconds)
        self.planner = Planner(self.course, CONFIG, look, pace, self.notice, self.meter, options)

    def plan(self):
        """Return all clips that are planned now."""
        clips = []
        try:
            while True:
                clips.append(self.planner.next(lambda: True))
        except NothingToDo:
            return clips

    def push(self, frames, end=False):
        self.planner.inbox.append(Sound(voice(640 * frames), self.clock.now(), self.course.epoch))
        if end:
            self.end()

    def end(self):
        self.planner.inbox.append(End(self.clock.now(), self.course.epoch))

    def change(self, **fields):
        self.planner.inbox.append(Change(fields))

    def show(self, frames):
        """Let so many frames be shown, and all be drawn that is planned."""
        self.course.shown += frames
        self.course.made = 10**6

    def play(self, frames):
        """Show frames one by one and return the clips planned meanwhile."""
        clips = []
        for _ in range(frames):
            self.show(1)
            clips += self.plan()
        return clips


def lengths(clips):
    return [clip.length for clip in clips]


@pytest.mark.parametrize(('seconds', 'ahead'), [(0.005, 1), (0.02, 2), (0.04, 4)])
def test_silence_is_drawn_as_far_ahead_as_drawing_takes_and_no_further(seconds, ahead):
    desk = Desk(seconds)
    desk.plan()
    for _ in range(60):
        desk.show(1)
        for clip in desk.plan():
            assert clip.keep == clip.length == 4
            assert clip.first - desk.course.shown == ahead


def test_clips_grow_when_the_sound_is_there_and_the_output_is_ahead():
    desk = Desk(seconds=0.02)
    desk.plan()
    desk.push(200)
    clips = desk.plan() + desk.play(100)
    speech = lengths(clip for clip in clips if clip.voice)
    assert speech[0] == 4
    assert 8 in speech and speech[-1] == 16
    assert speech == sorted(speech)


def test_a_machine_just_fast_enough_never_risks_a_long_clip():
    desk = Desk(seconds=0.05)  # 16 frames take 0.8 s, all that is ahead
    desk.plan()
    desk.push(200)
    speech = lengths(clip for clip in desk.plan() + desk.play(100) if clip.voice)
    assert 16 not in speech


def test_clips_shrink_when_the_output_falls_behind():
    desk = Desk(seconds=0.02)
    desk.plan()
    desk.push(400)
    grown = desk.plan() + desk.play(100)
    assert grown[-1].length == 16
    # All that is planned is shown but for two frames: no time for a long clip.
    desk.show(desk.planner._plan.next - desk.course.shown - 2)
    assert desk.plan()[0].length == 4
    # Far ahead, but what is on its way is not drawn yet.
    desk = Desk(seconds=0.04)
    desk.plan()
    desk.push(400)
    desk.show(1)
    assert set(lengths(desk.plan())) == {4}


def test_clips_stay_short_while_the_sound_for_longer_ones_is_not_there():
    desk = Desk(seconds=0.005, margin=0.16)
    desk.plan()
    clips = []
    for _ in range(80):
        desk.push(1)
        clips += desk.plan() + desk.play(1)
    assert {clip.length for clip in clips if clip.voice} == {4}


def test_the_first_clip_of_speech_needs_the_sound_of_four_frames_and_what_they_hear_ahead():
    desk = Desk()
    desk.plan()
    frame = CONFIG.samples_per_frame
    desk.planner.inbox.append(Sound(voice(4 * frame + CONFIG.lookahead - 1), 0.0, 0))
    assert not any(clip.voice for clip in desk.plan())
    desk.planner.inbox.append(Sound(voice(1), 0.0, 0))
    (clip,) = desk.plan()
    assert clip.voice and clip.keep == 4


def test_what_is_left_of_an_utterance_is_drawn_in_the_shortest_clip_that_holds_it():
    for left, length in ((1, 4), (4, 4), (5, 8), (9, 16)):
        desk = Desk(seconds=0.001)
        desk.push(4 + 8 + left, end=True)
        clips = [clip for clip in desk.plan() + desk.play(40) if clip.voice]
        assert [(clip.keep, clip.length) for clip in clips] == [(4, 4), (8, 8), (left, length)]
        assert not clips[-1].sound[left:].any() and len(clips[-1].sound) == left


def test_frames_that_nobody_will_see_hear_silence():
    desk = Desk(seconds=0.001)
    desk.push(5, end=True)
    clip = [clip for clip in desk.plan() + desk.play(10) if clip.voice][1]
    assert (clip.keep, clip.length) == (1, 4)
    heard = clip.heard
    for later in (1, 3):
        known = heard.shape[1] - 4 * later
        assert np.array_equal(heard[later, :known], heard[0, 4 * later :])
        assert (heard[later, known:] == -1).all()


def test_a_change_takes_back_only_what_can_be_drawn_anew_in_time():
    desk = Desk(seconds=0.02)
    desk.plan()
    desk.play(7)
    ends = desk.planner._plan.next
    desk.change(state='listening')
    (clip,) = desk.plan()
    assert clip.first == min(ends, desk.course.shown + 2) and clip.state == 'listening'


def test_motion_taken_back_comes_out_again_the_same():
    def motion(change):
        desk = Desk(seconds=0.02)
        clips = {clip.first: clip for clip in desk.plan() + desk.play(6)}
        if change:
            # An override of what is anyway: taken back and planned anew.
            desk.change(override='idle')
        clips |= {clip.first: clip for clip in desk.plan()}
        assert (desk.meter.stats()['dropped_frames'] > 0) == change
        clips |= {clip.first: clip for clip in desk.plan() + desk.play(20)}
        frames = {}
        for first in sorted(clips):
            for at, row in enumerate(clips[first].motion):
                frames[first + at] = row
        return np.stack([frames[at] for at in range(20)])

    assert np.array_equal(motion(False), motion(True))


def test_targets_that_jump_all_the_time_cost_little_more_than_one():
    desk = Desk(seconds=0.02)
    desk.plan()
    drawn = 0
    for turn in range(120):
        desk.change(target=(0.8 * (-1) ** turn, 0.0))
        drawn += sum(lengths(desk.plan() + desk.play(1)))
    assert drawn <= 2 * 120


def test_small_moves_of_a_target_take_nothing_back():
    desk = Desk(seconds=0.02)
    desk.plan()
    desk.play(5)
    desk.change(target=(0.5, 0.0))
    desk.plan()
    desk.play(5)
    dropped = desk.meter.stats()['dropped_frames']
    for step in range(30):
        desk.change(target=(0.5 + 0.005 * step, 0.0))
        desk.plan()
        desk.play(1)
    assert desk.meter.stats()['dropped_frames'] == dropped


@pytest.mark.parametrize('left', [0.0, 0.005, 0.02, 0.039])
@pytest.mark.parametrize('seconds', [0.005, 0.02, 0.04])
def test_speech_is_seen_on_the_first_frame_whose_time_leaves_enough_to_draw_it(seconds, left):
    desk = Desk(seconds)
    desk.plan()
    desk.play(9)
    desk.clock.time, desk.course.due = 10.0, 10.0 + left  # of the next frame
    desk.push(8)
    (clip, *_) = (clip for clip in desk.plan() if clip.voice)
    time = desk.course.due + 0.04 * (clip.first - desk.course.shown)
    assert 0 <= round(time - 10.0 - desk.notice.seconds, 9) < 0.04


def test_speech_that_begins_while_silence_is_drawn_waits_for_that_too():
    def seen(drawn):
        desk = Desk(0.02)
        desk.plan()
        desk.play(4 if drawn else 3)
        desk.course.made = desk.planner._plan.next - (0 if drawn else 4)
        desk.course.due = desk.clock.now() + 0.04
        desk.push(8)
        return min(clip.first for clip in desk.plan() if clip.voice) - desk.course.shown

    # A silent clip takes 0.08 s: two frames.
    assert seen(drawn=False) - seen(drawn=True) in (1, 2)


@pytest.mark.parametrize('ahead', [10, 200])  # laid on the track already, or not yet
def test_a_change_behind_dropped_speech_still_comes(ahead):
    desk = Desk(paced=False)
    desk.push(ahead)
    desk.change(state='listening')
    assert desk.planner.next(lambda: True).state == 'speaking'
    desk.course.shown, desk.course.epoch = 1, 1
    desk.planner.inbox.append(Sound(np.zeros(640 * 8, np.int16), 0.0, 1))
    desk.end()
    assert [(clip.first, clip.state) for clip in desk.plan()] == [
        (1, 'listening'),
        (5, 'listening'),
    ]


def test_the_motion_of_the_frames_to_be_shown_is_the_process_s_own():
    desk = Desk(paced=False, seed=3)
    for frames in (5, 1, 23, 17):
        desk.push(frames, end=True)
    clips = desk.plan()
    assert any(clip.keep < clip.length for clip in clips)
    rows = np.concatenate([clip.motion[: clip.keep] for clip in clips])
    states = [state for clip in clips for state in [clip.state] * clip.keep]
    assert np.array_equal(rows, MotionProcess(3).clip(states))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=5), st.integers(1, 20000))
def test_clips_do_not_depend_on_when_the_planner_looks(sizes, length):
    def plan(chunks):
        desk, clips = Desk(paced=False), []
        for chunk in chunks:
            desk.planner.inbox.append(Sound(chunk, 0.0, 0))
            clips += desk.plan()
        desk.end()
        return clips + desk.plan()

    sizes = [max(size, length // 300) for size in sizes]
    sound, chunks, at = voice(length), [], 0
    while at < length:
        chunks.append(sound[at : at + sizes[len(chunks) % len(sizes)]])
        at += len(chunks[-1])
    whole, parts = plan([sound]), plan(chunks)
    assert [(c.first, c.keep, c.length, c.state) for c in whole] == [
        (c.first, c.keep, c.length, c.state) for c in parts
    ]
    for one, other in zip(whole, parts, strict=True):
        assert np.array_equal(one.heard, other.heard) and np.array_equal(one.motion, other.motion)
        assert np.array_equal(one.sound, other.sound)
