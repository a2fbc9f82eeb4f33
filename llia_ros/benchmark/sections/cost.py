"""What a frame costs by counting, against the time that each graph takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from llia_ros.benchmark.child import call
from llia_ros.benchmark.cost import bound, graphs, of_frame
from llia_ros.benchmark.document import Page
from llia_ros.benchmark.probe import Probe, in_turns
from llia_ros.benchmark.setting import Setting
from llia_ros.benchmark.subject import Subject, executed

TITLE = 'Counted cost of a frame'
FRAMES = 8
TURNS = 9


def timed(setting: dict[str, Any]) -> dict[str, Any]:
    """Return ms of a frame by stage, and of what runs once for a portrait."""
    subject = Subject(Setting(**setting))
    backend, steps = subject.backend, subject.setting.steps or subject.config.steps
    probe = Probe(backend, subject.portrait, steps, FRAMES)
    latent = backend.encode(subject.portrait)
    mood = np.eye(8, dtype=np.float32)[1]
    taken = in_turns(
        {
            'denoise': probe.denoise,
            'decode': probe.decode,
            'encode a portrait': lambda: backend.encode(subject.portrait),
            'animate it': lambda: backend.animate(latent, mood),
            'read it (ReferenceNet)': lambda: backend.reference(latent),
        },
        TURNS,
    )
    ms = {name: 1000 * float(np.median(seconds)) for name, seconds in taken.items()}
    return {
        'clip': {name: ms.pop(name) / FRAMES for name in ('denoise', 'decode')},
        'portrait': ms,
        'graphs': graphs(subject.folder, FRAMES, subject.config.past_frames),
        'cost': of_frame(subject.folder, FRAMES, steps, subject.config.past_frames),
        'precision': executed(backend),
        'steps': steps,
    }


def measure(sweep: Any) -> dict[str, Any]:
    """Return counts and times."""
    return call(timed, sweep.setting.as_dict())


def write(figures: dict[str, Any], page: Page, machine: dict[str, Any]) -> None:
    """Write counts beside times."""
    peaks = ', '.join(f'{name} {value:.0f}' for name, value in machine['peaks'].items())
    page.say(
        f'Measured peaks: {peaks} GFLOP/s on matrices of 1024x1024; a copy of 256 MB moves '
        f'{machine["bandwidth"]:.1f} GB/s. Instructions: {", ".join(machine["instructions"])}.'
    )
    page.table(
        ['graph', 'GFLOP', 'weights, MB', 'activations moved, MB at most'],
        [
            [name, counted['gflop'], counted['weights_mb'], counted['traffic_mb']]
            for name, counted in figures['graphs'].items()
        ],
    )
    page.say(
        f'Graphs of a clip are counted a frame, in clips of {FRAMES}; `encoder` and `animator` '
        'run once for a portrait or an expression, and so do the reads of the portrait. `reads` '
        'in each clip is of the past frames, whose latents are never decoded and encoded again.'
    )
    cost, clip = figures['cost'], figures['clip']
    page.table(
        ['stage', 'GFLOP', 'ms', 'GFLOP/s'],
        [[f'{name}, a frame', cost[name], ms, 1000 * cost[name] / ms] for name, ms in clip.items()]
        + [[f'{name}, once', None, ms, None] for name, ms in figures['portrait'].items()],
    )
    saved = figures['portrait']['read it (ReferenceNet)'] / FRAMES
    page.say(
        bound(cost, sum(clip.values()), machine, figures['precision'])
        + f' Reading the portrait anew in each clip would add {saved:.2f} ms a frame.'
    )
