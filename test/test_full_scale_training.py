"""The distillation of the full scale, at full depth and narrow widths, for a few steps."""

from dataclasses import replace

import av
import cv2
import numpy as np
import pytest
import torch
from analytic_backend import voice
from full_scale import SIZE, config, model
from test_photo import FILE

from llia_ros.model.config import STATES
from llia_ros.model.full_weights import load_any, save_full_face
from llia_ros.training import distil, full_recipe, videos

FPS = 30
SECONDS = 1.5


def write_video(path, sound=True):
    """The astronaut, who moves a little and is heard from the middle on."""
    photo = cv2.resize(cv2.cvtColor(cv2.imread(str(FILE)), cv2.COLOR_BGR2RGB), (320, 320))
    with av.open(str(path), 'w') as container:
        video = container.add_stream('libx264', rate=FPS)
        video.width, video.height, video.pix_fmt = 320, 320, 'yuv420p'
        audio = container.add_stream('aac', rate=16000, layout='mono') if sound else None
        for k in range(int(FPS * SECONDS)):
            frame = av.VideoFrame.from_ndarray(np.roll(photo, k // 10, axis=1), format='rgb24')
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            samples = voice(int(16000 * SECONDS))
            samples[: len(samples) // 2] = 0
            block = av.AudioFrame.from_ndarray(samples[None], format='s16', layout='mono')
            block.sample_rate = 16000
            container.mux(audio.encode(block))
            container.mux(audio.encode(None))
    return path


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos')
    write_video(folder / 'a.mp4')
    return folder


@pytest.fixture(scope='module')
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp('teacher')
    save_full_face(folder, *model('echomimic', past_reads=True))
    return folder


def test_a_few_steps_of_distillation_teach_the_denoiser_alone(
    data, teacher, tmp_path, monkeypatch
):
    recipe = full_recipe.FullRecipe('sd15', 1, tmp_path, start=teacher, data=data)
    assert recipe.cfg.guidance == 1 and recipe.teacher.cfg.guidance == 2.5
    recipe.run('data')
    steps = []

    def three(run, sheet=None):
        for step in range(3):
            run.elapsed = run.seconds * step / 3
            yield step
            run._average()
            steps.append({key: float(np.mean(value)) for key, value in run.figures.items()})
        run.save()

    monkeypatch.setattr(distil.Run, 'steps', three)
    small = replace(full_recipe.SETUP, frames=4, lengths=(4,), rate=0.1)
    monkeypatch.setattr(full_recipe, 'SETUP', small)
    recipe.run('distil')
    assert len(steps) == 3 and all(np.isfinite(list(figures.values())).all() for figures in steps)
    recipe.run('export')
    student, _ = load_any(tmp_path / 'sd15')
    assert student.cfg == recipe.cfg and student.cfg.steps == 2
    before = recipe.teacher.state_dict()
    changed = {
        name
        for name, value in student.state_dict().items()
        if not torch.equal(value.float(), before[name].to(value.dtype).float())
    }
    assert changed and all(name.startswith('networks.denoiser.') for name in changed)
    assert any('motion_modules' in name for name in changed)


def test_what_is_not_taught_is_held_once():
    face, _ = model('hallo')
    twin = distil.copied(face, config('sd15'), 'networks.denoiser')
    own, shared = dict(face.named_parameters()), dict(twin.named_parameters())
    for name in own:
        taught = name.startswith('networks.denoiser.')
        assert (own[name] is shared[name]) != taught, name
    assert twin.cfg == config('sd15') and face.cfg.name == 'hallo'


def test_activations_computed_again_give_the_same_gradients():
    gradients = []
    for again in (False, True):
        face, _ = model('sd15')
        twin = distil.copied(face, face.cfg, 'networks.denoiser')
        denoiser = twin.networks.denoiser.requires_grad_(True)
        if again:
            distil.save_activations(denoiser)
        torch.manual_seed(0)
        x, portrait = (
            torch.randn(4, *face.cfg.latent_shape),
            torch.randn(1, *face.cfg.latent_shape),
        )
        audio = face.cfg.audio
        heard = torch.randint(-999, 999, (4, audio.samples_before + audio.samples_after + 2 * 640))
        with torch.no_grad():
            reads = twin.read(portrait)
            past = twin.before(torch.randn(1, 2, *face.cfg.latent_shape))
            condition = twin.condition(heard)
        v = twin.velocity(
            x, torch.ones(4), torch.zeros(4).long(), condition, portrait, reads, past
        )
        v.square().mean().backward()
        gradients.append({k: p.grad for k, p in denoiser.named_parameters()})
    assert gradients[0].keys() == gradients[1].keys()
    for name, value in gradients[0].items():
        torch.testing.assert_close(value, gradients[1][name], atol=1e-6, rtol=1e-3, msg=name)


def test_videos_become_clips_of_their_faces_and_what_they_say(data, tmp_path):
    cfg = config('echomimic')
    _, codec = model('echomimic')
    videos.prepare(cfg, codec, data, tmp_path)
    with np.load(tmp_path / 'a.mp4.npz') as stored:
        latents, sound = stored['latents'], stored['sound']
    # 30 pictures a second in, 24 out, on the clock of the sound.
    assert abs(len(latents) - SECONDS * 16000 / 667) <= 1
    assert latents.shape[1:] == cfg.latent_shape
    assert abs(len(sound) - 16000 * SECONDS) < 3000  # AAC pads
    sampler = videos.VideoSampler(cfg, tmp_path)
    clips = sampler.clips(6, 4)
    side = SIZE // 8
    assert clips.x0.shape == (6, 4, 4, side, side) and clips.past.shape == (6, 2, 4, side, side)
    audio = cfg.audio
    window = audio.samples_before + audio.samples_after + 2 * cfg.samples_per_frame
    assert clips.mel.shape == (6, 4, window) and clips.mel.dtype == torch.int16
    assert clips.weight.max() == videos.FACE_WEIGHT and clips.weight.min() == 1
    labels = set(torch.cat([sampler.clips(6, 4).states.flatten() for _ in range(6)]).tolist())
    assert labels == {STATES.index('speaking'), STATES.index('idle')}
    with pytest.raises(ValueError, match='no video has 202 frames'):
        sampler.clips(1, 200)


def test_what_cannot_be_trained_on_is_refused(tmp_path, teacher):
    with pytest.raises(ValueError, match='give --start'):
        full_recipe.FullRecipe('sd15', 1, tmp_path)
    recipe = full_recipe.FullRecipe('sd15', 1, tmp_path, start=teacher)
    with pytest.raises(ValueError, match='unknown stage'):
        recipe.run('codec')
    with pytest.raises(ValueError, match='give --data'):
        recipe.run('data')
    with pytest.raises(ValueError, match='run the stage data first'):
        recipe.run('distil')
    with pytest.raises(ValueError, match="run the stage 'distil' first"):
        recipe.run('export')
    (tmp_path / 'empty').mkdir()
    _, codec = model('echomimic')
    with pytest.raises(ValueError, match='no videos in'):
        videos.prepare(recipe.cfg, codec, tmp_path / 'empty', tmp_path)
    mute = write_video(tmp_path / 'mute.mp4', sound=False)
    with pytest.raises(ValueError, match='has no sound'):
        videos.encode_video(recipe.cfg, codec, mute)
    (tmp_path / 'broken.mp4').write_bytes(b'nothing' * 100)
    with pytest.raises(ValueError, match='cannot read the video'):
        videos.encode_video(recipe.cfg, codec, tmp_path / 'broken.mp4')
