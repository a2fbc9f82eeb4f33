"""The figures of `llia bench` as such."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llia_ros.benchmark.child import call
from llia_ros.benchmark.cost import bound, of_frame
from llia_ros.benchmark.document import Page
from llia_ros.benchmark.measure import measure as measure_setting
from llia_ros.benchmark.report import SPOKEN
from llia_ros.benchmark.setting import Setting

TITLE = 'Speed and latency'


def measured(setting: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a setting, given and returned as plain values."""
    return measure_setting(Setting(**setting))


def measure(sweep: Any) -> dict[str, Any]:
    """Return the figures of `llia bench`, and a frame's counted cost."""
    setting: Setting = replace(sweep.setting, repeats=min(sweep.setting.repeats, 2))
    figures = call(measured, setting.as_dict())
    longest = max(figures['clips'])
    figures['cost'] = of_frame(sweep.folder, longest, figures['steps'])
    return figures


def write(figures: dict[str, Any], page: Page, machine: dict[str, Any]) -> None:
    """Write the figures by part."""
    spread, cpu = figures['spread'], figures['cpu_seconds_per_second']
    first, own = figures['first_clip_ms'], figures['own_latency_ms']
    page.say(
        f'`{figures["model"]}` on {figures["backend"]} in {figures["precision"]} (8 bit: '
        f'{figures["weights"]}), {figures["size"]}x{figures["size"]}, {figures["steps"]} step(s), '
        f'{figures["seconds"]:g} s of each phase, {figures["repeats"]} repeats.'
    )
    rows: list[list[Any]] = [
        ['frames a second, as fast as possible', figures['fps'], _ends(spread['fps'])],
        ['late frames', f'{figures["late_frames"]} of {figures["frames_due"]}', ''],
        ['jitter, p99, ms', figures['jitter_ms']['p99'], ''],
    ]
    rows += [
        [f'CPU seconds a second, {state}', value, _ends(spread[f'cpu_{state}'])]
        for state, value in cpu.items()
    ]
    rows += [
        ['idle over speaking', cpu['idle'] / cpu['speaking'], ''],
        ['peak memory, MB', figures['peak_rss_mb'], ''],
    ]
    page.table(['', 'median', 'least - most'], rows)
    lines = [
        ('first clip: last sample it needs to its first picture', first),
        ('live latency: last sample of a frame to its picture out', figures['latency_ms']),
        ('of it ours: without the sound of the rest of its clip', own),
    ]
    lines += [(f'part: {text}', figures['stages_ms'].get(name)) for name, text in SPOKEN.items()]
    page.table(
        ['ms', 'p50', 'p95', 'max'],
        [[text, *(three[key] for key in ('p50', 'p95', 'max'))] for text, three in lines if three],
    )
    page.say(
        bound(figures['cost'], 1000 / figures['fps'], machine, figures['precision'])
        + ' Live latency is bound by waiting for sound: a clip of 4 frames cannot begin before '
        'its last sample, and pictures that are ready wait for their time so that none is late.'
    )


def _ends(values: list[float]) -> str:
    return ' - '.join(f'{value:.3g}' for value in values)
