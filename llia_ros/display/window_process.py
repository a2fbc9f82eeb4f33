"""The window itself, in a process of its own; started by window.py, which feeds it.

One thread receives, decodes and places sound; the main thread draws the picture that is due.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import cv2
import numpy as np

from llia_ros.audio.devices import DeviceError
from llia_ros.audio.loudspeaker import Loudspeaker
from llia_ros.display.fit import DARK, Fit
from llia_ros.display.player import Player, SilentClock

# How often the clock is looked at, s: a fraction of what a screen takes to show a picture.
LOOK = 0.004
# SDL takes these where there is no screen: nobody would see anything.
NO_SCREEN = ('offscreen', 'dummy')


class Screen:
    """A window of pygame's, or the whole screen."""

    def __init__(self, fullscreen: bool, size: tuple[int, int], fit: str, rotate: int) -> None:
        os.environ['PYGAME_HIDE_SUPPORT_PROMPT'] = '1'
        try:
            import pygame
        except ImportError:
            raise ValueError(
                "output window needs pygame: pip install 'llia_ros[window]' (or pygame)"
            ) from None
        self._pygame = pygame
        asked = os.environ.get('SDL_VIDEODRIVER')
        try:
            pygame.display.init()
            self.driver = pygame.display.get_driver()
            if self.driver in NO_SCREEN and self.driver != asked:
                raise pygame.error('neither DISPLAY nor WAYLAND_DISPLAY leads to a screen')
            if self.driver == 'x11':
                # Plain copies: on a machine without a graphics card SDL would draw by OpenGL in
                # software, which takes ten times as long.
                os.environ.setdefault('SDL_FRAMEBUFFER_ACCELERATION', '0')
            pygame.display.set_caption('face')
            flags = pygame.FULLSCREEN if fullscreen else pygame.RESIZABLE
            self._surface = pygame.display.set_mode((0, 0) if fullscreen else size, flags)
        except pygame.error as error:
            raise ValueError(
                f'no screen for the window ({error}): start the node inside the desktop session, '
                'set DISPLAY, or choose another output'
            ) from None
        pygame.mouse.set_visible(not fullscreen)
        self._fit = Fit(self._surface.get_size(), fit, rotate)
        self._ground: tuple[int, int, int] | None = None
        self._last: np.ndarray | None = None
        self._clear(DARK)

    @property
    def size(self) -> str:
        """Width and height in words."""
        return '{}x{}'.format(*self._surface.get_size())

    def wants_to_close(self) -> bool:
        """Look after the window's events; True after its close button or Escape."""
        pygame = self._pygame
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                return True
            if event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE:
                return True
            if event.type in (pygame.VIDEORESIZE, pygame.VIDEOEXPOSE):
                self._surface = pygame.display.get_surface()
                self._fit.size = self._surface.get_size()
                self._ground = None
                if self._last is not None:
                    self.show(self._last)
        return False

    def show(self, picture: np.ndarray) -> None:
        """Draw a picture, uint8 (height, width, 3) BGR."""
        self._last = picture
        scaled, x, y = self._fit.place(picture)
        if self._fit.ground != self._ground:
            self._clear(self._fit.ground)
        height, width = scaled.shape[:2]
        image = self._pygame.image.frombuffer(scaled.data, (width, height), 'BGR')
        self._pygame.display.update(self._surface.blit(image, (x, y)))

    def _clear(self, bgr: tuple[int, int, int]) -> None:
        self._surface.fill(bgr[::-1])
        self._pygame.display.flip()
        self._ground = bgr


def receive(connection: Connection, player: Player, ended: threading.Event) -> None:
    """Hand what comes to the player, until the node hangs up."""
    with suppress(EOFError, OSError):
        while True:
            kind, epoch, index, data = connection.recv()
            if kind == 'sound':
                player.take_sound(index, epoch, np.frombuffer(data, np.int16))
            elif player.admit(epoch) and kind == 'picture':
                picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
                if picture is None:
                    player.skipped += 1
                else:
                    player.take_picture(index, epoch, picture)
    ended.set()


def watch(screen: Screen, player: Player, tell: Any, ended: threading.Event, sound: str) -> bool:
    """Draw until the node hangs up (False) or somebody closes the window (True)."""
    shown: deque[float] = deque(maxlen=200)
    skews: deque[float] = deque(maxlen=100)
    drawn, told = 0, time.monotonic()
    while not ended.wait(LOOK):
        if screen.wants_to_close():
            return True
        picture = player.due()
        now = time.monotonic()
        if picture is not None:
            screen.show(picture.pixels)
            shown.append(now)
            skews.append(1000 * player.skew)
            drawn += 1
        if now - told >= 1:
            told = now
            tell(
                'figures',
                {
                    'fps': sum(each > now - 1 for each in shown),
                    'pictures': drawn,
                    'late': player.late,
                    'skipped': player.skipped,
                    'old dropped': player.stale,
                    'clock moved': player.moved,
                    'picture after sound ms': float(np.median(skews)) if skews else 0.0,
                    'sound': 'stands still' if player.stuck and sound else sound or 'none',
                },
            )
    return False


def main(arguments: list[str]) -> int:
    """Run the window: descriptor, fullscreen 0|1, width, height, fit, rotate, speaker."""
    # Ctrl-C is for the node, which hangs up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    descriptor, fullscreen, width, height, fit, rotate, speaker = arguments
    connection = Connection(int(descriptor))

    def tell(kind: str, told: Any) -> None:
        with suppress(OSError):
            connection.send((kind, told))

    try:
        screen = Screen(fullscreen == '1', (int(width), int(height)), fit, int(rotate))
    except ValueError as error:
        tell('failed', str(error))
        return 1
    card: Loudspeaker | None = None
    silent = ''
    try:
        card = Loudspeaker(speaker)
    except DeviceError as error:
        silent = str(error)
    name = card.name if card is not None else ''
    where = os.environ.get('DISPLAY', '') if screen.driver == 'x11' else screen.driver
    tell('open', {'size': screen.size, 'screen': where, 'speaker': name, 'silent': silent})
    player, ended = Player(card or SilentClock()), threading.Event()
    threading.Thread(target=receive, args=(connection, player, ended), daemon=True).start()
    if watch(screen, player, tell, ended, name):
        tell('closed', '')
    if card is not None:
        card.close()
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
