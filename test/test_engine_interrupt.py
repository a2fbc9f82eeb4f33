"""An interrupt or a stalled model: no old speech, no lost sound, and the face goes on."""

import numpy as np
import pytest
from player import FRAME, continues, loud, player


def test_an_interrupt_ends_speech_at_once_and_the_face_goes_on():
    old, new = loud(640 * 100, 1), loud(640 * 20, 2)
    with player() as p:
        p.avatar.set_state('listening')
        p.avatar.push_audio(old)
        p.until(lambda frame: frame.playing)
        p.play(15)
        p.rest()
        spoken = sum(frame.playing for frame in p.frames)
        assert p.avatar.ready > 4
        assert p.avatar.interrupt() == 1
        after = p.play(12)
        assert not any(frame.playing or frame.audio.any() for frame in after)
        assert {frame.epoch for frame in after} == {1}
        assert {frame.state for frame in after} == {'listening'}
        assert continues(p.frames)
        p.avatar.push_audio(new)
        p.avatar.end_of_speech()
        p.until(lambda frame: frame.playing)
        p.until(lambda frame: not frame.playing)
        assert np.array_equal(p.heard[p.heard != 0], np.concatenate([old[: 640 * spoken], new]))
        assert continues(p.frames)
        assert p.avatar.stats()['dropped_samples'] == 640 * (100 - spoken)


def test_no_old_frame_of_speech_follows_an_interrupt_however_the_stages_stand():
    for delay in range(12):
        with player() as p:
            p.play(3)
            p.avatar.push_audio(loud(640 * 60, 1))
            if delay % 2:
                p.until(lambda frame: frame.playing)
            for _ in range(delay):
                p.tick(wait=False)
            p.avatar.interrupt()
            p.avatar.push_audio(-np.abs(loud(640 * 8, 2)))  # only the new voice is negative
            p.avatar.end_of_speech()
            at = len(p.frames)
            p.until(lambda frame: frame.playing)
            p.until(lambda frame: not frame.playing)
            heard = np.concatenate([frame.audio for frame in p.frames[at:]])
            assert (heard <= 0).all() and (heard < 0).sum() == 640 * 8
            assert continues(p.frames)


@pytest.mark.parametrize('gate', ['gate', 'decode_gate'])
def test_dropped_speech_costs_no_more_work(gate):
    with player(lead=60) as p:
        p.avatar.push_audio(loud(640 * 200))
        p.until(lambda frame: frame.playing)
        getattr(p.backend, gate).clear()
        while not p.tick(wait=False).repeated:
            p.rest()
        for _ in range(5):
            p.rest()
            p.tick(wait=False)
        before = dict(p.backend.calls)
        p.avatar.interrupt()
        p.rest()
        getattr(p.backend, gate).set()
        p.rest()
        # What is in hand is finished; then only silence is drawn: two clips are enough.
        assert p.backend.calls['denoise'] - before['denoise'] <= 2
        assert p.backend.calls['decode'] - before['decode'] <= 1 + 2 * 4
        assert not any(frame.playing for frame in p.play(5))


def test_while_the_first_silent_frames_are_drawn_the_last_picture_is_held_without_sound():
    with player() as p:
        p.avatar.push_audio(loud(640 * 100))
        p.until(lambda frame: frame.playing)
        p.play(5)
        p.rest()
        p.backend.gate.clear()
        p.avatar.interrupt()
        frames = [p.tick(wait=False) for _ in range(3)]
        assert all(frame.repeated and not frame.playing for frame in frames)
        assert not any(frame.audio.any() for frame in frames)
        assert {frame.state for frame in frames} == {'idle'}
        p.backend.gate.set()
        assert not any(frame.repeated for frame in p.play(5))
        stats = p.avatar.stats()
        assert (stats['held_frames'], stats['late_frames'], stats['slips']) == (3, 0, 0)


@pytest.mark.parametrize('gate', ['gate', 'decode_gate'])
def test_a_stalled_model_repeats_the_picture_and_the_sound_waits_with_it(gate):
    sound = loud(640 * 40)
    with player() as p:
        p.avatar.push_audio(sound)
        p.avatar.end_of_speech()
        p.until(lambda frame: frame.playing)
        p.play(3)
        getattr(p.backend, gate).clear()
        while not p.tick(wait=False).repeated:
            pass
        late = [p.tick(wait=False) for _ in range(9)]
        assert all(frame.repeated and frame.playing for frame in late)
        assert all(np.array_equal(frame.image, late[0].image) for frame in late)
        assert not any(frame.audio.any() for frame in late)
        getattr(p.backend, gate).set()
        p.until(lambda frame: not frame.playing)
        assert not any(frame.repeated for frame in p.play(5))
        assert np.array_equal(p.heard[p.heard != 0], sound)
        assert [frame.index for frame in p.frames] == list(range(len(p.frames)))
        stamps = np.diff([frame.stamp for frame in p.frames])
        assert stamps == pytest.approx(FRAME)
        stats = p.avatar.stats()
        assert stats['late_frames'] == stats['slips'] == 10
        assert continues(p.frames)
