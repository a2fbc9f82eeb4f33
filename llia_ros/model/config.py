"""What every part must agree on: the names of states and controls, and the sizes of a model.

Free of torch, so that a robot that runs an exported model can read it, too.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any

FORMAT = 2  # of model folders

STATES = ('speaking', 'listening', 'idle')
EXPRESSIONS = ('neutral', 'happy', 'sad', 'surprised', 'angry', 'thinking', 'sleepy', 'loving')

# What may lead a frame. x, y: shift of the head, fractions of the picture's width, right and
# down. roll: radians, clockwise. yaw, pitch: -1 .. 1, right and up of the viewer. gaze_x,
# gaze_y: -1 .. 1 of the eye's range, right and up. lid_*: 0 open .. 1 shut, viewer's left first.
MOTION = ('x', 'y', 'roll', 'yaw', 'pitch', 'gaze_x', 'gaze_y', 'lid_left', 'lid_right')

# The truth of a mouth, each 0 .. 1: jaw, spread lips, rounded lips, teeth, tongue.
MOUTH = ('open', 'wide', 'round', 'teeth', 'tongue')


@dataclass(frozen=True)
class UNetConfig:
    """Sizes of a denoiser or of its ReferenceNet (the same class, `motion=False`).

    Per resolution, highest first: `channels`, `attention` (spatial attention that reads the
    reference and the context), `temporal` (attention over frames and past frames; only where
    there is spatial attention, too, can it read past frames). `modulated`: the embedding also
    scales the inputs of each block's second convolution. `reader`: a ReferenceNet that ends with
    the last attention that writes what is read. The defaults are SD 1.5's.
    """

    latent_channels: int = 4
    channels: tuple[int, ...] = (320, 640, 1280, 1280)
    layers: int = 2
    heads: int = 8
    groups: int = 32
    attention: tuple[bool, ...] = (True, True, True, False)
    temporal: tuple[bool, ...] = (True, True, True, True)
    feed_forward: int = 4
    temporal_attentions: int = 2
    context_dim: int | None = 768
    context_gain: float = 1.0
    audio_dim: int | None = None
    motion: bool = True
    motion_max_frames: int = 32
    states: int = 0
    reference_input: bool = False
    modulated: bool = False
    reader: bool = False


@dataclass(frozen=True)
class AudioConfig:
    """A window of log-mel columns around each frame (hop 10 ms, so 4 columns a frame).

    The last `token_columns` of it become tokens; all of it tells the mouth. A predictor of
    visemes whose dilations add up to D sees 14 + 8 D columns.
    """

    rate: int = 16000
    bins: int = 64
    columns_before: int = 124
    columns_after: int = 10
    token_columns: int = 24
    widths: tuple[int, ...] = (96, 128, 128)  # each but the first halves the columns
    token_dim: int = 128
    viseme_width: int = 128
    viseme_dilations: tuple[int, ...] = (8, 4, 2, 1)

    @property
    def columns(self) -> int:
        """Length of the window in log-mel columns."""
        return self.columns_before + self.columns_after


@dataclass(frozen=True)
class CodecConfig:
    """Picture to latent and back; `size` pixels shown from `size // factor` latent pixels.

    The encoder starts from patches of `encoder_patch` pixels and halves the resolution between
    its widths; the decoder doubles it and ends in patches of `decoder_patch`. `noise`: standard
    deviation added to the (unit variance) latent in training, so that small errors of the
    denoiser stay small in the picture.
    """

    size: int = 512
    factor: int = 32
    latent_channels: int = 32
    encoder_patch: int = 8
    encoder_widths: tuple[int, ...] = (64, 96, 128)
    decoder_patch: int = 4
    decoder_widths: tuple[int, ...] = (160, 128, 80, 40)
    noise: float = 0.1


@dataclass(frozen=True)
class ModelConfig:
    """One model: its parts and the figures the runtime needs."""

    name: str
    denoiser: UNetConfig
    reference: UNetConfig
    audio: AudioConfig = field(default_factory=AudioConfig)
    codec: CodecConfig = field(default_factory=CodecConfig)
    fps: int = 25
    past_frames: int = 2
    clip_lengths: tuple[int, ...] = (4, 8, 16)
    steps: int = 2
    residual_scale: float | None = None  # diffuse (frame - portrait) * scale instead of the frame

    @property
    def size(self) -> int:
        """Side of the picture in pixels."""
        return self.codec.size

    @property
    def led(self) -> bool:
        """Whether motion can lead the model: at this scale, yes."""
        return True

    @property
    def face(self) -> None:
        """Where the face of a portrait has to be: portraits of this scale are not cut."""

    @property
    def samples_per_frame(self) -> int:
        """Audio samples that one frame carries."""
        return self.audio.rate // self.fps

    @property
    def lookahead(self) -> int:
        """Audio samples that a frame needs beyond its own."""
        hop = self.audio.rate // 100
        return self.audio.columns_after * hop - self.samples_per_frame

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one frame's latent."""
        side = self.codec.size // self.codec.factor
        return self.codec.latent_channels, side, side


def to_dict(cfg: Any) -> dict[str, Any]:
    """Return a configuration as plain numbers, strings, lists and dicts, ready for JSON."""
    return asdict(cfg)


def from_dict(values: dict[str, Any]) -> ModelConfig:
    """Return the configuration that `to_dict` wrote; ValueError for names it does not know."""
    return build(ModelConfig('', UNetConfig(), UNetConfig()), values)


def build(example: Any, values: dict[str, Any]) -> Any:
    """Return a dataclass like `example` from what `asdict` made of one, also by way of JSON."""
    known = {f.name for f in fields(example)}
    if unknown := set(values) - known:
        raise ValueError(
            f'unknown model settings: {", ".join(sorted(unknown))}; the model was '
            'made by another version of llia_ros: install that or export it again'
        )
    built = {}
    for key, value in values.items():
        default = getattr(example, key)
        if is_dataclass(default):
            value = build(default, value)
        elif isinstance(value, list):
            value = tuple(value)
        built[key] = value
    return type(example)(**built)


def tiny() -> ModelConfig:
    """The embedded model: 512x512 faces on two CPU cores."""
    reference = UNetConfig(
        latent_channels=32,
        channels=(64, 128),
        layers=1,
        heads=4,
        groups=16,
        attention=(False, True),
        temporal=(False, True),
        feed_forward=2,
        temporal_attentions=1,
        context_dim=None,
        motion=False,
        reader=True,
    )
    denoiser = replace(
        reference,
        channels=(96, 128),
        context_dim=128,
        motion=True,
        states=len(STATES) + 1,
        reference_input=True,
        modulated=True,
        reader=False,
    )
    # Measured: one step is closer to the truth than two, and smoother (docs/model_card.md).
    return ModelConfig('tiny', denoiser, reference, steps=1, residual_scale=1.8)


PRESETS = {'tiny': tiny}
