"""`llia bench --once`: two clips of a full-scale model, whose weights mean nothing."""

import json

import pytest
from full_scale import config

from llia_ros.benchmark import full_scale
from llia_ros.cli import main

OPTIONS = ['bench', '--model', 'sd15', '--size', '256', '--steps', '1', '--precision', 'bf16']


@pytest.fixture
def narrow_preset(monkeypatch):
    """The preset as tests have it: small ears, small codec."""
    narrow = config('sd15')
    monkeypatch.setitem(full_scale.PRESETS, 'sd15', lambda: narrow)


def test_two_clips_are_drawn_and_measured(narrow_preset, capsys):
    assert main([*OPTIONS, '--once', '--widths', '32', '32', '64', '64', '--json']) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures['frames'], figures['clip'], figures['past_frames']) == (8, 4, 2)
    assert (figures['size'], figures['steps'], figures['precision']) == (256, 1, 'bfloat16')
    assert figures['channels'] == [32, 32, 64, 64] and figures['parameters'] > 1e6
    assert 0 < figures['denoise_clip_ms']['p50'] < 1000 * figures['stream_s']
    assert figures['fps'] == pytest.approx(8 / figures['stream_s'])


def test_what_cannot_be_measured_is_said_in_one_line(capsys):
    assert main(OPTIONS) == 2
    assert 'add --once' in capsys.readouterr().err
    assert main(['bench', '--model', 'tiny', '--once']) == 2
    assert '--once is for a full-scale model' in capsys.readouterr().err
    assert main([*OPTIONS, '--once', '--widths', '30', '30', '30', '30']) == 2
    assert 'multiples of 32' in capsys.readouterr().err
