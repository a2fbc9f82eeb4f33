"""An X screen without hardware: Xvfb, read through the memory in which it keeps its pixels."""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import subprocess
from pathlib import Path

import numpy as np

ESCAPE = 0xFF1B


class XScreen:
    """Xvfb on a free display number; `pixels` is a live view, uint8 (height, width, 4) BGRX."""

    def __init__(self, folder: Path, width: int, height: int) -> None:
        ours, theirs = os.pipe()
        command = ['Xvfb', '-displayfd', str(theirs), '-nolisten', 'tcp', '-fbdir', str(folder)]
        command += ['-screen', '0', f'{width}x{height}x24']
        with (folder / 'log').open('w') as log:
            self._server = subprocess.Popen(command, pass_fds=[theirs], stdout=log, stderr=log)
        os.close(theirs)
        with os.fdopen(ours) as told:
            self.display = f':{told.readline().strip()}'
        assert self.display != ':', (folder / 'log').read_text()
        with (folder / 'Xvfb_screen0').open('rb') as file:
            self._memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        # An XWD file: its head in big-endian words, a table of colours, the pixels.
        head = struct.unpack('>20I', self._memory[:80])
        offset, row = head[0] + 12 * head[19], head[12]
        assert (head[4], head[5], head[11]) == (width, height, 32)
        rows = np.frombuffer(self._memory, np.uint8, row * height, offset).reshape(height, row)
        self.pixels = rows[:, : 4 * width].reshape(height, width, 4)

    def rgb(self, x: int, y: int) -> np.ndarray:
        """Colour of a pixel, as int (3,)."""
        return self.pixels[y, x, 2::-1].astype(int)

    def picture(self) -> np.ndarray:
        """A screenshot, uint8 (height, width, 3) RGB."""
        return self.pixels[..., 2::-1].copy()

    def press(self, keysym: int = ESCAPE) -> None:
        """Press and release a key, as a keyboard would."""
        x, test = ctypes.CDLL('libX11.so.6'), ctypes.CDLL('libXtst.so.6')
        x.XOpenDisplay.restype = ctypes.c_void_p
        display = ctypes.c_void_p(x.XOpenDisplay(self.display.encode()))
        code = x.XKeysymToKeycode(display, ctypes.c_ulong(keysym))
        for down in (1, 0):
            test.XTestFakeKeyEvent(display, code, down, ctypes.c_ulong(0))
        x.XCloseDisplay(display)

    def close(self) -> None:
        """End the server."""
        self._server.terminate()
        self._server.wait()
