"""The length of clips: longer ones are cheaper, shorter ones are sooner."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llia_ros.benchmark.child import call
from llia_ros.benchmark.document import Page
from llia_ros.benchmark.sections.overall import measured

TITLE = 'Length of clips'


def measure(sweep: Any) -> dict[str, Any]:
    """Return the figures of `llia bench --clip N` for each length, and of clips that grow."""
    short = replace(sweep.setting, repeats=1, seconds=min(8.0, sweep.setting.seconds))
    lengths = [*sweep.config.clip_lengths, None]
    return {
        'rows': [
            {
                'clip': 'growing' if length is None else str(length),
                **call(measured, replace(short, clip=length).as_dict()),
            }
            for length in lengths
        ]
    }


def write(figures: dict[str, Any], page: Page, machine: dict[str, Any]) -> None:
    """Write a table and a plot of speed against latency."""
    rows = figures['rows']
    page.table(
        [
            'clip',
            'frames a second',
            'first clip, ms, p50',
            'first sample to first picture, ms, p50',
            'live latency, ms, p50',
            'p95',
            'waiting for sound, ms, p50',
            'ours, ms, p95',
            'late',
            'CPU, speaking',
        ],
        [
            [
                row['clip'],
                row['fps'],
                *(_of(row, key, 'p50') for key in ('first_clip_ms', 'onset_ms', 'latency_ms')),
                _of(row, 'latency_ms', 'p95'),
                row['stages_ms'].get('audio', {}).get('p50'),
                _of(row, 'own_latency_ms', 'p95'),
                f'{row["late_frames"]} of {row["frames_due"]}',
                row['cpu_seconds_per_second']['speaking'],
            ]
            for row in rows
        ],
    )
    text = 'Frames a second and latency by length of clip'
    with page.plot('clips', text, panels=2) as (speed, latency):
        names = [row['clip'] for row in rows]
        speed.bar(names, [row['fps'] for row in rows], color='#5a7fb0')
        speed.axhline(25, color='k', lw=0.8, ls=':')
        speed.set(xlabel='frames a clip', ylabel='frames a second')
        for key, label in (
            ('onset_ms', 'first sample to first picture'),
            ('latency_ms', 'live latency'),
            ('own_latency_ms', 'of it ours'),
        ):
            latency.plot(names, [_of(row, key, 'p50') for row in rows], 'o-', label=label)
        latency.set(xlabel='frames a clip', ylabel='ms, p50', ylim=(0, None))
        latency.legend(fontsize=8)
    page.say(
        'One repeat of each. A clip cannot begin before the last sound that it needs, so latency '
        'is bound by waiting for sound, 40 ms for each frame of a clip; speed is bound by '
        'arithmetic, and gains from longer clips what a pass costs whatever its length (past '
        'frames, starting each layer). Growing clips take the latency of the shortest where '
        'somebody begins to speak, and the speed of the longest where sound is ahead; sound '
        'that arrives at the pace of real time never is, so they stay short there.'
    )


def _of(row: dict[str, Any], key: str, which: str) -> float | None:
    values = row[key]
    return None if values is None else values[which]
