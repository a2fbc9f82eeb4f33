"""The timetable alone: one frame each period, at its time, the sound with its picture."""

import threading

import numpy as np
import pytest
from analytic_backend import ManualClock

from llia_ros.runtime.course import Course
from llia_ros.runtime.meter import Meter
from llia_ros.runtime.pipeline import Clip
from llia_ros.runtime.timetable import Timetable


def clip(first, keep=4, *, plan=0, epoch=0, voice=False, state='idle', arrived=None):
    """Return a finished clip; each frame's picture is its number, its sound that times ten."""
    numbers = np.arange(first, first + keep)
    return Clip(
        plan,
        epoch,
        first,
        keep,
        max(4, keep),
        state,
        voice,
        voice,
        None,
        False,
        2,
        np.zeros(0),
        None,
        np.repeat(10 * voice * numbers[:, None], 640, 1).astype(np.int16),
        [arrived] * keep,
        arrived,
        0.0,
        (0.0, 0.0),
        (0.0, 1.0),
        None,
        list(np.repeat(numbers, 12).reshape(keep, 2, 2, 3).astype(np.uint8)),
        [1.0] * keep,
    )


class Table:
    """A timetable, its course and its clock."""

    def __init__(self, paced=True, stamps=None):
        self.clock = ManualClock()
        self.course = Course(self.clock)
        self.meter = Meter()
        self.timetable = Timetable(
            self.course,
            self.meter,
            25,
            640,
            paced,
            stamps or (lambda: 5000 + self.clock.now()),
            lambda: 'listening',
        )
        self.put, self.next = self.timetable.put, self.timetable.next

    def after(self, seconds):
        self.clock.advance(seconds)
        return self.next()

    def numbers(self, count):
        frames = [self.after(0.04) for _ in range(count)]
        return [int(frame.image[0, 0, 0]) for frame in frames]


def test_frames_go_out_in_order_each_with_its_own_sound():
    table = Table()
    table.put(clip(0, voice=True, state='speaking', arrived=0.75))
    table.put(clip(4, 8))
    frames = [table.next()] + [table.after(0.04) for _ in range(11)]
    assert [frame.image[0, 0, 0] for frame in frames] == list(range(12))
    assert [frame.audio[0] for frame in frames] == [0, 10, 20, 30] + [0] * 8
    assert [frame.playing for frame in frames] == [True] * 4 + [False] * 8
    assert [frame.latency for frame in frames] == [0.25] * 4 + [None] * 8
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.stamp for frame in frames] == pytest.approx([5100 + 0.04 * n for n in range(12)])


def test_no_frame_goes_out_before_its_time():
    table = Table()
    table.put(clip(0))
    table.next()
    taken = []
    taking = threading.Thread(target=lambda: taken.append(table.next()))
    taking.start()
    table.clock.advance(0.039)
    taking.join(0.05)
    assert not taken
    table.clock.advance(0.001)
    taking.join(10)
    assert taken[0].index == 1


def test_the_schedule_does_not_drift_when_a_frame_is_fetched_late():
    table = Table()
    table.put(clip(0, 8))
    table.next()
    stamps = [table.after(seconds).stamp for seconds in (0.05, 0.06, 0.01, 0.04)]
    assert stamps == pytest.approx([5100.04, 5100.08, 5100.12, 5100.16])


def test_after_a_long_absence_the_schedule_starts_anew():
    table = Table()
    table.put(clip(0, 8))
    table.next()
    frame = table.after(10.0)
    assert frame.index == 1 and frame.stamp == pytest.approx(5110.0)
    assert table.after(0.04).stamp == pytest.approx(5110.04)
    assert table.meter.stats()['restarts'] == 1


def test_a_late_frame_repeats_the_last_and_its_sound_is_kept_for_later():
    table = Table()
    table.put(clip(0, voice=True, state='speaking'))
    table.next()
    assert table.numbers(5) == [1, 2, 3, 3, 3]
    late = table.after(0.04)
    assert late.repeated and not late.audio.any() and late.latency is None
    assert late.playing and late.state == 'speaking' and late.index == 6
    table.put(clip(4, voice=True, state='speaking'))
    frame = table.after(0.04)
    assert (frame.image[0, 0, 0], frame.audio[0], frame.index) == (4, 40, 7)
    stats = table.meter.stats()
    assert (stats['late_frames'], stats['slips'], stats['frames']) == (3, 3, 8)


def test_late_in_silence_is_late_but_no_sound_slips():
    table = Table()
    table.put(clip(0))
    table.next()
    assert table.numbers(4) == [1, 2, 3, 3]
    stats = table.meter.stats()
    assert (stats['late_frames'], stats['slips']) == (1, 0)


