"""ROS 2 node: shows the face on a page for a browser, in a video file, or nowhere."""

from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Any

import numpy as np
from rclpy.logging import get_logger
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Int16MultiArray, String

from llia_ros.display.access import Access
from llia_ros.display.gate import Gate
from llia_ros.display.page_meter import Marks
from llia_ros.display.pairing import WAITING, Frame, Pairing
from llia_ros.display.recorder import Recorder
from llia_ros.display.recording import Recording
from llia_ros.display.server import PICTURE, SOUND, DisplayServer, Item
from llia_ros.nodes.messages import (
    AUDIO_QOS,
    FRAME_QOS,
    LATCHED_QOS,
    MessageError,
    nanoseconds,
    read_audio,
    read_jpeg,
    read_state,
)
from llia_ros.nodes.parameters import DisplayParameters
from llia_ros.nodes.running import FaceNode, run

RATE, FPS = 16000, 25
# No sound is longer than a frame, and no frame than at this rate.
SLOWEST = 10
SECOND = 1_000_000_000


class Display(FaceNode[DisplayParameters]):
    """Brings picture and sound together again and hands them to a page, a file, or both."""

    def __init__(self, **options: Any) -> None:
        super().__init__('display', DisplayParameters, **options)
        self._server: DisplayServer | None = None
        self._recording: Recording | None = None
        self._begin()

    def _begin(self) -> None:
        self._gate = Gate()
        self._pairing = Pairing(FPS)
        self._samples = RATE // FPS
        self._ways: dict[int, tuple[float, float]] = {}
        self._state = 'idle'
        self._arrivals: deque[float] = deque(maxlen=2 * FPS)
        self._latencies: deque[float] = deque(maxlen=10 * FPS)

    def configure(self) -> None:
        """Take the port, open the file."""
        wanted = self.parameters.current
        outputs = wanted.output.split(',')
        if 'file' in outputs:
            self._recording = Recording(Recorder(wanted.file, FPS, RATE), FPS)
            self.get_logger().info(f'recording to {wanted.file}')
        if 'web' in outputs:
            names = [name.strip() for name in wanted.names.split(',') if name.strip()]
            access = Access(wanted.token, names)
            self._server = DisplayServer(wanted.host, wanted.port, access)
            self.get_logger().info(f'the face is at {self._server.address}')

    def activate(self) -> None:
        """Begin to show."""
        self._begin()
        if self._server is not None:
            self._server.meter.begin()
        self.diagnostics.begin('pictures', 'sounds')
        if self._recording is not None:
            self._recording.start()
        self.listen(String, 'dialogue/state', self._on_state, LATCHED_QOS)
        self.listen(Int16MultiArray, 'audio', self._on_sound, AUDIO_QOS)
        self.listen(CompressedImage, 'image_raw/compressed', self._on_picture, FRAME_QOS)

    def deactivate(self) -> None:
        """Show no more; what was received is still written."""
        if self._recording is not None:
            self._recording.stop()

    def cleanup(self) -> None:
        """Finish the file, give the port back."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.recorder.close()
            seconds = recording.recorder.seconds
            # Often said after the context has ended, when a node's own logger complains.
            get_logger('recording').info(f'{recording.recorder.path} holds {seconds:.2f} s')

    def report(self) -> tuple[str, str, dict[str, Any]]:
        """Pictures a second, how late they came, and what had to be left out."""
        since = monotonic() - 1
        fps = sum(arrival > since for arrival in self._arrivals)
        values: dict[str, Any] = {
            'output': self.parameters.current.output,
            'fps': fps,
            'epoch': self._gate.epoch,
            'old frames held back': self._gate.held_back,
            'halves without partner': self._pairing.incomplete,
        }
        if self._latencies:
            p50, p95 = np.percentile(self._latencies, (50, 95))
            values |= {'latency p50 ms': float(p50), 'latency p95 ms': float(p95)}
        if self._server is not None:
            values |= {
                'page': self._server.url,
                'pages open': self._server.clients,
                'page drops': self._server.dropped,
                'connections refused': self._server.refused,
                **self._server.meter.figures(),
            }
        failure = ''
        if self._recording is not None:
            recorder, failure = self._recording.recorder, self._recording.failure
            values |= {
                'file': str(recorder.path),
                'recorded s': recorder.seconds,
                'frames repeated': recorder.repeated,
                'frames late': recorder.late,
                'recording drops': self._recording.dropped,
                'pictures unusable': self._recording.unusable,
            }
        if failure:
            return 'error', failure, values
        return 'ok', f'{fps} pictures/s' if fps else 'no pictures', values

    # ---- callbacks: read, hand on, return

    def _on_state(self, message: Any) -> None:
        self._state = read_state(message.data)

    def _on_sound(self, message: Any) -> None:
        audio = read_audio(message)
        if audio.index is None or audio.epoch is None:
            raise MessageError(
                'sound without epoch and index in its label: expected the sound that avatar '
                'publishes, not the one that it is fed with'
            )
        if audio.rate != RATE or audio.samples.shape[1] != 1:
            raise MessageError(
                f'sound of {audio.rate} Hz and {audio.samples.shape[1]} channels: expected '
                f'{RATE} Hz and one channel'
            )
        if len(audio.samples) > RATE // SLOWEST:
            raise MessageError(
                f'sound of {len(audio.samples)} samples: expected those of one frame, at most '
                f'{RATE // SLOWEST}'
            )
        self._follow(len(audio.samples))
        self.diagnostics.count('sounds')
        if audio.way is not None:
            self._ways[audio.stamp] = audio.way
            if len(self._ways) > WAITING:
                del self._ways[min(self._ways)]
        data = np.ascontiguousarray(audio.samples).tobytes()
        state = audio.state or self._state
        frame = Frame(audio.stamp, audio.index, audio.epoch, state, sound=data)
        if self._gate.admit(frame.epoch, frame.stamp / SECOND):
            self._send(SOUND, frame, data)
        self._show(self._pairing.add_sound(frame))

    def _follow(self, samples: int) -> None:
        """Take over the model's rate of frames, which its sound tells."""
        if samples not in (0, self._samples):
            self._samples = samples
            self._pairing.pace(RATE / samples)
            if self._recording is not None:
                self._recording.carry(samples)

    def _on_picture(self, message: Any) -> None:
        picture, stamp = read_jpeg(message), nanoseconds(message.header.stamp)
        self.diagnostics.count('pictures')
        self._arrivals.append(monotonic())
        self._latencies.append((self.now() - stamp) / 1e6)
        self._show(self._pairing.add_picture(stamp, picture, self._state))

    def _show(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            if not self._gate.admit(frame.epoch, frame.stamp / SECOND):
                continue
            if frame.picture is not None:
                self._mark(frame)
                self._send(PICTURE, frame, frame.picture)
            if self._recording is not None:
                self._recording.put(frame)

    def _mark(self, frame: Frame) -> None:
        way = self._ways.pop(frame.stamp, None)
        if way is not None and self._server is not None:
            complete, made = (-1000 * seconds for seconds in way)
            received = (self.now() - frame.stamp) / 1e6
            self._server.meter.mark(frame.stamp / SECOND, Marks(complete, made, received))

    def _send(self, kind: int, frame: Frame, data: bytes) -> None:
        if self._server is not None:
            stamp = frame.stamp / SECOND
            item = Item(kind, frame.index, self._gate.generation, stamp, frame.state, data)
            self._server.send(item)


def main(args: Sequence[str] | None = None) -> int:
    """Console script `display`."""
    return run(Display, args=args)
