"""What the engine asks of a model's configuration, whatever its scale."""

from typing import Protocol

from llia_ros.model.config import AudioConfig
from llia_ros.model.pretrained import SpeechConfig


class EngineConfig(Protocol):
    """Figures of a model that planner, pipeline and timetable follow."""

    @property
    def name(self) -> str:
        """Name of the model."""

    @property
    def audio(self) -> AudioConfig | SpeechConfig:
        """What each frame hears."""

    @property
    def size(self) -> int:
        """Side of the picture in pixels."""

    @property
    def face(self) -> tuple[float, float, float, float] | None:
        """Left, top, right and bottom of the face in a portrait, fractions; None: anywhere."""

    @property
    def led(self) -> bool:
        """Whether pose, gaze and lids can lead the model; else it moves by itself."""

    @property
    def fps(self) -> int:
        """Frames a second, about: exactly it is the sample rate over `samples_per_frame`."""

    @property
    def samples_per_frame(self) -> int:
        """Audio samples that one frame carries."""

    @property
    def lookahead(self) -> int:
        """Audio samples that a frame needs beyond its own."""

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one frame's latent."""

    @property
    def past_frames(self) -> int:
        """Frames before a clip that it goes on from."""

    @property
    def clip_lengths(self) -> tuple[int, ...]:
        """Lengths of clips, in frames."""

    @property
    def steps(self) -> int:
        """Steps of sampling."""
