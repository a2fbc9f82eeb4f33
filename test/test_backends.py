"""The exported graphs and torch draw the same clip; INT8 draws nearly the same."""

import json
import shutil
from dataclasses import replace

import numpy as np
import openvino as ov
import pytest
import torch

from llia_ros.model.codec import Codec
from llia_ros.model.config import tiny
from llia_ros.model.face import FaceModel
from llia_ros.model.weights import save_model
from llia_ros.runtime.backends import Backend, load_backend, openvino
from llia_ros.runtime.backends.openvino import best_precision
from llia_ros.runtime.export import export_openvino
from llia_ros.runtime.quantize import compress_openvino, quantize_openvino

CFG = replace(tiny(), codec=replace(tiny().codec, size=256))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A random model, so that every part of it matters to what is drawn, of small pictures."""
    torch.manual_seed(0)
    face = FaceModel(CFG)
    with torch.no_grad():
        for parameter in face.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    path = tmp_path_factory.mktemp('model')
    save_model(path, face, Codec(CFG.codec))
    export_openvino(path)
    return path


@pytest.fixture(scope='module')
def both(folder):
    return (
        load_backend(folder, 'torch'),
        load_backend(folder, 'openvino', precision='f32', threads=(1, 2)),
    )


def clip(frames, seed=0):
    rng = np.random.default_rng(seed)
    return {
        'noise': rng.normal(size=(frames, *CFG.latent_shape)).astype(np.float32),
        'heard': rng.uniform(-1, 1, (frames, CFG.audio.columns, 64)).astype(np.float32),
        'motion': rng.uniform(-0.3, 0.3, (frames, 9)).astype(np.float32),
        'past': rng.normal(size=(2, *CFG.latent_shape)).astype(np.float32),
    }


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (CFG.size, CFG.size, 3), dtype=np.uint8)


def test_both_keep_the_protocol(both):
    assert all(isinstance(backend, Backend) for backend in both)
    assert both[0].config == both[1].config == CFG


def test_portraits_and_expressions_are_the_same(both):
    mood = np.eye(8, dtype=np.float32)[1]
    latents = [backend.encode(picture()) for backend in both]
    np.testing.assert_allclose(*latents, atol=2e-4)
    changed = [backend.animate(latents[0], mood) for backend in both]
    np.testing.assert_allclose(*changed, atol=2e-4)
    assert np.abs(changed[0] - latents[0]).max() > 0.01
    for backend in both:
        np.testing.assert_array_equal(backend.animate(latents[0], np.zeros(8)), latents[0])


@pytest.mark.parametrize('frames', CFG.clip_lengths)
@pytest.mark.parametrize('steps', [1, 2])
def test_clips_of_every_length_are_the_same(both, frames, steps):
    given = clip(frames)
    latent = both[0].encode(picture())
    drawn = [
        backend.denoise(state=1, reference=backend.reference(latent), steps=steps, **given)
        for backend in both
    ]
    assert drawn[0].shape == (frames, *CFG.latent_shape)
    np.testing.assert_allclose(*drawn, atol=0.02)
    pictures = [backend.decode(drawn[0]).astype(int) for backend in both]
    assert pictures[0].shape == (frames, CFG.size, CFG.size, 3)
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


def test_a_free_clip_without_past_is_the_same(both):
    given = {**clip(4), 'motion': None, 'past': None}
    latent = both[0].encode(picture())
    drawn = [
        backend.denoise(state=2, reference=backend.reference(latent), steps=2, **given)
        for backend in both
    ]
    np.testing.assert_allclose(*drawn, atol=0.02)


@pytest.mark.parametrize('part', ['noise', 'heard', 'motion', 'past'])
def test_every_input_matters(both, part):
    _, backend = both
    given = clip(4)
    reference = backend.reference(backend.encode(picture()))
    before = backend.denoise(state=0, reference=reference, steps=1, **given)
    given[part] = clip(4, seed=1)[part] + (part == 'heard')
    after = backend.denoise(state=0, reference=reference, steps=1, **given)
    assert np.abs(after - before).max() > 0.01


def test_later_clips_leave_what_was_handed_out_as_it_was(both):
    _, backend = both
    reference = backend.reference(backend.encode(picture()))

    def draw(seed):
        latents = backend.denoise(state=0, reference=reference, steps=1, **clip(4, seed))
        return [latents, backend.decode(latents), backend.encode(picture(seed))]

    first = draw(0)
    kept = [array.copy() for array in [*first, *reference.reads.values()]]
    second = draw(1)
    backend.reference(second[2])
    for array, copy in zip([*first, *reference.reads.values()], kept, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert all((one != other).any() for one, other in zip(first, second, strict=True))
    for one, again in zip(first, draw(0), strict=True):
        np.testing.assert_array_equal(one, again)


INTEL = 'vendor_id : GenuineIntel flags : avx512f avx512_bf16'
AMD = 'vendor_id : AuthenticAMD flags : avx512f avx512_bf16'


@pytest.mark.parametrize(
    ('capabilities', 'cpuinfo', 'chosen'),
    [
        (['FP32', 'INT8'], AMD, 'f32'),
        (['FP32', 'BF16'], AMD, 'bf16'),
        (['FP32', 'BF16'], AMD.replace('avx512_bf16', 'avx2'), 'f32'),
        (['FP32', 'BF16'], INTEL, 'f32'),
        (['FP32', 'BF16'], f'{INTEL} amx_bf16 amx_tile', 'bf16'),
        (['FP32'], f'{INTEL} amx_bf16 amx_tile', 'f32'),
        (['FP32', 'FP16'], '', 'f16'),
        (['FP32', 'BF16'], '', 'f32'),
    ],
)
def test_the_precision_is_the_one_that_the_processor_is_fast_in(capabilities, cpuinfo, chosen):
    assert best_precision(capabilities, cpuinfo) == chosen


def test_the_precision_and_threads_asked_for_are_those_compiled(both):
    for graph, request in both[1].runner.requests.items():
        compiled = request.get_compiled_model()
        assert not compiled.get_property('ENABLE_CPU_PINNING')
        threads = compiled.get_property('INFERENCE_NUM_THREADS')
        assert threads == (2 if graph.startswith('decoder') else 1)
        assert compiled.get_property('INFERENCE_PRECISION_HINT') == ov.Type.f32


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'precision': 'f64'}, "unknown precision 'f64': auto or one of f32, bf16, f16"),
        ({'threads': -1}, 'threads must be 0 or more, not -1'),
        ({'threads': (1, -2)}, 'threads must be 0 or more, not -2'),
    ],
)
def test_options_that_cannot_be_are_named(folder, options, message):
    with pytest.raises(ValueError, match=message):
        load_backend(folder, 'openvino', **options)


@pytest.fixture(scope='module')
def smaller(folder, tmp_path_factory):
    """The model with 8 bit weights, and with one graph calibrated to 8 bit activations."""

    def draw(backend):
        reference = backend.reference(backend.encode(picture()))
        for seed in range(4):
            backend.denoise(state=0, reference=reference, steps=1, **clip(4, seed))

    copies = [tmp_path_factory.mktemp('smaller') / name for name in ('weights', 'activations')]
    for copy in copies:
        shutil.copytree(folder, copy)
    compress_openvino(copies[0])
    quantize_openvino(copies[1], draw, graphs=('condition',))
    return copies


def test_eight_bits_halve_the_graphs_and_hardly_change_the_clip(folder, smaller, both):
    given = clip(4)
    plain = both[1]
    latent = plain.encode(picture())
    before = plain.denoise(state=0, reference=plain.reference(latent), steps=1, **given)
    for copy in smaller:
        backend = load_backend(copy, 'openvino', precision='f32', threads=1)
        after = backend.denoise(state=0, reference=backend.reference(latent), steps=1, **given)
        assert 0 < np.abs(after - before).mean() < 0.05 * np.abs(before).mean()
        sizes = [sum(p.stat().st_size for p in path.glob('*.bin')) for path in (folder, copy)]
        assert sizes[1] < 0.6 * sizes[0]
        notes = json.loads((copy / 'model.json').read_text())['notes']
        assert notes['int8'].startswith('weights')


def test_what_was_compiled_in_one_precision_is_not_taken_for_another(
    folder, tmp_path, monkeypatch
):
    def drawn(precision):
        backend = load_backend(folder, 'openvino', precision=precision, threads=1)
        reference = backend.reference(backend.encode(picture()))
        return backend.denoise(state=0, reference=reference, steps=1, **clip(4))

    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    with monkeypatch.context() as without:
        without.setattr(openvino, '_kept_compiled', lambda circumstances: None)
        alone = drawn('bf16')
    assert not [*tmp_path.rglob('*.blob')]
    drawn('f32')
    assert [*tmp_path.rglob('*.blob')]
    assert np.allclose(drawn('bf16'), alone, atol=1e-4)


def test_a_graph_that_was_never_used_cannot_be_calibrated(folder, tmp_path):
    copy = tmp_path / 'model'
    shutil.copytree(folder, copy)
    with pytest.raises(ValueError, match="never used the graph 'decoder'"):
        quantize_openvino(copy, lambda backend: None, graphs=('decoder',))
