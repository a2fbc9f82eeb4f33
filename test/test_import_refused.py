"""Weights that are not what they should be are refused in one clear line, and never run."""

import os
import pickle
import shutil

import pytest
import torch
from public_files import lay_out, part, published
from public_layouts import small
from safetensors.torch import save_file

from llia_ros.cli import main
from llia_ros.model.key_map import recognise
from llia_ros.runtime.import_weights import examine, write
from llia_ros.runtime.tensor_files import read_tensors


def refusal(call, *args, **options):
    """The one line that a call is refused with."""
    with pytest.raises(ValueError) as refused:
        call(*args, **options)
    line = str(refused.value)
    assert '\n' not in line and len(line) < 500
    return line


@pytest.fixture(scope='module')
def tensors():
    return {layout: published(layout) for layout in ('echomimic', 'hallo', 'sd15')}


@pytest.fixture(scope='module')
def folders(tensors, tmp_path_factory):
    root = tmp_path_factory.mktemp('published')
    return {layout: lay_out(layout, root / layout, theirs) for layout, theirs in tensors.items()}


class Hostile:
    """Runs a command when it is unpickled by whoever trusts it."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f'touch {self.mark}',)


@pytest.mark.parametrize('how', ['pickle', 'torch', 'torch legacy'])
def test_pickled_code_is_refused_and_not_run(how, tmp_path):
    mark, path = tmp_path / 'ran', tmp_path / 'net.pth'
    content = {'denoising_unet.conv_in.weight': Hostile(mark)}
    if how == 'pickle':
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == 'torch')
    line = refusal(read_tensors, path)
    assert 'would run code when opened (' in line and 'system' in line
    assert not mark.exists()
    pickle.loads(pickle.dumps(Hostile(mark)))
    assert mark.exists()


def test_pickles_of_other_protocols_are_refused_and_not_run(tmp_path):
    mark, path = tmp_path / 'ran', tmp_path / 'net.pth'
    for protocol in (0, 4, 5):
        path.write_bytes(pickle.dumps({'weight': Hostile(mark)}, protocol=protocol))
        assert str(path) in refusal(read_tensors, path)
    assert not mark.exists()


def test_a_whole_pickled_network_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / 'net.pth')
    assert 'torch.nn.modules.linear.Linear' in refusal(read_tensors, tmp_path / 'net.pth')


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        ([torch.zeros(2)], 'holds a list, not tensors by name'),
        ({'state_dict': {'a': torch.zeros(2)}}, "'state_dict' is a dict"),
        ({'epoch': 3}, "'epoch' is a int"),
        ({}, 'holds no tensors'),
    ],
)
def test_files_of_other_things_are_refused(content, said, tmp_path):
    torch.save(content, tmp_path / 'net.pth')
    assert said in refusal(read_tensors, tmp_path / 'net.pth')


@pytest.mark.parametrize('kept', [0, 1, 100, 0.5, 0.999])
@pytest.mark.parametrize('name', ['net.pth', 'net.safetensors'])
def test_a_file_cut_short_is_refused(kept, name, tmp_path):
    whole = {'a': torch.randn(64, 64), 'b': torch.randn(64)}
    path = tmp_path / name
    (save_file if path.suffix == '.safetensors' else torch.save)(whole, path)
    assert set(read_tensors(path)) == {'a', 'b'}
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    assert 'damaged, cut short' in refusal(read_tensors, path)


@pytest.mark.parametrize(
    ('name', 'content', 'said'),
    [
        ('net.pth', b'version https://git-lfs.github.com/spec/v1\noid sha256:0', 'git lfs pull'),
        ('net.pth', b'<!DOCTYPE html><html>sign in</html>', 'is a web page'),
        ('net.safetensors', b'<html>404</html>', 'is a web page'),
        ('net.pth', b'no weights at all', 'damaged, cut short or no file of weights'),
        ('net.safetensors', b'\xff' * 4096, 'damaged, cut short or no file of weights'),
        ('net.zip', b'PK', 'should end in'),
    ],
)
def test_files_that_are_no_weights_are_refused(name, content, said, tmp_path):
    (tmp_path / name).write_bytes(content)
    assert said in refusal(read_tensors, tmp_path / name)


@pytest.mark.parametrize(
    ('kind', 'given', 'said'),
    [
        ('echomimic', 'hallo', 'Hallo is there: llia import-weights hallo'),
        ('echomimic', 'sd15', 'Stable Diffusion 1.5 is there: llia import-weights sd15'),
        ('hallo', 'echomimic', 'EchoMimic is there: llia import-weights echomimic'),
        ('sd15', 'hallo', 'Hallo is there'),
        ('echomimic', 'hallo/hallo/net.pth', "give their folder, not {}; this looks like Hallo's"),
        ('hallo', 'echomimic/denoising_unet.pth', "looks like EchoMimic's denoiser"),
        ('hallo', 'echomimic/reference_unet.pth', "looks like EchoMimic's ReferenceNet"),
        ('hallo', 'sd15/unet/diffusion_pytorch_model.safetensors', "Stable Diffusion 1.5's UNet"),
        ('sd15', 'hallo/hallo/net.pth', "looks like Hallo's net.pth"),
        ('sd15', 'echomimic/motion_module.pth', 'looks like a motion module'),
        ('hallo', 'echomimic/face_locator.pth', 'looks like a face locator'),
        ('hallo', 'nowhere', 'no such file or folder'),
    ],
)
def test_one_model_given_as_another_is_named(kind, given, said, folders, capsys):
    source = folders['hallo'].parent / given
    code = main(['import-weights', kind, str(source), '--dry-run', '--json'])
    error = capsys.readouterr().err
    assert code == 2 and error.startswith('llia: ') and error.count('\n') == 1
    assert said.format(source) in error


@pytest.mark.parametrize(
    ('one', 'other', 'said'),
    [
        ('reference_unet', 'denoising_unet', "reference_unet.pth looks like EchoMimic's denoiser"),
        ('face_locator', 'motion_module', 'motion_module.pth looks like a face locator'),
    ],
)
def test_files_under_each_others_names_are_named(one, other, said, folders, tmp_path):
    shutil.copytree(folders['echomimic'], tmp_path / 'files')
    paths = [tmp_path / 'files' / f'{name}.pth' for name in (one, other)]
    for path, name in zip(paths, (other, one)):
        shutil.copy(folders['echomimic'] / f'{name}.pth', path)
    line = refusal(examine, 'echomimic', tmp_path / 'files', cfg=small('echomimic'))
    assert said in line


CHANGES = {
    'missing': lambda t: t.pop('denoising_unet.conv_out.bias'),
    'unknown': lambda t: t.update({'denoising_unet.wings.weight': torch.zeros(2)}),
    'misshapen': lambda t: t.update({'face_locator.conv_in.weight': torch.zeros(16, 1, 3, 3)}),
    'whole numbers': lambda t: t.update(
        {'imageproj.proj.bias': t['imageproj.proj.bias'].to(torch.int64)}
    ),
    'table': lambda t: t.update({TABLE: t[TABLE].flip(1)}),
    'table of another kind': lambda t: t.update({TABLE: t[TABLE][0]}),
}
TABLE = (
    'denoising_unet.mid_block.motion_modules.0.temporal_transformer.transformer_blocks.0'
    '.attention_blocks.0.pos_encoder.pe'
)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ('missing', '1 tensors are missing (the first: denoising_unet.conv_out.bias)'),
        ('unknown', '1 are unknown (the first: denoising_unet.wings.weight)'),
        ('misshapen', 'face_locator.conv_in.weight is (16, 1, 3, 3) instead of (16, 3, 3, 3)'),
        ('whole numbers', 'imageproj.proj.bias holds torch.int64, not weights'),
        ('table', 'is not the sinusoid that it should be'),
        ('table of another kind', 'is no table of positions'),
    ],
)
def test_a_key_that_no_rule_allows_is_named(change, said, tensors, tmp_path):
    theirs = dict(tensors['hallo'])
    CHANGES[change](theirs)
    save_file(theirs, tmp_path / 'net.safetensors')
    line = refusal(examine, 'hallo', tmp_path, cfg=small('hallo'))
    assert said in line


def test_figures_that_are_no_numbers_are_refused_and_nothing_is_left_behind(tensors, tmp_path):
    theirs = dict(tensors['hallo'])
    key = 'audioproj.norm.weight'
    theirs[key] = torch.full_like(theirs[key], float('nan'))
    save_file(theirs, tmp_path / 'net.safetensors')
    found = examine('hallo', tmp_path, cfg=small('hallo'))
    line = refusal(write, found, tmp_path / 'model', half=False)
    assert f'{key} holds figures that are no numbers' in line
    assert [path.name for path in tmp_path.iterdir()] == ['net.safetensors']


def test_a_folder_that_is_there_is_not_written_over(tmp_path, folders):
    found = examine('echomimic', folders['echomimic'], cfg=small('echomimic'))
    (tmp_path / 'model').mkdir()
    assert 'is there already' in refusal(write, found, tmp_path / 'model', half=False)


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['hallo', '{hallo}'], 'give --out DIR to write to, or --dry-run'),
        (['hallo', '{hallo}', '--accelerated', '--dry-run'], 'only EchoMimic has accelerated'),
        (['echomimic', '{echomimic}', '--accelerated', '--dry-run'], 'motion_module_acc'),
        (['hallo', '{hallo}', '--dry-run'], 'these are not the weights of Hallo'),
        (['hallo', '{hallo}', '--dry-run', '--ears', 'no.bin'], 'no such file: no.bin (--ears)'),
    ],
)
def test_the_command_names_what_is_wrong(arguments, said, folders, capsys):
    assert main(['import-weights', *(a.format(**folders) for a in arguments)]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count('\n') == 1


def test_other_files_of_the_field_are_recognised(tensors):
    def shapes(theirs):
        return {key: tuple(value.shape) for key, value in theirs.items()}

    wide = {'down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight': (320, 1024)}
    hallo = part(tensors['hallo'], 'denoising_unet.')
    assert recognise(wide) == 'the UNet of another Stable Diffusion'
    assert recognise(shapes(hallo)) == "Hallo's denoiser"
    assert 'single-file' in recognise({'model.diffusion_model.out.2.weight': (4, 320, 3, 3)})
    assert 'VAE' in recognise({'encoder.down_blocks.0.resnets.0.conv1.weight': (1,)})
    assert recognise({'lorem': (1,)}) is None
