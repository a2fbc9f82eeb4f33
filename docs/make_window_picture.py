"""Takes the window's screenshot, of a real face: python docs/make_window_picture.py."""

import os
import tempfile
import time
from pathlib import Path

import cv2
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


if __name__ == '__main__':
    path = Path(__file__).parent / 'pictures' / 'window.jpg'
    small = cv2.resize(window(), (960, 540), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    print(f'{path}: {path.stat().st_size / 1024:.0f} kB')
