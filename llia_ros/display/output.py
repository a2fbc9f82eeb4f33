"""What every way of showing the face has in common: a page, a file, a window, a camera."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from llia_ros.display.pairing import Frame


class Output(ABC):
    """One way to show the face, open from its construction to `close`; no call waits for it.

    Frames carry as `epoch` the gate's generation: a higher one is newer, and ends what is older.
    `opened` and `warning` are lines for the log once it is open. `failure` tells why nothing is
    shown any more, `notice` why nothing is shown although nothing went wrong; empty otherwise.
    A constructor raises ValueError, OSError or ImportError with one line for what is missing.
    """

    opened = ''
    warning = ''
    failure = ''
    notice = ''

    def begin(self) -> None:  # noqa: B027
        """Begin to show: the node was activated."""

    def carry(self, samples_per_frame: int) -> None:  # noqa: B027
        """Take over the model's rate of frames, as the samples (16 kHz) that each one carries."""

    def hear(self, frame: Frame) -> None:  # noqa: B027
        """Take a frame's sound as soon as it has arrived, mostly ahead of its picture."""

    def cut(self, epoch: int) -> None:  # noqa: B027
        """End everything older than `epoch`, whose first frame is still to come."""

    @abstractmethod
    def put(self, frame: Frame) -> None:
        """Take a frame with its picture, its sound, or both; frames come in their order."""

    def end(self) -> None:  # noqa: B027
        """Show no more: the node is deactivated."""

    @abstractmethod
    def report(self) -> dict[str, Any]:
        """Figures for /diagnostics."""

    @abstractmethod
    def close(self) -> str:
        """Let go of everything; returns a line for the log or an empty string."""
