"""Does the robot's own voice interrupt it, does a user: `python -m llia_ros.benchmark.barge_in`.

Offline, on recordings of a synthetic room: no node runs and no time passes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from llia_ros.audio.echo import make_echo
from llia_ros.audio.voice_activity import VoiceActivity
from llia_ros.benchmark import voice_delay
from llia_ros.benchmark.room import beginnings, echo_of, microphone

LEVELS = (-6.0, -12.0, -20.0)  # dB, of the robot's voice at the microphone
DELAYS = (0.02, 0.05, 0.1, 0.15, 0.2)  # s, from loudspeaker to microphone
ABOVE = (0.0, 5.0, 10.0)  # dB, of the user above the echo
TALKS_OVER_AT = 6.0
ROBOT_SECONDS = 9.0
# Somebody who is heard that late interrupts nothing any more.
IN_TIME = 2.0


@dataclass(frozen=True)
class Trial:
    """One recording: `above` None for the robot alone; `late` s to being heard, None: never."""

    level: float
    delay: float
    above: float | None
    early: bool
    late: float | None


def loudness(samples: np.ndarray) -> float:
    """RMS of what is not silence."""
    loud = samples[np.abs(samples) > 50]
    return float(np.sqrt(np.mean(loud.astype(float) ** 2))) if len(loud) else 0.0


def trials(mode: str, rooms: int, seed: int = 0, margin: float = 5.0) -> list[Trial]:
    """Every level and delay in `rooms` rooms, with voices of their own, without and with a user.

    `mode` as the parameter `echo`, `margin` dB as `echo_margin`. ValueError where a mode's
    package or espeak-ng is missing.
    """
    make_echo(mode, margin)
    done = []
    places = [(level, delay) for level in LEVELS for delay in DELAYS for _ in range(rooms)]
    shown = track(places, f'echo: {mode}', console=Console(stderr=True))
    for number, (level, delay) in enumerate(shown):
        rng = np.random.default_rng((seed, number))
        robot = voice_delay.long_speech(rng, ROBOT_SECONDS)
        echo = echo_of(robot, delay, level, number)
        user = voice_delay.utterance(rng).samples
        above = ABOVE[number % len(ABOVE)]
        user = user * (loudness(echo) * 10 ** (above / 20) / max(1.0, loudness(user)))
        for voice, told in ((None, None), (user, above)):
            heard = microphone(echo, voice, TALKS_OVER_AT, number)
            found = beginnings(make_echo(mode, margin), heard, robot)
            known = [one.known for one in found]
            early = [moment for moment in known if voice is None or moment < TALKS_OVER_AT]
            late = [moment - TALKS_OVER_AT for moment in known if moment >= TALKS_OVER_AT]
            heard_after = late[0] if voice is not None and late and late[0] <= IN_TIME else None
            done.append(Trial(level, delay, told, bool(early), heard_after))
    return done


def by_place(done: Sequence[Trial]) -> Table:
    """False interruptions and users heard, by level and delay; the last row is all of them."""
    grid = Table('level', 'delay', 'alone: interrupts', 'user heard', 'after p50', 'p95')
    cells: list[tuple[float | None, float | None]]
    cells = [(level, delay) for level in LEVELS for delay in DELAYS]
    for level, delay in [*cells, (None, None)]:
        here = [t for t in done if level is None or (t.level, t.delay) == (level, delay)]
        name = ('all', '') if level is None else (f'{level:g} dB', f'{1000 * (delay or 0):g} ms')
        grid.add_row(*name, *_row(here))
    for above in ABOVE:
        here = [trial for trial in done if trial.above == above]
        grid.add_row(f'user {above:+g} dB', '', *_row(here))
    return grid


def _row(here: Sequence[Trial]) -> tuple[str, ...]:
    alone = [trial for trial in here if trial.above is None]
    users = [trial for trial in here if trial.above is not None]
    late = [1000 * trial.late for trial in users if trial.late is not None]
    p50, p95 = np.percentile(late, (50, 95)) if late else (np.nan, np.nan)
    early = sum(trial.early for trial in alone)
    return (
        f'{early} of {len(alone)}' if alone else '',
        f'{len(late)} of {len(users)}',
        f'{p50:.0f} ms',
        f'{p95:.0f} ms',
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print both tables; 2 and one line for what cannot be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--echo', nargs='*', default=['mask', 'aec'], metavar='MODE')
    parser.add_argument('--rooms', type=int, default=7, help='for each level and delay')
    parser.add_argument('--voices', type=int, default=150, help='for the delays by voice')
    parser.add_argument('--noises', type=int, default=400, help='of 5 s, for false alarms')
    parser.add_argument('--margin', type=float, default=5.0, help='of the mask, dB')
    parser.add_argument('--attack', type=float, help='of the voice activity, s, for the delays')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--json', action='store_true', help='print JSON instead of tables')
    given = parser.parse_args(argv)
    try:
        attack = {} if given.attack is None else {'attack': given.attack}
        delays = voice_delay.measure(
            given.voices, given.noises, given.seed, lambda: VoiceActivity(**attack)
        )
        rooms = {mode: trials(mode, given.rooms, given.seed, given.margin) for mode in given.echo}
    except ValueError as error:
        print(f'barge_in: {error}', file=sys.stderr)
        return 2
    if given.json:
        figures = {mode: [asdict(trial) for trial in done] for mode, done in rooms.items()}
        print(json.dumps({'voice_delay': asdict(delays), 'echo': figures}))
        return 0
    console = Console()
    console.print(voice_delay.table(delays))
    for mode, done in rooms.items():
        grid = by_place(done)
        grid.title = f'echo: {mode}'
        console.print(grid)
    return 0


if __name__ == '__main__':
    sys.exit(main())
