"""Sizes of the pretrained networks around a full-scale model: its ears, its picture codec.

Free of torch, as config.py is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class SpeechConfig:
    """A pretrained speech encoder, and what each frame hears of it.

    A frame hears `samples_before` samples before its first one and `samples_after` from that on:
    nothing else, so that streaming gives what hearing everything at once gives. Of the encoder's
    units (whisper: steps of 20 ms; wav2vec2: frames) it takes those from `units_before` before
    its own to `units_after` after it, its own among the latter. `stride`: samples a unit.
    `positions`: whisper's table; what a window lacks of it is padding, as in training.
    """

    encoder: str = 'whisper'
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
    def shape(self) -> tuple[int, ...]:
        """Shape of what one frame hears: whisper's states are tokens each, wav2vec2's are not."""
        if self.encoder == 'whisper':
            return self.units * self.states, self.width
        return self.units, self.states, self.width

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

    kind: str = 'kl'
    size: int = 512
    latent_channels: int = 4
    channels: tuple[int, ...] = (128, 256, 512, 512)
    layers: int = 2
    scale: float = 0.18215

    @property
    def factor(self) -> int:
        """Pixels a latent pixel."""
        return 2 ** (len(self.channels) - 1)


def whisper_tiny() -> SpeechConfig:
    """EchoMimic's ears: 10 steps of 20 ms, 5 states each, around the frame's first sample."""
    return SpeechConfig()


def wav2vec2_base() -> SpeechConfig:
    """Hallo's ears: 12 states of the frame, the two before it and the two after it."""
    return SpeechConfig(
        'wav2vec',
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
