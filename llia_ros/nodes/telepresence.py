"""ROS 2 node: a far end calls by WebRTC and speaks through the face; the face may go back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Int16MultiArray

from llia_ros.audio.stream import RATE, Chunk, Converter
from llia_ros.display.access import Access
from llia_ros.display.pairing import Frame, Pairing
from llia_ros.nodes.messages import (
    AUDIO_IN_QOS,
    AUDIO_QOS,
    FRAME_QOS,
    Audio,
    MessageError,
    nanoseconds,
    read_audio,
    read_jpeg,
)
from llia_ros.nodes.optional_messages import AudioCarrier, audio_carrier
from llia_ros.nodes.parameters import TelepresenceParameters
from llia_ros.nodes.running import FaceNode, run
from llia_ros.telepresence.utterances import Utterances

if TYPE_CHECKING:
    from llia_ros.telepresence.server import CallServer


class Telepresence(FaceNode[TelepresenceParameters]):
    """Publishes `robot/audio`: what the far end says, and an empty message when it has ended."""

    def __init__(self, **options: Any) -> None:
        super().__init__('telepresence', TelepresenceParameters, **options)
        self._carrier: AudioCarrier
        self._server: CallServer
        self._converter = Converter()
        self._pairing = Pairing()

    def configure(self) -> None:
        """Take the port."""
        try:
            from llia_ros.telepresence.peer import CallOptions
            from llia_ros.telepresence.server import CallServer
        except ModuleNotFoundError as error:
            raise RuntimeError(
                f"telepresence needs {error.name}: pip install 'llia_ros[telepresence]'"
            ) from error
        wanted = self.parameters.current
        self._carrier = audio_carrier(wanted.audio_type, wanted.audio_rate, wanted.audio_channels)
        self._utterances = Utterances(wanted.threshold, wanted.release)
        servers = tuple(part.strip() for part in wanted.ice_servers.split(',') if part.strip())
        self._server = CallServer(
            self._on_utterance,
            CallOptions(wanted.jitter_ms, wanted.send_face, wanted.send_microphone, servers),
            self._utterances,
            wanted.host,
            wanted.port,
            Access(wanted.token),
            wanted.certificate,
            wanted.key,
        )
        self.parameters.on_change = self._on_change
        self.tell(f'calls are taken at {self._server.address}')

    def activate(self) -> None:
        """Begin to answer."""
        wanted = self.parameters.current
        self._converter, self._pairing = Converter(), Pairing()
        self.diagnostics.begin('messages')
        self._publisher = self.offer(self._carrier.message_type, 'robot/audio', AUDIO_QOS)
        if wanted.send_face:
            self.listen(Int16MultiArray, 'audio', self._on_face_sound, AUDIO_QOS)
            self.listen(CompressedImage, 'image_raw/compressed', self._on_picture, FRAME_QOS)
        if wanted.send_microphone:
            kind = self._carrier.message_type
            self.listen(kind, 'user/audio', self._on_microphone, AUDIO_IN_QOS)
        self._server.answering = True

    def deactivate(self) -> None:
        """Hang up and answer no more."""
        self._server.answering = False
        self._server.hang_up()

    def cleanup(self) -> None:
        """Give the port back."""
        self.parameters.on_change = None
        self._server.close()

    def report(self) -> tuple[str, str, dict[str, Any]]:
        """The call: connection, rates, loss, the jitter buffer, and how long the way in is."""
        figures = self._server.figures()
        speaking = ', speaking' if self._utterances.speaking else ''
        values = {
            'address': self._server.url,
            'jitter delay ms': self.parameters.current.jitter_ms,
            'halves without partner': self._pairing.incomplete,
            **figures,
        }
        return 'ok', f'call: {figures["connection"]}{speaking}', values

    def _on_change(self, old: TelepresenceParameters, new: TelepresenceParameters) -> None:
        self._utterances.tune(new.threshold, new.release)

    # ---- from the call's thread

    def _on_utterance(self, chunk: Chunk) -> None:
        stamp = self.now() - (time.monotonic_ns() - chunk.stamp)
        audio = Audio(chunk.samples, RATE, stamp, self.parameters.current.frame)
        self.send(self._publisher, self._carrier.write(audio))
        self.diagnostics.count('messages')

    # ---- to the call

    def _on_microphone(self, message: Any) -> None:
        audio = self._carrier.read(message)
        self._server.hear(self._converter.push(audio.samples, audio.rate, audio.stamp).samples)

    def _on_face_sound(self, message: Any) -> None:
        audio = read_audio(message)
        if audio.cuts:
            return
        if audio.index is None or audio.epoch is None or audio.rate != RATE:
            raise MessageError('sound without index and epoch, or not of 16 kHz: expected avatar')
        frame = Frame(audio.stamp, audio.index, audio.epoch)
        sound = np.ascontiguousarray(audio.samples[:, 0]).tobytes()
        self._show(self._pairing.add_sound(replace(frame, sound=sound)))

    def _on_picture(self, message: Any) -> None:
        stamp = nanoseconds(message.header.stamp)
        self._show(self._pairing.add_picture(stamp, read_jpeg(message), 'idle'))

    def _show(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            if frame.sound is not None:
                sound = np.frombuffer(frame.sound, np.int16)
                self._server.show(frame.picture, sound, frame.stamp)


def main(args: Sequence[str] | None = None) -> int:
    """Console script `telepresence`."""
    return run(Telepresence, args=args)
