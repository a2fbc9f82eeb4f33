"""Several faces in one process."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from llia_ros.benchmark.child import call
from llia_ros.benchmark.document import Page
from llia_ros.benchmark.live import Phase, play
from llia_ros.benchmark.measure import throughput
from llia_ros.benchmark.setting import Setting
from llia_ros.benchmark.subject import Subject
from llia_ros.benchmark.usage import peak_rss_mb

TITLE = 'Several faces in one process'
COUNTS = (1, 2, 3)


def together(setting: dict[str, Any], count: int) -> dict[str, Any]:
    """Return what `count` faces that speak at once cost, each a model and an engine of its own."""
    given = Setting(**setting)
    subjects = [Subject(given) for _ in range(count)]
    rates = _at_once([lambda s=s: throughput(s, given.seconds) for s in subjects])
    speaking = _at_once([lambda s=s: play(s, 'speaking', given.seconds) for s in subjects])
    idle = _at_once([lambda s=s: play(s, 'idle', given.seconds) for s in subjects])
    return {
        'faces': count,
        'fps': sum(rates),
        'late': sum(p.late for p in speaking),
        'late_idle': sum(p.late for p in idle),
        'due': sum(p.due for p in speaking),
        # Each follows the whole process, at the same time.
        'cpu': _mean_cpu(speaking),
        'cpu_idle': _mean_cpu(idle),
        'own_p95': max(
            (p.stages['own']['p95'] for p in speaking if 'own' in p.stages), default=None
        ),
        'rss': peak_rss_mb(),
    }


def _mean_cpu(phases: list[Phase]) -> float:
    return sum(phase.cpu for phase in phases) / len(phases)


def _at_once(works: list[Any]) -> list[Any]:
    """Return the results of some work, each in its own thread."""
    results: list[Any] = [None] * len(works)

    def run(at: int) -> None:
        results[at] = works[at]()

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if any(result is None for result in results):
        raise RuntimeError('one of the faces failed')
    return results


def measure(sweep: Any) -> dict[str, Any]:
    """Return the figures of each number of faces, each in a process of its own."""
    short = replace(sweep.setting, seconds=min(6.0, sweep.setting.seconds)).as_dict()
    return {'rows': [call(together, short, count) for count in COUNTS]}


def write(figures: dict[str, Any], page: Page, machine: dict[str, Any]) -> None:
    """Write a table, and how many faces keep up."""
    rows = figures['rows']
    page.table(
        [
            'faces',
            'frames a second, all together',
            'late, speaking',
            'late, idle',
            'CPU seconds a second, speaking',
            'idle',
            'own latency, ms, p95',
            'peak memory, MB',
        ],
        [
            [
                r['faces'],
                r['fps'],
                f'{r["late"]} of {r["due"]}',
                f'{r["late_idle"]} of {r["due"]}',
                r['cpu'],
                r['cpu_idle'],
                r['own_p95'],
                r['rss'],
            ]
            for r in rows
        ],
    )
    more = (rows[-1]['rss'] - rows[0]['rss']) / (rows[-1]['faces'] - rows[0]['faces'])
    page.say(
        f'All speak at once, or all idle. A face more takes {more:.0f} MB. Together they draw '
        'what one face can: the bound is arithmetic, '
        f'{machine["cores"]} core(s) that {rows[0]["fps"]:.0f} frames a second fill, which is '
        f'{rows[0]["fps"] / 25:.1f} times what one face in real time needs.'
    )
