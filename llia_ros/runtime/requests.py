"""What a user may ask of the engine: options at the start, sound and wishes while it runs."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from llia_ros.runtime.motion import PURSUIT
from llia_ros.runtime.portraits import Look


@dataclass(frozen=True)
class Options:
    """How an engine behaves; times in seconds, lengths in frames."""

    paced: bool = True  # frames on schedule, for ever; else only what was pushed
    seed: int = 0  # of the noise and of the motion
    steps: int | None = None  # of sampling; None: the model's own
    idle_steps: int | None = None  # of sampling while nobody speaks; None: `steps`
    mix: int = 6  # silence shows at most so many frames for each one drawn (see keys); 1 draws all
    overlapped: bool = True  # the denoiser works on the next clip while the codec decodes one
    led: bool = True  # lead pose, gaze and lids; else the model moves by itself
    clip_lengths: tuple[int, ...] | None = None  # a choice of the model's; None: all
    hangover: float = 0.8  # silence after which speech no longer counts as such
    stall: float = 0.2  # sound that stops for so long is not waited for
    quiet: int = 100  # samples up to this size are silence
    margin: float = 0.015  # between the last picture of the slowest clips and its time
    lead: int = 20  # speech is drawn at most so far ahead of being seen


@dataclass(frozen=True)
class Sound:
    """Samples pushed, int16."""

    samples: np.ndarray
    arrived: float
    epoch: int


@dataclass(frozen=True)
class End:
    """The end of an utterance, or of everything if `final`."""

    arrived: float
    epoch: int
    final: bool = False


@dataclass(frozen=True)
class Change:
    """New values for fields of Wish."""

    fields: dict[str, Any]


Event = Sound | End | Change


@dataclass(frozen=True)
class Wish:
    """What the user wants to see."""

    look: Look
    state: str = 'idle'
    override: str | None = None
    target: tuple[float, float] | None = None

    @property
    def silent_state(self) -> str:
        """Label of frames without speech."""
        return self.override or self.state

    def looks_new(self, before: 'Wish') -> bool:
        """Return whether a silent face is labelled or looks otherwise than `before`."""
        return self.silent_state != before.silent_state or self.look is not before.look

    def glances(self, before: 'Wish') -> bool:
        """Return whether the target is new, or too far from the old to be followed smoothly."""
        if before.target is None or self.target is None:
            return before.target is not self.target
        return (
            max(abs(old - new) for old, new in zip(before.target, self.target, strict=True))
            > PURSUIT
        )
