"""Engines are kept under all that they depend on, whole or not at all."""

import json
import os
from dataclasses import fields, replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from llia_ros.runtime.engine_builder import Phases
from llia_ros.runtime.engine_cache import EngineCache, EngineKey, default_folder, engine_keys

KEY = EngineKey(
    'velocity-8',
    'ab12',
    'cd34',
    (('x', (8, 32, 16, 16)), ('read0', (1, 64, 128))),
    'int8',
    'NVIDIA H200 sm_90',
    'tensorrt 11.4.0',
)
ENGINE = bytes(range(256)) * 40 + b'\n{"not": "a head"}\n'
OTHERS = {
    'graph': 'velocity-16',
    'weights': 'ab13',
    'config': 'cd35',
    'shapes': (('x', (8, 32, 16, 16)), ('read0', (1, 65, 128))),
    'precision': 'f16',
    'gpu': 'NVIDIA H100 sm_90',
    'library': 'tensorrt 11.4.1',
}


@pytest.fixture
def cache(tmp_path):
    return EngineCache(tmp_path / 'engines')


def counted(engine=ENGINE):
    """A builder, and how often it was asked."""
    asked = []

    def build():
        asked.append(1)
        return engine

    return build, asked


def test_an_engine_is_built_once_and_comes_back_as_it_was(cache):
    build, asked = counted()
    assert cache.get(KEY, build) == cache.get(KEY, build) == ENGINE
    assert EngineCache(cache.folder).get(KEY, build) == ENGINE
    assert len(asked) == 1


def test_every_part_of_the_key_tells_engines_apart(cache):
    assert set(OTHERS) == {field.name for field in fields(EngineKey)}
    cache.store(KEY, ENGINE)
    for name, value in OTHERS.items():
        assert cache.load(replace(KEY, **{name: value})) is None, name
    assert cache.load(KEY) == ENGINE


@pytest.mark.parametrize(
    'damage',
    [
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data[:10],
        lambda data: b'',
        lambda data: data + b'x',
        lambda data: data[:-20] + bytes([data[-20] ^ 1]) + data[-19:],
        lambda data: data.replace(b'"format": 1', b'"format": 0'),
        lambda data: data.replace(b'H200', b'H100'),
    ],
)
def test_what_is_cut_short_changed_or_of_another_key_is_built_again(cache, damage):
    path = cache.store(KEY, ENGINE)
    before = path.read_bytes()
    path.write_bytes(damage(before))
    assert path.read_bytes() != before
    assert cache.load(KEY) is None
    build, asked = counted()
    assert cache.get(KEY, build) == ENGINE
    assert len(asked) == 1 and path.read_bytes() == before


def test_a_name_that_two_keys_share_is_no_reason_to_mix_them_up(cache):
    other = replace(KEY, gpu='another')
    cache.store(KEY, ENGINE)
    cache.path(KEY).rename(cache.path(other))
    assert cache.load(other) is None


def test_an_interrupted_write_leaves_the_old_engine_and_nothing_else(cache, monkeypatch):
    path = cache.store(KEY, b'old')

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, 'replace', interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.store(KEY, b'new')
    assert list(cache.folder.iterdir()) == [path]
    assert cache.load(KEY) == b'old'


def test_a_builder_that_fails_leaves_nothing(cache):
    def build():
        raise RuntimeError('out of memory')

    with pytest.raises(RuntimeError, match='out of memory'):
        cache.get(KEY, build)
    assert not cache.folder.exists() or not list(cache.folder.iterdir())


def test_engines_are_kept_where_the_user_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert default_folder() == tmp_path / 'llia_ros' / 'engines'
    monkeypatch.delenv('XDG_CACHE_HOME')
    assert default_folder() == Path.home() / '.cache' / 'llia_ros' / 'engines'


def test_keys_follow_graphs_weights_and_sizes(tmp_path):
    (tmp_path / 'model.json').write_text(json.dumps({'config': {'fps': 25}}))
    (tmp_path / 'decoder-4.onnx').write_bytes(b'graph')
    (tmp_path / 'weights.bin').write_bytes(b'weights')
    graphs = {'decoder-4': {'inputs': {'latents': [4, 32, 16, 16]}, 'outputs': ['pictures']}}
    (tmp_path / 'onnx.json').write_text(json.dumps({'precision': 'f16', 'graphs': graphs}))

    def key():
        return engine_keys(tmp_path, tmp_path, 'a GPU', 'tensorrt 11')['decoder-4']

    seen = [key()]
    assert seen[0].shapes == (('latents', (4, 32, 16, 16)),)
    assert (seen[0].precision, seen[0].gpu) == ('f16', 'a GPU')
    assert key() == seen[0]
    for name, data in [
        ('weights.bin', b'others'),
        ('decoder-4.onnx', b'another'),
        ('model.json', json.dumps({'config': {'fps': 24}}).encode()),
    ]:
        (tmp_path / name).write_bytes(data)
        seen.append(key())
    assert len({found.digest() for found in seen}) == 4


def test_phases_of_a_build_are_shown_and_taken_away():
    with Progress(console=Console(quiet=True)) as progress:
        phases = Phases(progress, 'velocity-8')
        phases.phase_start('Building Engine', None, 4)
        phases.phase_start('Timing', 'Building Engine', 10)
        assert phases.step_complete('Timing', 4)
        top, inner = progress.tasks
        assert top.description == 'velocity-8: Building Engine'
        assert (inner.completed, inner.total) == (5, 10)
        phases.phase_finish('Timing')  # the rest was left out
        assert [task.description for task in progress.tasks] == [top.description]
        assert phases.step_complete('Timing', 5)
        phases.phase_finish('Timing')
        phases.phase_finish('Building Engine')
        assert not progress.tasks
