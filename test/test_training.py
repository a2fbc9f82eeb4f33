"""The whole training runs, resumes, and each of its parts teaches what it should."""

import json
from dataclasses import replace
from functools import partial
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from llia_ros.model.codec import Codec
from llia_ros.model.config import STATES, tiny
from llia_ros.model.face import FaceModel
from llia_ros.model.weights import load_model, save_model
from llia_ros.runtime.backends import model_folder
from llia_ros.training import codec, dataset, recipe, run
from llia_ros.training.dataset import ClipSampler, box_weights
from llia_ros.training.muon import Muon, orthogonal, split
from llia_ros.training.run import Run
from llia_ros.training.scenes import FRAMES, Voices, make_scene
from llia_ros.training.sheets import Sheet

STAGES = ('codec', 'hearing', 'visemes', 'pictures', 'teacher', 'student', 'animator', 'decoder')


def small():
    """The preset with pictures a quarter as large: all that a training does, in less time."""
    return replace(tiny(), codec=replace(tiny().codec, size=256))


@pytest.fixture(scope='module', autouse=True)
def small_pictures():
    patch = pytest.MonkeyPatch()
    patch.setitem(recipe.PRESETS, 'tiny', small)
    patch.setattr(recipe, 'Sheet', lambda cfg, codec, scenes=2: Sheet(cfg, codec, scenes))
    patch.setattr(dataset, 'SHARD', 3)
    patch.setattr(codec, 'BATCH', 8)
    yield
    patch.undo()


def run_stages(whole, *stages):
    """Run stages as if each step took a second, so that they have as many on any machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, 'time', SimpleNamespace(monotonic=partial(next, count())))
        for stage in stages:
            whole.run(stage)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A training of a few steps: too short to draw well, long enough to use every part."""
    out = tmp_path_factory.mktemp('train')
    whole = recipe.Recipe('tiny', 0.4, out)
    run_stages(whole, *STAGES[:3], 'data', *STAGES[3:])
    return out, whole


def test_every_stage_leaves_checkpoint_log_and_sheet(trained):
    out, _ = trained
    for stage in STAGES:
        assert (out / f'{stage}.pt').exists()
        figures = [json.loads(line) for line in open(out / f'{stage}.jsonl')]
        assert figures[-1]['step'] == np.ceil(24 * recipe.SHARES[stage]), stage
        if stage not in ('animator', 'hearing', 'visemes'):
            assert (out / f'{stage}.png').stat().st_size > 1000


def test_a_finished_stage_is_not_trained_again(trained):
    out, whole = trained
    before = (out / 'teacher.pt').stat().st_mtime_ns
    step = torch.load(out / 'teacher.pt', weights_only=True)['step']
    whole.run('teacher')
    saved = torch.load(out / 'teacher.pt', weights_only=True)
    assert saved['step'] == step and (out / 'teacher.pt').stat().st_mtime_ns >= before


def test_polishing_the_decoder_leaves_latents_alone(trained):
    out, _ = trained
    first = torch.load(out / 'codec.pt', weights_only=True)['average']
    last = torch.load(out / 'decoder.pt', weights_only=True)['average']
    same = {key: bool(torch.equal(first[key], last[key])) for key in first}
    assert all(value for key, value in same.items() if key.startswith('encoder'))
    assert not any(value for key, value in same.items() if key.startswith('decoder.conv'))


def test_unknown_stages_presets_and_budgets_are_refused(tmp_path):
    with pytest.raises(ValueError, match='unknown stage'):
        recipe.Recipe('tiny', 1, tmp_path).run('nonsense')
    with pytest.raises(ValueError, match='unknown preset'):
        recipe.Recipe('huge', 1, tmp_path)
    with pytest.raises(ValueError, match='positive'):
        recipe.Recipe('tiny', 0, tmp_path)
    with pytest.raises(ValueError, match="run the stage 'codec' first"):
        recipe.Recipe('tiny', 1, tmp_path).run('data')


def test_a_training_goes_on_from_a_model_that_ships(trained, tmp_path):
    out, _ = trained
    with pytest.raises(ValueError, match='model of other sizes'):
        recipe.Recipe('tiny', 1, tmp_path, start=model_folder('tiny'))
    given = load_model(model_folder('tiny'))
    start, fresh = (FaceModel(small()), Codec(small().codec)), FaceModel(small())
    for ours, theirs in zip(start, given):
        ours.load_state_dict(theirs.state_dict())
    save_model(tmp_path / 'start', *start)
    more = recipe.Recipe('tiny', 0.15, tmp_path, start=tmp_path / 'start')
    more.stills = out / 'stills'
    run_stages(more, 'codec')
    assert not (tmp_path / 'codec.pt').exists()
    run_stages(more, 'pictures')
    shipped, learned, other = (
        face.denoiser.conv_in.weight for face in (given[0], more.face('pictures'), fresh)
    )
    assert 0 < (learned - shipped).norm() < 0.3 * (other - shipped).norm()


