"""Ours and the original code of Hallo, EchoMimic and diffusers give the same figures.

The originals ran once, with random weights at full depth and narrow widths
(golden/make_golden.py); their outputs, and the names and shapes of their parameters at full
size, are kept.
"""

import gzip
import json

import numpy as np
import pytest
import torch
from public_layouts import FRAMES, GOLDEN, PAST, TIMESTEP, config, draw, inputs, sample, weight

from llia_ros.model import schedule
from llia_ros.model.full_scale import FullScaleModel, unguided
from llia_ros.model.key_map import LAYOUTS, match
from llia_ros.model.sd15 import echomimic, hallo

# In double precision nothing but the order of additions may differ.
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def shapes(model):
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


class Ours:
    """Our half: the same weights, the same inputs."""

    def __init__(self, layout, dtype):
        self.layout, self.rules = layout, LAYOUTS[layout]
        self.tolerance = TOLERANCE[dtype]
        self.golden = np.load(GOLDEN / f'{layout}.npz')
        self.model = FullScaleModel(config(layout)).eval().requires_grad_(False)
        state = self.model.state_dict()
        new = 'denoiser.class_embedding.weight'
        theirs = {self.rules.source(key): v.shape for key, v in state.items() if key != new}
        for key, source in match(self.rules, shapes(self.model), theirs).taken.items():
            state[key].copy_(torch.from_numpy(weight(source, state[key].shape)))
        self.model.to(dtype)
        self.given = {k: torch.from_numpy(v).to(dtype) for k, v in inputs(config(layout)).items()}
        masks = [
            [self.given[f'{region}_{level}'] for level in range(4)]
            for region in ('full', 'face', 'lip')
        ]
        self.condition = self.model.condition(self.given['heard'], self.given['mask'], masks)
        self.reads = self.model.read(self.given['portrait'])
        self.past_reads = None
        if layout == 'hallo':
            written = self.model.read(self.given['past'])
            self.past_reads = [read[None] for read in written]

    def velocity(self, condition, reads):
        x = self.given['x']
        return self.model.velocity(
            x,
            torch.full((FRAMES,), TIMESTEP),
            torch.zeros(FRAMES, dtype=torch.int64),
            condition,
            reads,
            self.past_reads,
        ).numpy()

    def error(self, name, output):
        """Largest difference to the original's output of that name."""
        return np.abs(output - self.golden[name]).max()


@pytest.fixture(scope='module', params=['f32', 'f64'])
def precision(request):
    return {'f32': torch.float32, 'f64': torch.float64}[request.param]


@pytest.fixture(scope='module', params=['hallo', 'echomimic'])
def ours(request, precision):
    return Ours(request.param, precision)


def test_the_denoiser_gives_the_originals_velocity(ours):
    v = ours.velocity(ours.condition, ours.reads)
    assert 0.3 < v.std() < 3
    assert ours.error('v', v) <= ours.tolerance


def test_the_denoiser_left_unguided_gives_the_originals_velocity(ours):
    v = ours.velocity(unguided(ours.condition), [None] * len(ours.reads))
    assert ours.error('v_unguided', v) <= ours.tolerance
    assert ours.error('v', v) > 0.01


def test_kept_keys_and_values_change_nothing(ours):
    v = ours.velocity(ours.condition, ours.model.keys_values(ours.reads))
    assert ours.error('v', v) <= ours.tolerance


def test_the_reference_net_writes_what_the_original_writes(ours):
    writes = [[read[0]] for read in ours.reads]
    if ours.past_reads is not None:
        writes = [[*read, *past[0]] for read, past in zip(writes, ours.past_reads)]
    images = 1 + PAST * (ours.past_reads is not None)
    kept = [name for name in ours.golden.files if name.startswith('read_')]
    assert len(kept) == len(writes) * images
    for i, written in enumerate(writes):
        for image, tokens in enumerate(written):
            assert ours.error(f'read_{i}_{image}', sample(tokens.numpy())) <= ours.tolerance


def test_the_locator_and_the_projections_give_the_originals_figures(ours):
    assert ours.error('pose', sample(ours.condition.pose[0].numpy())) <= ours.tolerance
    if ours.layout == 'hallo':
        assert ours.error('audio', sample(ours.condition.audio.numpy())) <= ours.tolerance
        assert ours.error('face', sample(ours.condition.context[:1].numpy())) <= ours.tolerance


@pytest.mark.parametrize(
    ('layout', 'preset', 'taken', 'left_out', 'new'),
    [('hallo', hallo, 2484, 172, 33), ('echomimic', echomimic, 1818, 42, 43)],
)
def test_every_published_key_has_its_place_at_full_size(layout, preset, taken, left_out, new):
    with gzip.open(GOLDEN / f'{layout}_keys.json.gz') as file:
        theirs = {key: tuple(shape) for key, shape in json.load(file).items()}
    with torch.device('meta'):
        ours = shapes(FullScaleModel(preset()))
    found = match(LAYOUTS[layout], ours, theirs)
    assert (len(found.taken), len(found.left_out), len(found.new)) == (taken, left_out, new)
    assert len(theirs) == taken + left_out
    assert len(ours) == taken + new


def test_the_schedule_equals_diffusers_ddim():
    golden = np.load(GOLDEN / 'schedule.npz')
    levels = schedule.linear_beta_angles()
    np.testing.assert_allclose(np.cos(levels) ** 2, golden['alphas_cumprod'], atol=1e-6)
    for steps in (1, 2, 4, 6, 30, 40):
        path = schedule.trailing_steps(steps)
        assert [t for t, _ in path] == golden[f'timesteps_{steps}'].tolist()
        x = draw('schedule x', 8).astype(float)
        for i, (t, end) in enumerate(path):
            v = draw(f'schedule v {i}', 8)
            found = schedule.rotate(x, v, levels[t], 0.0 if end is None else levels[end])
            expected = golden[f'path_{steps}'][i]
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)
            x = expected
