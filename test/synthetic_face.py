"""Pictures and sounds with a content that a test can recognise, sent as a face would."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import cv2
import numpy as np

from llia_ros.display.mailbox import PICTURE, SOUND, Item
from llia_ros.display.server import DisplayServer

RATE, FPS, SAMPLES = 16000, 25, 640


def jpeg(colour: tuple[int, int, int], border: tuple[int, int, int], size: int = 256) -> bytes:
    """A square of `colour` on a ground of `border` (RGB)."""
    picture = np.full((size, size, 3), border, np.uint8)
    picture[size // 4 : -size // 4, size // 4 : -size // 4] = colour
    done, data = cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    assert done
    return data.tobytes()


def tone(index: int, frequency: float = 440.0, amplitude: float = 8000.0) -> np.ndarray:
    """The samples of frame `index` of a tone that never breaks."""
    time_s = np.arange(index * SAMPLES, (index + 1) * SAMPLES) / RATE
    return (amplitude * np.sin(2 * np.pi * frequency * time_s)).astype(np.int16)


SILENCE = np.zeros(SAMPLES, np.int16)
Look = Callable[[int], tuple[bytes, np.ndarray, str]]


class SyntheticFace:
    """Feeds a server at 25 fps from a thread until it is closed.

    `look(index)` gives picture, sound and state of a frame. It and `epoch` may be changed
    meanwhile.
    """

    def __init__(self, server: DisplayServer, look: Look, epoch: int = 0) -> None:
        self.server = server
        self.epoch = epoch
        self.index = 0
        self.look = look
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        """Stop feeding."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        start = time.monotonic()
        while not self._end.wait(max(0.0, start + self.index / FPS - time.monotonic())):
            picture, sound, state = self.look(self.index)
            stamp, epoch = time.time(), self.epoch
            for kind, data in ((SOUND, sound.tobytes()), (PICTURE, picture)):
                self.server.send(Item(kind, self.index, epoch, stamp, state, data))
            self.index += 1
