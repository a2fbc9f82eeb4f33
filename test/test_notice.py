"""How long before its time a clip is planned: as long as the slow ones need, and no longer."""

import pytest

from llia_ros.runtime.notice import LONGEST, RARE, WINDOW, Notice

PERIOD = 0.04


def draw(notice, seconds, times=1, length=4):
    """Let clips be drawn one after the other, whose pictures take so long each."""
    for _ in range(times):
        start = notice._free
        done = [start + seconds * (at + 1) for at in range(length)]
        notice.made(length, start, done, done[-1])


def test_a_picture_has_until_its_own_time():
    notice = Notice(4, PERIOD, margin=0.01)
    draw(notice, 0.02)  # faster than they are shown: the first decides
    assert notice.seconds == pytest.approx(0.02 + 0.01)
    notice = Notice(4, PERIOD, margin=0.01)
    draw(notice, 0.05)  # slower: the last does
    assert notice.seconds == pytest.approx(4 * 0.05 - 3 * PERIOD + 0.01)


def test_it_grows_at_once_and_shrinks_when_the_slow_one_is_long_past():
    notice = Notice(4, PERIOD, margin=0.0)
    draw(notice, 0.02, 10)
    draw(notice, 0.035)
    assert notice.seconds == pytest.approx(0.035)
    draw(notice, 0.02, RARE - 12)
    assert notice.seconds == pytest.approx(0.035)
    draw(notice, 0.02)  # one of so many is rare
    assert notice.seconds == pytest.approx(0.02)
    draw(notice, 0.035, 3)
    draw(notice, 0.02, WINDOW - 3)
    assert notice.seconds == pytest.approx(0.035)
    draw(notice, 0.02, 3)
    assert notice.seconds == pytest.approx(0.02)


def test_clips_that_are_long_or_had_to_queue_say_nothing():
    notice = Notice(4, PERIOD, margin=0.0)
    draw(notice, 0.02)
    draw(notice, 0.3, length=8)
    assert notice.seconds == pytest.approx(0.02)
    notice.made(4, notice._free - 1.0, [notice._free + 0.02], notice._free + 0.08)
    assert notice.seconds == pytest.approx(0.02)


def test_sound_that_lags_behind_an_utterance_s_first_is_waited_for_next_time():
    notice = Notice(4, PERIOD, margin=0.0)
    notice.sounded(10, 5.0, True)
    notice.sounded(14, 5.0 + 4 * PERIOD + 0.03, False)
    notice.sounded(18, 5.0 + 8 * PERIOD - 0.05, False)
    assert notice.seconds == pytest.approx(0.03)
    notice.sounded(100, 20.0, True)  # a new utterance: no lag however long the pause was
    notice.sounded(104, 20.0 + 4 * PERIOD, False)
    assert notice.seconds == pytest.approx(0.03)


def test_a_hiccup_of_seconds_costs_half_a_second_at_most():
    notice = Notice(4, PERIOD, 0.0)
    notice.made(4, 0.0, [3.0, 3.01, 3.02, 3.03], 3.03)
    assert notice.seconds == LONGEST
