"""Full-scale models as ONNX graphs, narrow and random: torch's figures, and 8 bits near them."""

import numpy as np
import pytest
from full_scale import SIZE, model

from llia_ros.model.full_weights import save_full_face
from llia_ros.runtime.backends.graphs import graph_backend, graph_lengths
from llia_ros.runtime.backends.onnx import OnnxRunner
from llia_ros.runtime.backends.torch import TorchBackend
from llia_ros.runtime.ears import silence
from llia_ros.runtime.onnx_export import (
    KEPT,
    cuts,
    describe,
    random_inputs,
    write_graphs,
)

FRAMES = 4
F32, INT8 = 2e-5, 0.2  # relative errors of a graph, at most


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('sd15')
    save_full_face(path, *model('sd15'))
    return path


@pytest.fixture(scope='module')
def short(folder):
    """The graphs of the shorter clips."""
    return [cut for cut in cuts(folder) if cut.frames <= FRAMES]


@pytest.fixture(scope='module')
def plain(folder, short, tmp_path_factory):
    place = tmp_path_factory.mktemp('graphs') / 'f32'
    done = list(write_graphs(short, place, 'f32'))
    describe(folder, place, 'f32', short, done)
    return place, {exported.path.stem: exported.error for exported in done}


def test_every_graph_equals_torch(folder, short, plain):
    _, errors = plain
    assert {cut.name for cut in short} == set(graph_lengths(model('sd15')[0].cfg))
    for name, error in errors.items():
        assert error < (1e-3 if name.startswith('decoder') else F32), name
    velocity = next(cut for cut in short if cut.name == 'velocity')
    assert {'x', 'timestep', 'state', 'read0', 'read31', 'past0', 'past15'} <= set(velocity.inputs)


def test_clips_are_those_of_torch(folder, plain):
    theirs = TorchBackend(folder, device='cpu', precision='f32')
    ours = graph_backend('onnx', folder, OnnxRunner(plain[0], threads=1))
    cfg, rng = theirs.config, np.random.default_rng(0)
    portrait = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    noise = rng.standard_normal((FRAMES, *cfg.latent_shape), np.float32)
    quiet = silence(cfg, FRAMES)
    heard = rng.integers(-9000, 9000, quiet.shape).astype(np.int16)
    past = rng.standard_normal((cfg.past_frames, *cfg.latent_shape), np.float32)
    for before in (None, past):
        drawn = []
        for backend in (theirs, ours):
            reference = backend.reference(backend.encode(portrait))
            drawn.append(backend.denoise(noise, heard, None, 1, reference, before, 2))
        np.testing.assert_allclose(*drawn, atol=1e-3 * np.abs(drawn[0]).max())
    pictures = [backend.decode(drawn[0]).astype(int) for backend in (theirs, ours)]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


def test_eight_bits_are_near(short, plain, tmp_path):
    chosen = [cut for cut in short if cut.name in ('velocity', 'decoder')]
    samples = {
        f'{cut.name}-{cut.frames}': [random_inputs(cut, seed) for seed in range(min(KEPT, 6))]
        for cut in chosen
    }
    for exported in write_graphs(chosen, tmp_path / 'int8', 'int8', samples, plain[0]):
        assert F32 < exported.error < INT8, exported.path.stem
