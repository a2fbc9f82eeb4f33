"""Unpaced, the frames follow from what was pushed alone, however it was cut; nothing is lost."""

import threading

import numpy as np
import pytest
from analytic_backend import (
    FACE,
    MOTION,
    NOISE,
    PLACE,
    PORTRAIT,
    STATE,
    STEPS,
    AnalyticBackend,
    read,
    voice,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from llia_ros.audio.features import log_mel, windows
from llia_ros.model.config import STATES
from llia_ros.runtime.avatar import Avatar

END = 'end of speech'


@pytest.mark.parametrize('mix', [1, 6])
def test_pictures_decoded_singly_are_those_of_whole_clips(mix):
    def frames(singly):
        backend = AnalyticBackend()
        backend.decodes_singly = singly
        with Avatar(backend, PORTRAIT, paced=False, mix=mix) as avatar:
            avatar.push_audio(np.zeros(640 * 60, np.int16))
            avatar.push_audio(voice(640 * 41 + 5))
            avatar.finish()
            shown = list(avatar)
        return shown, backend

    (one, single), (whole, together) = frames(True), frames(False)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(one, whole, strict=True))
    assert single.calls['denoise'] == together.calls['denoise'] == together.calls['decode']
    # What fills a clip up to its length and is not shown is not decoded.
    assert single.calls['decode'] < sum(single.lengths)


def play(events, **options):
    """Return all frames of a stream: arrays are pushed, END ends, functions of an avatar run."""
    backend = AnalyticBackend()
    with Avatar(backend, PORTRAIT, paced=False, **options) as avatar:
        for event in events:
            if isinstance(event, np.ndarray):
                avatar.push_audio(event)
            elif event == END:
                avatar.end_of_speech()
            else:
                event(avatar)
        avatar.finish()
        return list(avatar), backend


def same(first, second):
    return len(first) == len(second) and all(
        a.index == b.index
        and a.state == b.state
        and a.playing == b.playing
        and np.array_equal(a.audio, b.audio)
        and np.array_equal(a.image, b.image)
        for a, b in zip(first, second, strict=True)
    )


def cut(samples, sizes):
    """Return samples in chunks of these sizes, over and over."""
    chunks, at, turn = [], 0, 0
    while at < len(samples):
        chunks.append(samples[at : at + sizes[turn % len(sizes)]])
        at, turn = at + len(chunks[-1]), turn + 1
    return chunks


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40000), st.lists(st.integers(1, 9000), min_size=1, max_size=6))
def test_streaming_equals_offline_bit_by_bit(length, sizes):
    sound = voice(length)
    whole, _ = play([sound, END])
    if length / min(sizes) > 2000:
        sizes = [max(size, 100) for size in sizes]
    parts, _ = play([*cut(sound, sizes), END])
    assert same(whole, parts)


def test_streaming_equals_offline_when_frames_are_taken_while_sound_comes():
    sound = voice(30000)
    whole, _ = play([sound, END])
    with Avatar(AnalyticBackend(), PORTRAIT, paced=False) as avatar:
        frames = []
        for chunk in cut(sound, [6400]):
            avatar.push_audio(chunk)
            while avatar.ready:
                frames.append(next(avatar))
        avatar.finish()
        frames += avatar
    assert same(whole, frames)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_utterances_and_changes_keep_their_place_however_they_are_pushed(data):
    kinds = st.sampled_from(['idle', 'listening', 'happy', 'sad', END, 'voice', 'pause'])
    script = data.draw(st.lists(st.tuples(kinds, st.integers(1, 12000)), min_size=1, max_size=8))
    sizes = data.draw(st.lists(st.integers(200, 5000), min_size=1, max_size=4))
    whole, parts = [], []
    for turn, (kind, length) in enumerate(script):
        if kind in ('voice', 'pause'):
            sound = voice(length, turn) * (kind == 'voice')
            whole.append(sound)
            parts.extend(cut(sound, sizes))
            continue
        event = kind
        if kind in STATES:
            event = lambda avatar, kind=kind: avatar.set_state(kind)  # noqa: E731
        elif kind != END:
            event = lambda avatar, kind=kind: avatar.set_expression(kind)  # noqa: E731
        whole.append(event)
        parts.append(event)
    assert same(play(whole)[0], play(parts)[0])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9000), st.booleans()), min_size=1, max_size=8))
