"""A long stream: time, memory and latency, from start to end."""

from __future__ import annotations

from typing import Any

from llia_ros.benchmark.child import call
from llia_ros.benchmark.document import Page
from llia_ros.benchmark.setting import Setting
from llia_ros.benchmark.soak import soak

TITLE = 'Growth over a long stream'
MINUTES = 4.0  # of stream, where --soak does not say


def soaked(setting: dict[str, Any], minutes: float) -> dict[str, Any]:
    """Return the figures of a soak, given plain values."""
    return soak(Setting(**setting), minutes)


def measure(sweep: Any) -> dict[str, Any]:
    """Return the figures of `llia bench --soak`."""
    minutes = sweep.soak_minutes or MINUTES
    return call(soaked, sweep.setting.as_dict(), minutes, seconds=120 + 240 * minutes)


def write(figures: dict[str, Any], page: Page, machine: dict[str, Any]) -> None:
    """Write start against end, and a plot over the stream."""
    windows = figures['windows']
    start, end = windows[1 : len(windows) // 3 + 1], windows[-(len(windows) // 3) :]

    def mean(of: list[dict[str, float]], key: str) -> float:
        return sum(window[key] for window in of) / len(of)

    rows: list[list[Any]] = [
        [text, mean(start, key), mean(end, key)]
        for text, key in (
            ('ms a frame', 'ms_per_frame'),
            ('memory, MB', 'rss_mb'),
            ('plan to picture of a clip, ms, p50', 'generation_ms'),
            ('page faults a frame', 'page_faults_per_frame'),
            ('page faults a frame that read a disk', 'disk_faults_per_frame'),
        )
    ]
    for text, key, which in (
        ('live, first clip, ms, p50', 'first_clip_ms', 'p50'),
        ('live, own latency, ms, p95', 'own_latency_ms', 'p95'),
    ):
        both = figures['start'][key], figures['end'][key]
        rows.append([text, *(values and values[which] for values in both)])
    page.table(['', 'first third', 'last third'], rows)
    text = 'Milliseconds a frame and memory over the stream'
    with page.plot('growth', text, panels=2) as (time, memory):
        minutes = [window['minute'] for window in windows]
        time.plot(minutes, [window['ms_per_frame'] for window in windows], '.-')
        time.set(xlabel='minute of the stream', ylabel='ms a frame', ylim=(0, None))
        memory.plot(minutes, [window['rss_mb'] for window in windows], '.-', color='#a05050')
        memory.set(xlabel='minute of the stream', ylabel='memory, MB', ylim=(0, None))
    verdict = 'flat' if figures['flat'] else 'not flat'
    page.say(
        f'`llia bench --soak {figures["soak_minutes"]:g}`: {figures["frames"]} frames, speaking, '
        f'listening and idle in turn, at {figures["fps"]:.1f} a second. From the first third to '
        f'the last, time changed by {figures["change_of_time"]:+.1%} and memory by '
        f'{figures["change_of_memory"]:+.1%}: {verdict}. The live figures are of streams just '
        'before and just after. Nothing is kept per frame beyond fixed windows, so nothing bounds '
        'the length of a stream; its speed is bound by arithmetic, as counted above.'
    )
