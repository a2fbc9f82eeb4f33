"""Model folders: what is written is read back, and what does not fit is refused in one line."""

import json
from copy import deepcopy

import pytest
import torch

from llia_ros.model.codec import Codec
from llia_ros.model.config import tiny
from llia_ros.model.face import FaceModel
from llia_ros.model.weights import checksum, load_model, save_model, unread


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('model')
    face, codec = FaceModel(tiny()), Codec(tiny().codec)
    save_model(folder, face, codec, {'minutes': 1})
    return folder, face


def test_weights_survive_in_half_precision(saved):
    folder, face = saved
    again, _ = load_model(folder)
    idle = unread(face)
    assert 0 < len(idle) < 20 and all(key.startswith('reference_net.up_blocks.') for key in idle)
    for key, value in face.state_dict().items():
        kept = torch.zeros_like(value) if key in idle else value.half().float()
        torch.testing.assert_close(again.state_dict()[key], kept)


def test_weights_that_no_read_depends_on_change_no_read(saved):
    _, face = saved
    latent = torch.randn(1, *tiny().latent_shape)
    changed = deepcopy(face)
    with torch.no_grad():
        before = face.read(latent)
        for key in unread(face):
            changed.get_parameter(key).normal_()
        for one, other in zip(before, changed.read(latent)):
            assert torch.equal(one, other)


def test_the_manifest_names_every_file_with_its_checksum(saved):
    folder, _ = saved
    manifest = json.loads((folder / 'model.json').read_text())
    assert manifest['format'] == 2 and manifest['notes'] == {'minutes': 1}
    assert manifest['files'] == {'tiny.safetensors': checksum(folder / 'tiny.safetensors')}


def test_weights_of_other_sizes_are_refused(saved, tmp_path):
    folder, _ = saved
    manifest = json.loads((folder / 'model.json').read_text())
    manifest['config']['denoiser']['channels'] = [96, 144]
    (tmp_path / 'model.json').write_text(json.dumps(manifest))
    (tmp_path / 'tiny.safetensors').symlink_to(folder / 'tiny.safetensors')
    with pytest.raises(ValueError, match='does not fit model.json') as refused:
        load_model(tmp_path)
    assert '\n' not in str(refused.value)


def test_a_truncated_file_is_refused(saved, tmp_path):
    folder, _ = saved
    (tmp_path / 'model.json').write_text((folder / 'model.json').read_text())
    data = (folder / 'tiny.safetensors').read_bytes()
    (tmp_path / 'tiny.safetensors').write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match='cannot read the weights'):
        load_model(tmp_path)
