"""The track alone: what frames hear is what was laid, whatever was assumed, laid or taken back."""

import numpy as np
import pytest
from analytic_backend import CONFIG, voice
from hypothesis import given, settings
from hypothesis import strategies as st

from llia_ros.audio.features import log_mel, windows
from llia_ros.runtime.track import Track

FRAME = CONFIG.samples_per_frame


def heard(sound, first, frames):
    """Return what frames hear of a whole track, silent after its end."""
    padded = np.pad(sound, (0, max(0, 640 * (first + frames + 4) - len(sound))))
    return windows(log_mel(padded), first, frames, CONFIG.audio)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_frames_hear_what_lies_on_the_track_after_any_history(data):
    track, sound, at = Track(CONFIG), np.zeros(0, np.int16), 0
    for turn in range(data.draw(st.integers(1, 14))):
        what = data.draw(st.sampled_from(['lay', 'lay', 'hear', 'hear', 'end', 'back', 'cut']))
        if what == 'lay':
            if track.open is None:
                first = max(at, track.free)
                track.begin(first)
                sound = np.pad(sound, (0, first * FRAME - len(sound)))
            new = voice(data.draw(st.integers(1, 5000)), turn)
            track.lay(new, 0.0)
            sound = np.concatenate([sound, new])
        elif what == 'end' and track.open is not None:
            track.finish(0.0)
            sound = np.pad(sound, (0, -len(sound) % FRAME))
        elif what == 'cut':
            at = data.draw(st.integers(max(0, at - 3), at))
            track.cut(at)
            sound = sound[: at * FRAME]
        elif what == 'back':
            at = data.draw(st.integers(max(0, at - 9), at))
        elif what == 'hear':
            frames = data.draw(st.integers(1, 16))
            if track.drawable is not None:  # of an open end nobody hears more than is there
                frames = min(frames, track.drawable - at)
                if frames <= 0:
                    continue
            assert np.array_equal(track.hear(at, frames), heard(sound, at, frames))
            at += frames
        assert track.end == len(sound)
        track.forget(max(0, at - 12))
        # Forgotten silence counts as laid.
        sound = np.pad(sound, (0, track.end - len(sound)))


@pytest.mark.parametrize('first', [0, 1, 7, 12, 19])
def test_sound_that_was_taken_back_is_not_heard(first):
    track, sound = Track(CONFIG), voice(FRAME * 20)
    track.begin(0)
    track.lay(sound, 0.0)
    track.hear(0, 16)
    track.cut(first)
    assert np.array_equal(track.hear(first, 4), heard(sound[: first * FRAME], first, 4))
    assert not track.sound(first, 4).any() and track.speech(first) is None
    track.begin(first)
    track.lay(sound, 0.0)
    joined = np.concatenate([sound[: first * FRAME], sound])
    assert np.array_equal(track.hear(first, 8), heard(joined, first, 8))


def test_forgetting_changes_nothing_and_frees_memory():
    track, sound = Track(CONFIG), voice(FRAME * 3000)
    track.begin(0)
    at = 0
    for start in range(0, len(sound), 16 * FRAME):
        track.lay(sound[start : start + 16 * FRAME], start / 16000)
        while (track.drawable or 0) >= at + 4:
            mel = track.hear(at, 4)
            at += 4
            track.forget(at - 20)
    assert np.array_equal(mel, heard(sound, at - 4, 4))
    assert np.array_equal(track.sound(at - 20, 20).ravel(), sound[(at - 20) * FRAME : at * FRAME])
    region = track.last
    assert len(track._sound) < 200 * FRAME and len(region.totals) < 600
    # Frame n needs 2.5 frames' sound from its own start on, so the chunk that holds its end.
    needed = (at + 1) * FRAME + CONFIG.lookahead
    assert track.arrived(at) == (needed - 1) // (16 * FRAME) * 16 * FRAME / 16000


def test_a_frame_is_drawable_once_all_it_hears_is_there():
    track = Track(CONFIG)
    track.begin(2)
    for samples in range(0, 640 * 5, 80):
        if samples:
            track.lay(voice(80), 0.0)
        there = 2 * 640 + samples
        assert track.drawable == sum(640 * k + 1600 <= there for k in range(20))
    track.finish(0.0)
    assert track.drawable is None


def test_each_column_is_computed_once_as_long_as_nothing_is_taken_back(monkeypatch):
    track, counted = Track(CONFIG), []
    push = track._ears._mel.push
    monkeypatch.setattr(track._ears._mel, 'push', lambda s: counted.append(len(s)) or push(s))
    track.begin(0)
    for at in range(60):
        track.lay(voice(640, at), 0.0)
        if at >= 3:
            track.hear(at - 3, 1)
    assert sum(counted) == 4 * 57 * 160 + 960


@pytest.mark.parametrize(('quiet', 'voiced'), [(100, [0, 0, 1, 1, 1]), (5, [1, 1, 1, 1, 1])])
def test_speech_begins_with_the_frame_before_its_first_loud_one(quiet, voiced):
    track = Track(CONFIG, quiet)
    track.begin(0)
    track.lay(np.full(640 * 3, 20, np.int16), 0.0)
    track.lay(np.full(640 * 2, -2000, np.int16), 0.0)
    track.finish(0.0)
    assert [track.speaking(frame) for frame in range(5)] == [bool(v) for v in voiced]
    assert not track.speaking(5)
