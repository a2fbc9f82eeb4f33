"""Full-scale ears: streamed as at once, whatever the chunks, and as their library has them."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llia_ros.model.pretrained import small, wav2vec2_base, whisper_tiny
from llia_ros.model.speech_encoder import heard, speech_encoder
from llia_ros.runtime.track import Track

PRESETS = {'whisper': small(whisper_tiny()), 'wav2vec': small(wav2vec2_base())}
FRAMES = 9


class Config:
    """What a track asks of a configuration."""

    def __init__(self, audio, frame=640, past=2):
        self.audio, self.samples_per_frame, self.past_frames = audio, frame, past
        self.lookahead = audio.samples_after - frame


@cache
def encoder(kind):
    torch.manual_seed(0)
    return speech_encoder(PRESETS[kind]).eval()


def unit(sound):
    return torch.from_numpy(sound.astype(np.float32) / 32768)


@torch.no_grad()
def features(kind, windows):
    return encoder(kind)(unit(windows[:, -PRESETS[kind].samples_before - 3200 :]))


def speech(seed, samples):
    rng = np.random.default_rng(seed)
    envelope = np.repeat(rng.random(samples // 800 + 1), 800)[:samples]
    return (9000 * envelope * rng.standard_normal(samples)).clip(-32000, 32000).astype(np.int16)


@cache
def at_once(kind, frame):
    """Every frame's features of a sound, cut out of it without any engine."""
    sound, audio = speech(3, FRAMES * frame), PRESETS[kind]
    around = np.concatenate(
        [np.zeros(audio.samples_before, np.int16), sound, np.zeros(4000, np.int16)]
    )
    length = audio.samples_before + audio.samples_after
    return features(kind, np.stack([around[k * frame :][:length] for k in range(FRAMES)]))


@pytest.mark.parametrize('kind', PRESETS)
@settings(max_examples=8, deadline=None)
@given(
    cuts=st.lists(st.integers(1, FRAMES * 667 - 1), max_size=6),
    clips=st.lists(st.integers(1, 4), min_size=FRAMES, max_size=FRAMES),
    frame=st.sampled_from([640, 667]),
)
def test_any_chunks_and_clips_give_the_features_of_all_sound_at_once(kind, cuts, clips, frame):
    sound = speech(3, FRAMES * frame)
    track = Track(Config(PRESETS[kind], frame))
    track.begin(0)
    found, at = [], 0
    edges = [0, *sorted(cut for cut in set(cuts) if cut < len(sound)), len(sound)]
    for start, stop in zip(edges, edges[1:]):
        track.lay(sound[start:stop], 0.0)
        while clips and track.drawable - at >= clips[0]:
            found.append(features(kind, track.hear(at, clips[0])))
            at += clips.pop(0)
            track.forget(at)
    track.finish(0.0)
    found.append(features(kind, track.hear(at, FRAMES - at)) if at < FRAMES else found[0][:0])
    torch.testing.assert_close(torch.cat(found), at_once(kind, frame), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize('kind', PRESETS)
def test_a_frame_hears_nothing_of_what_lies_beyond_its_lookahead(kind):
    audio = PRESETS[kind]
    sound = speech(5, 2 * (audio.samples_before + audio.samples_after))
    other = sound.copy()
    length = audio.samples_before + audio.samples_after
    other[length:] = speech(6, len(sound) - length)
    windows = [Track(Config(audio)) for _ in range(2)]
    first = audio.samples_before // 640
    for track, samples in zip(windows, (sound, other)):
        track.begin(0)
        track.lay(samples, 0.0)
    one, two = (features(kind, track.hear(first, 4)) for track in windows)
    assert torch.equal(one[0], two[0])
    assert not torch.allclose(one[3], two[3])


def test_whisper_s_log_mel_and_states_are_those_of_transformers():
    from transformers import WhisperFeatureExtractor

    audio = replace(PRESETS['whisper'], positions=30)
    ears = encoder('whisper')
    sound = speech(1, 9600).astype(np.float32) / 32768
    extract = WhisperFeatureExtractor(chunk_length=1)
    wanted = extract(sound, sampling_rate=16000, padding=False, return_tensors='pt').input_features
    mel = ears.log_mel(torch.from_numpy(sound)[None])
    torch.testing.assert_close(mel, wanted[:, :, : mel.shape[2]], atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        states = ears(torch.from_numpy(sound)[None]).unflatten(1, (10, 3))
        x = torch.nn.functional.gelu(ears.encoder.conv1(mel))
        x = torch.nn.functional.gelu(ears.encoder.conv2(x)).transpose(1, 2)
        x = x + ears.encoder.embed_positions.weight
        own = slice(audio.samples_before // 320 - 4, audio.samples_before // 320 + 6)
        torch.testing.assert_close(states[:, :, 0], x[:, own])
        for at, layer in enumerate(ears.encoder.layers):
            out = layer(x, None)
            x = out[0] if isinstance(out, tuple) else out
            torch.testing.assert_close(states[:, :, at + 1], x[:, own])
    assert states.shape == (1, 10, 3, 32)


def test_wav2vec2_s_states_are_those_of_transformers_where_the_window_is_full_of_sound():
    audio = PRESETS['wav2vec']
    ears = encoder('wav2vec')
    sound = torch.from_numpy(speech(2, 9600).astype(np.float32) / 32768)[None]
    normal = (sound - sound.mean()) / (sound.var(unbiased=False) + 1e-7).sqrt()
    model = ears.wav2vec
    with torch.no_grad():
        steps = model.feature_extractor(normal)
        x = torch.nn.functional.interpolate(steps, 15, mode='linear', align_corners=True)
        x = model.feature_projection(x.transpose(1, 2))[0]
        wanted = model.encoder(x).last_hidden_state
        states = ears(sound)
    assert states.shape == (1, 5, 2, 32)
    at = audio.samples_before // 640
    torch.testing.assert_close(states[:, :, -1], wanted[:, at - 2 : at + 3], atol=1e-5, rtol=1e-4)


def test_silence_before_an_utterance_does_not_change_how_loud_it_is_heard():
    ears = encoder('wav2vec')
    sound = unit(speech(4, 9600))[None]
    late = sound.clone()
    late[:, :4800] = 0
    with torch.no_grad():
        full, part = ears._features(sound), ears._features(late)
    # The same sound, after silence and after other sound: the last steps come out alike.
    assert heard(late).tolist() == [4800]
    ratio = float(part[..., -12:].std() / full[..., -12:].std())
    assert 0.9 < ratio < 1.1, ratio
    assert torch.isfinite(ears(torch.zeros(1, 9600))).all()


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='whole units of 640'):
        speech_encoder(replace(PRESETS['wav2vec'], samples_before=6500))
    with pytest.raises(ValueError, match='too few'):
        speech_encoder(replace(PRESETS['whisper'], samples_after=640))
    with pytest.raises(ValueError, match='more than whisper has positions'):
        speech_encoder(replace(PRESETS['whisper'], positions=20))
    with pytest.raises(ValueError, match='unknown speech encoder'):
        speech_encoder(replace(PRESETS['whisper'], encoder='hubert'))
