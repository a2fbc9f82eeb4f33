"""Steps of sampling, and what drawing two clips in one pass could gain."""

from __future__ import annotations

from typing import Any

import numpy as np

from llia_ros.benchmark.child import call
from llia_ros.benchmark.document import Page
from llia_ros.benchmark.measure import throughput
from llia_ros.benchmark.probe import Probe, in_turns, psnr
from llia_ros.benchmark.setting import Setting
from llia_ros.benchmark.subject import Subject

TITLE = 'Steps of sampling'
STEPS = (1, 2, 4)
FRAMES = 8
TURNS = 7


def compared(setting: dict[str, Any]) -> dict[str, Any]:
    """Return per number of steps ms and frames a second; and the cost of passes by length."""
    given = Setting(**setting)
    subject = Subject(given)
    backend = subject.backend
    probes = {n: Probe(backend, subject.portrait, n, FRAMES) for n in STEPS}
    taken = in_turns({str(n): probe.denoise for n, probe in probes.items()}, TURNS)
    pictures = {n: probe.pictures(3) for n, probe in probes.items()}
    rows = []
    for n in STEPS:
        stepped = Subject(Setting(**{**setting, 'steps': n}), backend)
        rows.append(
            {
                'steps': n,
                'denoise': 1000 * float(np.median(taken[str(n)])) / FRAMES,
                'fps': float(
                    np.median(
                        [
                            throughput(stepped, min(5.0, given.seconds))
                            for _ in range(min(3, given.repeats))
                        ]
                    )
                ),
                'psnr': psnr(pictures[n], pictures[STEPS[0]]),
            }
        )
    lengths = subject.config.clip_lengths
    passes = {n: Probe(backend, subject.portrait, 1, n) for n in lengths}
    by_length = in_turns({str(n): probe.denoise for n, probe in passes.items()}, TURNS)
    return {
        'rows': rows,
        'passes': {n: 1000 * float(np.median(seconds)) for n, seconds in by_length.items()},
    }


def measure(sweep: Any) -> dict[str, Any]:
    """Return both comparisons."""
    return call(compared, sweep.setting.as_dict())


def write(figures: dict[str, Any], page: Page, machine: dict[str, Any]) -> None:
    """Write steps, then what batching could gain at best."""
    page.table(
        [
            'steps',
            'denoise, ms a frame',
            'frames a second',
            f'pictures against {STEPS[0]} step, dB',
        ],
        [
            [r['steps'], r['denoise'], r['fps'], '' if r['steps'] == STEPS[0] else r['psnr']]
            for r in figures['rows']
        ],
    )
    passes = figures['passes']
    gains = [
        (n, 2 * passes[str(n)] / passes[str(2 * n)])
        for n in map(int, passes)
        if str(2 * n) in passes
    ]
    page.say(
        'Each further step is one more pass of the denoiser; the bound is arithmetic, as counted '
        'above. What the steps do to the picture against the truth is in the model card.'
    )
    said = ', '.join(f'{gain:.2f}x for {n} frames and {n}' for n, gain in gains)
    page.say(
        'Stream batching, one pass that takes the second step of one clip and the first of the '
        f'next, would make a denoiser of 2 steps faster by {said} at best: so much faster is a '
        'pass over twice the frames than two passes. It is not built: a clip reads the '
        'finished frames before it, which a clip at the same time in the same pass does not have, '
        'it would hold each picture back by a clip, and `tiny` takes one step.'
    )
