"""A typed text as the robot's voice: synthesized and delivered by a thread of its own."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import soxr

from llia_ros.audio.espeak import Espeak
from llia_ros.audio.stream import SECOND
from llia_ros.nodes.messages import Audio
from llia_ros.nodes.parameters import DisplayParameters

MOST_WAITING = 4
CHUNK = 0.1
# Seconds from chunk to chunk: ten times as fast as it is spoken, slow enough for every listener.
PAUSE = 0.01


class Voice:
    """Speaks texts one after another; `say` gets the sound, in chunks and then without samples.

    `speak` returns a future whose result tells how long the text is; a ValueError in it, or of
    `speak` itself, is why it cannot be spoken.
    """

    def __init__(
        self, espeak: Espeak, wanted: DisplayParameters, say: Callable[[Audio], None]
    ) -> None:
        self._espeak = espeak
        self._rate, self._channels = wanted.audio_rate, wanted.audio_channels
        self._say = say
        self._pool = ThreadPoolExecutor(1, thread_name_prefix='voice')
        self._waiting: list[Future[str]] = []
        self._stopped = threading.Event()

    def speak(self, text: str, voice: str, variant: str) -> Future[str]:
        """Begin to speak a text, after those that wait already."""
        self._waiting = [future for future in self._waiting if not future.done()]
        if len(self._waiting) >= MOST_WAITING:
            raise ValueError(f'{MOST_WAITING} texts are waiting already: let them be spoken first')
        future = self._pool.submit(self._speak, text, voice, variant, self._stopped)
        self._waiting.append(future)
        return future

    def stop(self) -> None:
        """Deliver no more of the texts so far."""
        stopped, self._stopped = self._stopped, threading.Event()
        stopped.set()

    def close(self) -> None:
        """Stop and end the thread."""
        self.stop()
        self._pool.shutdown(cancel_futures=True)

    def _speak(self, text: str, voice: str, variant: str, stopped: threading.Event) -> str:
        if stopped.is_set():
            return 'interrupted before it began'
        samples, rate = self._espeak.speak(text, voice, variant)
        if rate != self._rate:
            samples = soxr.resample(samples, rate, self._rate)
        sound = np.repeat(samples[:, None], self._channels, axis=1)
        step = round(CHUNK * self._rate)
        began = time.time_ns()
        for start in range(0, len(sound), step):
            if stopped.wait(PAUSE):
                break
            stamp = began + start * SECOND // self._rate
            self._say(Audio(sound[start : start + step], self._rate, stamp, 'control'))
        end = began + len(sound) * SECOND // self._rate
        self._say(Audio(sound[:0], self._rate, end, 'control'))
        return f'speaking for {len(sound) / self._rate:.1f} s'
