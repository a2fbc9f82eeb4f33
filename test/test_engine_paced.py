"""Paced, a frame goes out every 40 ms whatever happens, and sound is neither lost nor moved."""

import numpy as np
import pytest
from analytic_backend import FACE, STATE, read, voice
from player import continues, loud, player, speech_in

from llia_ros.model.config import STATES


def test_silence_is_drawn_on_schedule_with_indices_and_stamps():
    with player() as p:
        p.avatar.set_state('listening')
        frames = p.play(60)
        assert [frame.index for frame in frames] == list(range(60))
        stamps = [frame.stamp for frame in frames]
        assert stamps == pytest.approx([1100 + 0.04 * n for n in range(60)])
        assert {frame.state for frame in frames[10:]} == {'listening'}
        assert not any(frame.repeated or frame.playing or frame.audio.any() for frame in frames)
        assert {frame.latency for frame in frames} == {None}
        assert continues(frames)
        stats = p.avatar.stats()
        assert stats['late_frames'] == stats['slips'] == 0
        assert stats['fps'] == pytest.approx(25)


def test_silence_is_drawn_in_short_clips_and_only_just_ahead():
    with player() as p:
        p.play(40)
        p.rest()
        assert set(p.backend.lengths[4:]) == {4}  # the first four warm the model up
        assert 4 * (len(p.backend.lengths) - 4) <= 40 + 8


@pytest.mark.parametrize('chunk', [640 * 50, 320, 1111])
def test_speech_is_heard_whole_between_silent_frames(chunk):
    sound = loud(640 * 50 - 123)
    with player() as p:
        p.play(7)
        for at in range(0, len(sound), chunk):
            p.avatar.push_audio(sound[at : at + chunk])
        p.avatar.end_of_speech()
        p.until(lambda frame: frame.playing)
        p.until(lambda frame: not frame.playing)
        p.play(5)
        assert np.array_equal(speech_in(p), sound)
        assert np.flatnonzero(p.heard)[0] % 640 == 0
        assert continues(p.frames)
        carried = [bool(frame.audio.any()) for frame in p.frames]
        assert [frame.playing for frame in p.frames] == carried
        assert [frame.state for frame in p.frames] == [
            'speaking' if c else 'idle' for c in carried
        ]
        assert [STATES[int(read(f.image)[STATE])] for f in p.frames] == [
            frame.state for frame in p.frames
        ]
        assert all((frame.latency is not None) == frame.playing for frame in p.frames)


def test_speech_that_comes_at_its_own_pace_is_not_interrupted_by_silence():
    sound = loud(640 * 60)
    with player() as p:
        p.play(5)
        for at in range(60):
            p.avatar.push_audio(sound[640 * at : 640 * (at + 1)])
            p.rest()
            p.tick(wait=False)
        p.avatar.end_of_speech()
        p.until(lambda frame: not frame.playing)
        assert np.array_equal(speech_in(p), sound)
        assert p.avatar.stats()['slips'] == 0
        assert continues(p.frames)


def test_speech_is_seen_at_once_although_silent_frames_were_drawn_ahead():
    with player() as p:
        p.play(9)
        p.rest()
        assert p.avatar.ready >= 2
        p.avatar.push_audio(loud(640 * 30))
        p.rest()
        frames = p.play(4)
        assert frames[1].playing and frames[1].audio.any()  # one frame of margin, then speech
        assert p.avatar.stats()['dropped_frames'] > 0
        assert continues(p.frames)


def test_a_state_change_is_seen_at_once_and_without_a_jump():
    with player() as p:
        p.play(9)
        p.rest()
        p.avatar.set_state('listening')
        p.rest()
        frames = p.play(8)
        assert [frame.state for frame in frames[1:]] == ['listening'] * 7
        assert continues(p.frames)
        assert not any(frame.repeated for frame in p.frames)


def test_a_new_expression_is_seen_soon_and_drawn_from_the_frames_before():
    with player() as p:
        p.play(9)
        plain = read(p.frames[-1].image)[FACE]
        p.avatar.set_expression('happy')
        p.rest()
        frames = p.play(8)
        faces = [read(frame.image)[FACE] for frame in frames]
        assert faces[2:] == [plain + 1] * 6
        assert continues(p.frames)
        p.avatar.set_portrait(np.full((64, 64, 3), 9, np.uint8))
        p.rest()
        assert {read(frame.image)[FACE] for frame in p.play(8)[2:]} == {10.0}


