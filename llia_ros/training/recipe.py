"""The whole training, from nothing to a model folder, in stages that share a time budget.

Every stage keeps its checkpoint under `out` and is skipped or resumed when run again.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import cv2
import numpy as np
import torch

from llia_ros.model.codec import Codec
from llia_ros.model.config import PRESETS, ModelConfig, to_dict
from llia_ros.model.face import FaceModel
from llia_ros.model.weights import load_model, save_model
from llia_ros.runtime.family import Family
from llia_ros.training import animator, codec, dataset, distil, hearing, judge, teacher
from llia_ros.training.faces import CHARACTERS, FAMILIES, neutral
from llia_ros.training.pictures import likenesses, pictures
from llia_ros.training.run import run_stages
from llia_ros.training.sheets import Sheet

# Shares of the budget, and how much data a minute of it pays for.
SHARES = {
    'codec': 0.12,
    'hearing': 0.05,
    'visemes': 0.06,
    'data': 0.15,
    'pictures': 0.24,
    'teacher': 0.15,
    'student': 0.09,
    'animator': 0.04,
    'decoder': 0.06,
    'judge': 0.04,
}
PICTURES_A_MINUTE, PORTRAITS_A_MINUTE = 60, 12
SHARDS_A_MINUTE, STILLS_A_MINUTE = 0.25, 1.0
LIKENESSES_A_MINUTE, MOST_LIKENESSES = 100, 5000
UNSEEN = 16  # scenes on which teacher and student are compared


class Recipe:
    """The stages of one training of a preset under a folder, within `minutes` in all.

    With `start`, a model folder, faces go on from its weights and its codec is kept.
    """

    def __init__(
        self, preset: str, minutes: float, out: Path, seed: int = 0, start: Path | None = None
    ):
        if preset not in PRESETS:
            raise ValueError(f'unknown preset {preset!r}: one of {", ".join(PRESETS)}')
        if minutes <= 0:
            raise ValueError(f'a training needs a positive number of minutes, got {minutes}')
        self.cfg: ModelConfig = PRESETS[preset]()
        self.minutes, self.out, self.seed = minutes, out, seed
        self.start = load_model(start) if start else None
        if self.start and to_dict(self.start[0].cfg) != to_dict(self.cfg):
            raise ValueError(f'{start} holds a model of other sizes than {preset!r}')
        self.scenes, self.stills = out / 'scenes', out / 'stills'
        self.stages: dict[str, Callable[[], None]] = {
            'codec': self.train_codec,
            'hearing': self.train_hearing,
            'visemes': self.train_visemes,
            'data': self.make_data,
            'pictures': self.train_pictures,
            'teacher': self.train_teacher,
            'student': self.train_student,
            'animator': self.train_animator,
            'decoder': self.polish_decoder,
            'judge': self.train_judge,
            'export': self.export,
        }

    def run(self, stage: str) -> None:
        """Run one stage, or all of them in order; ValueError for an unknown one."""
        run_stages(self.stages, stage)

    def _minutes(self, stage: str) -> float:
        return SHARES[stage] * self.minutes

    def _pictures(self) -> tuple[np.ndarray, np.ndarray]:
        count = max(96, int(PICTURES_A_MINUTE * self.minutes))
        return pictures(count, self.cfg.codec.size, self.out / 'pictures', self.seed)

    def _average(self, stage: str) -> dict[str, torch.Tensor]:
        path = self.out / f'{stage}.pt'
        if not path.exists() and self.start:
            face, codec = self.start
            kept = {
                'codec': codec,
                'hearing': face.audio_encoder,
                'visemes': face.viseme_predictor,
                'animator': face.animator,
            }
            if stage in kept:
                return kept[stage].state_dict()
        if not path.exists():
            raise ValueError(f'{path} is missing: run the stage {stage!r} first')
        return torch.load(path, weights_only=True, map_location='cpu')['average']

    def codec(self) -> Codec:
        """Return the trained codec, its decoder polished if that stage has run."""
        model = Codec(self.cfg.codec)
        polished = (self.out / 'decoder.pt').exists()
        model.load_state_dict(self._average('decoder' if polished else 'codec'))
        return model.eval()

    def face(self, stage: str) -> FaceModel:
        """Return the teacher or the student."""
        model = FaceModel(self.cfg)
        model.load_state_dict(self._average(stage))
        return model.eval()

    def train_codec(self) -> None:
        """Train encoder and decoder, unless a given model's are kept."""
        if self.start:
            return
        pool, boxes = self._pictures()
        codec.train(self.cfg.codec, pool, boxes, self._minutes('codec'), self.out, self.seed)

    def polish_decoder(self) -> None:
        """Train the decoder on, for latents that stay as they are."""
        start = Codec(self.cfg.codec)
        start.load_state_dict(self._average('codec'))
        pool, boxes = self._pictures()
        codec.train(
            self.cfg.codec, pool, boxes, self._minutes('decoder'), self.out, self.seed, start
        )

    def make_data(self) -> None:
        """Render and encode scenes: whole ones for clips, stills of many more faces."""
        encoder = self.codec().encoder
        shards = max(1, int(SHARDS_A_MINUTE * self.minutes))
        dataset.make_shards(self.cfg, encoder, self.scenes, shards, self.seed + 1)
        shards = max(1, int(STILLS_A_MINUTE * self.minutes))
        dataset.make_shards(self.cfg, encoder, self.stills, shards, self.seed + 2, stills=True)

    def train_hearing(self) -> None:
        """Teach the audio encoder's tokens what mouths make which sounds."""
        encoder = self._first_face().audio_encoder
        minutes = self._minutes('hearing')
        hearing.train_encoder(encoder, self.cfg.audio, minutes, self.out, self.seed)

    def train_visemes(self) -> None:
        """Teach what tells mouths to the denoiser."""
        predictor = self._first_face().viseme_predictor
        minutes = self._minutes('visemes')
        hearing.train_predictor(predictor, self.cfg.audio, minutes, self.out, self.seed)

    def _first_face(self) -> FaceModel:
        """Return what training begins with: a given model's weights, or random ones."""
        torch.manual_seed(self.seed)
        face = deepcopy(self.start[0]) if self.start else FaceModel(self.cfg)
        return face.train().requires_grad_(True)

    def train_pictures(self) -> None:
        """Teach the denoiser to draw single pictures."""
        face = self._first_face()
        face.audio_encoder.load_state_dict(self._average('hearing'))
        face.viseme_predictor.load_state_dict(self._average('visemes'))
        sheet = Sheet(self.cfg, self.codec())
        teacher.train(
            self.cfg,
            self.stills,
            self._minutes('pictures'),
            self.out,
            self.seed,
            sheet,
            start=face,
            still=True,
        )

    def train_teacher(self) -> None:
        """Teach it to draw clips."""
        sheet = Sheet(self.cfg, self.codec())
        teacher.train(
            self.cfg,
            self.scenes,
            self._minutes('teacher'),
            self.out,
            self.seed,
            sheet,
            start=self.face('pictures'),
        )

    def train_student(self) -> None:
        """Distil the teacher to few steps."""
        sheet = Sheet(self.cfg, self.codec())
        distil.train(
            self.cfg,
            self.face('teacher'),
            dataset.ClipSampler(self.cfg, self.scenes, self.seed + 1),
            self._minutes('student'),
            self.out,
            self.seed,
            sheet,
        )

    def train_animator(self) -> None:
        """Train the expression animator."""
        count = max(48, int(PORTRAITS_A_MINUTE * self.minutes))
        pairs = animator.portraits(
            self.cfg, self.codec().encoder, count, self.out / 'portraits.npz', self.seed + 5
        )
        start = self._first_face().animator if self.start else None
        animator.train(self.cfg, *pairs, self._minutes('animator'), self.out, self.seed, start)

    def train_judge(self) -> None:
        """Train the judge that evaluation asks."""
        judge.train(self.out, self._minutes('judge'))

    def best(self) -> str:
        """Return whether teacher or student comes closer to unseen scenes in a single step.

        A student of a short training may be worse than its teacher, which sees most of its clips
        at pure noise, too.
        """
        sheet = Sheet(self.cfg, self.codec(), UNSEEN)
        stages = [stage for stage in ('teacher', 'student') if (self.out / f'{stage}.pt').exists()]
        if not stages:
            raise ValueError(f"{self.out} holds no face: run the stage 'teacher' first")
        return min(stages, key=lambda stage: sheet.error(self.face(stage)))

    def export(self) -> None:
        """Write the model folder `out/PRESET`: weights, portraits, graphs with 8 bit weights."""
        from llia_ros.runtime.export import export_openvino
        from llia_ros.runtime.quantize import compress_openvino

        folder = self.out / self.cfg.name
        stage = self.best()
        face = self.face(stage)
        face.animator.load_state_dict(self._average('animator'))
        (folder / 'portraits').mkdir(parents=True, exist_ok=True)
        for name, look in CHARACTERS.items():
            picture = neutral(look, self.cfg.codec.size)
            cv2.imwrite(str(folder / 'portraits' / f'{name}.png'), picture[..., ::-1])
        faces = int(np.clip(LIKENESSES_A_MINUTE * self.minutes, 300, MOST_LIKENESSES))
        for name, family in FAMILIES.items():
            Family.fit(likenesses(faces, self.seed + 9, family)).save(folder, name)
        notes = {'minutes': self.minutes, 'seed': self.seed, 'stage': stage}
        save_model(folder, face, self.codec(), notes)
        export_openvino(folder)
        compress_openvino(folder)
