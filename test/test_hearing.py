"""Ears: what mouth makes a sound, learnt from voices that were invented for it."""

import numpy as np
import pytest
import torch

from llia_ros.audio.features import log_mel, windows
from llia_ros.model.config import MOUTH, tiny
from llia_ros.model.viseme_predictor import VisemePredictor
from llia_ros.training import hearing, sounds
from llia_ros.training.espeak import SpeechError, use_data
from llia_ros.training.invented_voices import invent
from llia_ros.training.measures import correlation
from llia_ros.training.speech import speak

CFG = tiny().audio


@pytest.fixture(scope='module')
def made():
    """Sounds of the process that invents voices."""
    made = sounds.make_sounds(1)
    yield [next(made) for _ in range(8)]
    made.close()


def test_windows_of_frames_and_one_piece_of_sound_tell_the_same_mouths():
    torch.manual_seed(0)
    predictor = VisemePredictor(CFG).eval()
    for block in predictor.blocks:
        torch.nn.init.normal_(block.out.weight, std=0.1)
    columns = np.random.default_rng(0).normal(size=(200, CFG.bins)).astype(np.float32)
    frames = 1 + (len(columns) - CFG.columns) // 4
    first = CFG.columns_before // 4
    heard = torch.from_numpy(windows(columns, first, frames, CFG))
    piece = torch.from_numpy(columns)[None]
    with torch.no_grad():
        single, whole = predictor(heard), predictor(piece)
    assert single.shape == (frames, 1, len(MOUTH)) and whole.shape == (1, frames, len(MOUTH))
    torch.testing.assert_close(single[:, 0], whole[0], atol=1e-5, rtol=1e-4)


def test_the_window_is_as_long_as_the_predictor_hears():
    predictor = VisemePredictor(CFG)
    with torch.no_grad():
        assert predictor(torch.zeros(1, CFG.columns, CFG.bins)).shape[1] == 1
        with pytest.raises(RuntimeError):
            predictor(torch.zeros(1, CFG.columns - 1, CFG.bins))


def test_sounds_and_mouths_have_the_same_frames(made):
    for columns, mouth in made:
        assert columns.shape == (4 * len(mouth), CFG.bins) and mouth.shape[1] == len(MOUTH)
        assert np.isfinite(columns.astype(np.float32)).all() and 0 <= mouth.min()
    loud = [float(columns.max()) for columns, _ in made]
    assert max(loud) - min(loud) > 0.01  # no two sounds alike


def test_invented_voices_differ_and_follow_their_seed():
    rng = np.random.default_rng
    assert invent(rng(1), 'x') == invent(rng(1), 'x') != invent(rng(2), 'x')
    for seed in range(50):
        lines = invent(rng(seed), 'x').splitlines()
        formants = [line.split() for line in lines if line.startswith('formant')]
        assert [int(f[1]) for f in formants] == list(range(9))
        assert all(60 <= int(f[2]) <= 200 for f in formants)


def test_a_process_that_has_spoken_keeps_its_voices(tmp_path):
    speak('Hello.')
    with pytest.raises(SpeechError, match='fresh process'):
        use_data(tmp_path)


def test_pieces_lie_within_their_sound_and_silence_around_it(monkeypatch):
    columns = np.arange(80 * 2, dtype=np.float16).reshape(80, 2)
    mouth = np.arange(20 * 5, dtype=np.float32).reshape(20, 5)
    monkeypatch.setattr(sounds, 'make_sounds', lambda seed: iter([(columns, mouth)] * 3))
    monkeypatch.setattr(sounds, 'FIRST', 1)
    heard, shown = sounds.Sounds(0).draw(64, 6, before=14, after=10)
    assert heard.shape == (64, 14 + 20 + 10, 2) and shown.shape == (64, 6, 5)
    for row, mouths in zip(heard, shown):
        first = int(mouths[0, 0]) // 5
        assert (mouths == mouth[first : first + 6]).all()
        expected = np.full((44, 2), -1.0)
        low, high = max(0, 4 * first - 14), min(80, 4 * first + 30)
        expected[low - (4 * first - 14) : high - (4 * first - 14)] = columns[low:high]
        silent = np.ones(44, bool)
        silent[low - (4 * first - 14) : high - (4 * first - 14)] = False
        assert (row[~silent] == expected[~silent]).all() and (row[silent] == row[silent][:1]).all()


def test_ears_tell_mouths_after_a_few_seconds(tmp_path):
    torch.manual_seed(0)
    predictor = hearing.train_predictor(VisemePredictor(CFG), CFG, 0.2, tmp_path)
    said = speak('Papa saw a big brown bear.', 'en-us')
    heard = torch.from_numpy(windows(log_mel(said.samples), 0, len(said.mouth()), CFG))
    with torch.no_grad():
        told = predictor(heard)[:, 0, 0].numpy()
    assert correlation(told, said.mouth()[:, 0]) > 0.3
