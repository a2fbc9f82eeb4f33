"""Public weights become a model folder that draws what the original code draws."""

import gzip
import json

import numpy as np
import pytest
import torch
from public_files import lay_out, part, published, tensor
from public_layouts import FRAMES, GOLDEN, TIMESTEP, config, inputs, small
from safetensors.torch import load_file, save_file

from llia_ros.cli import main
from llia_ros.model.full_scale import Condition
from llia_ros.model.weights import checksum, load_full_scale
from llia_ros.runtime.companions import find_companions
from llia_ros.runtime.import_weights import examine, write


def imported(layout, source, out, half=False, accelerated=False, cfg=None):
    write(examine(layout, source, accelerated, cfg or small(layout)), out, half)
    return load_full_scale(out)


@pytest.fixture(scope='module')
def hallo_files(tmp_path_factory):
    return lay_out('hallo', tmp_path_factory.mktemp('hallo'), published('hallo'))


def test_imported_weights_draw_what_the_original_code_drew(tmp_path):
    cfg = config('hallo')
    folder = lay_out('hallo', tmp_path / 'files', published('hallo', cfg))
    model = imported('hallo', folder, tmp_path / 'model', cfg=cfg)
    given = {key: torch.from_numpy(value) for key, value in inputs(cfg).items()}
    masks = [[given[f'{region}_{i}'] for i in range(4)] for region in ('full', 'face', 'lip')]
    v = model.velocity(
        given['x'],
        torch.full((FRAMES,), TIMESTEP),
        torch.tensor([0, 1, 3]),
        model.condition(given['heard'], given['mask'], masks),
        model.read(given['portrait']),
        [read[None] for read in model.read(given['past'])],
    )
    assert np.abs(v.numpy() - np.load(GOLDEN / 'hallo.npz')['v']).max() <= 1e-5


def test_the_manifest_tells_sizes_sums_and_origin(hallo_files, tmp_path):
    out = tmp_path / 'model'
    imported('hallo', hallo_files, out)
    manifest = json.loads((out / 'model.json').read_text())
    assert manifest['preset'] == 'hallo'
    assert manifest['config']['denoiser']['audio_dim'] == 768
    assert manifest['files'] == {'hallo.safetensors': checksum(out / 'hallo.safetensors')}
    net = hallo_files / 'hallo' / 'net.pth'
    assert manifest['notes']['imported from'] == {'hallo/net.pth': checksum(net)}
    assert [path.name for path in tmp_path.iterdir()] == ['model']


def test_half_precision_is_made_when_asked_for(hallo_files, tmp_path):
    model = imported('hallo', hallo_files / 'hallo' / 'net.pth', tmp_path / 'model', half=True)
    theirs = published('hallo')['denoising_unet.conv_in.weight']
    assert {value.dtype for value in model.state_dict().values()} == {torch.float16}
    torch.testing.assert_close(model.denoiser.conv_in.weight, theirs.half(), atol=0, rtol=0)


def test_echomimics_files_become_one_model(tmp_path):
    theirs = published('echomimic')
    folder = lay_out('echomimic', tmp_path / 'files', theirs)
    key = 'mid_block.motion_modules.0.temporal_transformer.proj_in.weight'
    denoiser = torch.load(folder / 'denoising_unet.pth')
    # Where both files have a tensor, the original code's last word is the denoiser's.
    torch.save({**denoiser, key: torch.full((32, 32), 7.0)}, folder / 'denoising_unet.pth')
    model = imported('echomimic', folder, tmp_path / 'model')
    state = model.state_dict()
    assert (state[f'denoiser.{key}'] == 7).all()
    for ours, prefix in (('reference_net.', 'reference_unet.'), ('face_locator.',) * 2):
        for name, value in part(theirs, prefix).items():
            assert torch.equal(state[ours + name], value)
    assert not state['denoiser.class_embedding.weight'].any()


def test_accelerated_weights_are_those_named_so(tmp_path):
    theirs = published('echomimic')
    folder = lay_out('echomimic', tmp_path / 'files', theirs)
    lay_out(
        'echomimic', folder, {k: v + 1 if 'pe' not in k else v for k, v in theirs.items()}, '_acc'
    )
    model = imported('echomimic', folder, tmp_path / 'model', accelerated=True)
    expected = theirs['denoising_unet.conv_in.bias'] + 1
    assert torch.equal(model.denoiser.conv_in.bias, expected)


