"""Frames said on the topics as an avatar says them, and what the display node tells of itself."""

from __future__ import annotations

import numpy as np
from conftest import Probe
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Int16MultiArray
from synthetic_face import tone

from llia_ros.nodes.messages import (
    AUDIO_QOS,
    FRAME_QOS,
    Audio,
    audio_message,
    jpeg_message,
    read_diagnostics,
)

PERIOD = 40_000_000


class Face:
    """Says frames as an avatar does: sound and picture with the same stamp."""

    def __init__(self, probe: Probe, listeners: int = 1) -> None:
        self.probe, self.listeners = probe, listeners
        self.start = probe.node.get_clock().now().nanoseconds

    def sound(
        self, index: int, epoch: int = 0, samples: np.ndarray | None = None
    ) -> Int16MultiArray:
        """The sound of a frame, a tone if not told otherwise."""
        stamp = self.start + index * PERIOD
        # A clip begins at frame 3: its sound was there 0.1 s before, its pictures 0.03 s.
        way = (0.1, 0.03) if index == 3 else None
        heard = tone(index) if samples is None else samples
        return audio_message(Audio(heard, 16000, stamp, 'face', epoch, index, 'speaking', way))

    def picture(self, index: int, data: bytes) -> CompressedImage:
        """The picture of a frame."""
        return jpeg_message(data, self.start + index * PERIOD, 'face')

    def say(
        self,
        index: int,
        data: bytes,
        epoch: int = 0,
        samples: np.ndarray | None = None,
        seconds: float = 0.04,
    ) -> None:
        """Send a frame, then receive for a while."""
        # Both before the first is sent: no frame's halves are to be far apart.
        self.probe.announce('audio', Int16MultiArray, AUDIO_QOS, self.listeners)
        self.probe.announce('image_raw/compressed', CompressedImage, FRAME_QOS, self.listeners)
        self.probe.say('audio', self.sound(index, epoch, samples), AUDIO_QOS)
        self.probe.say('image_raw/compressed', self.picture(index, data), FRAME_QOS)
        self.probe.spin(seconds)

    def cut(self, epoch: int, seconds: float = 0.04) -> None:
        """Tell that everything older than an epoch is over, then receive for a while."""
        now = self.probe.node.get_clock().now().nanoseconds
        cut = Audio(np.zeros(0, np.int16), 16000, now, 'face', epoch)
        self.probe.say('audio', audio_message(cut), AUDIO_QOS)
        self.probe.spin(seconds)


def values(heard: list[tuple[float, DiagnosticArray]], node: str = '/display') -> dict[str, str]:
    """The last values that a node told of itself."""
    for _, message in reversed(heard):
        for status in read_diagnostics(message):
            if status.name == node:
                return {'level': status.level, 'summary': status.summary, **status.values}
    return {}
