"""The weights that ship: they draw the pictures, and have learned what they must."""

import json

import numpy as np
import pytest

from llia_ros.model.weights import checksum
from llia_ros.runtime.avatar import Avatar
from llia_ros.runtime.backends import load_backend, model_folder
from llia_ros.runtime.backends.torch import TorchBackend
from llia_ros.runtime.portraits import load_portrait, portrait_names
from llia_ros.training.evaluate import evaluate
from llia_ros.training.speech import speak

FOLDER = model_folder('tiny')


def say(backend: TorchBackend, samples: np.ndarray) -> np.ndarray:
    with Avatar(backend, load_portrait('robot', FOLDER, 512), paced=False) as avatar:
        avatar.push_audio(samples)
        avatar.finish()
        return np.stack([frame.image for frame in avatar]).astype(float)


def test_every_file_is_the_one_that_was_released():
    manifest = json.loads((FOLDER / 'model.json').read_text())
    for name, expected in manifest['files'].items():
        assert checksum(FOLDER / name) == expected, name
    size = sum((FOLDER / name).stat().st_size for name in manifest['files'])
    assert size <= 40e6
    assert len(portrait_names(FOLDER)) >= 6


def test_the_last_layer_of_the_weights_draws_what_moves():
    samples = speak('Papa and mama, how are you?', 'en-us').samples[: 640 * 24]
    backend = TorchBackend(FOLDER, device='cpu')
    before = say(backend, samples)
    backend.face.denoiser.conv_out.weight.zero_()
    backend.face.denoiser.conv_out.bias.zero_()
    after = say(backend, samples)
    assert np.abs(before - after).mean() > 1
    # Without it nothing is left that could move: frames are the same but for rounding.
    assert np.abs(np.diff(after, axis=0)).max() <= 1
    assert np.abs(np.diff(before, axis=0)).max() > 50


def test_mixed_frames_of_a_silent_face_are_as_if_they_were_drawn():
    backend, portrait = load_backend('tiny', 'openvino'), load_portrait('robot', FOLDER, 512)
    shown = []
    for mix in (1, 6):
        with Avatar(backend, portrait, paced=False, mix=mix) as avatar:
            avatar.push_audio(np.zeros(640 * 60, np.int16))
            avatar.finish()
            shown.append([frame.image for frame in avatar])
            clips = avatar.stats()['clips']
    assert clips <= 8  # of four frames drawn each, for 60
    errors = [
        ((drawn.astype(float) - mixed) ** 2).mean() for drawn, mixed in zip(*shown, strict=True)
    ]
    assert 10 * np.log10(255**2 / np.mean(errors)) > 40
    # No frame of it is farther off than the codec is from the truth.
    assert 10 * np.log10(255**2 / max(errors)) > 32


@pytest.fixture(scope='module')
def figures():
    return evaluate('tiny', backend='openvino', seed=7, faces=2, quick=True)


def test_lips_follow_voices_that_were_never_heard(figures):
    lip = figures['lip']
    assert lip['open_r'] >= 0.6
    assert abs(lip['lag_frames']) <= 1
    assert lip['shuffled_r'] < lip['open_r'] / 2


def test_lips_rest_while_listening_and_idle(figures):
    assert figures['silence']['idle_ratio'] <= 0.1
    assert figures['silence']['listening_ratio'] <= 0.1


def test_faces_look_where_they_are_told(figures):
    assert figures['look_at']['fitted_error'] < 0.1
    assert figures['look_at']['open_r'] >= 0.6


def test_faces_that_were_never_seen_stay_themselves(figures):
    assert figures['identity']['ground_psnr_db'] > 28
    assert figures['codec']['psnr_db'] > 31