def test_plain_stable_diffusion_draws_each_frame_by_itself_until_it_is_trained(tmp_path):
    theirs = published('sd15')
    folder = lay_out('sd15', tmp_path / 'files', theirs)
    model = imported('sd15', folder, tmp_path / 'model')
    for net in (model.denoiser, model.reference_net):
        assert torch.equal(net.conv_in.weight, theirs['unet.conv_in.weight'])
    given = {key: torch.from_numpy(value) for key, value in inputs(small('sd15')).items()}
    reads, past = model.read(given['portrait']), model.read(given['past'])
    condition = model.condition(given['heard'], given['mask'])

    def velocity(frames, past_reads):
        chosen = Condition(condition.context[frames], condition.pose[frames])
        x = given['x'][frames]
        t, state = torch.full((len(x),), TIMESTEP), torch.zeros(len(x), dtype=torch.int64)
        return model.velocity(x, t, state, chosen, reads, past_reads)

    together = velocity(slice(None), [read[None] for read in past])
    torch.testing.assert_close(together[1:2], velocity(slice(1, 2), None), atol=1e-5, rtol=0)
    assert (together - velocity(slice(None), None)).abs().max() < 1e-5
    assert not condition.pose.any()


def test_the_same_seed_makes_the_same_new_tensors(tmp_path):
    folder = lay_out('sd15', tmp_path / 'files', published('sd15'))
    imported('sd15', folder, tmp_path / 'a')
    imported('sd15', folder, tmp_path / 'b')
    assert checksum(tmp_path / 'a/sd15.safetensors') == checksum(tmp_path / 'b/sd15.safetensors')


def test_ears_and_codec_come_along(tmp_path):
    folder = lay_out('hallo', tmp_path / 'files', published('hallo'))
    ears = folder / 'wav2vec' / 'wav2vec2-base-960h' / 'model.safetensors'
    taesd = tmp_path / 'taesd.pth'
    ears.parent.mkdir(parents=True)
    save_file({'wav2vec2.masked_spec_embed': torch.ones(4)}, ears)
    torch.save({'decoder.layers.0.weight': torch.ones(4)}, taesd)

    alone = examine('hallo', folder, cfg=small('hallo')).beside(find_companions('hallo', folder))
    assert alone.summary()['ears'] == str(ears)
    assert 'fetch diffusion_pytorch_model.safetensors of' in alone.summary()['codec']
    assert alone.cfg.codec.kind == 'kl'

    found = alone.beside(find_companions('hallo', folder, codec=taesd))
    write(found, tmp_path / 'model', half=False)
    manifest = json.loads((tmp_path / 'model' / 'model.json').read_text())
    assert manifest['config']['codec']['kind'] == 'tiny'
    assert set(manifest['files']) == {f'{n}.safetensors' for n in ('hallo', 'ears', 'codec')}
    assert set(manifest['notes']['imported from']) == {
        'hallo/net.pth',
        'wav2vec2-base-960h/model.safetensors',
        f'{tmp_path.name}/taesd.pth',
    }
    assert load_file(tmp_path / 'model' / 'codec.safetensors').keys() == {
        'decoder.layers.0.weight'
    }


def full_size(layout):
    """A checkpoint of the published names and shapes that takes no room: each one figure."""
    with gzip.open(GOLDEN / f'{layout}_keys.json.gz') as file:
        shapes = json.load(file)
    return {
        key: tensor(key, shape) if key.endswith('.pe') else torch.zeros(()).expand(shape)
        for key, shape in shapes.items()
    }


@pytest.mark.parametrize(
    ('layout', 'taken', 'left_out', 'new'), [('hallo', 2484, 172, 33), ('echomimic', 1818, 42, 43)]
)
def test_a_dry_run_at_full_size_counts_what_matches(
    layout, taken, left_out, new, tmp_path, capsys
):
    folder = lay_out(layout, tmp_path / 'files', full_size(layout))
    assert main(['import-weights', layout, str(folder), '--dry-run', '--json']) == 0
    found = json.loads(capsys.readouterr().out)
    assert found['keys taken'] == taken
    counts = {
        title: sum(n for what, n in found.items() if what.startswith(f'{title}:'))
        for title in ('left out', 'new')
    }
    assert counts == {'left out': left_out, 'new': new}
    assert [path.name for path in tmp_path.iterdir()] == ['files']
