"""The page as an output: sound as soon as it is there, pictures as their frames are settled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llia_ros.display.mailbox import CUT, PICTURE, SOUND, Item
from llia_ros.display.output import Output
from llia_ros.display.page_meter import Marks
from llia_ros.display.pairing import Frame
from llia_ros.display.server import DisplayServer

SECOND = 1_000_000_000


class WebOutput(Output):
    """Shows the face on the page of a server; `now` tells ROS time in ns."""

    def __init__(self, server: DisplayServer, now: Callable[[], int]) -> None:
        self._server = server
        self._now = now
        self.opened = f'the face is at {server.address}'

    def begin(self) -> None:
        """Count anew what pages report."""
        self._server.meter.begin()

    def hear(self, frame: Frame) -> None:
        """Send a sound."""
        if frame.sound is not None:
            self._send(SOUND, frame, frame.sound)

    def put(self, frame: Frame) -> None:
        """Send a picture."""
        if frame.picture is None:
            return
        if frame.way is not None:
            complete, made = (-1000 * seconds for seconds in frame.way)
            received = (self._now() - frame.stamp) / 1e6
            self._server.meter.mark(frame.stamp / SECOND, Marks(complete, made, received))
        self._send(PICTURE, frame, frame.picture)

    def cut(self, epoch: int) -> None:
        """Let pages fall silent."""
        self._server.send(Item(CUT, 0, epoch, self._now() / SECOND, '', b''))

    def report(self) -> dict[str, Any]:
        """Where the page is, who looks at it, and what pages tell."""
        return {
            'page': self._server.url,
            'pages open': self._server.clients,
            'page drops': self._server.dropped,
            'connections refused': self._server.refused,
            **self._server.meter.figures(),
        }

    def close(self) -> str:
        """Give the port back."""
        self._server.close()
        return ''

    def _send(self, kind: int, frame: Frame, data: bytes) -> None:
        stamp = frame.stamp / SECOND
        self._server.send(Item(kind, frame.index, frame.epoch, stamp, frame.state, data))
