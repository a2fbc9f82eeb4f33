"""From a mouth far away to the face here: `python -m llia_ros.benchmark.telepresence`.

The real nodes, each in its own process, a far end in another, and a bad network in between.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from llia_ros.benchmark import jitter_delays
from llia_ros.benchmark.child import call as in_child
from llia_ros.benchmark.far_side import far, get, places
from llia_ros.telepresence.peer import DEAD

START = 120.0  # s in which the nodes must be there
# One way delay (ms), loss (%), further delay of each packet up to (ms), buffer (ms).
GRID = (
    *((delay, loss, 0.0, 60.0) for delay in (0.0, 80.0) for loss in (0.0, 1.0, 5.0)),
    *((80.0, 1.0, 40.0, buffer) for buffer in (20.0, 60.0, 120.0)),
)
Network = tuple[float, float, float, float]


@dataclass(frozen=True)
class Trial:
    """One call: latencies in ms by part of speech, rates in kbit/s, losses in % of the packets."""

    delay: float
    loss: float
    jitter: float
    buffer: float
    sound: list[float]
    face: list[float]
    parts: int
    lost: float
    concealed: float
    up: float
    down: float
    pictures: float


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


@contextmanager
def _process(*command: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _node(*names: str, **parameters: Any) -> Iterator[None]:
    given = [part for key, value in parameters.items() for part in ('-p', f'{key}:={value}')]
    code = 'import sys; from llia_ros.nodes.composed import main; sys.exit(main())'
    with _process('-c', code, *names, '--ros-args', *given):
        yield


def _await_face(near: str) -> None:
    """Until the far end's node hears the avatar."""
    end, said = time.monotonic() + START, 'does not answer'
    while time.monotonic() < end:
        try:
            if get(f'{near}figures').get('face frames'):
                return
            said = 'hears no face'
        except OSError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f'after {START:g} s telepresence {said}')


def trials(grid: Sequence[Network], utterances: int) -> Iterator[Trial]:
    """One call under each network, with one avatar."""
    with _node('avatar'):
        for buffer, networks in groupby(grid, lambda network: network[3]):
            port = _free_port()
            near = f'http://127.0.0.1:{port}/'
            with _node('telepresence', port=port, send_face='true', jitter_ms=buffer):
                _await_face(near)
                for network in networks:
                    yield trial(near, network, utterances)
                    # Where the goodbye was lost, the next call is refused until then.
                    time.sleep(DEAD)


def trial(near: str, network: Network, utterances: int) -> Trial:
    """One call, as the node at `near` answers it."""
    delay, loss, jitter, buffer = network
    between = _free_port()
    url = f'http://127.0.0.1:{between}/'
    bad = ['-m', 'llia_ros.benchmark.bad_network', near, '--port', str(between)]
    bad += ['--delay', str(delay), '--loss', str(loss), '--jitter', str(jitter)]
    with _process(*bad) as relay:
        assert relay.stdout is not None
        relay.stdout.readline()
        found = in_child(far, url, near, utterances)
        there, back = get(f'{url}carried')['ways']
    counts, seconds = found['near'], found['seconds']
    packets = max(1, counts.get('packets', 0) + counts.get('lost', 0))
    return Trial(
        delay,
        loss,
        jitter,
        buffer,
        found['sound'],
        [late - delay - jitter / 2 for late in found['face']],
        len(places(utterances)),
        100 * counts.get('lost', 0) / packets,
        counts.get('concealed ms', 0.0) / (20 * packets) * 100,
        there[1] * 8e-3 / seconds,
        back[1] * 8e-3 / seconds,
        found['pictures'],
    )


def calls_table(done: Sequence[Trial]) -> Table:
    """Latency, loss, concealment, bandwidth of every call."""
    grid = Table(
        *('delay', 'loss', 'network jitter', 'jitter_ms', 'mouth to face p50', 'max'),
        *('found again', 'lost', 'concealed', 'in', 'out', 'pictures/s'),
    )
    for one in done:
        p50, most = (np.median(one.face), max(one.face)) if one.face else (np.nan, np.nan)
        grid.add_row(
            f'{one.delay:g} ms',
            f'{one.loss:g} %',
            f'0 .. {one.jitter:g} ms',
            f'{one.buffer:g}',
            f'{p50:.0f} ms',
            f'{most:.0f} ms',
            f'{len(one.sound)} of {one.parts}',
            f'{one.lost:.1f} %',
            f'{one.concealed:.1f} %',
            f'{one.up:.0f} kbit/s',
            f'{one.down:.0f} kbit/s',
            f'{one.pictures:.1f}',
        )
    return grid


def delays_table(done: Sequence[jitter_delays.Outcome]) -> Table:
    """Share concealed by delay and network."""
    names = list(jitter_delays.NETWORKS)
    grid = Table('jitter_ms', *(f'{name}: concealed' for name in names))
    for delay in jitter_delays.DELAYS:
        here = {one.network: one for one in done if one.delay == delay}
        grid.add_row(f'{delay}', *(f'{here[name].concealed:.2f} %' for name in names))
    return grid


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables; 2 and one line for what cannot be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--utterances', type=int, default=4, help='in each call')
    parser.add_argument('--calls', type=int, help='only so many of the networks')
    parser.add_argument('--offline', action='store_true', help='the jitter buffer alone')
    parser.add_argument('--json', action='store_true', help='print JSON instead of tables')
    given = parser.parse_args(argv)
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 100)
    delays, (before, after, stall) = jitter_delays.measure(), jitter_delays.theirs()
    calls: list[Trial] = []
    try:
        if not given.offline:
            chosen = GRID[: given.calls]
            shown = Console(stderr=True)
            calls += track(trials(chosen, given.utterances), 'calls', len(chosen), console=shown)
    except (RuntimeError, ValueError, OSError) as error:
        print(f'telepresence: {error}', file=sys.stderr)
        return 2
    if given.json:
        aiortc = {'before_ms': before, 'after_ms': after, 'stall_ms': stall}
        figures: dict[str, Sequence[Any]] = {'calls': calls, 'delays': delays}
        told = {name: [asdict(one) for one in each] for name, each in figures.items()}
        print(json.dumps({**told, 'aiortc': aiortc}))
        return 0
    console = Console(width=200)
    console.print(delays_table(delays))
    console.print(
        f"aiortc's own buffer: {before:.0f} ms; from the first loss on {after:.0f} ms, "
        f'after a stall of {stall:.0f} ms'
    )
    if calls:
        console.print(calls_table(calls))
    return 0


if __name__ == '__main__':
    sys.exit(main())
