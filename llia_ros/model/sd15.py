"""The full scale: presets of SD 1.5 size, in the layouts of the public weights.

Free of torch, as config.py is. Sizes and figures are those of the repositories of EchoMimic
(antgroup/echomimic, configs/inference/inference_v2.yaml, infer_audio2vid.py and _acc.py) and of
Hallo (fudan-generative-vision/hallo, configs/inference/default.yaml).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from llia_ros.model.config import STATES, UNetConfig, build
from llia_ros.model.pretrained import (
    AutoencoderConfig,
    SpeechConfig,
    wav2vec2_base,
    whisper_tiny,
)


@dataclass(frozen=True)
class FullScaleConfig:
    """One model of SD 1.5 size: its networks and how they were trained to run.

    `audio`: its speech encoder. whisper gives 50 tokens for the denoiser's own cross-attention.
    wav2vec gives 5 frames of 12 hidden states, made into `audio_tokens` tokens for separate audio
    modules, and the cross-attention reads `face_tokens` tokens of a face embedding of `face_dim`
    figures. `codec`: pictures to latents. `locator_channels`, `locator_widths`: of the face
    locator. `face`: left, top, right and bottom of the face in the picture, fractions: portraits
    are cut so, and the locator is told so. `clip`: frames trained on; `clip_lengths`: drawn.
    `past_frames`: how many the motion modules see before a clip. `past_reads`: they see what the
    ReferenceNet reads of them, as trained so; else the frames themselves, noised as far as the
    clip, which any motion module takes. `steps`, `guidance`: of the schedule in
    `schedule.trailing_steps`.
    """

    name: str
    denoiser: UNetConfig
    reference: UNetConfig
    audio: SpeechConfig = field(default_factory=whisper_tiny)
    codec: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    locator_channels: int = 1
    locator_widths: tuple[int, ...] = (16, 32, 96, 256)
    audio_hidden: int = 512
    audio_tokens: int = 32
    face_dim: int = 512
    face_tokens: int = 4
    face: tuple[float, float, float, float] = (0.25, 0.25, 0.75, 0.75)
    fps: int = 25
    clip: int = 12
    clip_lengths: tuple[int, ...] = (4, 8, 12)
    past_frames: int = 2
    past_reads: bool = True
    steps: int = 2
    guidance: float = 1.0

    @property
    def size(self) -> int:
        """Side of the picture in pixels."""
        return self.codec.size

    @property
    def led(self) -> bool:
        """Whether motion can lead the model: public weights move by themselves."""
        return False

    @property
    def samples_per_frame(self) -> int:
        """Audio samples that one frame carries, whole: the sound's clock sets the pace."""
        return round(self.audio.rate / self.fps)

    @property
    def lookahead(self) -> int:
        """Audio samples that a frame needs beyond its own."""
        return self.audio.samples_after - self.samples_per_frame

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one frame's latent."""
        side = self.size // self.codec.factor
        return self.denoiser.latent_channels, side, side

    @property
    def heard_shape(self) -> tuple[int, ...]:
        """Shape of what one frame hears."""
        return self.audio.shape


def echomimic(accelerated: bool = False) -> FullScaleConfig:
    """EchoMimic v1: whisper tokens in the cross-attention; it was trained without past frames."""
    return FullScaleConfig(
        'echomimic-acc' if accelerated else 'echomimic',
        UNetConfig(context_dim=384, context_gain=3.0, states=len(STATES) + 1),
        UNetConfig(context_dim=None, motion=False, reader=True),
        fps=24,
        past_reads=False,
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
        audio=wav2vec2_base(),
        locator_channels=3,
        locator_widths=(16, 32, 64, 128),
        clip=16,
        clip_lengths=(4, 8, 16),
        steps=40,
        guidance=3.5,
    )


def sd15() -> FullScaleConfig:
    """LLIA's own: EchoMimic's layout with past frames and few steps, to be trained."""
    return replace(echomimic(), name='sd15', fps=25, past_reads=True, steps=2, guidance=1.0)


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
        codec=replace(cfg.codec, size=size),
    )


def to_dict(cfg: FullScaleConfig) -> dict[str, Any]:
    """Return a configuration as plain numbers, strings, lists and dicts, ready for JSON."""
    return asdict(cfg)


def from_dict(values: dict[str, Any]) -> FullScaleConfig:
    """Return the configuration that `to_dict` wrote; ValueError for names it does not know."""
    return build(sd15(), values)
