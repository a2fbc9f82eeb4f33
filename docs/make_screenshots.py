"""Takes the screenshots of the documents, of a face that really runs.

`python docs/make_screenshots.py` takes all of them, followed by names only those. A new one is
one more line in SHOTS: a name, and a function of a Scene that returns what is seen.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import soundfile

from llia_ros.audio.stream import RATE
from llia_ros.demo.conversation import LINES
from llia_ros.demo.headless import SOUND_ALLOWED, Browser, free_port
from llia_ros.demo.processes import NodeProcess, NodeProcesses

HERE = Path(__file__).parent / 'pictures'
PATIENCE = 120.0  # s until a busy machine has loaded the model
FIGURES = 20.0  # s in which the latency chart gets something to show
PAUSE = 6.0  # s of silence after what the robot says


@dataclass
class Scene:
    """The four nodes as processes on a domain of their own, and a robot that says a line again.

    `env` is the environment of whatever else is to join the graph, `folder` is scratch.
    """

    nodes: NodeProcesses
    folder: Path
    env: dict[str, str]
    portrait: str = 'robot'

    @cached_property
    def url(self) -> str:
        """Where the display shows the face; the graph is started at the first call."""
        port = free_port()
        voice = self._voice()
        self._start('dialogue_state')
        self._start('display', {'port': port})
        self._start('avatar', {'portrait': self.portrait})
        spoken = {'source': 'file', 'file': str(voice), 'loop': True, 'wait_for_subscribers': 2}
        self._start('audio_capture', spoken, {'user/audio': 'robot/audio'})
        return f'http://127.0.0.1:{port}/'

    @cached_property
    def browser(self) -> Browser:
        """A headless Chromium, without a page yet."""
        browser = Browser(self.folder / 'profile', (1280, 800), SOUND_ALLOWED)
        # Where the page is served a moment later than it is asked for.
        while True:
            self.nodes.check()
            try:
                browser.open(self.url)
                return browser
            except RuntimeError:
                time.sleep(0.5)

    def page(self, path: str, size: tuple[int, int], ready: str) -> Browser:
        """Open a page of the display in a window of that size; wait for a JavaScript condition."""
        self.browser.resize(size)
        self.browser.open(self.url + path)
        self.browser.wait(ready, PATIENCE)
        return self.browser

    def close(self) -> None:
        """End the browser; the nodes are ended by whoever cares for them."""
        if 'browser' in vars(self):
            self.browser.__exit__()

    def _start(
        self,
        name: str,
        parameters: dict[str, object] | None = None,
        remappings: dict[str, str] | None = None,
    ) -> None:
        log = self.folder / f'{name}.log'
        self.nodes.start(NodeProcess(name, log, self.env, parameters, remappings))

    def _voice(self) -> Path:
        line = next(line for line in LINES if line.name == 'introduction')
        pause = np.zeros(int(PAUSE * RATE), np.int16)
        path = self.folder / 'voice.wav'
        soundfile.write(path, np.concatenate([line.samples, pause]), RATE)
        return path


def kiosk(size: tuple[int, int], query: str = '') -> Callable[[Scene], np.ndarray]:
    """Return what takes the kiosk page at a size, while the face speaks."""

    def take(scene: Scene) -> np.ndarray:
        speaking = 'window.llia && window.llia.drawn > 50 && window.llia.state === "speaking"'
        return scene.page(query, size, speaking).screenshot()

    return take


def control(size: tuple[int, int]) -> Callable[[Scene], np.ndarray]:
    """Return what takes the control page at a size, while the face speaks."""

    def take(scene: Scene) -> np.ndarray:
        speaking = (
            'window.llia && llia.drawn > 50 && llia.facts.gallery && llia.facts.playing && '
            'document.getElementById("stage").value === "latency" && '
            '[...document.querySelectorAll("#gallery img")].every((each) => each.naturalWidth)'
        )
        browser = scene.page('control', size, speaking)
        time.sleep(FIGURES)
        browser.wait('llia.facts.playing', PATIENCE)
        return browser.screenshot()

    return take


def timeline(scene: Scene) -> np.ndarray:
    """Run the demo, which draws its own timeline."""
    from llia_ros.demo import run_demo

    code = run_demo(scene.folder / 'demo', browser=False)
    if code:
        raise SystemExit(code)
    return cv2.imread(str(scene.folder / 'demo' / 'timeline.png'))[..., ::-1]


def window(scene: Scene) -> np.ndarray:
    """Take the window, on a screen of its own."""
    from window_picture import window as shown

    return shown()


# What is seen, and by what name it is kept: .jpg for faces, .png for text and lines.
SHOTS: dict[str, Callable[[Scene], np.ndarray]] = {
    'kiosk-1920x1080.jpg': kiosk((1920, 1080)),
    'kiosk-1080x1920.jpg': kiosk((1080, 1920)),
    'kiosk-800x480.jpg': kiosk((800, 480)),
    'kiosk-debug.jpg': kiosk((1280, 720), '?debug=1'),
    'control-1280x800.jpg': control((1280, 800)),
    'control-800x480.jpg': control((800, 480)),
    'window.jpg': window,
    'timeline.png': timeline,
}
LONGEST_SIDE = 960  # a page of text shows no more of it


def write(name: str, picture: np.ndarray) -> Path:
    """Write an RGB picture, made small."""
    scale = min(1.0, LONGEST_SIDE / max(picture.shape[:2]))
    size = [round(scale * side) for side in picture.shape[1::-1]]
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    best = [cv2.IMWRITE_PNG_COMPRESSION, 9]
    options = best if name.endswith('.png') else [cv2.IMWRITE_JPEG_QUALITY, 85]
    HERE.mkdir(exist_ok=True)
    cv2.imwrite(str(HERE / name), np.ascontiguousarray(small[..., ::-1]), options)
    return HERE / name


def main() -> int:
    """Take the shots that are named, or all."""
    parser = argparse.ArgumentParser(description='Take the screenshots of the documents.')
    parser.add_argument('shots', nargs='*', metavar='NAME', help=f'of {", ".join(SHOTS)}')
    wanted: list[str] = parser.parse_args().shots or list(SHOTS)
    if unknown := [name for name in wanted if name not in SHOTS]:
        print(f'no shot {unknown[0]!r}: expected some of {", ".join(SHOTS)}', file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        settings: dict[str, Any] = {
            'ROS_DOMAIN_ID': str(130 + os.getpid() % 60),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
            'ROS_LOG_DIR': scratch,
        }
        with NodeProcesses() as nodes:
            scene = Scene(nodes, Path(scratch), {**os.environ, **settings})
            try:
                for name in wanted:
                    path = write(name, SHOTS[name](scene))
                    print(f'{path}: {path.stat().st_size / 1024:.0f} kB')
            finally:
                scene.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
