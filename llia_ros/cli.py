"""The `llia` command: demo, render, portrait, bench, evaluate, train, and what moves weights."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from llia_ros import import_command
from llia_ros.benchmark.command import DESCRIPTION, add_options

# Precisions of each format, its default first.
FORMATS = {
    'openvino': ('int8-weights', 'f32', 'f16', 'int8'),
    'onnx': ('f16', 'f32', 'int8'),
}


def parse_expression(text: str) -> tuple[str, float]:
    """Return name and intensity of `happy` or `happy:0.6`; ValueError for anything else."""
    name, _, strength = text.partition(':')
    try:
        intensity = float(strength) if strength else 1.0
    except ValueError:
        raise ValueError(
            f'{text!r} is no expression: write a name, or name:intensity as in happy:0.6'
        ) from None
    return name, intensity


def table(title: str, rows: dict[str, Any]) -> None:
    """Print figures, nested dicts flattened to dotted names."""
    from rich.console import Console
    from rich.table import Table

    def flat(prefix: str, values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        for key, value in values.items():
            if isinstance(value, dict):
                yield from flat(f'{prefix}{key}.', value)
            else:
                yield f'{prefix}{key}', value

    grid = Table('figure', 'value', title=title)
    for key, value in flat('', rows):
        grid.add_row(key, f'{value:.4g}' if isinstance(value, float) else str(value))
    Console().print(grid)


def demo(args: argparse.Namespace, rest: list[str]) -> int:
    """Run the scripted conversation."""
    from llia_ros import demo as scripted

    return scripted.main(rest)


def render(args: argparse.Namespace) -> int:
    """Turn a sound file into a video of a face that says it."""
    import numpy as np
    from rich.progress import Progress

    from llia_ros.audio.files import read
    from llia_ros.display.recorder import Recorder
    from llia_ros.runtime.avatar import Avatar

    speech = read(args.speech)
    expression = parse_expression(args.expression)
    tail = np.zeros(int(args.tail * 16000), np.int16)
    with Avatar.load(
        args.model,
        portrait=args.portrait,
        backend=args.backend,
        paced=False,
        seed=args.seed,
        steps=args.steps,
        force=args.force,
    ) as avatar:
        avatar.set_expression(*expression)
        samples = avatar.config.samples_per_frame
        total = -(-(len(speech) + len(tail)) // samples)
        with Recorder(args.video) as recorder, Progress() as progress:
            recorder.carry(samples)
            bar = progress.add_task(f'render {args.video}', total=total)
            avatar.push_audio(speech)
            avatar.end_of_speech()
            if len(tail):
                avatar.push_audio(tail)
                avatar.end_of_speech()
            avatar.finish()
            for frame in avatar:
                recorder.write(frame.image, frame.audio)
                progress.advance(bar)
    return 0


def portrait(args: argparse.Namespace) -> int:
    """Draw a random face of a family."""
    import cv2
    import numpy as np

    from llia_ros.training.faces import FAMILIES, neutral

    picture = neutral(FAMILIES[args.family](np.random.default_rng(args.seed)), args.size)
    if not cv2.imwrite(str(args.picture), picture[..., ::-1]):
        raise ValueError(f'cannot write {args.picture}: is its folder there?')
    return 0


def evaluate(args: argparse.Namespace) -> int:
    """Measure a model on faces, texts and voices that no training saw."""
    from llia_ros.training.evaluate import evaluate as measure

    figures = measure(
        args.model,
        backend=args.backend,
        seed=args.seed,
        faces=args.faces,
        steps=args.steps,
        judge=args.judge,
        quick=args.quick,
    )
    if args.json:
        print(json.dumps(figures, indent=1))
    else:
        table(f'{args.model}, seed {args.seed}', figures)
    return 0


def train(args: argparse.Namespace) -> int:
    """Train a model, or one stage of it."""
    from llia_ros.model.sd15 import PRESETS

    if args.model in PRESETS:
        from llia_ros.training.full_recipe import FullRecipe

        FullRecipe(args.model, args.minutes, args.out, args.seed, args.start, args.data).run(
            args.stage
        )
        return 0
    from llia_ros.training.recipe import Recipe

    Recipe(args.model, args.minutes, args.out, args.seed, args.start).run(args.stage)
    return 0


def export(args: argparse.Namespace) -> int:
    """Export a model folder's weights as graphs."""
    from llia_ros.runtime.backends import model_folder

    known = FORMATS[args.format]
    precision = args.precision or known[0]
    if precision not in known:
        raise ValueError(
            f'{args.format} has no precision {precision!r}: one of {", ".join(sorted(known))}'
        )
    folder = model_folder(args.folder)
    if args.format == 'onnx':
        return _export_onnx(folder, precision)
    from llia_ros.runtime.export import export_openvino

    paths = export_openvino(folder, half=precision != 'f32')
    if precision == 'int8-weights':
        from llia_ros.runtime.quantize import compress_openvino

        compress_openvino(folder)
    elif precision == 'int8':
        from llia_ros.runtime.quantize import quantize_openvino
        from llia_ros.training.calibrate import draw_scenes

        quantize_openvino(folder, draw_scenes)
    for path in paths:
        print(path)
    return 0


