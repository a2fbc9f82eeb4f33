"""Full-scale models behind the engine: the same planner, pipeline and timetable as tiny's."""

import numpy as np
import pytest
import torch
from analytic_backend import voice
from full_scale import SIZE, config, model
from safetensors.torch import save_file

from llia_ros.model.autoencoder import Autoencoder
from llia_ros.model.config import STATES
from llia_ros.model.full_face import FullScaleFace, timesteps
from llia_ros.model.full_weights import load_any, random_model, save_full_face
from llia_ros.model.schedule import linear_beta_angles
from llia_ros.runtime.avatar import Avatar
from llia_ros.runtime.backends import load_backend
from llia_ros.runtime.backends.torch import TorchBackend
from llia_ros.runtime.ears import silence

PORTRAIT = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
PRESETS = ('sd15', 'echomimic', 'hallo')
STEPS = 2


def backend(preset, **changes):
    return TorchBackend.of(*model(preset, **changes), device='cpu')


def frames(drawer, sound, chunk, **changes):
    with Avatar(drawer, PORTRAIT, paced=False, steps=STEPS, **changes) as avatar:
        for start in range(0, len(sound), chunk):
            avatar.push_audio(sound[start : start + chunk])
        avatar.end_of_speech()
        avatar.finish()
        return list(avatar)


def clip(drawer, sound=None, state='speaking', past=None, frames=4, reference=None):
    """One clip's latents, without an engine."""
    cfg = drawer.config
    field = np.random.default_rng(1).standard_normal(cfg.latent_shape, np.float32)
    reference = reference or drawer.reference(drawer.encode(PORTRAIT))
    return drawer.denoise(
        np.broadcast_to(field, (frames, *field.shape)),
        silence(cfg, frames) if sound is None else sound,
        None,
        STATES.index(state),
        reference,
        past,
        STEPS,
    )


@pytest.mark.parametrize('preset', PRESETS)
def test_a_stream_in_clips_is_drawn_alike_whatever_its_chunks(preset):
    drawer = backend(preset)
    sound = voice(12 * drawer.config.samples_per_frame, seed=3)
    once = frames(drawer, sound, len(sound))
    chunked = frames(drawer, sound, 777)
    assert len(once) == len(chunked) == 12
    for one, other in zip(once, chunked):
        assert np.array_equal(one.image, other.image)
        assert one.image.shape == (SIZE, SIZE, 3) and one.state == 'speaking'
    assert np.array_equal(np.concatenate([frame.audio for frame in once]), sound)
    assert any(not np.array_equal(once[0].image, frame.image) for frame in once[1:])


def test_a_clip_goes_on_from_the_frames_before_it_in_every_layout():
    for preset in PRESETS:
        drawer = backend(preset)
        first = clip(drawer)
        fresh, going_on = clip(drawer), clip(drawer, past=first[-2:])
        assert np.abs(fresh - going_on).max() > 1e-3, preset


def test_where_past_frames_are_drawn_with_the_clip_they_are_noised_as_far_as_it():
    face, _ = model('echomimic')
    drawer = backend('echomimic')
    seen = []
    networks = face.networks
    original = networks.velocity
    past = clip(drawer)[-2:]
    try:
        networks.velocity = lambda x, t, *rest: seen.append((x, t)) or original(x, t, *rest)
        clip(drawer, past=past)
    finally:
        networks.velocity = original
    field = np.random.default_rng(1).standard_normal(drawer.config.latent_shape, np.float32)
    for (angle, _), (x, t) in zip(face.path(STEPS), seen[::2], strict=True):
        assert x.shape[0] == 2 + 4 and len(set(t.tolist())) == 1
        wanted = np.cos(angle) * past + np.sin(angle) * field
        np.testing.assert_allclose(x[:2].numpy(), wanted, atol=1e-5)


def test_each_past_frame_hears_its_own_sound():
    face, _ = model('echomimic')
    cfg = face.cfg
    track = torch.arange(20000, dtype=torch.int16)
    length = cfg.audio.samples_before + cfg.audio.samples_after
    whole = length + 2 * cfg.samples_per_frame
    heard = torch.stack([track[k * cfg.samples_per_frame :][:whole] for k in range(4)])
    windows = face._windows(heard, 1)
    wanted = torch.stack([track[k * cfg.samples_per_frame :][:length] for k in range(6)])
    assert torch.equal(windows, wanted)


@pytest.mark.parametrize('preset', PRESETS)
def test_labels_start_without_effect_and_can_be_taught(preset):
    face, codec = model(preset, seed=1)
    drawer = TorchBackend.of(face, codec, 'cpu')
    speaking, idle = clip(drawer), clip(drawer, state='idle')
    assert np.array_equal(speaking, idle)
    label = face.networks.denoiser.class_embedding.weight
    try:
        with torch.no_grad():
            label[STATES.index('idle')] = 0.5
        assert np.abs(clip(drawer, state='idle') - speaking).max() > 1e-3
        assert np.array_equal(clip(drawer), speaking)
    finally:
        label.zero_()


