"""A window as an output: a process of its own draws and plays, fed through a queue.

Of its own, so that neither the node nor the model in a composed process waits for a screen, and
because an X server that goes away takes the process with it that draws there.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from multiprocessing.connection import Connection
from typing import Any

from llia_ros.display.output import Output
from llia_ros.display.pairing import Frame

# Items that wait for the process: half a second of pictures and sounds.
QUEUE = 25
OPENING = 30.0  # s
ENDING = 5.0  # s


class WindowError(ValueError):
    """The window cannot be opened."""


class Window(Output):
    """Shows the face in a window, or full screen, with sound by the loudspeaker `speaker`.

    `size` is (width, height) of a window that is not full screen; `fit` and `rotate` are
    Fit's.
    Raises WindowError where there is no screen. Without a sound device the window is silent,
    and `warning` says so.
    """

    def __init__(
        self,
        fullscreen: bool = True,
        size: tuple[int, int] = (1280, 720),
        fit: str = 'contain',
        rotate: int = 0,
        speaker: str = '',
    ) -> None:
        self.dropped = 0
        self._figures: dict[str, Any] = {}
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._ready = threading.Condition()
        self._ended = False
        self._errors = tempfile.TemporaryFile()
        self._threads: list[threading.Thread] = []
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, '-m', 'llia_ros.display.window_process'),
                    *(str(theirs.fileno()), str(int(fullscreen)), *map(str, size)),
                    *(fit, str(rotate), speaker),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
            )
        self._connection = Connection(os.dup(self._socket.fileno()))
        kind, told = self._first_word()
        if kind != 'open':
            self.close()
            raise WindowError(told)
        self.opened = f'the face is in a window of {told["size"]} on {told["screen"]}'
        if told['silent']:
            self.warning = f'the window is silent: {told["silent"]}'
        self._figures = {'sound': told['speaker'] or 'none'}
        self._threads = [
            threading.Thread(target=work, name='window', daemon=True)
            for work in (self._feed, self._listen)
        ]
        for thread in self._threads:
            thread.start()

    def hear(self, frame: Frame) -> None:
        """Queue a sound."""
        if frame.sound is not None:
            self._queue('sound', frame.epoch, frame.index, frame.sound)

    def put(self, frame: Frame) -> None:
        """Queue a picture."""
        if frame.picture is not None:
            self._queue('picture', frame.epoch, frame.index, frame.picture)

    def cut(self, epoch: int) -> None:
        """Let the window fall silent."""
        self._queue('cut', epoch)

    def report(self) -> dict[str, Any]:
        """Whether the window is open, what it shows, and what had to be left out."""
        state = 'closed' if self.notice or self.failure else 'open'
        told = {f'window {key}': value for key, value in self._figures.items()}
        return {'window': state, **told, 'window drops': self.dropped}

    def close(self) -> str:
        """End the process."""
        self._end()
        # Only that wakes a thread which reads.
        self._socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._connection.close()
        self._socket.close()
        try:
            self._process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()
        return ''

    def _first_word(self) -> tuple[str, Any]:
        try:
            if self._connection.poll(OPENING):
                return self._connection.recv()
        except (EOFError, OSError):
            pass
        return 'failed', f'the window did not open: {self._last_words()}'

    def _queue(self, kind: str, epoch: int, index: int = 0, data: bytes = b'') -> None:
        with self._ready:
            if self._ended:
                return
            while self._waiting and (self._waiting[0][1] < epoch or len(self._waiting) >= QUEUE):
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append((kind, epoch, index, data))
            self._ready.notify()

    def _feed(self) -> None:
        while True:
            with self._ready:
                while not self._waiting and not self._ended:
                    self._ready.wait()
                if self._ended:
                    return
                item = self._waiting.popleft()
            try:
                self._connection.send(item)
            except (OSError, ValueError):
                return

    def _listen(self) -> None:
        """Take what the process tells until it ends, then say why it did."""
        try:
            while True:
                kind, told = self._connection.recv()
                if kind == 'closed':
                    self.notice = 'the window was closed: the node goes on without it'
                else:
                    self._figures = told
        except (EOFError, OSError, TypeError):
            pass
        if not self._ended and not self.notice:
            self.failure = f'the window has ended by itself: {self._last_words()}'
        self._end()

    def _end(self) -> None:
        with self._ready:
            self._ended = True
            self._waiting.clear()
            self._ready.notify_all()

    def _last_words(self) -> str:
        try:
            self._process.wait(ENDING)
        except subprocess.TimeoutExpired:
            return 'it does not answer'
        self._errors.seek(0)
        lines = self._errors.read().decode(errors='replace').strip().splitlines()
        return lines[-1] if lines else f'exit code {self._process.returncode}'
