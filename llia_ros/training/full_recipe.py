"""Distillation of public full-scale weights to few steps and no guidance: `llia train distil`.

Written for one GPU of 80 GB at 512x512. In single precision, computed in bfloat16: the teacher's
denoiser, the student, the target that follows it and its average take 5.2 GB each, gradients as
much, everything that the four share 3.6 GB: 30 GB. Adafactor's state is some megabytes. With
activations computed again for the gradient, a step of 12 frames keeps those of one block at a
time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from llia_ros.model.folder import is_full_scale
from llia_ros.model.full_weights import load_any, save_full_face
from llia_ros.model.sd15 import PRESETS
from llia_ros.training import distil, videos
from llia_ros.training.run import run_stages

SETUP = distil.Setup(
    part='networks.denoiser', frames=12, lengths=(4, 8, 12), rate=5e-4, frugal=True
)


class FullRecipe:
    """Stages of a distillation under a folder: `data`, `distil`, `export`.

    `start`: model folder of the teacher. `data`: folder of videos. ValueError where one is needed
    and missing.
    """

    def __init__(
        self,
        preset: str,
        minutes: float,
        out: Path,
        seed: int = 0,
        start: Path | None = None,
        data: Path | None = None,
    ):
        if minutes <= 0:
            raise ValueError(f'a training needs a positive number of minutes, got {minutes}')
        if start is None or not (start / 'model.json').is_file() or not is_full_scale(start):
            raise ValueError(
                'a full-scale model is distilled from public weights: give --start, a folder that '
                '`llia import-weights` wrote'
            )
        self.minutes, self.out, self.seed, self.source = minutes, out, seed, data
        teacher, codec = load_any(start)
        self.teacher: Any = teacher.float()
        self.codec: Any = codec
        wanted = PRESETS[preset]()
        # What the weights were trained as stays; what distillation teaches is the preset's.
        self.cfg = replace(self.teacher.cfg, name=preset, steps=wanted.steps, guidance=1.0)
        self.clips = out / 'clips'
        self.stages: dict[str, Callable[[], None]] = {
            'data': self.make_data,
            'distil': self.distil,
            'export': self.export,
        }

    def run(self, stage: str) -> None:
        """Run one stage, or all of them in order; ValueError for an unknown one."""
        run_stages(self.stages, stage)

    def make_data(self) -> None:
        """Encode the videos."""
        if self.source is None:
            raise ValueError('the stage data needs videos: give --data, a folder of them')
        videos.prepare(self.cfg, self.codec.float(), self.source, self.clips)

    def distil(self) -> None:
        """Teach the student."""
        sampler = videos.VideoSampler(self.cfg, self.clips, self.seed + 1)
        distil.train(
            self.cfg, self.teacher, sampler, self.minutes, self.out, self.seed, setup=SETUP
        )

    def export(self) -> None:
        """Write the model folder `out/PRESET`, in half precision as imported weights are."""
        path = self.out / 'student.pt'
        if not path.exists():
            raise ValueError(f"{path} is missing: run the stage 'distil' first")
        average = torch.load(path, weights_only=True, map_location='cpu')['average']
        student = distil.copied(self.teacher.cpu(), self.cfg, SETUP.part)
        student.get_submodule(SETUP.part).load_state_dict(average)
        student.networks.half()
        save_full_face(self.out / self.cfg.name, student, self.codec)
