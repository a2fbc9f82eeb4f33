"""The window with a real face on a screen of its own, for make_screenshots.py."""

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from llia_ros.demo.conversation import LINES
from llia_ros.demo.x_screen import XScreen
from llia_ros.display.pairing import Frame
from llia_ros.display.window import Window
from llia_ros.nodes.messages import encode_jpeg
from llia_ros.runtime.avatar import Avatar

SIZE = 1280, 720
SECONDS = 3.0


def window() -> np.ndarray:
    """Let the model speak in a full-screen window on Xvfb; return what is seen, RGB."""
    line = next(line for line in LINES if line.name == 'introduction')
    with tempfile.TemporaryDirectory() as folder:
        screen = XScreen(Path(folder), *SIZE)
        os.environ['DISPLAY'] = screen.display
        shown = Window()
        with Avatar.load('tiny', portrait='robot') as avatar:
            avatar.push_audio(line.samples)
            avatar.end_of_speech()
            end = time.monotonic() + SECONDS
            for made in avatar:
                sound, picture = made.audio.tobytes(), encode_jpeg(made.image)
                frame = Frame(0, made.index, made.epoch, made.state, picture, sound)
                shown.hear(frame)
                shown.put(frame)
                if time.monotonic() > end:
                    break
        picture = screen.picture()
        shown.close()
        screen.close()
    return picture