def test_the_better_of_teacher_and_student_is_exported(trained, monkeypatch):
    out, whole = trained
    monkeypatch.setattr(recipe, 'UNSEEN', 1)
    kept = (out / 'student.pt').read_bytes()
    broken = torch.load(out / 'student.pt', weights_only=True)
    broken['average']['denoiser.conv_out.weight'].fill_(1.0)
    torch.save(broken, out / 'student.pt')
    assert whole.best() == 'teacher'
    (out / 'student.pt').write_bytes(kept)


def test_a_run_resumes_where_it_stopped(tmp_path):
    def layer():
        torch.manual_seed(0)
        model = torch.nn.Linear(2, 1)
        return model, torch.optim.AdamW(model.parameters(), lr=0.1)

    def steps(training, model, optimizer, most):
        for step in training.steps():
            optimizer.zero_grad()
            model(torch.ones(1, 2)).square().sum().backward()
            optimizer.step()
            if step >= most:
                training.save()
                return

    model, optimizer = layer()
    steps(Run('line', model, optimizer, 10, tmp_path), model, optimizer, 5)
    again, other = layer()
    run = Run('line', again, other, 10, tmp_path)
    assert run.step == 5 and 0 < run.elapsed < 600
    assert torch.equal(again.weight, model.weight)
    assert other.state_dict()['state'].keys() == optimizer.state_dict()['state'].keys()


def test_orthogonal_updates_have_equal_singular_values():
    torch.manual_seed(0)
    for shape in ((3, 16, 40), (2, 40, 16)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)).float())
        assert values.min() > 0.5 and values.max() < 1.35


def test_muon_solves_what_has_a_solution():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.SiLU(), torch.nn.Linear(16, 4))
    optimizer = Muon(split(model), lr=0.02)
    x, losses = torch.randn(64, 8), []
    goal = torch.sin(x[:, :4])
    for _ in range(300):
        loss = (model(x) - goal).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


def test_first_last_and_vectors_are_no_matrices_to_muon():
    model = FaceModel(tiny())
    matrices, rest = (group['params'] for group in split(model))
    assert len(matrices) + len(rest) == len(list(model.parameters()))
    assert all(p.ndim in (2, 4) for p in matrices)
    names = {id(p): name for name, p in model.named_parameters()}
    assert not any('conv_in' in names[id(p)] or 'conv_out' in names[id(p)] for p in matrices)


def test_mouths_of_a_scene_rest_where_nobody_speaks():
    rng = np.random.default_rng(0)
    voices = Voices(rng)
    spoke, heard = 0.0, 0.0
    for _ in range(30):
        scene = make_scene(rng, voices)
        quiet = scene.states != STATES.index('speaking')
        settled = quiet & np.r_[False, quiet[:-1]] & np.r_[[False] * 4, quiet[:-4]]
        assert scene.mouth[settled].max(initial=0) < 0.05
        spoke = max(spoke, scene.mouth[~quiet].max(initial=0))
        listening = scene.states == STATES.index('listening')
        heard = max(heard, (scene.mel(tiny().audio)[listening].max(initial=-1)))
        assert len(scene.samples) == (FRAMES + 7) * 640 and len(scene.motion) == FRAMES
    # Faces do speak, and those who listen do hear something.
    assert spoke > 0.5 and heard > 0


def test_clips_continue_the_frames_before_them(trained):
    out, whole = trained
    sampler = ClipSampler(whole.cfg, out / 'scenes')
    sampler.refresh()
    clips = sampler.clips(6, 4, start_share=0.0)
    assert clips.x0.shape == (6, 4, *whole.cfg.latent_shape)
    shard = next(iter(sampler.shards.values()))
    latents = torch.from_numpy(shard['latents']).float()
    for past, first in zip(clips.past, clips.x0[:, 0]):
        found = [
            (i, k)
            for i in range(len(latents))
            for k in range(2, FRAMES)
            if torch.equal(latents[i, k], first)
        ]
        assert any(torch.equal(latents[i, k - 2 : k], past) for i, k in found)
    fresh = sampler.clips(6, 4, start_share=1.0)
    assert torch.equal(fresh.past, fresh.portrait.expand_as(fresh.past))


def test_mouths_and_eyes_weigh_more_where_they_are():
    boxes = np.array([[[0.25, 0.5, 0.5, 0.75], [0, 0, 0.25, 0.25]]], np.float32)
    weight = box_weights(boxes, 4)[0, 0]
    expected = np.ones((4, 4))
    expected[2, 1], expected[0, 0] = dataset.MOUTH_WEIGHT, dataset.EYES_WEIGHT
    np.testing.assert_array_equal(weight, expected)
