"""Pictures and sounds that travel apart, and frames that an interruption overtook."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llia_ros.display.gate import Gate
from llia_ros.display.pairing import SILENT_SOURCE, UNNAMED, WAITING, Frame, Pairing, Slots

PERIOD = 40_000_000
START = 1_700_000_000_000_000_000


def sound(index: int, epoch: int = 0, start: int = START) -> Frame:
    return Frame(start + index * PERIOD, index, epoch, 'speaking', sound=bytes([index % 256, 0]))


def picture(index: int) -> tuple[int, bytes, str]:
    return START + index * PERIOD, b'jpeg%d' % index, 'idle'


def whole(frame: Frame) -> bool:
    return frame.picture == b'jpeg%d' % frame.index and frame.sound is not None


@given(st.lists(st.booleans(), max_size=60), st.integers(1, WAITING - 2))
def test_halves_find_each_other_however_the_topics_interleave(turns, lead):
    pairing = Pairing()
    got, sounds, pictures = pairing.add_sound(sound(0)), 1, 0
    for heard in turns:
        if heard and sounds < pictures + lead or pictures >= sounds + lead:
            got += pairing.add_sound(sound(sounds))
            sounds += 1
        else:
            got += pairing.add_picture(*picture(pictures))
            pictures += 1
    known = [frame for frame in got if frame.sound is not None]
    assert [frame.index for frame in known] == list(range(len(known)))
    assert all(whole(frame) for frame in known)


def test_a_frame_whose_picture_was_lost_is_let_go_with_the_next_whole_one():
    pairing = Pairing()
    pairing.add_sound(sound(0))
    assert [whole(frame) for frame in pairing.add_picture(*picture(0))] == [True]
    assert pairing.add_sound(sound(1)) == []
    assert pairing.add_sound(sound(2)) == []
    lost, complete = pairing.add_picture(*picture(2))
    assert lost.index == 1 and lost.picture is None and whole(complete)
    assert pairing.incomplete == 1


def test_a_picture_whose_sound_was_lost_is_placed_by_its_time():
    pairing = Pairing()
    pairing.add_sound(sound(7, epoch=3))
    pairing.add_picture(*picture(7))
    got = [frame for k in range(8, 8 + WAITING + 1) for frame in pairing.add_picture(*picture(k))]
    assert [(frame.index, frame.epoch, frame.state) for frame in got] == [(8, 3, 'speaking')]


def test_pictures_without_any_sound_are_soon_shown_at_once_under_the_topics_state():
    pairing = Pairing()
    got = [pairing.add_picture(*picture(k)) for k in range(100)]
    assert [len(frames) for frames in got[SILENT_SOURCE:]] == [1] * (100 - SILENT_SOURCE)
    shown = [frame for frames in got for frame in frames]
    assert [frame.picture for frame in shown] == [b'jpeg%d' % k for k in range(100)]
    assert {(frame.epoch, frame.state) for frame in shown} == {(UNNAMED, 'idle')}
    assert [frame.index - shown[0].index for frame in shown] == list(range(100))


def test_sound_that_begins_later_gives_pictures_their_names_and_a_newer_epoch():
    pairing, gate = Pairing(), Gate()
    early = [frame for k in range(30) for frame in pairing.add_picture(*picture(k))]
    pairing.add_sound(sound(30))
    [named] = pairing.add_picture(*picture(30))
    passed = [gate.admit(frame.epoch, frame.stamp / 1e9) for frame in [*early, named]]
    assert len(early) == 30 and named.index == 30 and all(passed) and gate.generation == 1


def test_sound_that_ends_leaves_the_numbering_as_it_is():
    pairing = Pairing()
    pairing.add_sound(sound(0))
    got = [frame for k in range(100) for frame in pairing.add_picture(*picture(k))]
    assert [frame.index for frame in got] == list(range(100))
    assert {frame.epoch for frame in got} == {0}


def test_what_waits_is_bounded_when_pictures_stop():
    pairing = Pairing()
    got = [frame for k in range(500) for frame in pairing.add_sound(sound(k))]
    assert len(got) >= 500 - WAITING


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=50))
def test_no_frame_of_an_older_epoch_passes_a_newer_one(items):
    gate, passed = Gate(), []
    for k, (epoch, lag) in enumerate(items):
        if gate.admit(epoch, 100 + (k - lag) / 25):
            passed.append(epoch)
    assert passed == sorted(passed)
    assert gate.held_back == len(items) - len(passed)


def test_an_avatar_that_was_started_anew_is_let_in_and_counts_as_newer():
    gate = Gate()
    assert gate.admit(5, 100.0)
    before = gate.generation
    assert not gate.admit(0, 100.5)
    assert gate.admit(0, 103.0)
    assert gate.generation == before + 1
    assert gate.admit(0, 103.04) and gate.generation == before + 1


def test_an_avatar_that_was_started_anew_in_the_epoch_it_had_counts_as_newer():
    late = Gate()
    assert late.admit(0, 100.0, 7) and late.admit(0, 102.5, 0) and late.generation == 1
    quick = Gate()
    assert quick.admit(0, 100.0, 500) and quick.admit(0, 99.9, 490) and quick.generation == 0
    assert quick.admit(0, 101.2, 0) and quick.admit(0, 101.24, 1) and quick.generation == 1


def test_a_recording_follows_the_index_and_bridges_a_restart_by_time():
    slots = Slots()
    first = [slots.slot(sound(k)) for k in (100, 101, 104)]
    assert first == [0, 1, 4]
    restarted = START + 104 * PERIOD + 3_000_000_000
    assert [slots.slot(sound(k, start=restarted)) for k in (0, 1, 2)] == [79, 80, 81]


def test_a_lost_sound_s_picture_is_placed_by_the_pace_of_its_source():
    period = round(667e9 / 16000)
    pairing, slots = Pairing(), Slots()
    pairing.pace(16000 / 667)
    slots.pace(16000 / 667)
    first = Frame(START, 0, 0, 'speaking', sound=b'')
    settled = pairing.add_sound(first) + pairing.add_picture(START, b'jpeg0', 'idle')
    last = START + 60 * period
    settled += pairing.add_picture(last, b'jpeg60', 'idle')
    for k in range(61, 61 + WAITING):
        settled += pairing.add_picture(START + k * period, b'', 'idle')
    placed = next(frame for frame in settled if frame.stamp == last)
    assert placed.index == 60
    assert [slots.slot(frame) for frame in settled[:2]] == [0, 60]
