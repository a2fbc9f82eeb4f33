"""The figures of `llia bench`: throughput, latency, jitter, CPU and memory of one setting."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from llia_ros.benchmark.live import PHASES, Phase, play
from llia_ros.benchmark.setting import Setting
from llia_ros.benchmark.speech import voice
from llia_ros.benchmark.subject import Subject
from llia_ros.benchmark.usage import peak_rss_mb
from llia_ros.runtime.backends import Backend

Note = Callable[[str], None]


def throughput(subject: Subject, seconds: float, backend: Backend | None = None) -> float:
    """Return frames a second of `seconds` of speech, drawn as fast as they can be."""
    if backend is not None:
        subject = Subject(subject.setting, backend)
    sound = voice(seconds)
    with subject.avatar(paced=False) as avatar:
        start, frames = time.perf_counter(), 0
        avatar.push_audio(sound)
        avatar.finish()
        for frame in avatar:
            subject.sized(frame.image)
            frames += 1
        return frames / (time.perf_counter() - start)


def measure(setting: Setting, note: Note = lambda done: None) -> dict[str, Any]:
    """Return the figures of a setting; `note` is told of each part that is done.

    Latencies are in ms, {p50, p95, max}: medians of the repeats, `max` the most of all. Those of
    speech (`latency_ms`, `own_latency_ms`, `stages_ms`) are of the last 30 s of each repeat.
    """
    subject = Subject(setting)
    note('load')
    throughput(subject, 1.0)
    note('warm up')
    rates: list[float] = []
    phases: dict[str, list[Phase]] = {name: [] for name in PHASES}
    for _ in range(setting.repeats):
        rates.append(throughput(subject, setting.seconds))
        note('throughput')
        for name in PHASES:
            phases[name].append(play(subject, name, setting.seconds))
            note(name)
    return {
        **subject.described(),
        **figures(rates, phases),
        'seconds': setting.seconds,
        'load_seconds': subject.load_seconds,
    }


def parts(setting: Setting) -> int:
    """Return how often `measure` notes something."""
    return 2 + setting.repeats * (1 + len(PHASES))


def figures(rates: Sequence[float], phases: dict[str, list[Phase]]) -> dict[str, Any]:
    """Return the report's figures from frame rates and phases, one of each a repeat."""
    spoken, turns = phases['speaking'], phases['turns']
    every = [phase for repeats in phases.values() for phase in repeats]
    names = {name: None for phase in spoken for name in phase.stages}
    stages = {name: _pooled(spoken, name) for name in names}
    first = _pooled(turns, 'first_clip')
    jitter = np.concatenate([phase.jitter for phase in every])
    return {
        'fps': float(np.median(rates)),
        'first_clip_ms': first,
        'onset_ms': _pooled(turns, 'onset'),
        'latency_ms': stages.get('whole'),
        'own_latency_ms': stages.get('own'),
        'stages_ms': stages,
        'late_frames': sum(phase.late for phase in every),
        'frames_due': sum(phase.due for phase in every),
        'frames_shown': sum(phase.shown for phase in every),
        'jitter_ms': {
            **{f'p{q}': float(1000 * np.percentile(jitter, q)) for q in (50, 95, 99)},
            'max': float(1000 * jitter.max()),
        },
        'cpu_seconds_per_second': {
            name: float(np.median([phase.cpu for phase in repeats]))
            for name, repeats in phases.items()
            if name != 'turns'
        },
        'peak_rss_mb': peak_rss_mb(),
        'repeats': len(rates),
        'spread': {
            'fps': _ends(rates),
            'first_clip_p50_ms': _ends(_each(turns, 'first_clip', 'p50')),
            'latency_p95_ms': _ends(_each(spoken, 'whole', 'p95')),
            **{
                f'cpu_{name}': _ends([phase.cpu for phase in repeats])
                for name, repeats in phases.items()
                if name != 'turns'
            },
        },
    }


def _each(phases: Sequence[Phase], stage: str, key: str) -> list[float]:
    return [phase.stages[stage][key] for phase in phases if stage in phase.stages]


def _pooled(phases: Sequence[Phase], stage: str) -> dict[str, float] | None:
    """Return p50, p95 and max of a stage over repeats, None where it never happened."""
    if not _each(phases, stage, 'max'):
        return None
    return {
        'p50': float(np.median(_each(phases, stage, 'p50'))),
        'p95': float(np.median(_each(phases, stage, 'p95'))),
        'max': max(_each(phases, stage, 'max')),
    }


def _ends(values: Sequence[float]) -> list[float]:
    """Return the least and the most of some values."""
    return [float(min(values)), float(max(values))] if values else []
