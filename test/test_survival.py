"""The real graph and a browser while the robot speaks: what is killed comes back by itself.

Nothing but the killed process is started anew, as a launch file with `respawn` does it.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import SCRIPTS, Probe, Process, until, write_sound
from sensor_msgs.msg import CompressedImage

from llia_ros.audio.stream import RATE
from llia_ros.demo.conversation import LINES
from llia_ros.demo.headless import CHROMEDRIVER, CHROMIUM, FLAGS, MISSING, Browser, free_port
from llia_ros.display.browser import wait_for
from llia_ros.nodes.messages import FRAME_QOS
from llia_ros.runtime.backends import model_names

pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and CHROMEDRIVER), reason=MISSING),
    pytest.mark.skipif('tiny' not in model_names(), reason='the model is not there'),
]

SLOW = 90.0  # a model that loads on a busy machine
BACK = 3.0  # s from where a new process can be used to its face on the screen


class Robot:
    """Four nodes, one of which says the same again and again, and a browser."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        line = next(line for line in LINES if line.name == 'story')
        # Now and then it is silent for a while: that is when a calm still can be taken.
        samples = np.pad(np.asarray(line.samples), (0, 3 * RATE))
        voice = write_sound(folder / 'voice.wav', samples)
        with socket.create_server(('127.0.0.1', 0)) as free:
            port = free.getsockname()[1]
        self.url = f'http://127.0.0.1:{port}/'
        said = ['source:=file', f'file:={voice}', 'loop:=true', 'wait_for_subscribers:=1']
        renamed = ['-r', 'user/audio:=robot/audio', '-r', '__node:=robot_voice']
        self.commands = {
            'dialogue_state': [str(SCRIPTS / 'dialogue_state')],
            'avatar': [str(SCRIPTS / 'avatar')],
            'display': self.node('display', [f'port:={port}']),
            'audio_capture': [*self.node('audio_capture', said), *renamed],
        }
        self.devtools = free_port()
        self.commands['browser'] = [
            sys.executable,
            '-m',
            'llia_ros.display.browser',
            self.url,
            f'--profile={folder / "profile"}',
            f'--flags={" ".join(FLAGS)} --remote-debugging-port={self.devtools}',
        ]
        self.running: dict[str, Process] = {}
        for name in self.commands:
            self.start(name)
        self.window: Browser | None = None
        self.look()

    @staticmethod
    def node(name: str, parameters: list[str]) -> list[str]:
        given = [word for parameter in parameters for word in ('-p', parameter)]
        return [str(SCRIPTS / name), '--ros-args', *given]

    def start(self, name: str) -> None:
        """Start one of the processes."""
        self.running[name] = Process(self.commands[name], self.folder, {})

    def kill(self, name: str) -> float:
        """End one by force and start it anew; returns when it was killed, s since 1970."""
        killed = time.time()
        self.running[name].stop(signal.SIGKILL)
        self.start(name)
        return killed

    def look(self) -> Browser:
        """Look into the browser that runs now."""
        if self.window is not None:
            self.window.__exit__()
        address = f'http://127.0.0.1:{self.devtools}/json/list'

        def pages() -> bool:
            try:
                with urllib.request.urlopen(address, timeout=2) as answer:
                    return any(page['url'] == self.url for page in json.load(answer))
            except OSError:
                return False

        until(pages, SLOW)
        self.window = Browser.attached(self.devtools)
        return self.window

    def close(self) -> None:
        """End everything."""
        if self.window is not None:
            self.window.__exit__()
        for process in reversed(self.running.values()):
            process.stop(signal.SIGKILL)


@pytest.fixture(scope='module')
def robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    robot = Robot(tmp_path_factory.mktemp('robot'))
    yield robot
    robot.close()


SPEAKING = (
    'window.llia && window.llia.drawn > 50 && window.llia.state === "speaking" '
    '&& window.llia.audio === "running"'
)


def speaks_on(window: Browser) -> None:
    """The face moves, and its voice is played."""
    before = window.run('return [window.llia.drawn, window.llia.scheduled]')
    window.wait(
        f'window.llia.drawn > {before[0]} + 25 && window.llia.scheduled > {before[1]} + 25 '
        '&& window.llia.state === "speaking" && window.llia.calm === 0'
    )


def test_the_face_comes_back_after_the_avatar_was_killed(robot, probe: Probe):
    window = robot.look()
    window.wait(SPEAKING, SLOW)
    window.wait('window.llia.still', SLOW)
    window.wait(SPEAKING, SLOW)
    pictures = probe.hear(CompressedImage, 'image_raw/compressed', FRAME_QOS)
    probe.until(lambda: pictures)
    killed = robot.kill('avatar')
    probe.until(lambda: window.run('return window.llia.calm') > 0)  # no mouth stays open
    probe.spin(0.5)
    pictures.clear()
    probe.until(lambda: pictures, SLOW)
    ready = time.time()
    window.wait(f'window.llia.since > {1000 * killed}', BACK + 2)
    told('avatar', window, killed, ready)
    speaks_on(window)


def test_the_face_comes_back_after_the_display_was_killed(robot):
    window = robot.look()
    window.wait(SPEAKING, SLOW)
    killed = robot.kill('display')
    window.wait('!window.llia.connected')
    wait_for(robot.url)
    ready = time.time()
    window.wait(f'window.llia.since > {1000 * killed}', BACK + 2)
    told('display', window, killed, ready)
    speaks_on(window)


def test_the_face_comes_back_after_the_browser_was_killed(robot):
    robot.look().wait(SPEAKING, SLOW)
    killed = robot.kill('browser')
    window = robot.look()
    window.wait('window.llia && window.llia.since > 0')
    # Ready is a browser that begins to load the page: all before is its own start.
    ready = window.run('return performance.timeOrigin') / 1000
    assert ready > killed
    told('browser', window, killed, ready)
    speaks_on(window)


def told(name: str, window: Browser, killed: float, ready: float) -> None:
    """Print how long it took, and hold it against what is promised."""
    back = window.run('return window.llia.since') / 1000
    print(
        f'{name}: back {back - killed:.1f} s after the kill, {back - ready:.1f} s after its start'
    )
    assert back - ready <= BACK
