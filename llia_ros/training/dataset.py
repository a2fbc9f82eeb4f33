"""Scenes as latents on disk: rendered, encoded and stored once in shards, then drawn as clips.

Single pictures are drawn from stills, in which a scene has few frames: as many pictures of five
times as many faces, and faces are what a model sees too few of.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from llia_ros.audio.features import log_mel, windows
from llia_ros.model.codec import Encoder, to_unit
from llia_ros.model.config import ModelConfig
from llia_ros.training.faces import REST_MOUTH, eyes_box, mouth_box, render
from llia_ros.training.run import device, half_precision
from llia_ros.training.scenes import LEAD, Scene, Voices, make_scene

SHARD = 32
STILLS = 6  # frames of a scene where single pictures are learnt: few of each face, many faces
MOUTH_WEIGHT, EYES_WEIGHT = 8.0, 4.0


@torch.no_grad()
def encode(encoder: Encoder, frames: np.ndarray) -> np.ndarray:
    """Return latents (N, C, h, w) float16 of pictures (N, S, S, 3)."""
    where = next(encoder.parameters()).device
    out = []
    for batch in np.array_split(frames, max(1, len(frames) // 16)):
        image = to_unit(torch.from_numpy(batch).to(where)).to(memory_format=torch.channels_last)
        with half_precision(where):
            out.append(encoder(image).float().cpu().numpy().astype(np.float16))
    return np.concatenate(out)


def draw_scene(
    scene: Scene, size: int, which: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the portrait (S, S, 3), frames (F, S, S, 3) and boxes (F, 2, 4), `which` (F,)."""
    look, mood = scene.appearance, scene.expression
    portrait = render(look, scene.portrait_motion, REST_MOUTH, mood, size)
    moves = scene.motion[which]
    frames = np.stack(
        [render(look, m, mouth, mood, size) for m, mouth in zip(moves, scene.mouth[which])]
    )
    boxes = np.array(
        [(mouth_box(look, m, mood, size), eyes_box(look, m, mood, size)) for m in moves]
    )
    return portrait, frames, boxes.astype(np.float32) / size


def make_shards(
    cfg: ModelConfig,
    encoder: Encoder,
    folder: Path,
    shards: int,
    seed: int = 1,
    stills: bool = False,
) -> None:
    """Write shards of SHARD scenes under `folder`; those already there are kept.

    `stills`: STILLS frames from anywhere in a scene, which costs a fifth of the whole scene.
    """
    folder.mkdir(parents=True, exist_ok=True)
    encoder = encoder.to(device(), memory_format=torch.channels_last).eval()
    for index in track(range(shards), 'scenes'):
        path = folder / f'{seed}-{index:04d}.npz'
        if path.exists():
            continue
        rng = np.random.default_rng((seed, index))
        voices, rows = Voices(rng), []
        for _ in range(SHARD):
            scene = make_scene(rng, voices)
            length = len(scene.states)
            which = np.sort(rng.choice(length, STILLS if stills else length, replace=False))
            portrait, frames, boxes = draw_scene(scene, cfg.codec.size, which)
            latents = encode(encoder, np.concatenate([portrait[None], frames]))
            rows.append(
                {
                    'portrait': latents[0],
                    'latents': latents[1:],
                    'boxes': boxes,
                    'columns': log_mel(scene.samples).astype(np.float16),
                    'frames': which,
                    'states': scene.states[which],
                    'motion': scene.motion[which],
                    'mouth': scene.mouth[which],
                    'expression': scene.expression,
                }
            )
        temporary = path.with_suffix('.tmp')
        with open(temporary, 'wb') as file:
            np.savez(file, **{key: np.stack([row[key] for row in rows]) for key in rows[0]})
        os.replace(temporary, path)


