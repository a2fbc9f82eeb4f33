"""ONNX graphs draw what torch draws; 8 bits are explicit, near, and where they should be."""

import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from llia_ros.cli import main
from llia_ros.model.codec import Codec
from llia_ros.model.face import FaceModel
from llia_ros.model.weights import load_model, save_model
from llia_ros.runtime.backends import Backend, load_backend, model_folder
from llia_ros.runtime.backends.onnx import session
from llia_ros.runtime.backends.onnx_files import onnx_manifest
from llia_ros.runtime.onnx_export import export_onnx
from llia_ros.runtime.onnx_quantize import LAYERS, WIDE_RANGE, to_int8
from llia_ros.runtime.onnx_weights import SharedWeights

F32, F16, INT8 = 1e-5, 0.02, 0.15  # relative errors of a graph, at most
SIZE, FRAMES = 128, 4


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The shipped weights, drawing small pictures in clips of one length."""
    face, codec = load_model(model_folder('tiny'))
    cfg = replace(
        face.cfg, codec=replace(face.cfg.codec, size=SIZE), clip_lengths=(FRAMES,), steps=2
    )
    small, small_codec = FaceModel(cfg), Codec(cfg.codec)
    small.load_state_dict(face.state_dict())
    small_codec.load_state_dict(codec.state_dict())
    path = tmp_path_factory.mktemp('model')
    save_model(path, small, small_codec)
    return path


def clip(cfg, seed):
    rng = np.random.default_rng(seed)
    return {
        'noise': rng.standard_normal((FRAMES, *cfg.latent_shape), np.float32),
        'heard': rng.uniform(-1, 1, (FRAMES, cfg.audio.columns, 64)).astype(np.float32),
        'motion': rng.uniform(-0.3, 0.3, (FRAMES, 9)).astype(np.float32),
        'past': rng.standard_normal((2, *cfg.latent_shape), np.float32),
    }


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), np.uint8)


def draw(backend):
    """A few clips, each of another portrait."""
    for seed in range(7):
        reference = backend.reference(backend.encode(picture(seed)))
        latents = backend.denoise(
            state=seed % 3, reference=reference, steps=1, **clip(backend.config, seed)
        )
        backend.decode(latents)


@pytest.fixture(scope='module')
def f32(folder):
    return {exported.path.stem: exported for exported in export_onnx(folder, 'f32')}


@pytest.fixture(scope='module')
def int8(folder):
    return {exported.path.stem: exported for exported in export_onnx(folder, 'int8', draw)}


def test_every_graph_equals_torch(folder, f32):
    assert set(f32) == {
        'encoder-1',
        'animator-1',
        'reads-1',
        'reads-2',
        *(f'{name}-{FRAMES}' for name in ('condition', 'velocity', 'decoder')),
    }
    for name, exported in f32.items():
        # Pictures are whole numbers: where torch is just below a half, ONNX may be above.
        assert exported.error < (5e-4 if name.startswith('decoder') else F32), name
    inputs = onnx_manifest(folder / 'onnx' / 'f32')['graphs'][f'velocity-{FRAMES}']['inputs']
    assert {'x', 'angle', 'state', 'read0', 'past0'} <= set(inputs)
    model = onnx.load(f32[f'velocity-{FRAMES}'].path, load_external_data=False)
    for value in model.graph.input:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        assert shape == inputs[value.name] and all(shape)


@pytest.mark.parametrize('steps', [1, 2])
@pytest.mark.parametrize('with_past', [False, True])
def test_clips_are_those_of_torch(folder, f32, steps, with_past):
    ours, theirs = load_backend(folder, 'onnx', threads=1), load_backend(folder, 'torch')
    assert isinstance(ours, Backend) and ours.config == theirs.config
    given = clip(ours.config, 3)
    given['past'] = given['past'] if with_past else None
    mood = np.eye(8, dtype=np.float32)[1]
    drawn = []
    for backend in (ours, theirs):
        latent = backend.animate(backend.encode(picture(1)), mood)
        reference = backend.reference(latent)
        drawn.append(backend.denoise(state=1, reference=reference, steps=steps, **given))
    np.testing.assert_allclose(*drawn, atol=1e-4)
    pictures = [backend.decode(drawn[0]).astype(int) for backend in (ours, theirs)]
    assert pictures[0].shape == (FRAMES, SIZE, SIZE, 3)
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


def test_half_precision_is_near_and_spares_the_noise_level(folder):
    exported = {e.path.stem: e for e in export_onnx(folder, 'f16')}
    velocity = exported[f'velocity-{FRAMES}']
    assert F32 < velocity.error < F16
    graph = onnx.load(velocity.path, load_external_data=False).graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    made = {output: node for node in graph.node for output in node.output}
    convolutions = [node for node in graph.node if node.op_type == 'Conv']
    assert len(convolutions) > 30
    assert {kinds[node.input[1]] for node in convolutions} == {TensorProto.FLOAT16}
    sine = next(node for node in graph.node if node.op_type == 'Sin')
    product = made[sine.input[0]]
    assert product.op_type == 'Mul'  # no cast in between
    assert [kinds[name] for name in product.input if name in kinds] == [TensorProto.FLOAT]


def test_eight_bits_are_near(int8):
    for name, exported in int8.items():
        assert exported.error < INT8, name
    assert int8[f'velocity-{FRAMES}'].error > F32


@pytest.mark.parametrize('name', ['reads-2', f'velocity-{FRAMES}', f'decoder-{FRAMES}'])
def test_eight_bits_surround_convolutions_and_linears(int8, name):
    model = onnx.load(int8[name].path)
    weights = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    made = {output: node for node in model.graph.node for output in node.output}
    quantized = kept = 0
    for node in model.graph.node:
        if node.op_type not in LAYERS:
            continue
        sources = [made.get(value) for value in node.input[:2]]
        scaled = [source for source in sources if source and source.op_type == 'DequantizeLinear']
        if any(word in node.name for word in WIDE_RANGE):
            assert not scaled, node.name
            kept += 1
        elif len(scaled) == 2:
            activation, weight = scaled
            assert made[activation.input[0]].op_type == 'QuantizeLinear'
            assert weights[weight.input[0]].dtype == np.int8
            assert len(weights[weight.input[1]]) in weights[weight.input[0]].shape
            for source in scaled:
                assert not weights[source.input[2]].any()  # TensorRT knows no other zero point
            quantized += 1
        else:
            # A product of two activations, as in attention.
            assert node.op_type == 'MatMul' and not scaled
            assert not any(value in weights for value in node.input), node.name
    assert quantized > 10 and kept > 0


def test_weights_are_kept_once_for_all_graphs(tmp_path):
    table = np.random.default_rng(0).standard_normal((64, 32), np.float32)

    def graph(rows):
        return helper.make_model(
            helper.make_graph(
                [helper.make_node('MatMul', ['x', 'table'], ['y'])],
                'product',
                [helper.make_tensor_value_info('x', TensorProto.FLOAT, [rows, 64])],
                [helper.make_tensor_value_info('y', TensorProto.FLOAT, [rows, 32])],
                [numpy_helper.from_array(table, 'table')],
            ),
            opset_imports=[helper.make_opsetid('', 19)],
            ir_version=9,
        )

    with SharedWeights(tmp_path) as weights:
        for rows in (4, 8):
            weights.save(graph(rows), tmp_path / f'product-{rows}.onnx')
        with pytest.raises(ValueError, match='where its weights are'):
            weights.save(graph(2), tmp_path / 'other' / 'product-2.onnx')
    assert (tmp_path / 'weights.bin').stat().st_size == table.nbytes
    for rows in (4, 8):
        x = np.ones((rows, 64), np.float32)
        (y,) = session(tmp_path / f'product-{rows}.onnx', 1).run(None, {'x': x})
        np.testing.assert_allclose(y, x @ table, rtol=1e-4)


@pytest.fixture
def copy(folder, f32, tmp_path):
    path = tmp_path / 'model'
    shutil.copytree(folder, path)
    return path


def test_graphs_that_are_missing_or_of_other_weights_are_not_drawn_with(copy):
    with pytest.raises(ValueError, match='precision.*int4.*f32, f16, int8'):
        load_backend(copy, 'onnx', precision='int4')
    (copy / 'onnx' / 'f32' / 'reads-2.onnx').rename(copy / 'kept')
    with pytest.raises(ValueError, match=r'reads-2\.onnx is missing: export it first, llia'):
        load_backend(copy, 'onnx')
    (copy / 'kept').rename(copy / 'onnx' / 'f32' / 'reads-2.onnx')
    with (copy / 'tiny.safetensors').open('ab') as file:
        file.write(b'0')
    with pytest.raises(ValueError, match='exported from other weights'):
        load_backend(copy, 'onnx')


def test_an_export_that_fails_leaves_the_graphs_that_were_there(copy):
    before = sorted(path.name for path in (copy / 'onnx').rglob('*'))

    half_done = export_onnx(copy, 'f32')
    next(half_done)
    half_done.close()
    assert sorted(path.name for path in (copy / 'onnx').rglob('*')) == before


def test_eight_bits_need_scenes(copy):
    with pytest.raises(ValueError, match='scenes to calibrate on'):
        list(export_onnx(copy, 'int8'))
    with pytest.raises(ValueError, match="used the graph 'reads-1' too seldom"):
        to_int8(copy / 'onnx' / 'f32' / 'reads-1.onnx', [])


def test_the_command_names_what_it_cannot_do(copy, capsys):
    assert main(['export', str(copy), '--format', 'onnx', '--precision', 'int8-weights']) == 2
    assert 'onnx has no precision' in capsys.readouterr().err


def test_gpu_backends_say_what_is_missing(copy, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ValueError, match='TensorRT needs (torch|tensorrt|an NVIDIA GPU)'):
        load_backend(copy, 'tensorrt')
    for option in ('graphs', 'streams', 'compile'):
        with pytest.raises(ValueError, match=f'{option}.*need an NVIDIA GPU.*CPU'):
            load_backend(copy, 'torch', **{option: True})
    with pytest.raises(ValueError, match="unknown precision 'f8'"):
        load_backend(copy, 'torch', precision='f8')


def test_torch_in_bf16_and_channels_last_draws_nearly_the_same(folder):
    plain = load_backend(folder, 'torch')
    quick = load_backend(folder, 'torch', precision='bf16', channels_last=True)
    given, latent = clip(plain.config, 5), plain.encode(picture(2))
    drawn = [
        b.denoise(state=0, reference=b.reference(latent), steps=1, **given) for b in (plain, quick)
    ]
    off = np.linalg.norm(drawn[1] - drawn[0]) / np.linalg.norm(drawn[0])
    assert 0 < off < 0.05
    assert plain.decode(drawn[0]).shape == quick.decode(drawn[0]).shape
