"""ROS 2 node: brings picture and sound together and hands them to every output asked for."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic
from typing import Any

import numpy as np
from rclpy.logging import get_logger
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Int16MultiArray, String

from llia_ros.display.access import Access
from llia_ros.display.camera import Camera
from llia_ros.display.gate import Gate
from llia_ros.display.output import Output
from llia_ros.display.pairing import Frame, Pairing
from llia_ros.display.recorder import Recorder
from llia_ros.display.recording import Recording
from llia_ros.display.server import DisplayServer
from llia_ros.display.web import WebOutput
from llia_ros.display.window import Window
from llia_ros.nodes.control import ControlDesk
from llia_ros.nodes.declaration import listed
from llia_ros.nodes.messages import (
    AUDIO_QOS,
    FRAME_QOS,
    LATCHED_QOS,
    Audio,
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
    """Shows the face by each of its outputs."""

    def __init__(self, **options: Any) -> None:
        super().__init__('display', DisplayParameters, **options)
        self._outputs: list[Output] = []
        self._desk: ControlDesk | None = None
        self._generation = 0

    def _begin(self) -> None:
        self._gate = Gate(generation=self._generation)
        self._pairing = Pairing(FPS)
        self._samples = RATE // FPS
        self._state = 'idle'
        self._arrivals: deque[float] = deque(maxlen=2 * FPS)
        self._latencies: deque[float] = deque(maxlen=10 * FPS)

    def configure(self) -> None:
        """Open every output."""
        try:
            for name in listed(self.parameters.current.output):
                if name != 'none':
                    self._outputs.append(self._opened(name))
        except Exception:
            self.cleanup()
            raise

    def _opened(self, name: str) -> Output:
        wanted = self.parameters.current
        size = wanted.width, wanted.height
        output: Output
        if name == 'file':
            output = Recording(Recorder(wanted.file, FPS, RATE), FPS)
        elif name == 'window':
            output = Window(wanted.fullscreen, size, wanted.fit, wanted.rotate, wanted.speaker)
        elif name == 'camera':
            output = Camera(wanted.camera_device, size, wanted.fit, wanted.rotate, FPS)
        else:
            output = WebOutput(self._served(), self.now)
        self.get_logger().info(output.opened)
        if output.warning:
            self.get_logger().warning(output.warning)
        return output

    def _served(self) -> DisplayServer:
        wanted = self.parameters.current
        access = Access(wanted.token, [name for name in listed(wanted.names) if name])
        if wanted.control:
            self._desk = ControlDesk(self)
        routes = self._desk.web.routes if self._desk is not None else ()
        settings = {'fit': wanted.fit, 'rotate': wanted.rotate}
        return DisplayServer(wanted.host, wanted.port, access, routes, settings)

    def activate(self) -> None:
        """Begin to show."""
        self._begin()
        self.diagnostics.begin('pictures', 'sounds')
        for output in self._outputs:
            output.begin()
        self.listen(String, 'dialogue/state', self._on_state, LATCHED_QOS)
        self.listen(Int16MultiArray, 'audio', self._on_sound, AUDIO_QOS)
        self.listen(CompressedImage, 'image_raw/compressed', self._on_picture, FRAME_QOS)
        if self._desk is not None:
            self._desk.open()

    def deactivate(self) -> None:
        """Show no more; what was received is still written."""
        if self._desk is not None:
            self._desk.close()
        # A page or a window that stays open must take what comes after the next activation.
        self._generation = self._gate.generation + 1
        for output in self._outputs:
            output.end()

    def cleanup(self) -> None:
        """Finish the file, give port, screen and camera back."""
        desk, self._desk = self._desk, None
        if desk is not None:
            desk.web.close()
        while self._outputs:
            line = self._outputs.pop().close()
            if line:
                # Often said after the context has ended, when a node's own logger complains.
                get_logger('output').info(line)

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
        for output in self._outputs:
            values |= output.report()
        if self._desk is not None:
            values |= {
                'control pages open': self._desk.web.pages,
                'control messages refused': self._desk.web.mistakes,
            }
        for level, lines in (
            ('error', [output.failure for output in self._outputs]),
            ('warn', [output.notice for output in self._outputs]),
        ):
            if any(lines):
                return level, '; '.join(filter(None, lines)), values
        return 'ok', f'{fps} pictures/s' if fps else 'no pictures', values

    # ---- callbacks: read, hand on, return

    def _on_state(self, message: Any) -> None:
        self._state = read_state(message.data)

    def _on_sound(self, message: Any) -> None:
        audio = read_audio(message)
        if audio.cuts:
            self._cut(audio)
            return
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
        data = np.ascontiguousarray(audio.samples).tobytes()
        state = audio.state or self._state
        frame = Frame(audio.stamp, audio.index, audio.epoch, state, sound=data, way=audio.way)
        if self._gate.admit(frame.epoch, frame.stamp / SECOND, frame.index):
            named = replace(frame, epoch=self._gate.generation)
            for output in self._outputs:
                output.hear(named)
        self._show(self._pairing.add_sound(frame))

    def _cut(self, audio: Audio) -> None:
        assert audio.epoch is not None
        if self._gate.admit(audio.epoch, audio.stamp / SECOND):
            for output in self._outputs:
                output.cut(self._gate.generation)

    def _follow(self, samples: int) -> None:
        """Take over the model's rate of frames, which its sound tells."""
        if samples not in (0, self._samples):
            self._samples = samples
            self._pairing.pace(RATE / samples)
            for output in self._outputs:
                output.carry(samples)

    def _on_picture(self, message: Any) -> None:
        picture, stamp = read_jpeg(message), nanoseconds(message.header.stamp)
        self.diagnostics.count('pictures')
        self._arrivals.append(monotonic())
        self._latencies.append((self.now() - stamp) / 1e6)
        self._show(self._pairing.add_picture(stamp, picture, self._state))

    def _show(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            if not self._gate.admit(frame.epoch, frame.stamp / SECOND, frame.index):
                continue
            named = replace(frame, epoch=self._gate.generation)
            for output in self._outputs:
                output.put(named)


def main(args: Sequence[str] | None = None) -> int:
    """Console script `display`."""
    return run(Display, args=args)
