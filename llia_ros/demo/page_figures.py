"""What the face was like where it is seen: the demo's figures of the page, by its reports."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.table import Table

from llia_ros.demo.log import Log
from llia_ros.display.page_meter import PARTS

# Who has spoken longer than that before the face fell silent did not interrupt it.
LONGEST_INTERRUPTION = 3.0
# Of each part of a clip's way: what the table calls it.
NAMES = {
    'generation': 'sound of the clip complete to pictures ready',
    'hold': 'pictures ready to due',
    'transport': 'due to display (JPEG, ROS)',
    'page transport': 'display to page',
    'lead': 'page waits for the sound to be heard',
    'drawing': 'to be drawn to drawn',
    'ours': 'together: sound of the clip complete to drawn',
}


@dataclass(frozen=True)
class PageFigures:
    """Figures at the page; None for what did not happen. Milliseconds end in `_ms`.

    `jitter`: how far a frame's time on the screen is off 1/25 s. `lips`: picture after its sound.
    `interruption`: from the user's first sample to the last old picture drawn and to the last old
    sound heard; `_ms` alone to the later of both. `way`: p50 and p95 of each part from the last
    sample of a whole clip to its first picture drawn; a voice delivered faster than real time
    waits in it.
    """

    fps: float
    frames_late: int
    frames_left_out: int
    jitter_p50_ms: float | None
    jitter_p99_ms: float | None
    due_to_drawn_p50_ms: float | None
    due_to_drawn_p95_ms: float | None
    lips_p50_ms: float | None
    lips_size_p95_ms: float | None
    interruptions: int
    interruption_picture_ms: tuple[float, float] | None
    interruption_sound_ms: tuple[float, float] | None
    interruption_ms: tuple[float, float] | None
    audio_wait_ms: tuple[float, float] | None
    encoding_ms: tuple[float, float] | None
    way_ms: dict[str, tuple[float, float]]
    reports_dropped: int


def measure(log: Log) -> PageFigures | None:
    """Compute all, or None where no page reported."""
    told = log.diagnostics.get('display', {})
    avatar = log.diagnostics.get('avatar', {})
    if 'page fps' not in told:
        return None

    def number(name: str) -> float | None:
        return float(told[name]) if name in told else None

    stops = interruptions(log)
    pictures = [picture for picture, _ in stops]
    sounds = [sound for _, sound in stops if sound is not None]
    both = [picture if sound is None else max(picture, sound) for picture, sound in stops]
    way = {part: _pair(told, f'way {part}') for part in PARTS}
    return PageFigures(
        fps=float(told['page fps']),
        frames_late=int(told['page frames late']),
        frames_left_out=int(told['page frames left out']),
        jitter_p50_ms=number('page jitter p50 ms'),
        jitter_p99_ms=number('page jitter p99 ms'),
        due_to_drawn_p50_ms=number('page due to drawn p50 ms'),
        due_to_drawn_p95_ms=number('page due to drawn p95 ms'),
        lips_p50_ms=number('page lips after sound p50 ms'),
        lips_size_p95_ms=number('page lips after sound size p95 ms'),
        interruptions=len(stops),
        interruption_picture_ms=_percentiles(pictures),
        interruption_sound_ms=_percentiles(sounds),
        interruption_ms=_percentiles(both),
        audio_wait_ms=_pair(avatar, 'audio'),
        encoding_ms=_pair(avatar, 'encoding'),
        way_ms={part: pair for part, pair in way.items() if pair is not None},
        reports_dropped=int(told['page reports dropped']),
    )


def interruptions(log: Log) -> list[tuple[float, float | None]]:
    """Of every barge-in, ms from the user's first sample to the last old picture and sound.

    0 where it had ended before.
    """
    onsets = [line.start for line in log.spoken if line.speaker == 'user']
    found = []
    for _, cut in sorted(log.cuts.items()):
        before = [onset for onset in onsets if onset < cut.drawn]
        if not before or cut.drawn - before[-1] > LONGEST_INTERRUPTION:
            continue
        sound = None if cut.heard is None else 1000 * max(0.0, cut.heard - before[-1])
        found.append((1000 * (cut.drawn - before[-1]), sound))
    return found


def add_rows(grid: Table, page: PageFigures) -> None:
    """Add them to the summary."""

    def row(name: str, value: float | None, unit: str = 'ms', digits: int = 0) -> None:
        grid.add_row(name, '-' if value is None else f'{value:.{digits}f} {unit}'.strip())

    def pair(name: str, values: tuple[float, float] | None) -> None:
        shown = '-' if values is None else f'{values[0]:.0f}, {values[1]:.0f} ms'
        grid.add_row(f'{name}, p50, p95', shown)

    grid.add_section()
    row('at the page: frames per second', page.fps, '', 2)
    row('late frames, left out', page.frames_late + page.frames_left_out, '')
    row('jitter, p50', page.jitter_p50_ms, digits=1)
    row('jitter, p99', page.jitter_p99_ms, digits=1)
    row('due to drawn, p50', page.due_to_drawn_p50_ms)
    row('due to drawn, p95', page.due_to_drawn_p95_ms)
    row('lips after sound, p50', page.lips_p50_ms)
    row('lips beside sound, p95 of the size', page.lips_size_p95_ms)
    row('interruptions', page.interruptions, '')
    pair("user's voice to last old picture drawn", page.interruption_picture_ms)
    pair("user's voice to last old sound heard", page.interruption_sound_ms)
    pair('to the later of both', page.interruption_ms)
    grid.add_section()
    pair("a frame waits for its clip's sound", page.audio_wait_ms)
    for part, values in page.way_ms.items():
        pair(NAMES[part], values)
    pair('of this: JPEG', page.encoding_ms)


def _pair(told: dict[str, str], name: str) -> tuple[float, float] | None:
    try:
        return float(told[f'{name} p50 ms']), float(told[f'{name} p95 ms'])
    except KeyError:
        return None


def _percentiles(values: list[float]) -> tuple[float, float] | None:
    if not values:
        return None
    p50, p95 = np.percentile(values, (50, 95))
    return float(p50), float(p95)
