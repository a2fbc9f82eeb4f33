"""`llia bench`: its figures come from the real engine and agree with each other."""

import json

import numpy as np
import pytest

from llia_ros.benchmark.cost import count
from llia_ros.benchmark.live import Phase
from llia_ros.benchmark.measure import figures as figures_of
from llia_ros.benchmark.mixed import Mixed, OneAtATime
from llia_ros.benchmark.probe import Probe, in_turns, psnr
from llia_ros.benchmark.setting import Setting
from llia_ros.benchmark.soak import WINDOWS, soak, trend
from llia_ros.benchmark.speech import voice
from llia_ros.benchmark.subject import Subject
from llia_ros.cli import main
from llia_ros.runtime.backends import load_backend

KEYS = {
    'model',
    'backend',
    'precision',
    'size',
    'fps',
    'first_clip_ms',
    'latency_ms',
    'stages_ms',
    'late_frames',
    'jitter_ms',
    'cpu_seconds_per_second',
    'peak_rss_mb',
}


@pytest.fixture(scope='module')
def backend():
    return load_backend('tiny', 'openvino')


def test_every_figure_is_there_and_they_agree(capsys):
    arguments = ['bench', '--seconds', '2', '--repeats', '1', '--size', '256', '--json']
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert KEYS <= set(found)
    assert (found['model'], found['backend'], found['size']) == ('tiny', 'openvino', 256)
    assert found['precision'] in ('f32', 'bf16', 'f16') and found['drawn_size'] == 512
    assert found['frames_due'] == 4 * 2 * 25
    assert found['late_frames'] + found['frames_shown'] == found['frames_due']
    assert found['spread']['fps'] == [found['fps'], found['fps']] and found['fps'] > 0
    cpu = found['cpu_seconds_per_second']
    assert set(cpu) == {'speaking', 'listening', 'idle'} and min(cpu.values()) > 0
    assert found['peak_rss_mb'] > 100
    stages = found['stages_ms']
    heard = {name: found[name] for name in ('first_clip_ms', 'latency_ms', 'own_latency_ms')}
    # A machine that is too busy to show any speech has no latencies to tell.
    assert found['late_frames'] or None not in heard.values()
    if None in heard.values():
        return
    for name, three in {**heard, **stages}.items():
        assert 0 <= three['p50'] <= three['p95'] <= three['max'], name
    assert {'audio', 'queue', 'denoise', 'decode', 'hold', 'resize', 'encode'} <= set(stages)
    assert found['latency_ms']['max'] >= stages['denoise']['p50'] + stages['decode']['p50']
    assert found['own_latency_ms']['p50'] <= found['latency_ms']['p50']
    # Each live clip of 4 frames waits for up to 3 frames of sound.
    assert 40 <= stages['audio']['max'] <= 15 * 40 + 100


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['--size', '500'], 'size must be one of 256, 384, 512'),
        (['--precision', 'f64'], "unknown precision 'f64'"),
        (['--precision', 'bf16', '--backend', 'torch'], 'torch backend computes in f32'),
        (['--seconds', '0'], 'seconds of a phase'),
        (['--repeats', '0'], 'repeats must be'),
        (['--model', 'huge'], "unknown model 'huge'"),
        (['--backend', 'magic'], "unknown backend 'magic'"),
        (['--soak', '-1'], 'a soak lasts'),
        (['--only', 'clips'], 'give --sweep DIR'),
        (['--sweep', '{folder}', '--only', 'nothing'], "unknown section 'nothing'"),
    ],
)
def test_bad_options_are_named_in_one_line(arguments, said, tmp_path, capsys):
    code = main(['bench', *(argument.format(folder=tmp_path) for argument in arguments)])
    error = capsys.readouterr().err
    assert code == 2
    assert said in error
    assert error.startswith('llia: ') and error.count('\n') == 1


def test_a_model_is_not_blown_up_and_its_clips_are_its_own(backend):
    with pytest.raises(ValueError, match='no clips of 5 frames'):
        Subject(Setting(clip=5), backend).avatar(paced=False)
    subject = Subject(Setting(size=384), backend)
    assert subject.sized(subject.portrait).shape == (384, 384, 3)


def phase(late, p50, jitter, cpu=0.5):
    three = {'p50': p50, 'p95': 2 * p50, 'max': 3 * p50}
    stages = dict.fromkeys(('whole', 'own', 'first_clip', 'onset'), three)
    return Phase(50, 50 - late, late, cpu, np.array(jitter), stages, {})


def test_repeats_are_summed_up_by_medians_with_their_ends():
    repeats = [phase(1, 10.0, [0.001]), phase(0, 30.0, [0.002]), phase(2, 20.0, [0.006], 0.9)]
    names = ('speaking', 'turns', 'listening', 'idle')
    found = figures_of([40.0, 70.0, 50.0], dict.fromkeys(names, repeats))
    assert found['fps'] == 50 and found['spread']['fps'] == [40, 70]
    assert found['latency_ms'] == {'p50': 20, 'p95': 40, 'max': 90}
    assert (found['late_frames'], found['frames_due']) == (12, 600)
    assert found['jitter_ms']['p50'] == pytest.approx(2) and found['jitter_ms']['max'] == 6
    assert found['cpu_seconds_per_second'] == {'speaking': 0.5, 'listening': 0.5, 'idle': 0.5}
    assert found['spread']['cpu_idle'] == [0.5, 0.9]


