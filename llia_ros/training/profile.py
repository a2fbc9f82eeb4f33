"""Where a training step spends its time, and frames a second: python -m llia_ros.training.profile.

Variants run in turns within one process, so that a noisy machine is fair to all of them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile, record_function

from llia_ros.model import attention
from llia_ros.model.config import tiny
from llia_ros.model.face import FaceModel
from llia_ros.training.clip_inputs import ClipInputs, disturbed, level
from llia_ros.training.dataset import Clips, ClipSampler
from llia_ros.training.muon import Muon, split
from llia_ros.training.run import device, half_precision
from llia_ros.training.teacher import FRAMES_A_STEP, clip_noise, random_angles

KINDS = {
    'convolutions': ('convolution', 'mkldnn_conv', 'cudnn'),
    'matrix products': ('mm', 'linear', 'bmm', 'matmul'),
    'attention': ('softmax', 'scaled_dot', 'flash'),
    'norms': ('norm',),
}


class Step:
    """One model and its optimizer; call it to train one step on a batch."""

    def __init__(self, adamw: bool = False, compiled: bool = False):
        self.model = FaceModel(tiny()).to(device())
        self.optimizer: torch.optim.Optimizer = (
            torch.optim.AdamW(self.model.parameters(), lr=1e-4)
            if adamw
            else Muon(split(self.model), lr=1e-4)
        )
        if compiled:
            # Every block of the UNet has shapes of its own: the default would give up after eight.
            torch._dynamo.config.cache_size_limit = 64
            self.model.denoiser.compile(dynamic=False)
            self.model.reference_net.compile(dynamic=False)

    def __call__(self, clips: Clips, rng: np.random.Generator) -> None:
        noise, where = clip_noise(clips, rng), device()
        with half_precision(where):
            with record_function('part: conditions'):
                inputs = ClipInputs(self.model, disturbed(clips, rng))
            angle = random_angles(rng, inputs.B, inputs.F).to(where)
            cos, sin = level(angle)
            x0 = inputs.diffused(self.model, clips.x0)
            with record_function('part: denoiser'):
                v = inputs.velocity(self.model, cos * x0 + sin * noise, angle)
        with record_function('part: backward'):
            (v - (cos * noise - sin * x0)).square().mean().backward()
        with record_function('part: optimizer'):
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)


def shares(step: Step, clips: Clips, rng: np.random.Generator) -> dict[str, float]:
    """Return the share of a step's time by part, and of its operators' time by kind."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        step(clips, rng)
    parts: dict[str, float] = {}
    kinds: dict[str, float] = defaultdict(float)
    for row in seen.key_averages():
        if row.key.startswith('part: '):
            parts[row.key] = row.cpu_time_total
        else:
            found = (k for k, words in KINDS.items() if any(w in row.key for w in words))
            kinds[next(found, 'the rest')] += row.self_cpu_time_total
    whole, all_kinds = sum(parts.values()), sum(kinds.values())
    return {
        **{key.removeprefix('part: '): value / whole for key, value in parts.items()},
        **{f'operators: {key}': value / all_kinds for key, value in kinds.items()},
    }


def main() -> None:
    """Print the profile of a step, and frames a second of its variants."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument('scenes', type=Path, help='folder of shards')
    ask.add_argument('--steps', type=int, default=5, help='of each variant')
    ask.add_argument('--compile', action='store_true', help='with torch.compile, too')
    args = ask.parse_args()
    rng = np.random.default_rng(0)
    sampler = ClipSampler(tiny(), args.scenes)
    few = attention.FEW_KEYS
    variants = {
        'as trained': (Step(), few),
        'fused attention': (Step(), 0),
        'AdamW': (Step(adamw=True), few),
    }
    if args.compile:
        variants['compiled'] = (Step(compiled=True), few)
    taken: dict[str, list[float]] = defaultdict(list)
    for turn in range(args.steps + 1):
        start = time.perf_counter()
        clips = sampler.clips(FRAMES_A_STEP // 8, 8).to(device())
        if turn:
            taken['drawing a batch'].append(time.perf_counter() - start)
        for name, (step, keys) in variants.items():
            attention.FEW_KEYS = keys
            start = time.perf_counter()
            step(clips, rng)
            if turn:
                taken[name].append(time.perf_counter() - start)
    attention.FEW_KEYS = few
    for name, seconds in taken.items():
        middle = statistics.median(seconds)
        print(f'{name}: {middle:.3f} s a step, {FRAMES_A_STEP / middle:.0f} frames a second')
    for name, share in shares(variants['as trained'][0], clips, rng).items():
        print(f'{name}: {share:.0%}')


if __name__ == '__main__':
    main()