@dataclass
class Clips:
    """A batch: B clips of F frames, with the past frames before them.

    x0, past, portrait: latents (B, F | P | 1, C, h, w); weight (B, F, 1, h, w); mel, motion,
    mouth, states as in the shards, (B, F, ...); led (B, 1): whether motion leads the clip.
    """

    x0: torch.Tensor
    past: torch.Tensor
    portrait: torch.Tensor
    weight: torch.Tensor
    mel: torch.Tensor
    motion: torch.Tensor
    mouth: torch.Tensor
    states: torch.Tensor
    led: torch.Tensor

    def to(self, where: torch.device) -> Clips:
        """Return the batch on a device."""
        return Clips(*(value.to(where) for value in vars(self).values()))

    def frames(self, which: slice) -> Clips:
        """Return some of the frames, with the same portrait and past frames."""
        cut = {
            key: getattr(self, key)[:, which]
            for key in ('x0', 'weight', 'mel', 'motion', 'mouth', 'states')
        }
        return Clips(past=self.past, portrait=self.portrait, led=self.led, **cut)


def box_weights(boxes_N24: np.ndarray, side: int) -> np.ndarray:
    """Return how much each latent pixel counts, (N, 1, side, side): mouths and eyes more."""
    low, high = np.arange(side) / side, np.arange(1, side + 1) / side
    weight = np.ones((len(boxes_N24), side, side), np.float32)
    for part, value in ((1, EYES_WEIGHT), (0, MOUTH_WEIGHT)):
        x0, y0, x1, y1 = boxes_N24[:, part].T[:, :, None]
        inside = ((low < y1) & (high > y0))[:, :, None] & ((low < x1) & (high > x0))[:, None, :]
        weight[inside] = value
    return weight[:, None]


class ClipSampler:
    """Draws clips from the shards of a folder; shards that appear later are picked up."""

    def __init__(self, cfg: ModelConfig, folder: Path, seed: int = 0):
        self.cfg, self.folder = cfg, folder
        self.rng = np.random.default_rng(seed)
        self.shards: dict[Path, dict[str, np.ndarray]] = {}
        self.names: list[Path] = []
        self.draws = 0

    def refresh(self) -> int:
        """Load shards that are new; returns how many there are."""
        for path in sorted(self.folder.glob('*.npz')):
            if path not in self.shards:
                with np.load(path) as stored:
                    self.shards[path] = {key: stored[key] for key in stored.files}
                self.names.append(path)
        if not self.names:
            raise ValueError(f'no scenes in {self.folder}: run `llia train data` first')
        return len(self.names)

    def clips(
        self, count: int, frames: int, start_share: float = 0.3, scattered: bool = False
    ) -> Clips:
        """Return `count` clips; `start_share` of them have the portrait as their past frames.

        `scattered`: frames from anywhere in a scene or its stills, for single pictures.
        """
        if self.draws % 200 == 0:
            self.refresh()
        self.draws += 1
        rng, past = self.rng, self.cfg.past_frames
        rows: list[dict[str, np.ndarray]] = []
        for _ in range(count):
            shard = self.shards[self.names[rng.integers(len(self.names))]]
            i = rng.integers(len(shard['states']))
            length = shard['states'].shape[1]
            k = int(rng.integers(past, length - frames + 1))
            which = rng.choice(length, frames) if scattered else np.arange(k, k + frames)
            row = {
                key: shard[key][i, which]
                for key in ('latents', 'motion', 'mouth', 'states', 'boxes')
            }
            at = shard['frames'][i]
            heard = windows(shard['columns'][i], LEAD, int(at[-1]) + 1, self.cfg.audio)
            row['mel'] = heard[at[which]]
            row['portrait'] = shard['portrait'][i][None]
            fresh = rng.random() < start_share
            row['past'] = (
                np.repeat(row['portrait'], past, axis=0)
                if fresh
                else shard['latents'][i, k - past : k]
            )
            rows.append(row)

        def stack(key: str) -> torch.Tensor:
            values = torch.from_numpy(np.stack([row[key] for row in rows]))
            return values.float() if values.is_floating_point() else values

        side = self.cfg.latent_shape[1]
        boxes = np.concatenate([row['boxes'] for row in rows])
        weight = torch.from_numpy(box_weights(boxes, side)).unflatten(0, (count, frames))
        return Clips(
            stack('latents'),
            stack('past'),
            stack('portrait'),
            weight,
            stack('mel'),
            stack('motion'),
            stack('mouth'),
            stack('states'),
            torch.ones(count, 1),
        )
