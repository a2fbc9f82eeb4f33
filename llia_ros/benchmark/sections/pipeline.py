"""Denoiser beside decoder against one after the other; threads of each."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from llia_ros.benchmark.child import call
from llia_ros.benchmark.document import Page
from llia_ros.benchmark.measure import throughput
from llia_ros.benchmark.mixed import Mixed, OneAtATime
from llia_ros.benchmark.setting import Setting
from llia_ros.benchmark.subject import Subject
from llia_ros.runtime.backends import load_backend

TITLE = 'Stages at once, or one after the other'
SECONDS = 6.0


def _rates(given: Setting, backends: dict[str, Any], repeats: int) -> dict[str, dict[str, float]]:
    """Return frames a second of each backend, measured in turns: median, least, most."""
    subjects = {name: Subject(given, backend) for name, backend in backends.items()}
    for subject in subjects.values():
        throughput(subject, 1.0)
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(repeats):
        for name, subject in subjects.items():
            found[name].append(throughput(subject, min(SECONDS, given.seconds)))
    return {
        name: {'fps': float(np.median(rates)), 'least': min(rates), 'most': max(rates)}
        for name, rates in found.items()
    }


def overlapped(setting: dict[str, Any]) -> dict[str, Any]:
    """Return the engine's rates with its stages at once and one at a time, in turns."""
    given = Setting(**setting)
    backend = Subject(given).backend
    variants = {'at once': backend, 'one after the other': OneAtATime(backend)}
    return _rates(given, variants, given.repeats)


def threaded(setting: dict[str, Any], cores: int) -> list[dict[str, Any]]:
    """Return the engine's rates by threads of the denoiser and of the decoder, in turns."""
    given = Setting(**setting)
    options = {} if given.precision == 'auto' else {'precision': given.precision}
    counts = sorted({1, max(1, cores // 2), cores})
    loaded = {
        count: load_backend(given.model, 'openvino', threads=count, **options) for count in counts
    }
    pairs = {f'{a} {b}': Mixed(loaded[a], decoder=loaded[b]) for a in counts for b in counts}
    rates = _rates(given, pairs, given.repeats)
    return [
        {'denoiser': int(a), 'decoder': int(b), **rates[f'{a} {b}']}
        for a, b in (name.split() for name in pairs)
    ]


def measure(sweep: Any) -> dict[str, Any]:
    """Return both comparisons, that of overlap also pinned to one core."""
    setting = {**sweep.setting.as_dict(), 'repeats': min(3, sweep.setting.repeats)}
    cores = sorted(os.sched_getaffinity(0))
    pinned = {f'{len(cores)} cores': cores, 'one core': cores[:1]}
    if len(cores) == 1:
        del pinned[f'{len(cores)} cores']
    return {
        'overlap': {name: call(overlapped, setting, cores=own) for name, own in pinned.items()},
        'threads': call(threaded, setting, len(cores)),
        'cores': len(cores),
    }


def write(figures: dict[str, Any], page: Page, machine: dict[str, Any]) -> None:
    """Write both tables, and the gain as a ratio."""
    rows = []
    for where, both in figures['overlap'].items():
        together, apart = both['at once'], both['one after the other']
        rows.append(
            [
                where,
                *(
                    f'{r["fps"]:.1f} ({r["least"]:.1f} - {r["most"]:.1f})'
                    for r in (together, apart)
                ),
                f'{together["fps"] / apart["fps"]:.2f}x',
            ]
        )
    page.table(['', 'at once, frames a second', 'one after the other', 'gain'], rows)
    page.say(
        'Frames a second of the engine, as fast as possible: median (least - most) of repeats in '
        'turns. At once: denoiser and decoder in their own threads, on clips n + 1 and n. One '
        'after the other: the same, but either waits for the other. Either stage alone '
        'can use all cores, so a gain is what a stage leaves idle between its '
        'layers; on one core there is nothing to gain but by chance.'
    )
    threads = figures['threads']
    page.table(
        ['threads of the denoiser', 'of the decoder', 'frames a second', 'least - most'],
        [
            [r['denoiser'], r['decoder'], r['fps'], f'{r["least"]:.1f} - {r["most"]:.1f}']
            for r in threads
        ],
    )
    best = max(threads, key=lambda row: row['fps'])
    page.say(
        f'Fastest: {best["denoiser"]} for the denoiser, {best["decoder"]} for the decoder. The '
        f'bound is arithmetic on {figures["cores"]} core(s): the choice only moves who waits.'
    )
