"""`llia import-weights`: public weights to a model folder, or a look at what they hold."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

TEXT = 'Make a model folder of public weights; where to get them is in the README.'


def add_arguments(sub: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    sub.add_argument('kind', choices=('echomimic', 'hallo', 'sd15'), help='whose weights')
    sub.add_argument(
        'source', type=Path, metavar='SRC', help="folder as published; of hallo, or net.pth's path"
    )
    sub.add_argument('--out', type=Path, metavar='DIR', help='model folder to write')
    sub.add_argument(
        '--dry-run', action='store_true', help='check and print what matches, write nothing'
    )
    sub.add_argument(
        '--accelerated', action='store_true', help="EchoMimic's weights for few steps (_acc)"
    )
    sub.add_argument(
        '--ears', type=Path, metavar='FILE', help='its speech encoder, if not in the folder'
    )
    sub.add_argument(
        '--codec', type=Path, metavar='FILE', help='a picture codec, if not that in the folder'
    )
    sub.add_argument('--half', action='store_true', help='write 16 bits a figure, whatever came')
    sub.add_argument('--json', action='store_true', help='print JSON instead of a table')


def run(args: argparse.Namespace) -> int:
    """Import weights; 0, or ValueError in one line."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from llia_ros.cli import table
    from llia_ros.runtime.companions import find_companions
    from llia_ros.runtime.import_weights import examine, write

    if args.out is None and not args.dry_run:
        raise ValueError('give --out DIR to write to, or --dry-run')
    with Progress(
        SpinnerColumn(), TextColumn('{task.description}'), TimeElapsedColumn(), disable=args.json
    ) as bar:
        task = bar.add_task('look', total=None)

        def progress(text: str) -> None:
            bar.update(task, description=text)

        beside = find_companions(args.kind, args.source, args.ears, args.codec)
        found = examine(args.kind, args.source, args.accelerated, progress=progress)
        found = found.beside(beside)
        if not args.dry_run:
            write(found, args.out, args.half, progress)
    summary = found.summary()
    if args.json:
        print(json.dumps(summary, indent=1))
    else:
        table('would be imported' if args.dry_run else f'imported to {args.out}', summary)
    return 0