def _export_onnx(folder: Path, precision: str) -> int:
    from llia_ros.runtime.onnx_export import export_onnx

    draw: Any = None
    if precision == 'int8':
        from llia_ros.training.calibrate import draw_scenes

        draw = draw_scenes
    for exported in export_onnx(folder, precision, draw):
        print(f'{exported.path}  relative error {exported.error:.1e}', flush=True)
    return 0


def devices(args: argparse.Namespace) -> int:
    """List sound devices."""
    from dataclasses import asdict

    from llia_ros.audio.devices import devices as present

    found = [asdict(device) for device in present()]
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        table('sound devices', {str(i): str(device) for i, device in enumerate(found)})
    return 0


def bench(args: argparse.Namespace) -> int:
    """Measure speed and latency."""
    from llia_ros.benchmark.command import run

    return run(args)


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    top = argparse.ArgumentParser(prog='llia', description='A living face for robots.')
    commands = top.add_subparsers(dest='command', required=True, metavar='COMMAND')

    def command(name: str, action: Callable[..., int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(action=action)
        return sub

    def model_options(sub: argparse.ArgumentParser) -> None:
        sub.add_argument('--model', default='tiny', help='name of a shipped model, or a folder')
        sub.add_argument(
            '--backend', default='auto', help='auto, openvino, torch, tensorrt or onnx'
        )
        sub.add_argument('--steps', type=int, help="denoising steps (default: the model's)")
        sub.add_argument('--seed', type=int, default=0, help='of noise and motion')

    sub = commands.add_parser(
        'demo',
        add_help=False,
        help='a scripted conversation through all four ROS nodes, with a kiosk page and a video',
    )
    sub.set_defaults(action=demo)

    sub = command('render', render, 'Turn a sound file into a video of a face that says it.')
    sub.add_argument('speech', type=Path, help='wav, flac or ogg, any rate')
    sub.add_argument('video', type=Path, help='mp4 to write')
    sub.add_argument('--portrait', default='robot', help='name of a portrait, or a picture file')
    sub.add_argument(
        '--force', action='store_true', help='take a portrait unlike those the model knows, too'
    )
    sub.add_argument('--expression', default='neutral', help='such as happy or happy:0.6')
    sub.add_argument(
        '--tail',
        type=float,
        default=0.0,
        metavar='SECONDS',
        help='idle for so long after the speech',
    )
    model_options(sub)

    sub = command('portrait', portrait, 'Draw a random face, to be a portrait.')
    sub.add_argument('picture', type=Path, help='png or jpg to write')
    sub.add_argument('--seed', type=int, default=0, help='another face for another number')
    sub.add_argument('--family', choices=('robot', 'cartoon'), default='robot', help='of faces')
    sub.add_argument('--size', type=int, default=512, help='pixels a side')

    sub = command('bench', bench, DESCRIPTION)
    add_options(sub)

    sub = command(
        'evaluate',
        evaluate,
        'Measure lips, silence and codec on faces, texts and voices never trained on.',
    )
    sub.add_argument('--faces', type=int, default=12, help='how many unseen faces speak')
    sub.add_argument(
        '--quick', action='store_true', help='without long runs, steps and precisions compared'
    )
    sub.add_argument('--judge', type=Path, help='weights of the judge (default: the shipped one)')
    sub.add_argument('--json', action='store_true', help='print JSON instead of a table')
    model_options(sub)

    sub = command('train', train, 'Train a model; stages resume where they stopped.')
    sub.add_argument(
        'stage',
        help='all, codec, hearing, visemes, data, pictures, teacher, student, animator, decoder, '
        'judge or export; of a full-scale model all, data, distil or export',
    )
    sub.add_argument('--minutes', type=float, default=120, help='for all stages together')
    sub.add_argument('--out', type=Path, default=Path('out/train'), help='where to keep it')
    sub.add_argument(
        '--start', type=Path, help='model folder to go on from; its codec is kept as it is'
    )
    sub.add_argument('--model', default='tiny', help='preset: tiny, or sd15 to be distilled')
    sub.add_argument('--data', type=Path, help='folder of videos of one face each (full scale)')
    sub.add_argument('--seed', type=int, default=0)

    sub = command('export', export, 'Export a trained model folder as graphs.')
    sub.add_argument('folder', help='with model.json and safetensors, or a shipped model')
    sub.add_argument(
        '--format',
        choices=tuple(FORMATS),
        default='openvino',
        help='openvino: beside the weights; onnx: in FOLDER/onnx/PRECISION, for TensorRT and ONNX '
        'Runtime (default: openvino)',
    )
    sub.add_argument(
        '--precision',
        help='f32, f16 (default of onnx), int8-weights (openvino only, its default) or int8, '
        'which calibrates activations on rendered scenes',
    )

    sub = command('import-weights', import_command.run, import_command.TEXT)
    import_command.add_arguments(sub)

    sub = command('devices', devices, 'List sound devices.')
    sub.add_argument('--json', action='store_true', help='print JSON instead of a table')
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 2 and one clear line for bad input."""
    args, rest = parser().parse_known_args(argv)
    try:
        if args.command == 'demo':
            return demo(args, rest)
        if rest:
            parser().error(f'unknown arguments: {" ".join(rest)}')
        return args.action(args)
    except (ValueError, OSError) as error:
        print(f'llia: {error}', file=sys.stderr)
        return 2
    except ImportError as error:
        print(
            f"llia: {error}; install the extra that brings it, e.g. pip install 'llia_ros[train]'",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == '__main__':
    sys.exit(main())
