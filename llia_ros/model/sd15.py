"""The full scale: presets of SD 1.5 size, in the layouts of the public weights.

Free of torch, as config.py is. Sizes and figures are those of the repositories of EchoMimic
(antgroup/echomimic, configs/inference/inference_v2.yaml, infer_audio2vid.py and _acc.py) and of
Hallo (fudan-generative-vision/hallo, configs/inference/default.yaml).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from llia_ros.model.config import STATES, UNetConfig, build

# How a public model hears: the shape of what one frame is drawn from.
HEARD = {'whisper': (50, 384), 'wav2vec': (5, 12, 768)}


@dataclass(frozen=True)
class FullScaleConfig:
    """One model of SD 1.5 size: its networks and how they were trained to run.

    `hears`: key of HEARD. `whisper`: 50 tokens for the denoiser's own cross-attention. `wav2vec`:
    5 frames of 12 hidden states, made into `audio_tokens` tokens for separate audio modules, and
    the cross-attention reads `face_tokens` tokens of a face embedding of `face_dim` figures.
    `locator_channels`, `locator_widths`: of the face locator. `clip`: frames trained on.
    `past_frames`: how many the motion modules see before a clip. `steps`, `guidance`: of the
    schedule in `schedule.trailing_timesteps`.
    """

    name: str
    denoiser: UNetConfig
    reference: UNetConfig
    hears: str = 'whisper'
    locator_channels: int = 1
    locator_widths: tuple[int, ...] = (16, 32, 96, 256)
    audio_hidden: int = 512
    audio_tokens: int = 32
    face_dim: int = 512
    face_tokens: int = 4
    size: int = 512
    fps: int = 25
    clip: int = 12
    past_frames: int = 2
    steps: int = 2
    guidance: float = 1.0

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one frame's latent."""
        return self.denoiser.latent_channels, self.size // 8, self.size // 8

    @property
    def heard_shape(self) -> tuple[int, ...]:
        """Shape of what one frame hears."""
        return HEARD[self.hears]


def echomimic(accelerated: bool = False) -> FullScaleConfig:
    """EchoMimic v1: whisper tokens in the cross-attention; it was trained without past frames."""
    return FullScaleConfig(
        'echomimic-acc' if accelerated else 'echomimic',
        UNetConfig(context_dim=384, context_gain=3.0, states=len(STATES) + 1),
        UNetConfig(context_dim=None, motion=False, reader=True),
        fps=24,
        past_frames=0,
        steps=6 if accelerated else 30,
        guidance=1.0 if accelerated else 2.5,
    )


def hallo() -> FullScaleConfig:
    """Hallo v1: wav2vec tokens in audio modules with three masks, two past frames.

    Its motion modules at the lowest resolution were passed over in training and are left out.
    """
    return FullScaleConfig(
        'hallo',
        UNetConfig(
            context_dim=768,
            audio_dim=768,
            temporal=(True, True, True, False),
            states=len(STATES) + 1,
        ),
        UNetConfig(context_dim=768, motion=False, reader=True),
        hears='wav2vec',
        locator_channels=3,
        locator_widths=(16, 32, 64, 128),
        clip=16,
        past_frames=2,
        steps=40,
        guidance=3.5,
    )


def sd15() -> FullScaleConfig:
    """LLIA's own: EchoMimic's layout with past frames and few steps, to be trained."""
    return replace(echomimic(), name='sd15', fps=25, past_frames=2, steps=2, guidance=1.0)


PRESETS = {
    'sd15': sd15,
    'echomimic': echomimic,
    'echomimic-acc': lambda: echomimic(accelerated=True),
    'hallo': hallo,
}


def narrow(cfg: FullScaleConfig, channels: tuple[int, ...], size: int) -> FullScaleConfig:
    """Return the same layout at full depth with other widths and another picture size.

    For what can be tried without the weights and without a GPU. Every width must be a multiple
    of 32, which the public layouts' group norms split them into.
    """
    if any(c % 32 for c in channels):
        raise ValueError(f'widths must be multiples of 32, got {channels}')
    if size % 64:
        raise ValueError(f'the side of a picture must be a multiple of 64 pixels, got {size}')
    return replace(
        cfg,
        denoiser=replace(cfg.denoiser, channels=channels),
        reference=replace(cfg.reference, channels=channels),
        size=size,
    )


def to_dict(cfg: FullScaleConfig) -> dict[str, Any]:
    """Return a configuration as plain numbers, strings, lists and dicts, ready for JSON."""
    return asdict(cfg)


def from_dict(values: dict[str, Any]) -> FullScaleConfig:
    """Return the configuration that `to_dict` wrote; ValueError for names it does not know."""
    return build(sd15(), values)