def test_no_sample_is_lost_added_or_moved_within_an_utterance(chunks):
    events, utterances, current = [], [], []
    for turn, (length, ends) in enumerate(chunks):
        sound = voice(length, turn)
        sound[sound == 0] = 1
        events.append(sound)
        current.append(sound)
        if ends:
            events.append(END)
            utterances.append(np.concatenate(current))
            current = []
    if current:
        utterances.append(np.concatenate(current))
    frames, _ = play(events)
    padded = [np.pad(sound, (0, -len(sound) % 640)) for sound in utterances]
    expected = np.concatenate(
        [part for sound in padded for part in (sound, np.zeros(2 * 640, np.int16))][:-1]
    )
    assert np.array_equal(np.concatenate([frame.audio for frame in frames]), expected)
    assert [frame.index for frame in frames] == list(range(len(frames)))


def test_one_utterance_gives_exactly_its_own_frames():
    sound = voice(640 * 21 + 1)
    frames, _ = play([sound])
    assert len(frames) == 22
    assert np.array_equal(np.concatenate([f.audio for f in frames])[: len(sound)], sound)
    assert [frame.stamp for frame in frames] == pytest.approx([n / 25 for n in range(22)])


def test_each_frame_hears_its_own_window_of_the_sound():
    sound = voice(640 * 37)
    frames, _ = play([sound])
    mel = log_mel(np.concatenate([sound, np.zeros(6400, np.int16)]))
    heard = windows(mel, 0, 37, AnalyticBackend().config.audio)
    weights = np.sin(np.arange(heard[0].size)).reshape(heard[0].shape)
    expected = [np.float32((window * weights).sum()) for window in heard]
    assert [read(frame.image)[4] for frame in frames] == pytest.approx(expected, rel=1e-6)


def test_clips_grow_from_4_to_16_and_start_again_after_silence():
    _, backend = play([voice(640 * 60), END, voice(640 * 30), END])
    # 60 frames, two of silence between the utterances, 30 frames
    assert backend.lengths == [4, 8, 16, 16, 16] + [4] + [4, 8, 16, 4]


def test_clips_start_short_after_a_change():
    _, backend = play(
        [voice(640 * 28), lambda avatar: avatar.set_expression('happy'), voice(640 * 28), END]
    )
    assert backend.lengths == [4, 8, 16, 4, 8, 16]


def test_clip_lengths_can_be_chosen_from_those_of_the_model():
    _, backend = play([voice(640 * 24), END], clip_lengths=(8,))
    assert backend.lengths == [8, 8, 8]
    with pytest.raises(ValueError, match='no clips of 5 frames: the model has 4, 8, 16'):
        Avatar(backend, PORTRAIT, paced=False, clip_lengths=(5,))


def test_labels_follow_the_sound():
    frames, _ = play(
        [
            lambda avatar: avatar.set_state('listening'),
            np.zeros(640 * 10, np.int16),
            voice(640 * 10),
            END,
            voice(640 * 5),
            END,
        ]
    )
    # The frame before a voice already knows of it; between utterances lie two frames of silence.
    expected = ['listening'] * 9 + ['speaking'] * 11 + ['listening'] * 2 + ['speaking'] * 5
    assert [frame.state for frame in frames] == expected
    assert [STATES[int(read(frame.image)[STATE])] for frame in frames] == expected
    assert [frame.playing for frame in frames] == [s == 'speaking' for s in expected]


def test_speech_ends_a_while_after_its_last_sound():
    frames, _ = play([voice(640 * 4), np.zeros(640 * 40, np.int16)], hangover=0.4)
    assert [frame.playing for frame in frames] == [True] * 14 + [False] * 30


def test_a_pause_shorter_than_the_hangover_is_still_speech():
    frames, _ = play([voice(640 * 4), np.zeros(640 * 10, np.int16), voice(640 * 4)])
    assert all(frame.playing for frame in frames)


def test_the_state_speaking_without_sound_is_ignored_unless_it_overrides():
    def states(*events):
        return [frame.state for frame in play([*events, np.zeros(640 * 4, np.int16)])[0]]

    assert states(lambda a: a.set_state('listening'), lambda a: a.set_state('speaking')) == (
        ['listening'] * 4
    )
    assert states(lambda a: a.set_state('speaking', override=True)) == ['speaking'] * 4


