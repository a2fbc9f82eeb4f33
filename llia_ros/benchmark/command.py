"""The command `llia bench`: its options, its table, its JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from llia_ros.benchmark import full_scale
from llia_ros.benchmark.setting import PRECISIONS, SIZES, Setting

DESCRIPTION = (
    'Measure the real engine on this machine: how many frames a second it draws, and how late '
    'pictures are in a live stream whose sound arrives at the pace of real time.'
)
EPILOG = (
    'Figures are medians of the repeats, which run through five phases of --seconds each: as '
    'fast as possible, then at 25 frames a second speaking, taking turns, listening, idle. '
    'first_clip_ms: from the last sample that the first clip of an utterance needs to its '
    'pictures. latency_ms: from the last sample that a frame needs to its picture going out; '
    'own_latency_ms: without waiting for the sound of the rest of its clip. A late frame is one '
    'whose place the picture before took. Live pictures are encoded as jpeg, as the node does; '
    'that is a stage and part of the CPU time. Sizes: a model draws one size only (tiny: 512); '
    'a smaller --size makes finished pictures smaller, at a small cost of its own, and no faster.'
)


def add_options(sub: argparse.ArgumentParser) -> None:
    """Give the command its options."""
    sub.epilog = EPILOG
    own = Setting()
    sub.add_argument('--model', default=own.model, help='name of a shipped model, or a folder')
    sub.add_argument('--backend', default=own.backend, help='auto, openvino or torch')
    sub.add_argument(
        '--precision',
        default=own.precision,
        help=f'of the arithmetic, {", ".join(PRECISIONS)} (default: auto, the best there is)',
    )
    sub.add_argument(
        '--size',
        type=int,
        default=own.size,
        help=f"{', '.join(map(str, SIZES))} pixels a side; pictures are drawn at the model's "
        'size, then made smaller (default: 512)',
    )
    sub.add_argument('--steps', type=int, help="denoising steps (default: the model's)")
    sub.add_argument(
        '--clip', type=int, metavar='FRAMES', help='all clips so long (default: they grow)'
    )
    sub.add_argument('--portrait', default=own.portrait, help='name of a portrait, or a picture')
    sub.add_argument(
        '--seconds', type=float, default=own.seconds, help='of each phase (default: 10)'
    )
    sub.add_argument('--repeats', type=int, default=own.repeats, help='of everything (default: 3)')
    sub.add_argument(
        '--soak',
        type=float,
        metavar='MINUTES',
        help='instead: a stream of so many minutes of mixed states, as fast as it can be drawn',
    )
    sub.add_argument(
        '--sweep',
        type=Path,
        metavar='DIR',
        help='instead: measure everything and write DIR/benchmarks.md with plots (25 minutes)',
    )
    sub.add_argument(
        '--only', metavar='NAME', help='with --sweep: that section, the others stay as they are'
    )
    sub.add_argument(
        '--once',
        action='store_true',
        help='with a full-scale --model (sd15, echomimic, hallo): two clips, with random weights, '
        'on which speed does not depend',
    )
    sub.add_argument(
        '--decoder', choices=('kl', 'tiny'), default='kl', help='with --once: of pictures'
    )
    sub.add_argument(
        '--run',
        choices=tuple(full_scale.RUNS),
        default='eager',
        help='with --once: networks by torch itself, as CUDA graphs or compiled',
    )
    sub.add_argument(
        '--widths',
        type=int,
        nargs=4,
        metavar='CHANNELS',
        help='with --once: a narrower model, to try the command out',
    )
    sub.add_argument('--json', action='store_true', help='print JSON instead of a table')


def setting_of(args: argparse.Namespace) -> Setting:
    """Return what the options ask to measure; ValueError for what cannot be."""
    names = Setting().as_dict()
    return Setting(**{name: getattr(args, name) for name in names})


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    if args.only and not args.sweep:
        raise ValueError('--only is of a sweep: give --sweep DIR, too')
    setting = setting_of(args)
    if args.sweep:
        from llia_ros.benchmark.sweep import sweep

        return sweep(setting, args.sweep, args.only, args.soak)
    if args.once or full_scale.is_preset(setting.model):
        return _once(setting, args)
    figures = _measured(setting, args.soak)
    if args.json:
        print(json.dumps(figures, indent=1))
    elif args.soak is not None:
        from llia_ros.benchmark.report import soak_report

        soak_report(figures)
    else:
        from llia_ros.benchmark.report import report

        report(figures)
    return 0


def _once(setting: Setting, args: argparse.Namespace) -> int:
    if not full_scale.is_preset(setting.model):
        raise ValueError(
            f'--once is for a full-scale model given by its name, not {setting.model!r}: '
            f'one of {", ".join(full_scale.PRESETS)}'
        )
    if not args.once:
        raise ValueError(
            f'{setting.model} has no weights here: add --once to draw two clips with random ones'
        )
    widths = args.widths and tuple(args.widths)
    figures = full_scale.once(setting, args.decoder, widths, args.run)
    if args.json:
        print(json.dumps(figures, indent=1))
    else:
        from rich.console import Console
        from rich.table import Table

        grid = Table('figure', 'value', title=f'{setting.model}, two clips')
        for name, value in figures.items():
            grid.add_row(name, f'{value:.4g}' if isinstance(value, float) else str(value))
        Console().print(grid)
    return 0


def _measured(setting: Setting, minutes: float | None) -> dict[str, Any]:
    from rich.console import Console
    from rich.progress import Progress

    from llia_ros.benchmark.measure import measure, parts

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        if minutes is not None:
            from llia_ros.benchmark.soak import soak

            bar = progress.add_task('soak', total=1.0)
            return soak(setting, minutes, lambda share: progress.update(bar, completed=share))
        bar = progress.add_task('bench', total=parts(setting))

        def note(done: str) -> None:
            progress.update(bar, advance=1, description=f'bench, after {done}')

        return measure(setting, note)
