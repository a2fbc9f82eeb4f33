"""The tables that `llia bench` prints."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

SPOKEN = {
    'audio': 'waiting for the sound of the rest of its clip',
    'ahead': 'drawn later: enough is ready',
    'queue': 'between stages',
    'denoise': 'denoiser, a clip',
    'decode': 'decoder, a clip',
    'hold': 'finished, waits for its time',
    'resize': 'made smaller',
    'encode': 'jpeg',
    'generation': 'plan to picture, a clip',
}


def report(figures: dict[str, Any]) -> None:
    """Print the figures of `measure`."""
    spread, cpu = figures['spread'], figures['cpu_seconds_per_second']
    title = (
        f'{figures["model"]} on {figures["backend"]}, {figures["precision"]}, '
        f'{figures["size"]}x{figures["size"]}, {figures["steps"]} step(s), '
        f'clips of {", ".join(map(str, figures["clips"]))}'
    )
    grid = Table('figure', 'p50', 'p95', 'max', 'spread of repeats', title=title)

    def one(name: str, value: str, ends: list[float] | None = None, form: str = '.1f') -> None:
        between = ' - '.join(f'{end:{form}}' for end in ends) if ends else ''
        grid.add_row(name, value, '', '', between)

    def three(name: str, values: dict[str, float] | None, ends: list[float] | None = None) -> None:
        cells = ['' if values is None else f'{values[key]:.1f}' for key in ('p50', 'p95', 'max')]
        grid.add_row(name, *cells, ' - '.join(f'{end:.1f}' for end in ends) if ends else '')

    one('frames a second, as fast as possible', f'{figures["fps"]:.1f}', spread['fps'])
    three('first clip, ms', figures['first_clip_ms'], spread['first_clip_p50_ms'])
    three('first sample to first picture, ms', figures['onset_ms'])
    three('latency, live, ms', figures['latency_ms'], spread['latency_p95_ms'])
    three('of it ours, ms', figures['own_latency_ms'])
    for stage, text in SPOKEN.items():
        if stage in figures['stages_ms']:
            three(f'  {text}', figures['stages_ms'][stage])
    three('jitter, ms', figures['jitter_ms'])
    one('late frames', f'{figures["late_frames"]} of {figures["frames_due"]}')
    for state, value in cpu.items():
        one(f'CPU seconds a second, {state}', f'{value:.2f}', spread[f'cpu_{state}'], '.2f')
    one('peak memory, MB', f'{figures["peak_rss_mb"]:.0f}')
    Console().print(grid)


def soak_report(figures: dict[str, Any]) -> None:
    """Print the figures of `soak`."""
    grid = Table(
        'minute',
        'ms a frame',
        'memory, MB',
        'page faults a frame',
        'clip, ms',
        title=f'{figures["soak_minutes"]:g} min of stream, {figures["fps"]:.1f} frames a second',
    )
    for window in figures['windows']:
        grid.add_row(
            f'{window["minute"]:.2f}',
            f'{window["ms_per_frame"]:.2f}',
            f'{window["rss_mb"]:.0f}',
            f'{window["page_faults_per_frame"]:.1f}',
            f'{window["generation_ms"]:.1f}',
        )
    console = Console()
    console.print(grid)
    for when in ('start', 'end'):
        probe = figures[when]
        first, own = probe['first_clip_ms'], probe['own_latency_ms']
        if first and own:
            console.print(
                f'{when}: first clip {first["p50"]:.0f} ms p50, {first["p95"]:.0f} ms p95; '
                f'own latency {own["p95"]:.0f} ms p95; {probe["late_frames"]} late'
            )
    flat = 'flat' if figures['flat'] else 'not flat'
    console.print(
        f'{flat}: time {figures["change_of_time"]:+.1%}, memory {figures["change_of_memory"]:+.1%}'
    )