def test_an_override_decides_everything_until_it_is_handed_back():
    frames, _ = play(
        [
            lambda avatar: avatar.set_state('listening', override=True),
            voice(640 * 5),
            lambda avatar: avatar.set_state('', override=True),
            voice(640 * 5),
        ]
    )
    assert [frame.state for frame in frames] == ['listening'] * 5 + ['speaking'] * 5
    assert all(frame.playing for frame in frames)


def test_the_noise_is_one_field_for_the_whole_stream():
    frames, _ = play([voice(640 * 40)])
    again, _ = play([voice(640 * 40)], seed=5)
    noise = {read(frame.image)[NOISE] for frame in frames}
    assert len(noise) == 1 and noise != {read(again[0].image)[NOISE]}


def test_an_expression_is_cached_and_shows_from_its_place_on():
    def smile(avatar):
        avatar.set_expression('happy', 0.5)

    def rest(avatar):
        avatar.set_expression('neutral')

    frames, backend = play(
        [voice(640 * 6), smile, voice(640 * 6), rest, voice(640 * 6), smile, voice(640 * 6)]
    )
    face = [read(frame.image)[FACE] for frame in frames]
    plain, happy = face[0], face[6]
    assert happy == pytest.approx(plain + 0.5)
    assert face == [plain] * 6 + [happy] * 6 + [plain] * 6 + [happy] * 6
    assert (backend.calls['encode'], backend.calls['animate']) == (1, 2)


def test_a_new_portrait_starts_without_a_past():
    other = np.full((100, 80, 3), 7, np.uint8)
    frames, _ = play([voice(640 * 6), lambda avatar: avatar.set_portrait(other), voice(640 * 6)])
    drawn = [read(frame.image) for frame in frames]
    assert {d[FACE] for d in drawn[6:]} == {7.0}
    assert drawn[6][9] == 0 and drawn[6][PLACE] == 0  # no past
    assert drawn[10][9] != 0


def test_left_free_the_model_is_given_no_motion():
    frames, _ = play([voice(640 * 6)], led=False)
    assert {read(frame.image)[MOTION] for frame in frames} == {0.0}


def test_steps_may_be_fewer_where_nobody_speaks():
    frames, _ = play([np.zeros(640 * 6, np.int16), voice(640 * 6)], steps=3, idle_steps=1)
    assert [read(frame.image)[STEPS] for frame in frames] == [1] * 5 + [3] * 7


def test_looking_leads_the_motion():
    sound = np.zeros(640 * 8, np.int16)
    left, _ = play([lambda avatar: avatar.look_at(1.0, 1.0, 0.0), sound])
    right, _ = play([lambda avatar: avatar.look_at(1.0, -1.0, 0.0), sound])
    free, _ = play(
        [lambda avatar: avatar.look_at(1.0, 1.0, 0.0), lambda avatar: avatar.look_freely(), sound]
    )
    motion = [[read(f.image)[MOTION] for f in frames] for frames in (left, right, free)]
    assert motion[0] != motion[1] and motion[0] != motion[2]
    # gaze_x has weight 6: the face's left is the viewer's right, where gaze grows
    assert motion[0][2] - motion[1][2] > 4


def test_an_interrupt_drops_what_was_pushed_and_new_speech_follows():
    backend = AnalyticBackend()
    with Avatar(backend, PORTRAIT, paced=False) as avatar:
        old, new = voice(640 * 100, 1), voice(640 * 30, 2)
        avatar.push_audio(old)
        frames = [next(avatar) for _ in range(10)]
        assert avatar.interrupt() == 1
        avatar.push_audio(new)
        avatar.finish()
        after = list(avatar)
        heard = np.concatenate([frame.audio for frame in frames + after])
    assert np.array_equal(heard, np.concatenate([old[: 640 * 10], new]))
    assert {frame.epoch for frame in after} == {1}
    assert [frame.index for frame in frames + after] == list(range(40))
    assert avatar.stats()['dropped_samples'] == 640 * 90


def test_frames_may_be_taken_by_another_thread_than_the_one_that_pushes():
    sound, frames = voice(640 * 50), []
    with Avatar(AnalyticBackend(), PORTRAIT, paced=False) as avatar:
        taking = threading.Thread(target=lambda: frames.extend(avatar))
        taking.start()
        for chunk in cut(sound, [320]):
            avatar.push_audio(chunk)
        avatar.finish()
        taking.join(30)
        assert not taking.is_alive()
    assert same(frames, play([sound])[0])
