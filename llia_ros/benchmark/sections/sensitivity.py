"""Which part of the model bears fewer bits: one part at a time, the others in f32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from llia_ros.benchmark.child import call
from llia_ros.benchmark.document import Page
from llia_ros.benchmark.folders import exported
from llia_ros.benchmark.mixed import PARTS, Mixed
from llia_ros.benchmark.probe import Probe, in_turns, psnr
from llia_ros.benchmark.setting import Setting
from llia_ros.benchmark.subject import Subject
from llia_ros.runtime.backends import Backend
from llia_ros.runtime.backends.openvino import openvino_backend

TITLE = 'Sensitivity of the parts'
FRAMES = 8
CLIPS = 4
TURNS = 5
# Column, folder, arithmetic.
KINDS = (
    ('bf16', 'f16', 'bf16'),
    ('weights of 8 bits', 'own', 'f32'),
    ('weights and activations of 8 bits', 'int8', 'f32'),
)


def compared(setting: dict[str, Any], folders: dict[str, str]) -> dict[str, Any]:
    """Return per part and kind the pictures' dB against f32, and how fast the part is then."""
    whole = openvino_backend(Path(folders['f16']), precision='f32')
    subject = Subject(Setting(**setting), whole)
    steps = subject.setting.steps or subject.config.steps
    kinds = {name: openvino_backend(Path(folders[f]), precision=p) for name, f, p in KINDS}
    mood = np.eye(8, dtype=np.float32)[1]

    def drawn(backend: Backend) -> np.ndarray:
        """Return pictures of a smiling face, for which every part is used."""
        probe = Probe(backend, subject.portrait, steps, FRAMES)
        smiling = backend.animate(backend.encode(subject.portrait), mood)
        probe.reference = backend.reference(smiling)
        return probe.pictures(CLIPS)

    truth = drawn(whole)
    error = {
        part: {kind: psnr(drawn(Mixed(whole, **{part: b})), truth) for kind, b in kinds.items()}
        for part in PARTS
    }
    error['all'] = {kind: psnr(drawn(other), truth) for kind, other in kinds.items()}
    backends = {'f32': whole, **kinds}
    probes = {n: Probe(b, subject.portrait, steps, FRAMES) for n, b in backends.items()}
    latent = whole.encode(subject.portrait)
    calls = {
        'denoiser': lambda name: probes[name].denoise,
        'decoder': lambda name: probes[name].decode,
        'encoder': lambda name: lambda: backends[name].encode(subject.portrait),
        'animator': lambda name: lambda: backends[name].animate(latent, mood),
    }
    speed = {}
    for part, make in calls.items():
        taken = in_turns({name: make(name) for name in backends}, TURNS)
        frames = FRAMES if part in ('denoiser', 'decoder') else 1
        speed[part] = {n: 1000 * float(np.median(t)) / frames for n, t in taken.items()}
    return {'error': error, 'ms': speed}


def measure(sweep: Any) -> dict[str, Any]:
    """Return errors and times; the other folders are exported first."""
    setting, scratch = sweep.setting.as_dict(), str(sweep.scratch)
    folders = {'own': str(sweep.folder)}
    for precision in ('f16', 'int8'):
        folders[precision] = call(exported, setting, scratch, precision)
    return call(compared, setting, folders)


def write(figures: dict[str, Any], page: Page, machine: dict[str, Any]) -> None:
    """Write errors, then times."""
    kinds = [name for name, _, _ in KINDS]
    page.say(
        'Pictures of a smiling, speaking face with one part in fewer bits, the others in f32, '
        'against all of it in f32, dB (40 dB: off by 1 % of the range):'
    )
    page.table(
        ['part', *kinds],
        [[part, *(row[kind] for kind in kinds)] for part, row in figures['error'].items()],
    )
    page.say('What it gains, ms (denoiser and decoder: a frame; the others: once a portrait):')
    page.table(
        ['part', 'f32', *kinds],
        [[part, *(row[kind] for kind in ('f32', *kinds))] for part, row in figures['ms'].items()],
    )
    worst = min(
        figures['error'], key=lambda p: figures['error'][p][kinds[-1]] if p != 'all' else 1e3
    )
    page.say(
        'Weights are quantized per output channel, activations per tensor. Encoder and animator '
        'run once a portrait, so their activations stay as they are: fewer bits could cost '
        f'identity and gain no frame. Most sensitive to activations of 8 bits: the {worst}. The '
        'bound of these figures is arithmetic in the decoder, and many small layers elsewhere.'
    )