def test_after_an_interrupt_no_old_speech_is_shown_and_silence_goes_on():
    table = Table()
    table.put(clip(0, voice=True, state='speaking'))
    table.put(clip(4, 8, voice=True, state='speaking'))
    table.next()
    assert table.numbers(1) == [1]
    with table.course.changed:
        table.course.epoch += 1
    held = table.after(0.04)
    assert held.repeated and held.epoch == 1 and not held.playing and held.state == 'listening'
    with table.course.changed:
        table.course.cut(table.course.shown)
    table.put(clip(2, plan=1, epoch=1))
    assert table.numbers(4) == [2, 3, 4, 5]
    stats = table.meter.stats()
    assert (stats['held_frames'], stats['late_frames'], stats['slips']) == (1, 0, 0)
    assert table.numbers(1) == [5]  # and from here on late is late
    assert table.meter.stats()['late_frames'] == 1


def test_a_new_plan_replaces_the_old_one_from_its_first_frame_on():
    table = Table()
    table.put(clip(0, 8))
    table.put(clip(8, 8))
    table.next()
    with table.course.changed:
        table.course.cut(6)
    table.put(clip(6, plan=1, state='listening'))
    frames = [table.after(0.04) for _ in range(9)]
    assert [frame.image[0, 0, 0] for frame in frames] == list(range(1, 10))
    assert [frame.state for frame in frames] == ['idle'] * 5 + ['listening'] * 4


def test_frames_beyond_a_gap_wait_for_what_belongs_before_them():
    table = Table()
    table.put(clip(0))
    table.put(clip(4, voice=True))
    with table.course.changed:
        table.course.epoch += 1  # frames 4 to 7 are gone
    table.put(clip(8))
    table.next()
    assert table.numbers(4) == [1, 2, 3, 3]
    with table.course.changed:
        table.course.cut(4)
    table.put(clip(4, plan=1, epoch=1))
    assert table.numbers(4) == [4, 5, 6, 7]


def test_a_fourth_clip_waits_until_there_is_room_or_one_is_dropped():
    for make_room in ('show', 'cut'):
        table = Table()
        table.put(clip(0))
        table.put(clip(4))
        table.put(clip(8))
        putting = threading.Thread(target=table.put, args=(clip(12),))
        putting.start()
        putting.join(0.05)
        assert putting.is_alive()
        if make_room == 'show':
            table.next()
            table.numbers(4)
        else:
            with table.course.changed:
                table.course.cut(4)
        putting.join(10)
        assert not putting.is_alive()
        table.course.close()


def test_a_frame_goes_out_as_soon_as_its_own_picture_is_done():
    table = Table()
    first, second = clip(0), clip(4, voice=True, arrived=0.5)
    pictures, second.images, second.done = second.images, [], []
    table.put(first)
    table.put(second)
    table.next()
    assert table.numbers(3) == [1, 2, 3] and table.timetable.ready == 0
    assert table.after(0.04).repeated
    with table.course.changed:
        second.images += pictures[:1]
        second.done += [0.75]
    assert table.timetable.ready == 1
    frame = table.after(0.04)
    assert frame.image[0, 0, 0] == 4 and frame.latency == 0.25
    assert frame.way[0] - frame.way[1] == pytest.approx(0.25)  # sound there to picture done
    assert table.after(0.04).repeated
    assert table.course.due == pytest.approx(table.clock.now() + 0.04)


def test_the_way_of_an_utterance_s_last_and_shorter_clip_is_not_told():
    table = Table()
    table.put(clip(0, 3, voice=True, arrived=0.5))
    assert table.next().way is None


def test_the_end_comes_after_the_last_frame():
    table = Table()
    table.put(clip(0, 2))
    table.put(None)
    assert table.next().index == 0
    assert table.after(0.04).index == 1
    assert table.after(0.04) is None and table.next() is None


def test_unpaced_frames_wait_for_pictures_and_not_for_the_clock():
    table = Table(paced=False)
    table.put(clip(0, 8))
    frames = [table.next() for _ in range(8)]
    assert [frame.stamp for frame in frames] == pytest.approx([n / 25 for n in range(8)])
    taken = []
    taking = threading.Thread(target=lambda: taken.append(table.next()))
    taking.start()
    taking.join(0.05)
    assert not taken
    table.put(clip(8))
    taking.join(10)
    assert taken[0].image[0, 0, 0] == 8 and not taken[0].repeated


def test_a_failed_stage_is_named_with_its_cause():
    table = Table()
    cause = KeyError('lost')
    table.course.fail('decoder', cause)
    with pytest.raises(RuntimeError, match='decoder failed') as error:
        table.next()
    assert error.value.__cause__ is cause
