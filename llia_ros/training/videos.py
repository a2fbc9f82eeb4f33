"""Videos of talking people as latents and sound on disk, drawn as clips for the full scale.

Each video shows one face, filmed without cuts. It is found in the first picture; all are cut as
that one, so that heads move as they did.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import torch
from rich.progress import track

from llia_ros.model.autoencoder import Autoencoder
from llia_ros.model.codec import to_unit
from llia_ros.model.config import MOTION, MOUTH, STATES
from llia_ros.model.full_face import box_mask
from llia_ros.model.sd15 import FullScaleConfig
from llia_ros.runtime.ears import ears
from llia_ros.runtime.photo import cut, place
from llia_ros.training.dataset import Clips
from llia_ros.training.run import device, half_precision

KINDS = ('.mp4', '.mkv', '.mov', '.webm', '.avi')
ENCODED = 8  # pictures at once
FACE_WEIGHT = 3.0
# A frame speaks if a sample as loud as this lies in it or in the frames around it.
QUIET, HANG = 300, 10


def read_pictures(path: Path, period: float) -> Iterator[np.ndarray]:
    """Yield the picture seen at 0, `period`, 2 * `period`, ... seconds, uint8 (H, W, 3) RGB."""
    with av.open(str(path)) as container:
        last: np.ndarray | None = None
        start: float | None = None
        due = now = 0.0
        for frame in container.decode(video=0):
            start = frame.time if start is None else start
            now = frame.time - start
            while last is not None and due < now:
                yield last
                due += period
            last = frame.to_ndarray(format='rgb24')
        if last is not None and due <= now:
            yield last


def read_sound(path: Path, rate: int) -> np.ndarray:
    """Return the sound of a video, int16 (n,); ValueError where it has none."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            raise ValueError(f'{path} has no sound: give videos of people who speak')
        resampler = av.AudioResampler('s16', 'mono', rate)
        parts = [
            part.to_ndarray().reshape(-1)
            for frame in container.decode(audio=0)
            for part in resampler.resample(frame)
        ]
        parts += [part.to_ndarray().reshape(-1) for part in resampler.resample(None)]
    return np.concatenate(parts)


@torch.no_grad()
def encode_video(cfg: FullScaleConfig, codec: Autoencoder, path: Path) -> dict[str, np.ndarray]:
    """Return latents (T, C, h, w) and sound of a video.

    ValueError for one that cannot be read, has no sound or does not begin with one face.
    """
    where = next(codec.parameters()).device
    latents: list[np.ndarray] = []
    batch: list[np.ndarray] = []

    def encode() -> None:
        image = to_unit(torch.from_numpy(np.stack(batch)).to(where))
        with half_precision(where):
            latents.append(codec.encoder(image).float().cpu().numpy().astype(np.float16))
        batch.clear()

    square = None
    try:
        sound = read_sound(path, cfg.audio.rate)
        for picture in read_pictures(path, cfg.samples_per_frame / cfg.audio.rate):
            square = square or place(picture, cfg.face, str(path))
            batch.append(cut(picture, square, cfg.size))
            if len(batch) == ENCODED:
                encode()
    except av.error.FFmpegError as error:
        raise ValueError(f'cannot read the video {path}: {error}') from error
    if batch:
        encode()
    if not latents:
        raise ValueError(f'{path} holds no pictures')
    return {'latents': np.concatenate(latents), 'sound': sound}


def prepare(cfg: FullScaleConfig, codec: Autoencoder, source: Path, folder: Path) -> None:
    """Write one file of latents and sound for each video under `source`; those there are kept."""
    videos = sorted(path for path in source.rglob('*') if path.suffix.lower() in KINDS)
    if not videos:
        raise ValueError(f'no videos in {source}: {", ".join(KINDS)} of one face each are taken')
    folder.mkdir(parents=True, exist_ok=True)
    codec = codec.to(device())
    for video in track(videos, 'videos'):
        path = folder / f'{video.relative_to(source)}.npz'.replace(os.sep, '-')
        if not path.exists():
            temporary = path.with_suffix('.tmp')
            with open(temporary, 'wb') as file:
                np.savez(file, **encode_video(cfg, codec, video))
            os.replace(temporary, path)


class VideoSampler:
    """Draws clips from what `prepare` wrote."""

    def __init__(self, cfg: FullScaleConfig, folder: Path, seed: int = 0):
        self.cfg = cfg
        self.rng = np.random.default_rng(seed)
        self.videos: list[tuple[np.ndarray, np.ndarray]] = []
        for path in sorted(folder.glob('*.npz')):
            with np.load(path) as stored:
                self.videos.append((stored['latents'], stored['sound']))
        if not self.videos:
            raise ValueError(f'no prepared videos in {folder}: run the stage data first')
        side = cfg.latent_shape[1]
        self.weight = 1 + (FACE_WEIGHT - 1) * box_mask(cfg.face, side)

    def clips(self, count: int, frames: int, start_share: float = 0.3) -> Clips:
        """Return `count` clips; `start_share` of them have the portrait as their past frames.

        ValueError where every video is too short.
        """
        cfg, rng = self.cfg, self.rng
        long = [v for v in self.videos if len(v[0]) >= frames + cfg.past_frames]
        if not long:
            raise ValueError(f'no video has {frames + cfg.past_frames} frames: give longer ones')
        rows = [
            self._row(*long[rng.integers(len(long))], frames, start_share) for _ in range(count)
        ]
        x0, past, portrait, heard, states = (
            torch.from_numpy(np.stack(values)) for values in zip(*rows)
        )
        B, F = count, frames
        return Clips(
            x0.float(),
            past.float(),
            portrait.float(),
            self.weight.expand(B, F, 1, -1, -1),
            heard,
            torch.zeros(B, F, len(MOTION)),
            torch.zeros(B, F, len(MOUTH)),
            states,
            torch.zeros(B, 1),
        )

    def _row(
        self, latents: np.ndarray, sound: np.ndarray, frames: int, start_share: float
    ) -> tuple[np.ndarray, ...]:
        cfg, rng = self.cfg, self.rng
        P, frame = cfg.past_frames, cfg.samples_per_frame
        k = int(rng.integers(P, len(latents) - frames + 1))

        def samples(start: int, stop: int) -> np.ndarray:
            out = np.zeros(stop - start, np.int16)
            low, high = max(0, start), min(len(sound), stop)
            if low < high:
                out[low - start : high - start] = sound[low:high]
            return out

        portrait = latents[rng.integers(len(latents))][None]
        fresh = rng.random() < start_share
        past = np.repeat(portrait, P, axis=0) if fresh else latents[k - P : k]
        around = samples((k - HANG) * frame, (k + frames + HANG) * frame).reshape(-1, frame)
        loud = (np.abs(around.astype(np.int32)) > QUIET).any(axis=1)
        states = [
            STATES.index('speaking' if loud[at : at + 2 * HANG + 1].any() else 'idle')
            for at in range(frames)
        ]
        heard = ears(cfg, samples).hear(k, frames)
        return latents[k : k + frames], past, portrait, heard, np.array(states)