def test_a_soak_follows_a_stream_of_all_states(backend):
    shares = []
    found = soak(Setting(), 0.05, shares.append, backend=backend, probe=1.7)
    assert found['frames'] == 75 and len(found['windows']) == WINDOWS
    assert shares[-1] == 1.0 and shares == sorted(shares)
    assert all(window['ms_per_frame'] > 0 for window in found['windows'])
    assert all(window['rss_mb'] > 100 for window in found['windows'])
    assert found['windows'][-1]['minute'] == pytest.approx(0.05)
    for when in ('start', 'end'):
        assert found[when]['first_clip_ms'] or found[when]['late_frames']


def test_growth_is_told_from_a_flat_stream():
    flat = [{'ms_per_frame': 10 + n % 2, 'rss_mb': 300.0} for n in range(25)]
    assert trend(flat)['flat']
    growing = [{'ms_per_frame': 10 + n % 2, 'rss_mb': 300.0 + n} for n in range(25)]
    assert trend(growing)['change_of_memory'] == pytest.approx(16 / 304.5, abs=0.01)
    assert not trend(growing)['flat']
    # What a stream needs once is no growth.
    first = [{'ms_per_frame': 99.0, 'rss_mb': 100.0}, *flat]
    assert trend(first)['flat']


def test_arithmetic_is_counted_as_by_hand():
    import openvino as ov
    from openvino import opset13 as op

    x = op.parameter([2, 6, 8, 8], np.float32)

    def kernel(*shape):
        return op.constant(np.zeros(shape, np.float32))

    whole = op.convolution(x, kernel(4, 6, 3, 3), [2, 2], [1, 1], [1, 1], [1, 1])  # 2, 4, 4, 4
    grouped = op.group_convolution(
        x, kernel(2, 5, 3, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1]
    )  # 2, 10, 8, 8
    flat = op.reshape(x, op.constant(np.array([2, 64, 6])), False)
    product = op.matmul(flat, kernel(6, 7), False, False)  # 2, 64, 7
    counted = count(ov.Model([whole, grouped, product], [x], 'hand'))
    flop = 2 * (2 * 4 * 4 * 4 * 54 + 2 * 10 * 8 * 8 * 3 + 2 * 64 * 7 * 6)
    assert counted['gflop'] == pytest.approx(flop / 1e9)
    assert counted['weights_mb'] == pytest.approx(4 * (216 + 30 + 42) / 1e6, abs=1e-4)
    inputs, outputs = 2 * 768 + 768, 128 + 1280 + 896
    assert counted['traffic_mb'] == pytest.approx(2 * (inputs + outputs) / 1e6)


def test_a_part_may_run_on_another_backend(backend):
    asked = []

    class Other:
        name, config, decodes_singly = backend.name, backend.config, True
        encode, animate, reference = backend.encode, backend.animate, backend.reference

        def denoise(self, *arguments):
            asked.append('denoise')
            return backend.denoise(*arguments)

        def decode(self, latents):
            asked.append('decode')
            return backend.decode(latents)

    portrait = Subject(Setting(), backend).portrait
    mixed = Probe(Mixed(backend, decoder=Other()), portrait, 1, 4)
    pictures, plain = mixed.pictures(1), Probe(backend, portrait, 1, 4).pictures(1)
    assert asked == ['decode']
    assert psnr(pictures, plain) == 99
    assert psnr(pictures, 255 - pictures) < 20


def test_stages_can_be_kept_from_running_at_once(backend):
    import threading

    running, most = [], []

    class Watched:
        name, config, decodes_singly = backend.name, backend.config, True
        encode, animate, reference = backend.encode, backend.animate, backend.reference

        def _stage(self, work, *arguments):
            running.append(threading.get_ident())
            most.append(len(running))
            try:
                return work(*arguments)
            finally:
                running.pop()

        def denoise(self, *arguments):
            return self._stage(backend.denoise, *arguments)

        def decode(self, *arguments):
            return self._stage(backend.decode, *arguments)

    def draw(watched):
        most.clear()
        with Subject(Setting(clip=4), watched).avatar(paced=False) as avatar:
            avatar.push_audio(voice(1.0))
            avatar.finish()
            return len(list(avatar))

    assert draw(OneAtATime(Watched())) == 25 and max(most) == 1
    assert draw(Watched()) == 25 and max(most) == 2


def test_variants_take_turns():
    order = []
    taken = in_turns({'a': lambda: order.append('a'), 'b': lambda: order.append('b')}, 2, rounds=2)
    assert ''.join(order) == 'ab' + 'aabb' * 2
    assert {name: len(seconds) for name, seconds in taken.items()} == {'a': 2, 'b': 2}


def test_the_voice_is_loud_from_its_first_moment_and_as_long_as_asked():
    samples = voice(60.0)
    assert len(samples) == 960000 and samples.dtype == np.int16
    assert np.abs(samples[:1600]).max() > 300
