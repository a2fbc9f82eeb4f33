"""The document of a sweep: sections by themselves, failures told, tables from figures."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from llia_ros.benchmark import cost, usage
from llia_ros.benchmark.child import call
from llia_ros.benchmark.document import Page, replaced
from llia_ros.benchmark.machine import peak
from llia_ros.benchmark.sections import SECTIONS
from llia_ros.benchmark.sections.instruction_sets import rows_for
from llia_ros.benchmark.setting import Setting
from llia_ros.benchmark.sweep import Sweep, page_of, section
from llia_ros.benchmark.sweep import sweep as run_sweep
from llia_ros.runtime.backends import model_folder

MACHINE = {
    'processor': 'Some | processor',
    'cores': 2,
    'instructions': ['avx2', 'avx512f', 'amx_bf16'],
    'openvino': '2026.0',
    'peaks': {'f32': 100.0, 'bf16': 400.0, 'int8': 800.0},
    'bandwidth': 20.0,
    'load': 0.5,
    'date': '2026-01-02',
}
THREE = {'p50': 11.0, 'p95': 12.0, 'max': 13.0}
COST = {'denoise': 1.0, 'decode': 4.0, 'frame': 5.0, 'memory_mb': 24.0}
OVERALL = {
    'model': 'tiny',
    'backend': 'openvino',
    'precision': 'bf16',
    'weights': 'weights',
    'size': 512,
    'steps': 1,
    'seconds': 5.0,
    'repeats': 2,
    'fps': 62.5,
    'first_clip_ms': THREE,
    'onset_ms': THREE,
    'latency_ms': THREE,
    'own_latency_ms': THREE,
    'stages_ms': {'audio': THREE, 'denoise': THREE},
    'late_frames': 3,
    'frames_due': 1000,
    'jitter_ms': {'p99': 4.0},
    'cpu_seconds_per_second': {'speaking': 0.9, 'listening': 0.4, 'idle': 0.3},
    'peak_rss_mb': 512.0,
    'spread': {
        'fps': [60, 65],
        **{f'cpu_{state}': [0.2, 0.9] for state in ('speaking', 'listening', 'idle')},
    },
    'cost': COST,
}
RATE = {'fps': 60.0, 'least': 59.0, 'most': 61.0}
KINDS = ('bf16', 'weights of 8 bits', 'weights and activations of 8 bits')
PARTS = ('denoiser', 'decoder', 'encoder', 'animator')
WINDOW = {
    'rss_mb': 300.0,
    'generation_ms': 80.0,
    'page_faults_per_frame': 1.5,
    'disk_faults_per_frame': 0.0,
}
PROBED = {'first_clip_ms': THREE, 'own_latency_ms': None}
# Per section: figures as measured, and what must be read in its tables.
FIGURES = {
    'overall': (OVERALL, ['62.5', '60 - 65', '3 of 1000', '0.333', '312 GFLOP/s', '78%']),
    'cost': (
        {
            'clip': {'denoise': 5.0, 'decode': 10.0},
            'portrait': {'read it (ReferenceNet)': 4.0},
            'graphs': {'decoder': {'gflop': 4.0, 'weights_mb': 1.5, 'traffic_mb': 16.0}},
            'cost': COST,
            'precision': 'bf16',
        },
        ['| decoder | 4 | 1.5 | 16 |', '| denoise, a frame | 1 | 5 | 200 |', 'add 0.50 ms'],
    ),
    'precision': (
        {
            'variants': [
                {
                    'name': name,
                    'arithmetic': 'bf16',
                    'denoise': 5.0,
                    'decode': 10.0,
                    'fps': fps,
                    'megabytes': 12.0,
                    'psnr': 45.0,
                }
                for name, fps in (('f32', 20.0), ('bf16', 60.0))
            ],
            'cost': COST,
            'short': ['amx_bf16'],
        },
        ['| bf16 | 5 | 10 | 60 | 3.00x | 12 | 45 |', 'Fastest: bf16'],
    ),
    'instruction_sets': (
        {
            'rows': [
                {
                    'name': 'AVX2',
                    'denoise': 9.0,
                    'decode': 30.0,
                    'fps': 25.0,
                    'kernels': {'avx2': 90, 'avx512': 20},
                },
                {'name': 'old', 'why': 'no kernel'},
            ]
        },
        ['| AVX2 | 9 | 30 | 25 | avx2 90, avx512 20 |', 'does not run: no kernel'],
    ),
    'pipeline': (
        {
            'overlap': {
                '2 cores': {'at once': RATE, 'one after the other': {**RATE, 'fps': 50.0}}
            },
            'threads': [{'denoiser': 1, 'decoder': 2, **RATE}],
            'cores': 2,
        },
        ['1.20x', '| 1 | 2 | 60 | 59.0 - 61.0 |'],
    ),
    'clips': (
        {'rows': [{'clip': '4', **OVERALL}, {'clip': 'growing', **OVERALL, 'onset_ms': None}]},
        ['| 4 | 62.5 | 11 | 11 | 11 | 12 | 11 | 12 | 3 of 1000 | 0.9 |', 'bench-clips.png'],
    ),
    'steps': (
        {
            'rows': [
                {'steps': 1, 'denoise': 5.0, 'fps': 60.0, 'psnr': 99.0},
                {'steps': 2, 'denoise': 9.0, 'fps': 50.0, 'psnr': 33.0},
            ],
            'passes': {'4': 30.0, '8': 40.0},
        },
        ['| 2 | 9 | 50 | 33 |', '1.50x for 4 frames and 4'],
    ),
    'sensitivity': (
        {
            'error': {
                part: dict(zip(KINDS, (50.0, 45.0, 40.0 - n))) for n, part in enumerate(PARTS)
            },
            'ms': {part: dict.fromkeys(('f32', *KINDS), 7.0) for part in PARTS},
        },
        ['| animator | 50 | 45 | 37 |', '8 bits: the animator'],
    ),
    'avatars': (
        {
            'rows': [
                {
                    'faces': n,
                    'fps': 60.0,
                    'late': n,
                    'late_idle': 0,
                    'due': 100,
                    'cpu': 0.9,
                    'cpu_idle': 0.3,
                    'own_p95': 99.0,
                    'rss': 300.0 + 100 * n,
                }
                for n in (1, 2, 3)
            ]
        },
        ['| 2 | 60 | 2 of 100 |', 'A face more takes 100 MB', '2.4 times'],
    ),
    'growth': (
        {
            'windows': [{'minute': n, 'ms_per_frame': 10.0 + n, **WINDOW} for n in range(24)],
            'start': PROBED,
            'end': PROBED,
            'soak_minutes': 4.0,
            'frames': 6000,
            'fps': 64.0,
            'change_of_time': 0.5,
            'change_of_memory': 0.0,
            'flat': False,
        },
        ['| ms a frame | 14.5 | 29.5 |', '+50.0%', 'not flat', 'bench-growth.png'],
    ),
    'page': (
        {
            'seconds': 612.0,
            'frames': 15300,
            'late_frames': 3,
            'page': {
                'fps': 25.01,
                'frames_late': 1,
                'frames_left_out': 2,
                'way_ms': {'generation': [44.0, 57.0], 'ours': [163.0, 187.0]},
                'interruption_picture_ms': [126.0, 187.0],
                'interruption_sound_ms': None,
                'lips_size_p95_ms': 17.0,
                'jitter_p50_ms': 6.9,
                'jitter_p99_ms': 12.0,
                'interruptions': 60,
            },
        },
        ['to drawn | 163 | 187 |', 'last old picture, ms | 126 | 187 |', '3 of 15300', '25.01'],
    ),
    'beside': ({'text': '# Title\n\n| a | b |\n'}, ['| a | b |']),
}


@pytest.fixture
def given(tmp_path):
    return Sweep(Setting(seconds=3.0), MACHINE, tmp_path, tmp_path)


def test_every_section_is_written_from_its_figures(tmp_path):
    assert set(FIGURES) == set(SECTIONS)
    for name, (figures, expected) in FIGURES.items():
        page = Page(name, section(name).TITLE, tmp_path)
        section(name).write(figures, page, MACHINE)
        for text in expected:
            assert text in page.text, (name, text, page.text)
        for picture in re.findall(r'!\[.*?\]\((.*?)\)', page.text):
            assert (tmp_path / picture).stat().st_size > 5000
        assert 'None' not in page.text and 'nan' not in page.text


def test_one_section_is_written_anew_and_the_others_stay():
    pages = {name: Page(name, f'About {name}', Path('.')) for name in ('a', 'b', 'c')}
    for page in pages.values():
        page.say('before')
    document = replaced('', {name: page.text for name, page in pages.items()}, 'cab')
    assert re.findall(r'## About (\w)', document) == ['c', 'a', 'b']
    again = Page('a', 'About a', Path('.'))
    again.say('after')
    changed = replaced(document, {'a': again.text}, 'cab')
    assert changed == document.replace('## About a\n\nbefore', '## About a\n\nafter')
    # One that the list no longer knows is kept, too, at the end.
    assert re.findall(r'## About (\w)', replaced(document, {}, 'ab')) == ['a', 'b', 'c']


def test_a_section_that_fails_says_so_and_is_no_end(given, tmp_path):
    def fail(sweep):
        raise RuntimeError('the graphs\nare missing')

    broken = SimpleNamespace(TITLE='Broken', measure=fail, write=None)
    page, why = page_of('broken', broken, given, tmp_path)
    assert why == 'the graphs are missing'
    assert '**Failed**: the graphs are missing' in page.text
    half = SimpleNamespace(
        TITLE='Half', measure=lambda sweep: {}, write=lambda figures, page, machine: figures['fps']
    )
    page, why = page_of('half', half, given, tmp_path)
    assert why and '**Failed**' in page.text
    assert f'`llia bench --sweep {tmp_path.name} --only half --seconds 3.0`' in page.text


def test_only_one_section_is_run_and_its_failure_is_the_exit_code(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('llia_ros.benchmark.sweep.call', lambda describe: MACHINE)
    document = tmp_path / 'benchmarks.md'
    clips = Page('clips', 'Mine', tmp_path)
    document.write_text(replaced('', {'clips': clips.text}, SECTIONS))
    assert run_sweep(Setting(), tmp_path, 'beside') == 1
    assert 'beside_others.md is not beside' in capsys.readouterr().err
    (tmp_path / 'beside_others.md').write_text('# Title\n\nOthers are slow.\n')
    assert run_sweep(Setting(), tmp_path, 'beside') == 0
    text = document.read_text()
    assert 'Others are slow.' in text and '# Title' not in text and 'Failed' not in text
    assert clips.text in text


def test_a_table_has_cells_for_all_its_columns():
    page = Page('a', 'A', Path('.'))
    with pytest.raises(ValueError, match='3 cells in a table of 2'):
        page.table(['a', 'b'], [[1, 2, 3]])
    page.table(['a|b', 'c'], [[0.12345, None], [12345.6, 'x']])
    assert '| a\\|b | c |\n| --- | --- |\n| 0.123 |  |\n| 12346 | x |' in page.text


def test_work_runs_in_a_process_of_its_own_on_the_cores_it_is_given(monkeypatch):
    import os

    assert call(os.getenv, 'LLIA_BENCH', env={'LLIA_BENCH': 'yes'}) == 'yes'
    assert call(usage.cores, cores=sorted(os.sched_getaffinity(0))[:1]) == 1
    assert call(os.getpid) != os.getpid()
    with pytest.raises(RuntimeError, match="^unknown model 'nowhere'"):
        call(model_folder, 'nowhere')


def test_a_bound_is_named_by_what_is_nearest():
    assert 'near is arithmetic' in cost.bound(COST, 20.0, MACHINE, 'bf16')
    memory = {**MACHINE, 'bandwidth': 1.5}
    assert 'near is memory' in cost.bound(COST, 20.0, memory, 'bf16')
    assert 'near is neither' in cost.bound(COST, 90.0, MACHINE, 'bf16')
    assert 'Measure again' in cost.bound(COST, 1.0, MACHINE, 'bf16')


def test_a_frame_of_the_shipped_model_costs_what_its_stages_do():
    one, two = (cost.of_frame(model_folder('tiny'), 8, steps) for steps in (1, 2))
    assert one['frame'] == pytest.approx(one['denoise'] + one['decode'])
    assert two['decode'] == one['decode'] and two['denoise'] > 1.8 * one['denoise']
    assert 3 < one['frame'] < 8
    longer = cost.of_frame(model_folder('tiny'), 16, 1)
    assert longer['denoise'] < one['denoise']  # past frames are read once a clip
    with pytest.raises(ValueError, match='export the model first'):
        cost.graphs(Path('nowhere'), 8)


def test_rows_are_those_that_a_processor_can_show():
    assert [row[1] for row in rows_for(['avx2'])] == [None, 'AVX2', 'AVX2']
    assert {row[1] for row in rows_for(['avx2', 'avx512f'])} == {None, 'AVX512_CORE', 'AVX2'}
    assert rows_for([]) == [('as it is', None, 'own', 'auto')]


def test_a_peak_is_measured_in_each_precision(monkeypatch):
    monkeypatch.setattr('llia_ros.benchmark.machine.LOOKED_FOR', 0.05)
    assert all(peak(precision) > 1 for precision in ('f32', 'bf16', 'int8'))
