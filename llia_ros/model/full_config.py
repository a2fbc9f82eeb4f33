"""Sizes of a full-scale model: what SD 1.5's descendants hear with, see with and are asked for.

Free of torch, as `config` is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from llia_ros.model.config import UNetConfig


@dataclass(frozen=True)
class SpeechConfig:
    """A pretrained speech encoder, and what each frame hears of it.

    A frame hears `samples_before` samples before its first one and `samples_after` from that on:
    nothing else, so that streaming gives what hearing everything at once gives. Of the encoder's
    units (whisper: steps of 20 ms; wav2vec2: frames) it takes those from `units_before` before
    its own to `units_after` after it, its own among the latter. `stride`: samples a unit.
    `positions`: whisper's table; what a window lacks of it is padding, as in training.
    """

    encoder: Literal['whisper', 'wav2vec2'] = 'whisper'
    rate: int = 16000
    samples_before: int = 48000
    samples_after: int = 3200
    stride: int = 320
    units_before: int = 4
    units_after: int = 6
    width: int = 384
    layers: int = 4
    heads: int = 6
    feed_forward: int = 1536
    positions: int = 1500
    conv_width: int = 512

    @property
    def units(self) -> int:
        """Units that a frame takes."""
        return self.units_before + self.units_after

    @property
    def states(self) -> int:
        """Vectors a unit: whisper's embedding counts, wav2vec2's does not."""
        return self.layers + (self.encoder == 'whisper')


@dataclass(frozen=True)
class AutoencoderConfig:
    """A codec of diffusers: `kl` (SD 1.5's own) or `tiny` (TAESD's, a seventeenth of the work).

    Both shrink a picture of `size` pixels by 8 to `latent_channels`; `channels` and `layers` a
    resolution are those of kl, whose latents are multiplied by `scale`.
    """

    kind: Literal['kl', 'tiny'] = 'kl'
    size: int = 512
    latent_channels: int = 4
    channels: tuple[int, ...] = (128, 256, 512, 512)
    layers: int = 2
    scale: float = 0.18215

    @property
    def factor(self) -> int:
        """Pixels a latent pixel."""
        return 2 ** (len(self.channels) - 1)


@dataclass(frozen=True)
class FullConfig:
    """A full-scale model.

    `past`: how it goes on from the frames before a clip. `reads`: the ReferenceNet reads them for
    the motion modules (Hallo, trained so). `frames`: they are the first frames of the clip that
    is denoised, known already, noised as far as the others; any model with motion modules takes
    it so (EchoMimic). `face`: left, top, right and bottom of the face in the picture, fractions:
    portraits are cut so, and the face locator is told so.
    """

    name: str
    denoiser: UNetConfig
    reference: UNetConfig
    audio: SpeechConfig = field(default_factory=SpeechConfig)
    codec: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    fps: int = 24
    past: Literal['reads', 'frames'] = 'frames'
    past_frames: int = 2
    clip_lengths: tuple[int, ...] = (4, 8, 12)
    steps: int = 6
    face: tuple[float, float, float, float] = (0.25, 0.25, 0.75, 0.75)

    @property
    def size(self) -> int:
        """Side of the picture in pixels."""
        return self.codec.size

    @property
    def samples_per_frame(self) -> int:
        """Audio samples that one frame carries, whole; the sound's clock sets the pace."""
        return round(self.audio.rate / self.fps)

    @property
    def lookahead(self) -> int:
        """Audio samples that a frame needs beyond its own."""
        return self.audio.samples_after - self.samples_per_frame

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one frame's latent."""
        side = self.codec.size // self.codec.factor
        return self.codec.latent_channels, side, side


def whisper_tiny() -> SpeechConfig:
    """EchoMimic's ears: 10 steps of 20 ms, 5 states each, around the frame's first sample."""
    return SpeechConfig()


def wav2vec2_base() -> SpeechConfig:
    """Hallo's ears: 12 states of the frame, the two before it and the two after it."""
    return SpeechConfig(
        'wav2vec2',
        stride=640,
        units_before=2,
        units_after=3,
        width=768,
        layers=12,
        heads=12,
        feed_forward=3072,
    )


def small(cfg: SpeechConfig) -> SpeechConfig:
    """Return an encoder of the same shape, narrow enough for a test."""
    return replace(
        cfg,
        samples_before=6400,
        width=32,
        layers=2,
        heads=2,
        feed_forward=64,
        positions=30,
        conv_width=16,
    )