def test_an_override_is_seen_at_once_even_in_speech_and_costs_no_sound():
    sound = loud(640 * 60)
    with player() as p:
        p.avatar.push_audio(sound)
        p.avatar.end_of_speech()
        p.until(lambda frame: frame.playing)
        p.play(5)
        p.rest()
        p.avatar.set_state('listening', override=True)
        p.rest()
        assert [frame.state for frame in p.play(6)[1:]] == ['listening'] * 5
        p.until(lambda frame: not frame.playing)
        assert np.array_equal(speech_in(p), sound)
        assert continues(p.frames)


def test_speech_that_stops_without_an_end_is_finished_and_may_go_on():
    first, second = loud(640 * 9 + 100, 1), loud(640 * 6, 2)
    with player(hangover=0.6, stall=0.2) as p:
        p.play(3)
        p.avatar.push_audio(first)
        p.until(lambda frame: frame.playing)
        while np.count_nonzero(p.heard) < len(first):
            p.rest()
            p.tick(wait=False)
        hanging = p.play(4)
        assert all(frame.playing and frame.state == 'speaking' for frame in hanging)
        p.avatar.push_audio(second)
        p.until(lambda frame: frame.audio.any(), 30)
        while np.count_nonzero(p.heard) < len(first) + len(second):
            p.rest()
            p.tick(wait=False)
        start = next(at for at, frame in enumerate(p.frames) if frame.playing)
        assert all(frame.playing for frame in p.frames[start:])
        p.until(lambda frame: not frame.playing)
        assert np.array_equal(p.heard[p.heard != 0], np.concatenate([first, second]))
        silent = (
            len(p.frames) - 1 - max(at for at, frame in enumerate(p.frames) if frame.audio.any())
        )
        assert 14 <= silent <= 17  # .6 s, in whole frames


def test_an_end_that_comes_after_the_sound_had_stalled_ends_the_hangover():
    with player(hangover=2.0) as p:
        p.avatar.push_audio(loud(640 * 6))
        p.until(lambda frame: frame.playing)
        while np.count_nonzero(p.heard) < 640 * 6:
            p.rest()
            p.tick(wait=False)
        p.play(3)
        p.rest()
        p.avatar.end_of_speech()
        p.rest()
        assert not any(frame.playing for frame in p.play(6)[2:])


def test_many_utterances_at_once_are_spoken_one_after_the_other():
    sounds = [loud(640 * 3 + 50 * n, n) for n in range(6)]
    with player() as p:
        for sound in sounds:
            p.avatar.push_audio(sound)
            p.avatar.end_of_speech()
        p.avatar.finish()
        while True:
            try:
                p.rest()
                p.tick(wait=False)
            except StopIteration:
                break
        assert np.array_equal(p.heard[p.heard != 0], np.concatenate(sounds))
        assert continues(p.frames)


def test_latency_counts_from_the_last_sample_that_a_frame_needed():
    sound = loud(640 * 8)
    with player() as p:
        p.play(5)
        for at in range(8):
            p.avatar.push_audio(sound[640 * at : 640 * (at + 1)])
            p.rest()
            p.tick(wait=False)
        p.clock.advance(0.01)
        p.avatar.end_of_speech()
        p.until(lambda frame: frame.playing and not frame.audio.any() or not frame.playing)
        latency = [frame.latency for frame in p.frames if frame.playing]
        # Frame 0 needs the sound of frames 0 to 2, pushed 3 frames before that of its clip's end.
        assert latency[:4] == pytest.approx([0.12, 0.08, 0.04, 0.0], abs=1e-6)
        assert all(0 <= seconds <= 0.2 for seconds in latency)


def test_an_hour_of_turns_leaves_nothing_behind():
    with player() as p:
        planner = p.avatar._planner
        for turn in range(40):
            p.avatar.set_state(('idle', 'listening')[turn % 2])
            p.avatar.push_audio(voice(640 * 25))
            p.avatar.end_of_speech()
            p.until(lambda frame: frame.playing)
            if turn % 3 == 0:
                p.avatar.interrupt()
            p.until(lambda frame: not frame.playing)
            p.play(10)
        track = planner._track
        assert len(track._sound) < 16000 * 6 and len(track._ears._columns) < 700
        assert len(planner._plan._clips) < 20 and len(track._regions) < 5
        assert continues(p.frames)
