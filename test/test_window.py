"""The face in a window on a real X server, with its sound in a real sound server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import Probe, Start, until
from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import Int16MultiArray
from synthetic_face import SAMPLES, SILENCE, jpeg
from talking_face import Face, values

from llia_ros.demo.x_screen import XScreen
from llia_ros.display.pairing import Frame
from llia_ros.display.window import Window, WindowError
from llia_ros.nodes.messages import AUDIO_QOS, read_audio

WIDTH, HEIGHT = 640, 480
MIDDLE, CORNER = (WIDTH // 2, HEIGHT // 2), (10, 10)
RED, GREEN, WHITE = (220, 50, 40), (40, 190, 60), (250, 250, 250)
GROUND = (30, 60, 90)
RED_FACE, GREEN_FACE, WHITE_FACE = (jpeg(colour, GROUND) for colour in (RED, GREEN, WHITE))
BEEP = np.random.default_rng(3).integers(-20000, 20000, SAMPLES).astype(np.int16)
FLASH = 15  # frames from one flash to the next
NOWHERE = {'PULSE_SERVER': 'unix:/nowhere', 'XDG_RUNTIME_DIR': '/nowhere'}


@pytest.fixture(scope='module')
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[XScreen]:
    running = XScreen(tmp_path_factory.mktemp('x'), WIDTH, HEIGHT)
    yield running
    running.close()


def alike(seen: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(seen - colour).max() < 12)


class Watcher:
    """Notes when (s) the middle of the screen takes another colour, and which."""

    def __init__(self, screen: XScreen) -> None:
        self.changes: list[tuple[float, np.ndarray]] = []
        self._screen = screen
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        last = np.zeros(3)
        while not self._end.wait(0.001):
            now, seen = time.time(), self._screen.rgb(*MIDDLE)
            if np.abs(seen - last).max() > 30:
                self.changes.append((now, seen))
                last = seen


def beeps(heard: list[tuple[float, Int16MultiArray]]) -> np.ndarray:
    """When (s) each loud sound began."""
    sounds = [read_audio(message) for _, message in heard]
    loud = [
        sound.stamp / 1e9 + np.flatnonzero(np.abs(sound.samples[:, 0]) > 5000) / sound.rate
        for sound in sounds
    ]
    times = np.concatenate([np.zeros(0), *loud])
    return times[np.diff(times, prepend=-1) > 0.2]


@pytest.mark.alone
def test_the_window_shows_the_face_with_its_sound_until_it_is_closed(
    probe: Probe, start: Start, pulse: dict[str, str], screen: XScreen
) -> None:
    told = probe.hear(DiagnosticArray, '/diagnostics')
    heard = probe.hear(Int16MultiArray, 'user/audio', AUDIO_QOS)
    start('audio_capture', device='pulse:vmic.monitor', env=pulse)
    env = {**pulse, 'DISPLAY': screen.display}
    start('display', output='window', speaker='pulse:vmic', env=env)
    face = Face(probe)

    face.say(0, RED_FACE, samples=SILENCE)
    probe.until(lambda: alike(screen.rgb(*MIDDLE), RED) and heard)
    assert alike(screen.rgb(*CORNER), GROUND) and alike(screen.rgb(WIDTH - 10, 400), GROUND)

    watcher = Watcher(screen)
    for k in range(1, 6 * FLASH):
        flash = k % FLASH == 0
        face.say(k, WHITE_FACE if flash else RED_FACE, samples=BEEP if flash else SILENCE)
    probe.spin(0.5)
    watcher.close()
    flashes = np.array([at for at, seen in watcher.changes if alike(seen, WHITE)])
    sounds = beeps(heard)
    assert len(flashes) >= 4 and len(sounds) >= 4
    apart = [1000 * (flashes - sound)[np.abs(flashes - sound).argmin()] for sound in sounds]
    print('picture after sound, ms:', np.round(apart, 1))
    assert abs(np.median(apart)) < 25

    # Twelve frames ahead, each unlike the one before, and an interruption: most are never seen.
    shades = [jpeg((20 * k, 0, 200 * (k % 2)), GROUND) for k in range(12)]
    watcher = Watcher(screen)
    for k, shade in enumerate(shades):
        face.say(90 + k, shade, samples=SILENCE, seconds=0.004)
    face.cut(epoch=1, seconds=0.6)
    assert len(watcher.changes) < 10, 'it went on after the cut'
    face.say(102, GREEN_FACE, epoch=1, samples=SILENCE)
    probe.until(lambda: alike(screen.rgb(*MIDDLE), GREEN))
    face.say(101, RED_FACE, epoch=0, samples=SILENCE)
    probe.spin(0.6)
    watcher.close()
    assert alike(watcher.changes[-1][1], GREEN)

    screen.press()
    probe.until(lambda: values(told).get('window') == 'closed')
    assert values(told)['level'] == 'warn'
    assert values(told)['summary'] == 'the window was closed: the node goes on without it'
    pictures = int(values(told)['pictures'])
    face.say(103, GREEN_FACE, epoch=1)
    probe.until(lambda: int(values(told)['pictures']) > pictures)
    assert alike(screen.rgb(*CORNER), (0, 0, 0))


def test_no_screen_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('DISPLAY', 'WAYLAND_DISPLAY', 'SDL_VIDEODRIVER'):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(WindowError, match='^no screen for the window .*set DISPLAY') as told:
        Window()
    assert '\n' not in str(told.value)


def test_without_a_sound_device_the_window_is_silent_and_says_so(
    screen: XScreen, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**NOWHERE, 'DISPLAY': screen.display}.items():
        monkeypatch.setenv(name, value)
    window = Window(fullscreen=False, size=(200, 300), fit='cover')
    assert 'window of 200x300 on ' + screen.display in window.opened
    assert window.warning.startswith('the window is silent: no sound output device')
    for k in range(5):
        frame = Frame(0, k, 0, 'idle', GREEN_FACE if k == 4 else RED_FACE, SILENCE.tobytes())
        window.hear(frame)
        window.put(frame)

    def green() -> np.ndarray:
        return np.abs(screen.picture().astype(int) - GREEN).max(axis=2) < 12

    until(lambda: green().any() and window.report().get('window pictures'))
    rows, columns = np.nonzero(green())
    # The square is half of the picture, which covers 300 x 300 of which 200 are seen.
    assert np.ptp(rows) == pytest.approx(149, abs=3) and np.ptp(columns) == pytest.approx(
        149, abs=3
    )
    assert window.close() == ''


def test_a_window_that_dies_is_told_and_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = XScreen(tmp_path, 320, 240)
    for name, value in {**NOWHERE, 'DISPLAY': dying.display}.items():
        monkeypatch.setenv(name, value)
    window = Window()
    dying.close()
    until(lambda: window.failure)
    assert window.failure.startswith('the window has ended by itself: ')
    assert window.report()['window'] == 'closed'
    window.put(Frame(0, 0, 0, 'idle', RED_FACE, None))
    window.close()
