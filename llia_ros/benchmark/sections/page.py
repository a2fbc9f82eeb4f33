"""The whole ROS graph and the page, with a voice that arrives in real time: what people get."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from llia_ros.benchmark.document import Page
from llia_ros.demo.page_figures import NAMES

TITLE = 'At the page'
MINUTES = 10
DEMO = ('demo', '--headless', '--live', '--minutes', str(MINUTES), '--json')
# The scripted conversation, and the time that nodes, browser and video take to begin and to end.
LONGEST = 60.0 * MINUTES + 180


def measure(sweep: Any) -> dict[str, Any]:
    """Return the demo's figures; RuntimeError, one line, where it fails or no page reports."""
    command = [sys.executable, '-m', 'llia_ros.cli', *DEMO, '--out', str(sweep.scratch)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ['the demo failed'])[-1])
    figures: dict[str, Any] = json.loads(done.stdout)
    if not figures['page']:
        raise RuntimeError('no page reported: are chromium and chromedriver there?')
    return figures


def write(figures: dict[str, Any], page: Page, machine: dict[str, Any]) -> None:
    """Write the parts of latency, then smoothness, lips and interruptions."""
    at = figures['page']
    page.say(
        f'By `llia {" ".join(DEMO)}`: four nodes, a page in headless Chromium, whose graphics are '
        f'drawn by these {machine["cores"]} core(s), too, and a recording; '
        f'{figures["seconds"]:.0f} s of talk in which the user interrupts again and again. The '
        'page tells when each picture is drawn and each sound leaves the loudspeaker.'
    )
    page.table(
        ['from the last sound of a clip to its picture, ms', 'p50', 'p95'],
        [[NAMES[part], *values] for part, values in at['way_ms'].items()],
    )
    page.table(
        ['', 'p50', 'p95'],
        [
            ["user's voice to the last old picture, ms", *_pair(at['interruption_picture_ms'])],
            ["user's voice to the last old sound, ms", *_pair(at['interruption_sound_ms'])],
            ['picture beside its sound, size, ms', None, at['lips_size_p95_ms']],
            ['between two pictures, off 40 ms, ms (second column: p99)', at['jitter_p50_ms'],
             at['jitter_p99_ms']],
        ],
    )  # fmt: skip
    page.say(
        f'{at["fps"]:.2f} frames a second; late: {figures["late_frames"]} of {figures["frames"]} '
        f'at their time, {at["frames_late"]} at the page, {at["frames_left_out"]} left out; '
        f'{at["interruptions"]} interruptions. Latency is bound by waiting: for the next of the '
        'times that frames are due, for the slowest clips of the last hundred, so that none is '
        "late, and for the browser's loudspeaker. An interruption is bound by noticing a voice "
        '([voices and interruption](barge_in.md), with the echo tables).'
    )


def _pair(values: Any) -> tuple[float | None, float | None]:
    return tuple(values) if values else (None, None)
