"""A recording that keeps nobody waiting: frames are queued and written by a thread."""

from __future__ import annotations

import queue
import threading
from typing import Any

import numpy as np

from llia_ros.display.output import Output
from llia_ros.display.pairing import Frame, Slots
from llia_ros.display.recorder import Recorder, RecordingError

# Frames that wait to be written: five seconds, as long as a slow disk may pause.
QUEUE = 125


class Recording(Output):
    """Feeds a Recorder from a thread between `begin` and `end`; `put` returns at once."""

    def __init__(self, recorder: Recorder, fps: int = 25) -> None:
        self.recorder = recorder
        self.dropped = 0
        self.unusable = 0
        self.opened = f'recording to {recorder.path}'
        self._slots = Slots(fps)
        self._queue: queue.Queue[tuple[int, Frame] | None] = queue.Queue(QUEUE)
        self._thread: threading.Thread | None = None

    def carry(self, samples_per_frame: int) -> None:
        """Set how many samples each frame carries; after the first frame nothing changes."""
        self.recorder.carry(samples_per_frame)
        self._slots.pace(self.recorder.fps)

    def begin(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._write, name='recording', daemon=True)
        self._thread.start()

    def put(self, frame: Frame) -> None:
        """Queue a frame; one that finds the queue full is repeated from its predecessor."""
        try:
            self._queue.put_nowait((self._slots.slot(frame), frame))
        except queue.Full:
            self.dropped += 1

    def end(self) -> None:
        """Write what is queued, then end the thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def report(self) -> dict[str, Any]:
        """Length of the file, and what is missing in it."""
        return {
            'file': str(self.recorder.path),
            'recorded s': self.recorder.seconds,
            'frames repeated': self.recorder.repeated,
            'frames late': self.recorder.late,
            'recording drops': self.dropped,
            'pictures unusable': self.unusable,
        }

    def close(self) -> str:
        """Finish the file."""
        self.end()
        self.recorder.close()
        return f'{self.recorder.path} holds {self.recorder.seconds:.2f} s'

    def _write(self) -> None:
        while (item := self._queue.get()) is not None:
            if not self.failure:
                self._write_frame(*item)

    def _write_frame(self, slot: int, frame: Frame) -> None:
        sound = None if frame.sound is None else np.frombuffer(frame.sound, np.int16)
        try:
            self.recorder.write(frame.picture, sound, slot)
        except RecordingError as error:
            if not self.recorder.is_open:
                self.failure = str(error)
                return
            self.unusable += 1
            self.recorder.write(None, sound, slot)
