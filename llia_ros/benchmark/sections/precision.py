"""Precisions side by side, each against f32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from llia_ros.benchmark.child import call
from llia_ros.benchmark.cost import bound, of_frame
from llia_ros.benchmark.document import Page
from llia_ros.benchmark.folders import exported
from llia_ros.benchmark.measure import throughput
from llia_ros.benchmark.probe import Probe, in_turns, psnr
from llia_ros.benchmark.setting import Setting
from llia_ros.benchmark.subject import Subject
from llia_ros.runtime.backends import load_backend

TITLE = 'Precisions side by side'
FRAMES = 8
CLIPS = 6  # compared
WIDE = ('avx2', 'avx512f')  # instructions for f32; the others are for shorter types
TURNS = 5
# Name, folder, arithmetic. The first is what the others are held against.
VARIANTS = (
    ('f32, weights of 16 bits', 'f16', 'f32'),
    ('f32, weights of 8 bits', 'own', 'f32'),
    ('bf16, weights of 16 bits', 'f16', 'bf16'),
    ('bf16, weights of 8 bits', 'own', 'bf16'),
    ('weights and activations of 8 bits, the rest bf16', 'int8', 'bf16'),
)


def compared(setting: dict[str, Any], folders: dict[str, str]) -> list[dict[str, Any]]:
    """Return per variant ms by stage, frames a second, MB of graphs and dB against the first."""
    given = Setting(**{**setting, 'backend': 'openvino', 'precision': 'auto'})
    loaded = {
        name: Subject(given, load_backend(folders[folder], 'openvino', precision=precision))
        for name, folder, precision in VARIANTS
    }
    steps = given.steps or next(iter(loaded.values())).config.steps
    probes = {
        name: Probe(subject.backend, subject.portrait, steps, FRAMES)
        for name, subject in loaded.items()
    }
    denoise = in_turns({name: probe.denoise for name, probe in probes.items()}, TURNS)
    decode = in_turns({name: probe.decode for name, probe in probes.items()}, TURNS)
    rates: dict[str, list[float]] = {name: [] for name in loaded}
    for _ in range(min(3, given.repeats)):
        for name, subject in loaded.items():
            rates[name].append(throughput(subject, min(6.0, given.seconds)))
    truth = next(iter(probes.values())).pictures(CLIPS)
    return [
        {
            'name': name,
            'arithmetic': precision,
            'denoise': 1000 * float(np.median(denoise[name])) / FRAMES,
            'decode': 1000 * float(np.median(decode[name])) / FRAMES,
            'fps': float(np.median(rates[name])),
            'megabytes': sum(f.stat().st_size for f in Path(folders[folder]).glob('*.bin')) / 1e6,
            'psnr': psnr(probes[name].pictures(CLIPS), truth),
        }
        for name, folder, precision in VARIANTS
    ]


def measure(sweep: Any) -> dict[str, Any]:
    """Return the variants; the other folders are exported first."""
    setting, scratch = sweep.setting.as_dict(), str(sweep.scratch)
    folder = sweep.folder
    folders = {'own': str(folder)}
    for precision in ('f16', 'int8'):
        folders[precision] = call(exported, setting, scratch, precision)
    steps = sweep.setting.steps or sweep.config.steps
    return {
        'variants': call(compared, setting, folders),
        'cost': of_frame(folder, FRAMES, steps),
        'short': [name for name in sweep.machine['instructions'] if name not in WIDE],
    }


def write(figures: dict[str, Any], page: Page, machine: dict[str, Any]) -> None:
    """Write the variants in a table, and what bounds the fastest."""
    variants = figures['variants']
    first = variants[0]
    page.table(
        [
            'arithmetic and weights',
            'denoise, ms a frame',
            'decode, ms a frame',
            'frames a second',
            'against f32',
            'graphs, MB',
            'pictures against f32, dB',
        ],
        [
            [
                row['name'],
                row['denoise'],
                row['decode'],
                row['fps'],
                f'{row["fps"] / first["fps"]:.2f}x',
                row['megabytes'],
                '' if row is first else row['psnr'],
            ]
            for row in variants
        ],
    )
    best = max(variants, key=lambda row: row['fps'])
    page.say(
        f'All loaded in one process and measured in turns, clips of {FRAMES}; frames a second are '
        "the engine's, with both stages at once. Of the instructions that speed up short types "
        f'this machine has: {", ".join(figures["short"]) or "none"}. Weights of 8 bits are stored '
        'so; OpenVINO unpacks them or, in matrix products, may quantize the other side on the '
        'fly. Activations of 8 bits are calibrated on the speech of the benchmark. '
        f'Fastest: {best["name"]}. '
        + bound(figures['cost'], 1000 / best['fps'], machine, best['arithmetic'])
    )
