"""The same graphs with fewer instructions allowed: what older processors would do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from llia_ros.benchmark.child import call
from llia_ros.benchmark.document import Page
from llia_ros.benchmark.folders import exported
from llia_ros.benchmark.measure import throughput
from llia_ros.benchmark.probe import Probe, in_turns
from llia_ros.benchmark.setting import Setting
from llia_ros.benchmark.subject import Subject
from llia_ros.runtime.backends.graphs import graph_backend
from llia_ros.runtime.backends.openvino import OpenVINORunner

TITLE = 'With fewer instructions'
FRAMES = 8
TURNS = 7


class Limited(OpenVINORunner):
    """Compiles under a limit of instructions.

    OpenVINO's own look at the processor does not know of the limit: it chooses kernels for
    activations quantized on the fly that do not exist below it, and then fails.
    """

    def settings(self, name: str) -> dict[str, object]:
        """Return what a graph is compiled with."""
        return {**super().settings(name), 'DYNAMIC_QUANTIZATION_GROUP_SIZE': 0}


def timed(setting: dict[str, Any], folder: str, precision: str, limited: bool) -> dict[str, Any]:
    """Return ms by stage, frames a second, and the kernels that ran, each with its count."""
    runner = (Limited if limited else OpenVINORunner)(Path(folder), precision)
    backend = graph_backend('openvino', Path(folder), runner)
    subject = Subject(Setting(**setting), backend)
    probe = Probe(backend, subject.portrait, subject.setting.steps or subject.config.steps, FRAMES)
    taken = in_turns({'denoise': probe.denoise, 'decode': probe.decode}, TURNS)
    return {
        **{name: 1000 * float(np.median(seconds)) / FRAMES for name, seconds in taken.items()},
        'fps': throughput(subject, min(6.0, subject.setting.seconds)),
        'kernels': kernels(runner),
    }


def kernels(runner: OpenVINORunner) -> dict[str, int]:
    """Return how many operations of denoiser and decoder run on kernels of which family."""
    found: dict[str, int] = {}
    for name in ('velocity', 'decoder'):
        compiled = runner.requests[f'{name}-{FRAMES}'].get_compiled_model()
        for node in compiled.get_runtime_model().get_ops():
            kind = node.get_rt_info()['primitiveType'].astype(str)
            for family in ('amx', 'avx512', 'avx2'):
                if family in kind:
                    found[family] = found.get(family, 0) + 1
                    break
    return found


def rows_for(flags: list[str]) -> list[tuple[str, str | None, str, str]]:
    """Return (name, limit of instructions, folder, arithmetic) that make sense on a processor."""
    rows: list[tuple[str, str | None, str, str]] = [('as it is', None, 'own', 'auto')]
    if 'amx_bf16' in flags:
        rows.append(('without AMX', 'AVX512_CORE_BF16', 'own', 'bf16'))
    if 'avx512f' in flags:
        rows.append(('AVX-512, f32', 'AVX512_CORE', 'own', 'f32'))
    if 'avx2' in flags:
        rows.append(('AVX2, f32', 'AVX2', 'own', 'f32'))
        rows.append(('AVX2, activations of 8 bits, the rest f32', 'AVX2', 'int8', 'f32'))
    return rows


def measure(sweep: Any) -> dict[str, Any]:
    """Return the rows; one that does not run tells why."""
    setting = {**sweep.setting.as_dict(), 'backend': 'openvino', 'precision': 'auto'}
    folders = {'own': str(sweep.folder)}
    found = []
    for name, limit, folder, precision in rows_for(sweep.machine['instructions']):
        row: dict[str, Any] = {'name': name, 'limit': limit}
        try:
            if folder not in folders:
                folders[folder] = call(exported, setting, str(sweep.scratch), folder)
            env = {'ONEDNN_MAX_CPU_ISA': limit} if limit else None
            row.update(call(timed, setting, folders[folder], precision, bool(limit), env=env))
        except RuntimeError as error:
            row['why'] = str(error)
        found.append(row)
    return {'rows': found}


def write(figures: dict[str, Any], page: Page, machine: dict[str, Any]) -> None:
    """Write the rows, and what was really forced."""
    page.table(
        [
            'instructions',
            'denoise, ms a frame',
            'decode, ms a frame',
            'frames a second',
            'operations by kernel',
        ],
        [
            [row['name'], None, None, f'does not run: {row["why"]}', None]
            if 'why' in row
            else [
                row['name'],
                row['denoise'],
                row['decode'],
                row['fps'],
                ', '.join(f'{kind} {count}' for kind, count in row['kernels'].items()),
            ]
            for row in figures['rows']
        ],
    )
    page.say(
        'Forced by `ONEDNN_MAX_CPU_ISA`, each row in a process of its own, with activations not '
        'quantized on the fly (`DYNAMIC_QUANTIZATION_GROUP_SIZE=0`), without which the graphs do '
        'not compile under the limit although they do on a processor that has no more. The limit '
        'binds convolutions and matrix products, which are nearly all of the arithmetic. '
        "OpenVINO's own kernels (normalization, softmax, element by element) do not know of it "
        'and still use what the processor has: the last column counts them. So the row AVX2 is '
        'what convolutions and products in AVX2 cost on this processor at its clock and with its '
        'caches; it is no measurement of a processor without AVX-512. The bound is arithmetic: '
        'half as wide, registers do half as much a cycle, and bf16 has to be done in f32.'
    )
