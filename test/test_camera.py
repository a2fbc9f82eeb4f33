"""The face as a webcam: the real pyvirtualcam, with a device of the test's that a reader reads.

No loopback device can be made where tests run, for that takes a module of the kernel. What
pyvirtualcam hands to its device goes through a pipe to a video reader instead.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import pytest
from conftest import Start, until
from pyvirtualcam.camera import BACKENDS
from synthetic_face import jpeg

from llia_ros.display.camera import Camera
from llia_ros.display.fit import Fit, border_colour
from llia_ros.display.pairing import Frame

SIZE = WIDTH, HEIGHT = 320, 200
RED, GREEN, BLUE, GROUND = (220, 50, 40), (40, 190, 60), (40, 60, 210), (30, 60, 90)


class Pipe:
    """A device of pyvirtualcam's that writes what it is sent into a pipe."""

    last: Pipe

    def __init__(self, *, width: int, height: int, fps: float, fourcc: int, device: Any) -> None:
        assert (width, height, fps) == (*SIZE, 25)
        self.times: list[float] = []
        self.reading, self._writing = os.pipe()
        Pipe.last = self

    def send(self, frame: np.ndarray) -> None:
        self.times.append(time.monotonic())
        data = memoryview(frame.tobytes())
        while data:
            data = data[os.write(self._writing, data) :]

    def close(self) -> None:
        os.close(self._writing)

    def device(self) -> str:
        return '/dev/pipe'

    def native_fourcc(self) -> None:
        return None


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[np.ndarray]]:
    """Makes the test's device pyvirtualcam's only one; yields the RGB pictures that are read."""
    assert set(BACKENDS) == {'v4l2loopback'}
    monkeypatch.delitem(BACKENDS, 'v4l2loopback')
    monkeypatch.setitem(BACKENDS, 'pipe', Pipe)
    yield []


def read(descriptor: int, seen: list[np.ndarray]) -> None:
    """What a program does that opens the camera."""
    options = {'video_size': '{}x{}'.format(*SIZE), 'pixel_format': 'bgr24', 'framerate': '25'}
    with os.fdopen(descriptor, 'rb') as file:
        with av.open(file, format='rawvideo', options=options) as video:
            for frame in video.decode(video=0):
                seen.append(frame.to_ndarray(format='rgb24'))


def colours(seen: list[np.ndarray]) -> list[str]:
    """Names of the colours in the middle, each run once."""
    names = []
    for picture in seen:
        middle = picture[HEIGHT // 2, WIDTH // 2].astype(int)
        known = {'red': RED, 'green': GREEN, 'blue': BLUE, 'dark': (11, 13, 16)}
        name = min(known, key=lambda name: np.abs(middle - known[name]).max())
        if names[-1:] != [name]:
            names.append(name)
    return names


def frame(index: int, colour: tuple[int, int, int], epoch: int = 0) -> Frame:
    return Frame(0, index, epoch, 'idle', jpeg(colour, GROUND), None)


def test_a_camera_keeps_its_rate_and_repeats_what_is_missing(pipe: list[np.ndarray]) -> None:
    camera = Camera(size=(WIDTH + 1, HEIGHT + 1))
    device = Pipe.last
    assert camera.opened == f'the face is a webcam: /dev/pipe, {WIDTH}x{HEIGHT}'
    reader = threading.Thread(target=read, args=(device.reading, pipe))
    reader.start()
    camera.begin()
    until(lambda: len(device.times) > 2)
    camera.put(frame(0, RED))
    until(lambda: camera.report()['camera repeated'] < camera.report()['camera frames'])
    sent = len(device.times)
    until(lambda: len(device.times) > sent + 15)
    # Four at once: the oldest gives way to the third, and all of them to a newer epoch.
    for k in range(1, 4):
        camera.put(frame(k, BLUE))
    camera.cut(1)
    assert camera.skipped >= 2
    camera.put(frame(4, GREEN, epoch=1))
    camera.put(Frame(0, 4, 1, 'idle', b'no picture', None))
    until(lambda: camera.report()['camera pictures unusable'] == 1)
    told = camera.report()
    assert camera.close() == ''
    reader.join()
    assert [name for name in colours(pipe) if name != 'blue'] == ['dark', 'red', 'green']
    assert (
        told['camera frames'] - told['camera repeated'] in (2, 3) and told['camera skipped'] >= 2
    )
    assert np.median(np.diff(device.times)) == pytest.approx(0.04, abs=0.005)
    shown = pipe[-1].astype(int)
    assert shown.shape == (HEIGHT, WIDTH, 3)
    # 200 x 200 of face in the middle, its ground on both sides.
    for x in (5, 58, 65, WIDTH - 5):
        assert np.abs(shown[HEIGHT // 2, x] - GROUND).max() < 10
    assert np.abs(shown[HEIGHT // 2, WIDTH // 2] - GREEN).max() < 10


def test_no_loopback_device_ends_the_node_with_a_line_that_says_how_to_make_one(
    start: Start,
) -> None:
    node = start('display', output='camera', camera_device='/dev/video63')
    assert node.wait() == 1
    [line] = node.output.strip().splitlines()
    assert '/dev/video63 does not exist' in line
    assert 'sudo modprobe v4l2loopback video_nr=63 card_label=face exclusive_caps=1' in line


@pytest.mark.parametrize(
    ('size', 'fit', 'expected'),
    [
        ((400, 100), 'contain', (100, 100, 150, 0)),
        ((100, 400), 'contain', (100, 100, 0, 150)),
        ((400, 100), 'cover', (400, 100, 0, 0)),
        ((100, 400), 'cover', (100, 400, 0, 0)),
        ((64, 64), 'contain', (64, 64, 0, 0)),
    ],
)
def test_a_picture_fits_every_shape_of_screen(
    size: tuple[int, int], fit: str, expected: tuple[int, int, int, int]
) -> None:
    ground = (10, 80, 120)
    picture = np.full((256, 256, 3), ground, np.uint8)
    picture[64:192, 64:192] = (200, 30, 60)
    placed = Fit(size, fit)
    scaled, x, y = placed.place(picture)
    assert (scaled.shape[1], scaled.shape[0], x, y) == expected
    assert placed.ground == border_colour(picture) == ground
    whole = placed.whole(picture)
    assert whole.shape == (size[1], size[0], 3)
    assert tuple(whole[size[1] // 2, size[0] // 2]) == (200, 30, 60)
    # Nothing is stretched: the square is a square wherever it is seen whole.
    inside = whole[..., 0] > 150
    wide, tall = inside.any(axis=0).sum(), inside.any(axis=1).sum()
    assert abs(wide - tall) <= 2 or fit == 'cover'


def test_a_screen_on_its_side_gets_the_picture_turned() -> None:
    picture = np.zeros((20, 10, 3), np.uint8)
    picture[0, 0] = 255
    corners = {
        turn: tuple(np.argwhere(Fit(size, 'contain', turn).whole(picture)[..., 0])[0])
        for turn, size in {0: (10, 20), 90: (20, 10), 180: (10, 20), 270: (20, 10)}.items()
    }
    assert corners == {0: (0, 0), 90: (0, 19), 180: (19, 9), 270: (9, 0)}


def test_the_ground_does_not_flicker_with_the_picture_s_grain() -> None:
    fit = Fit((64, 32))
    for shade in (100, 103, 98, 105):
        fit.place(np.full((32, 32, 3), shade, np.uint8))
        assert fit.ground == (100, 100, 100)
    fit.place(np.full((32, 32, 3), 140, np.uint8))
    assert fit.ground == (140, 140, 140)
