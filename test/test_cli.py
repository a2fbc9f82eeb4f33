"""The command line: what works, and one clear line with exit code 2 for what cannot."""

import json
import wave

import av
import numpy as np
import pytest

from llia_ros.cli import main, parse_expression
from llia_ros.training.speech import speak


def write_wav(path, samples, rate, channels=1):
    with wave.open(str(path), 'wb') as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(samples, channels).astype(np.int16).tobytes())
    return path


@pytest.fixture(scope='module')
def speech(tmp_path_factory):
    """A voice that no training heard, in stereo at another rate."""
    samples = speak('Hello, who are you?', 'fi').samples
    return write_wav(tmp_path_factory.mktemp('wav') / 'speech.wav', samples, 22050, channels=2)


def test_a_sound_file_becomes_a_video_with_sound(speech, tmp_path):
    video = tmp_path / 'face.mp4'
    assert main(['render', str(speech), str(video), '--tail', '0.4', '--portrait', 'mint']) == 0
    with av.open(str(video)) as file:
        picture, sound = file.streams.video[0], file.streams.audio[0]
        assert (picture.width, picture.height, picture.average_rate) == (512, 512, 25)
        lengths = [float(s.duration * s.time_base) for s in (picture, sound)]
        frames = [f.to_ndarray(format='rgb24').astype(float) for f in file.decode(video=0)]
    assert abs(lengths[0] - lengths[1]) <= 0.04
    with wave.open(str(speech)) as file:
        assert lengths[0] >= file.getnframes() / 22050 + 0.4
    moved = [np.abs(a - b).mean() for a, b in zip(frames, frames[1:])]
    assert max(moved) > 0.3


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['{speech}', '{out}', '--model', 'huge'], "unknown model 'huge'"),
        (['{speech}', '{out}', '--portrait', 'nobody'], "no such portrait 'nobody'"),
        (['{speech}', '{out}', '--portrait', '{speech}'], 'is not a picture'),
        (['{speech}', '{out}', '--expression', 'furious'], 'furious'),
        (['{speech}', '{out}', '--expression', 'happy:much'], 'happy:0.6'),
        (['{speech}', '{out}', '--backend', 'magic'], "unknown backend 'magic'"),
        (['{missing}', '{out}'], 'does not exist'),
        (['{text}', '{out}'], 'not a readable sound file'),
        (['{empty}', '{out}'], 'is empty'),
        (['{speech}', '{missing}/face.mp4'], 'cannot write'),
        (['{speech}', '{out}', '--steps', '0'], 'step'),
    ],
)
def test_bad_input_is_named_in_one_line(arguments, said, speech, tmp_path, capsys):
    text = tmp_path / 'notes.txt'
    text.write_text('no sound at all')
    places = {
        'speech': speech,
        'out': tmp_path / 'face.mp4',
        'missing': tmp_path / 'missing',
        'text': text,
        'empty': write_wav(tmp_path / 'empty.wav', np.zeros(0), 16000),
    }
    code = main(['render', *(argument.format(**places) for argument in arguments)])
    error = capsys.readouterr().err
    assert code == 2
    assert said in error
    assert error.startswith('llia: ') and error.count('\n') == 1


def test_training_and_export_name_what_is_wrong(tmp_path, capsys):
    assert main(['train', 'nonsense', '--out', str(tmp_path)]) == 2
    assert "unknown stage 'nonsense'" in capsys.readouterr().err
    assert main(['train', 'teacher', '--minutes', '-1', '--out', str(tmp_path)]) == 2
    assert 'positive number of minutes' in capsys.readouterr().err
    assert main(['export', str(tmp_path)]) == 2
    assert 'model.json is missing' in capsys.readouterr().err


def test_devices_are_listed_as_json(capsys):
    assert main(['devices', '--json']) == 0
    assert isinstance(json.loads(capsys.readouterr().out), list)


def test_expressions_have_a_name_and_a_strength():
    assert parse_expression('happy') == ('happy', 1.0)
    assert parse_expression('sad:0.25') == ('sad', 0.25)
