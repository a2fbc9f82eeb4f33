"""A picture sheet of what a model draws: unseen faces, truth above, samples below."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from llia_ros.model.codec import Codec, to_pixels
from llia_ros.model.config import ModelConfig
from llia_ros.model.face import FaceModel
from llia_ros.model.schedule import sample
from llia_ros.training.clip_inputs import ClipInputs
from llia_ros.training.dataset import Clips, draw_scene, encode
from llia_ros.training.scenes import Voices, make_scene

FRAMES, SHOWN = 8, 2
SMALL = 192


@torch.no_grad()
def draw_clips(
    model: FaceModel, clips: Clips, noise_NCHW: torch.Tensor, steps: int, still: bool = False
) -> torch.Tensor:
    """Return latents (B, F, C, h, w) that the model draws for clips, led by their motion."""
    inputs = ClipInputs(model, clips, still)

    def predict(x: torch.Tensor, angle: float) -> torch.Tensor:
        return inputs.velocity(model, x, torch.full((len(x),), angle))

    return inputs.latents(model, sample(predict, noise_NCHW, steps))


class Sheet:
    """Scenes that no training sees, and the codec that shows what a model makes of them."""

    def __init__(self, cfg: ModelConfig, codec: Codec, scenes: int = 5, seed: int = 99):
        self.cfg, self.codec = cfg, codec.eval()
        rng = np.random.default_rng(seed)
        voices, truth = Voices(rng, unseen=True), []
        rows: list[tuple[torch.Tensor, ...]] = []
        P = cfg.past_frames
        while len(rows) < scenes:
            scene = make_scene(rng, voices, 32)
            loud = int(scene.mouth[P:-FRAMES, 0].argmax()) + P
            if scene.mouth[loud, 0] < 0.4 and len(rows) < scenes - 1:
                continue
            portrait, frames, _ = draw_scene(scene, cfg.codec.size, np.arange(32))
            latents = torch.from_numpy(
                encode(codec.encoder, np.concatenate([portrait[None], frames]))
            ).float()
            k = max(P, min(loud - FRAMES // 2, 32 - FRAMES))
            cut = slice(k, k + FRAMES)
            rows.append(
                (
                    latents[1:][cut],
                    latents[1:][k - P : k],
                    latents[:1],
                    torch.from_numpy(scene.mel(cfg.audio)[cut]),
                    torch.from_numpy(scene.motion[cut]),
                    torch.from_numpy(scene.mouth[cut]),
                    torch.from_numpy(scene.states[cut]),
                )
            )
            truth.append(frames[cut])
        x0, past, reference, mel, motion, mouth, states = (torch.stack(v) for v in zip(*rows))
        weight, led = torch.ones(scenes, FRAMES, 1, 1, 1), torch.ones(scenes, 1)
        self.clips = Clips(x0, past, reference, weight, mel, motion, mouth, states, led)
        self.truth = np.stack(truth)
        generator = torch.Generator().manual_seed(seed)
        self.noise = torch.randn(cfg.latent_shape, generator=generator).expand(
            scenes * FRAMES, -1, -1, -1
        )

    @torch.no_grad()
    def error(self, model: FaceModel, steps: int = 1) -> float:
        """Return the share of what differs from the portraits that the model does not find."""
        drawn = draw_clips(model.eval(), self.clips, self.noise, steps)
        missed = (drawn - self.clips.x0).square().sum()
        return float(missed / (self.clips.x0 - self.clips.portrait).square().sum())

    @torch.no_grad()
    def draw(
        self, path: Path, model: FaceModel, steps: tuple[int, ...], still: bool = False
    ) -> None:
        """Write a sheet: truth, then one row for each number of steps."""
        shown = np.linspace(0, FRAMES - 1, SHOWN).astype(int)
        rows = [self.truth[:, shown]]
        for count in steps:
            latents = draw_clips(model.eval(), self.clips, self.noise, count, still)[:, shown]
            pictures = to_pixels(self.codec.decoder(latents.flatten(0, 1)))
            rows.append(pictures.unflatten(0, (-1, SHOWN)).numpy())
        sheet = np.concatenate(
            [
                np.concatenate(
                    [
                        cv2.resize(p, (SMALL, SMALL), interpolation=cv2.INTER_AREA)
                        for p in row.reshape(-1, *row.shape[2:])
                    ],
                    axis=1,
                )
                for row in rows
            ]
        )
        cv2.imwrite(str(path), sheet[..., ::-1])