def test_another_expression_is_another_reference_and_no_other_denoiser():
    drawer = backend('sd15')
    latent = drawer.encode(PORTRAIT)
    happy = drawer.animate(latent, np.eye(8, dtype=np.float32)[1])
    assert np.abs(happy - latent).max() > 1e-3
    changed = clip(drawer, reference=drawer.reference(happy))
    assert np.abs(changed - clip(drawer)).max() > 1e-4
    assert np.array_equal(clip(drawer), clip(drawer))


def test_frames_hear_what_is_said():
    for preset in PRESETS:
        drawer = backend(preset)
        shape = silence(drawer.config, 4).shape
        loud = np.random.default_rng(0).integers(-9000, 9000, shape).astype(np.int16)
        assert np.abs(clip(drawer, loud) - clip(drawer)).max() > 1e-4, preset


def test_guidance_leads_away_from_what_hears_nothing():
    plain = clip(backend('sd15', guidance=1.0))
    guided = clip(backend('sd15', guidance=2.5))
    assert np.abs(plain - guided).max() > 1e-3


def test_steps_are_those_of_the_training_schedule():
    table = linear_beta_angles()
    face, _ = model('sd15')
    path = face.path(6)
    assert [start for start, _ in path] == [table[t] for t in (999, 832, 666, 499, 332, 166)]
    assert path[0][1] == table[833] and path[-1][1] == table[0]
    found = timesteps(torch.tensor([start for start, _ in path], dtype=torch.float32))
    assert found.tolist() == [999, 832, 666, 499, 332, 166]
    assert timesteps(torch.tensor([0.0])).tolist() == [0]
    between = float(timesteps(torch.tensor([(table[500] + table[501]) / 2])))
    assert 500.4 < between < 500.6


def test_24_frames_a_second_carry_whole_samples_and_set_the_pace():
    cfg = config('echomimic')
    assert cfg.fps == 24 and cfg.samples_per_frame == 667
    sound = voice(8 * 667, seed=5)
    drawn = frames(backend('echomimic'), sound, 640)
    assert [len(frame.audio) for frame in drawn] == [667] * 8
    assert [frame.stamp for frame in drawn] == [pytest.approx(k * 667 / 16000) for k in range(8)]


@pytest.mark.parametrize('preset', ['echomimic', 'hallo'])
def test_a_full_scale_model_is_saved_and_loaded_like_tiny(preset, tmp_path):
    face, codec = model(preset)
    save_full_face(tmp_path, face, codec)
    loaded, decoder = load_any(tmp_path)
    assert isinstance(loaded, FullScaleFace) and isinstance(decoder, Autoencoder)
    assert loaded.cfg == face.cfg
    for ours, theirs in ((face, loaded), (codec, decoder)):
        theirs = theirs.state_dict()
        for name, value in ours.state_dict().items():
            assert torch.equal(value, theirs[name]), name
    with Avatar.load(tmp_path, PORTRAIT, 'torch', paced=False, steps=1, force=True) as avatar:
        avatar.push_audio(voice(640))
        avatar.end_of_speech()
        avatar.finish()
        assert len(list(avatar)) == 1
    with pytest.raises(ValueError, match='runs on torch, not on openvino'):
        load_backend(tmp_path, 'openvino')


def test_ears_and_codec_are_taken_as_they_are_published(tmp_path):
    face, codec = model('hallo')
    save_full_face(tmp_path, face, codec)
    own = face.ears.state_dict()
    # Older files split the weight norm otherwise, and hold parts that nobody hears with.
    published = {
        f'wav2vec2.{key.removeprefix("wav2vec.")}'.replace(
            'parametrizations.weight.original0', 'weight_g'
        ).replace('parametrizations.weight.original1', 'weight_v'): value
        for key, value in own.items()
    }
    published |= {'lm_head.weight': torch.zeros(3), 'wav2vec2.masked_spec_embed': torch.zeros(3)}
    save_file(published, tmp_path / 'ears.safetensors')
    loaded, _ = load_any(tmp_path)
    for name, value in own.items():
        assert torch.equal(value, loaded.ears.state_dict()[name]), name
    del published['wav2vec2.encoder.layer_norm.bias']
    save_file(published, tmp_path / 'ears.safetensors')
    with pytest.raises(ValueError, match=r'does not fit.*wav2vec.encoder.layer_norm.bias'):
        load_any(tmp_path)
    (tmp_path / 'ears.safetensors').write_bytes(bytes(64))
    with pytest.raises(ValueError, match='cannot read the weights'):
        load_any(tmp_path)
    (tmp_path / 'codec.safetensors').unlink()
    with pytest.raises(ValueError, match='codec.safetensors is missing.*sd-vae-ft-mse'):
        load_any(tmp_path)


def test_random_weights_draw_finite_pictures_in_bfloat16():
    face, codec = random_model(config('sd15'))
    assert face.networks.denoiser.conv_in.weight.dtype == torch.bfloat16
    drawer = TorchBackend.of(face, codec, 'cpu')
    latents = clip(drawer)
    assert latents.dtype == np.float32 and np.isfinite(latents).all()
    assert 0.1 < latents.std() < 10
    assert drawer.decode(latents).shape == (4, SIZE, SIZE, 3)
