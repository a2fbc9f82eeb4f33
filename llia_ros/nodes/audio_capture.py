"""ROS 2 node: a microphone, the monitor of a loudspeaker, or a file, as 16 kHz mono messages."""

import queue
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from llia_ros.audio import files
from llia_ros.audio.devices import Microphone
from llia_ros.audio.stream import RATE, SECOND, Blocks, Converter, SampleClock
from llia_ros.nodes.messages import AUDIO_QOS, Audio
from llia_ros.nodes.optional_messages import AudioCarrier, audio_carrier
from llia_ros.nodes.parameters import AudioCaptureParameters
from llia_ros.nodes.running import FaceNode, run

TOPIC = 'user/audio'
# Sound that waits for the publishing thread, in chunks: two seconds of it.
QUEUE = 100
NOTHING = np.zeros(0, np.int16)


class AudioCapture(FaceNode[AudioCaptureParameters]):
    """Publishes `user/audio`; remapped to `robot/audio` it plays a file as the robot's voice."""

    def __init__(self, **options: Any) -> None:
        super().__init__('audio_capture', AudioCaptureParameters, **options)
        self._carrier: AudioCarrier
        self._microphone: Microphone | None = None
        self._sound = NOTHING
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._queue: queue.Queue[tuple[np.ndarray, int] | None] = queue.Queue(QUEUE)
        self._peak = 0
        self._stamps = SampleClock(RATE)

    def configure(self) -> None:
        """Open the device or read the file."""
        wanted = self.parameters.current
        self._carrier = audio_carrier(wanted.audio_type)
        if wanted.source == 'file':
            self._sound = files.read(wanted.file)
            what = f'{wanted.file}, {len(self._sound) / RATE:.1f} s'
        else:
            self._microphone = Microphone(wanted.device, wanted.chunk_ms / 1000, self._on_sound)
            what = f'{self._microphone.name} at {self._microphone.rate} Hz'
        self.tell(f'sound comes from {what}')

    def activate(self) -> None:
        """Begin to publish."""
        self._publisher = self.offer(self._carrier.message_type, TOPIC, AUDIO_QOS)
        self.diagnostics.begin('messages', 'xruns', 'queue drops')
        self._stopped = threading.Event()
        if self._microphone is None:
            work = self._play
        else:
            self._queue = queue.Queue(QUEUE)
            self._stamps = SampleClock(self._microphone.rate)
            self._microphone.start()
            work = self._record
        self._thread = threading.Thread(target=work, name='audio_capture', daemon=True)
        self._thread.start()

    def deactivate(self) -> None:
        """Stop recording or playing."""
        self._stopped.set()
        if self._microphone is not None:
            self._microphone.stop()
            self._queue.put(None)
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def cleanup(self) -> None:
        """Give the device back."""
        if self._microphone is not None:
            self._microphone.close()
            self._microphone = None

    def report(self) -> tuple[str, str, dict[str, Any]]:
        """How much was sent and how loud it was."""
        peak, self._peak = self._peak, 0
        level = 20 * np.log10(max(peak, 1) / 32768)
        values = {
            'source': self.parameters.current.source,
            'clock jumps': self._stamps.jumps,
            'peak dBFS': float(level),
        }
        return 'ok', 'capturing', values

    def _publish(self, samples: np.ndarray, stamp: int) -> None:
        if self._stopped.is_set():
            return
        if len(samples):
            self._peak = max(self._peak, int(np.abs(samples.astype(np.int32)).max()))
        audio = Audio(samples, RATE, stamp, self.parameters.current.frame)
        self.send(self._publisher, self._carrier.write(audio))
        self.diagnostics.count('messages')

    # ---- a device

    def _on_sound(self, samples: np.ndarray, age: float, lost: bool) -> None:
        if lost:
            self.diagnostics.count('xruns')
        stamp = self._stamps.stamp(len(samples), self.now() - round(age * SECOND))
        try:
            self._queue.put_nowait((samples, stamp))
        except queue.Full:
            self.diagnostics.count('queue drops')

    def _record(self) -> None:
        assert self._microphone is not None
        rate = self._microphone.rate
        converter = Converter()
        chunk = RATE * self.parameters.current.chunk_ms // 1000
        blocks = Blocks(chunk)
        while (item := self._queue.get()) is not None:
            sound = converter.push(item[0], rate, item[1])
            whole = blocks.push(sound.samples)
            last = blocks.end
            for position, block in whole:
                age = (last - position) * SECOND // RATE
                self._publish(block, sound.end - age)

    # ---- a file

    def _play(self) -> None:
        wanted = self.parameters.current
        while self._publisher.get_subscription_count() < wanted.wait_for_subscribers:
            if self._stopped.wait(0.02):
                return
        if self._stopped.wait(wanted.delay):
            return
        chunk = RATE * wanted.chunk_ms // 1000

        def emit(samples: np.ndarray, age: float) -> None:
            self._publish(samples, self.now() - round(age * SECOND))

        start = None
        while True:
            start = files.play(self._sound, chunk, emit, self._stopped, start)
            if self._stopped.is_set():
                return
            if self.parameters.current.end_of_utterance:
                self._publish(NOTHING, self.now())
            if not self.parameters.current.loop:
                self.tell('the file has ended')
                return


def main(args: Sequence[str] | None = None) -> int:
    """Console script `audio_capture`."""
    return run(AudioCapture, args=args)
