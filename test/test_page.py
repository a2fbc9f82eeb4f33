"""The kiosk page in a real browser: what it shows, what it plays, and how it survives."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from synthetic_face import SILENCE, Look, SyntheticFace, jpeg, tone

from llia_ros.demo.headless import (
    CHROMEDRIVER,
    CHROMIUM,
    MISSING,
    SOUND_AFTER_TAP,
    SOUND_ALLOWED,
    Browser,
    free_port,
)
from llia_ros.display.mailbox import CUT, SOUND, Item
from llia_ros.display.page_meter import read_cuts
from llia_ros.display.server import DisplayServer

pytestmark = pytest.mark.skipif(not (CHROMIUM and CHROMEDRIVER), reason=MISSING)

RED, GREEN, GROUND = (230, 60, 40), (40, 200, 60), (40, 90, 120)
RED_FACE, GREEN_FACE = jpeg(RED, GROUND), jpeg(GREEN, GROUND)
# What a page draws at its middle and its analyser hears, on every animation frame.
WATCH = """
const llia = window.llia, canvas = document.getElementById('stage');
const ears = llia.output.context.createAnalyser();
ears.fftSize = 256;
llia.output.connect(ears);
const heard = new Float32Array(256), seen = canvas.getContext('2d');
window.edges = {light: [], sound: []};
let light = false, sound = false;
(function watch() {
  const now = performance.now();
  const bright = seen.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[0] > 128;
  ears.getFloatTimeDomainData(heard);
  const loud = heard.some((value) => Math.abs(value) > 0.1);
  const delay = 1000 * (llia.output.context.outputLatency || 0);
  if (loud) window.edges.lastLoud = now;
  if (llia.epoch === 1 && !window.edges.interrupted) window.edges.interrupted = now;
  if (bright && !light) window.edges.light.push(now);
  if (loud && !sound) window.edges.sound.push(now + delay);
  [light, sound] = [bright, loud];
  requestAnimationFrame(watch);
})();
"""


def red(index: int) -> tuple[bytes, np.ndarray, str]:
    return RED_FACE, tone(index), 'speaking'


@contextmanager
def face_on_a_page(
    profile: Path,
    look: Look,
    *flags: str,
    query: str = '',
    size: tuple[int, int] = (1000, 600),
) -> Iterator[tuple[Browser, SyntheticFace]]:
    with closing(DisplayServer(port=free_port())) as server:
        with closing(SyntheticFace(server, look)) as face:
            with Browser(profile, size, *(flags or (SOUND_ALLOWED,))) as browser:
                browser.open(server.url + query)
                yield browser, face


def near(pixel: np.ndarray, colour: tuple[int, int, int], tolerance: int = 12) -> bool:
    return bool(np.all(np.abs(pixel.astype(int) - colour) <= tolerance))


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'did not happen in time'
        time.sleep(0.05)


@pytest.mark.parametrize('size', [(1000, 600), (500, 900)], ids=['landscape', 'portrait'])
def test_the_picture_is_letterboxed_and_its_border_fades_into_the_dark(tmp_path, size):
    with face_on_a_page(tmp_path, red, size=size) as (browser, _):
        browser.wait('window.llia && window.llia.drawn > 10')
        shot = browser.screenshot()
    height, width = shot.shape[:2]
    side = min(height, width)
    middle = shot[height // 2, width // 2]
    assert near(middle, RED)
    square = np.all(np.abs(shot.astype(int) - RED) <= 12, axis=2)
    assert abs(square.any(axis=0).sum() - side / 2) <= 4, 'picture does not fill the shorter side'
    assert abs(square.any(axis=1).sum() - side / 2) <= 4, 'picture is distorted'
    edge = shot[height // 2, 1] if width > height else shot[1, width // 2]
    beside = (
        shot[height // 2, (width - side) // 2 - 2]
        if width > height
        else shot[(height - side) // 2 - 2, width // 2]
    )
    assert near(beside, GROUND, 16), 'a seam between picture and background'
    assert edge.max() < 0.6 * max(GROUND) and edge.argmax() == int(np.argmax(GROUND))


def test_text_is_shown_only_when_asked_for(tmp_path):
    with face_on_a_page(tmp_path, red) as (browser, _):
        browser.wait('window.llia && window.llia.drawn > 10')
        assert browser.run('return document.body.innerText.trim()') == ''
        address = browser.run('return location.href')
        browser.open(address + '?debug=1')
        browser.wait('window.llia && window.llia.drawn > 10')
        text = browser.run('return document.body.innerText')
    for word in ('speaking', 'fps', 'latency', 'epoch'):
        assert word in text


@pytest.mark.alone
def test_the_picture_that_is_seen_belongs_to_the_sound_that_is_heard(tmp_path):
    bright, dark = jpeg((250, 250, 250), (0, 0, 0)), jpeg((0, 0, 0), (0, 0, 0))

    def flash(index: int) -> tuple[bytes, np.ndarray, str]:
        return (bright, tone(index), 'speaking') if index % 25 < 5 else (dark, SILENCE, 'idle')

    with face_on_a_page(tmp_path, flash) as (browser, face):
        browser.wait('window.llia && window.llia.drawn > 40')
        browser.run(WATCH)
        browser.wait('window.edges.light.length > 4 && window.edges.sound.length > 4')
        edges = browser.run('return window.edges')
        assert browser.run('return window.llia.audio') == 'running'
        until(lambda: face.server.meter.figures()['page reports'] > 3)
        measured = face.server.meter.figures()
    lags = [
        min((light - sound for light in edges['light']), key=abs) for sound in edges['sound'][:5]
    ]
    assert abs(float(np.median(lags))) <= 60, f'ms that the picture follows its sound: {lags}'
    # What the page tells of itself is what is seen and heard on it.
    assert measured['page lips after sound p50 ms'] == pytest.approx(np.median(lags), abs=40)
    assert 0 < measured['page due to drawn p50 ms'] < 1000
    assert 0 < measured['page fps'] <= 26 and measured['page reports dropped'] == 0


@pytest.mark.alone
def test_an_interruption_silences_what_was_scheduled_and_shows_the_new_face(tmp_path):
    with closing(DisplayServer(port=free_port())) as server:
        with Browser(tmp_path, (600, 600), SOUND_ALLOWED) as browser:
            browser.open(server.url)
            with closing(SyntheticFace(server, red)):
                browser.wait('window.llia && window.llia.drawn > 40')
                browser.run(WATCH)
                browser.wait('window.edges.lastLoud')
                before = browser.run('return [window.llia.heard, window.llia.scheduled]')
            # Sound that is handed over long before its time, and interrupted before it is heard.
            for k in range(before[0] + 2, before[0] + 12):
                server.send(Item(SOUND, k, 0, time.time(), 'speaking', tone(k).tobytes()))
            browser.wait(f'window.llia.scheduled >= {before[1]} + 5')
            assert browser.run('return window.llia.buffered') > 0.25
            server.send(Item(CUT, 0, 1, time.time(), '', b''))
            browser.wait('window.llia.epoch === 1')
            browser.wait('performance.now() > window.edges.interrupted + 300')
            assert near(middle(browser), RED)
            with closing(SyntheticFace(server, lambda k: (GREEN_FACE, SILENCE, 'idle'), epoch=1)):
                browser.wait('window.llia.epoch === 1 && window.llia.state === "idle"')
                browser.wait('performance.now() > window.edges.interrupted + 800')
                assert near(middle(browser), GREEN)
                edges = browser.run('return window.edges')
                interrupted = browser.run(
                    'return (performance.timeOrigin + window.edges.interrupted) / 1000'
                )
                until(lambda: 'page cuts' in server.meter.figures())
    assert edges['lastLoud'] - edges['interrupted'] < 100, edges
    [cut] = read_cuts(server.meter.figures()['page cuts'])
    assert cut.epoch == 1 and cut.heard is not None
    # Both may be seen an animation frame apart.
    assert interrupted - 1 < cut.drawn < interrupted + 0.1
    assert cut.drawn < cut.heard + 0.1 and abs(cut.heard - interrupted) < 0.2


def middle(browser: Browser) -> np.ndarray:
    shot = browser.screenshot()
    return shot[shot.shape[0] // 2, shot.shape[1] // 2]


def test_without_permission_for_sound_pictures_run_and_a_tap_wakes_it(tmp_path):
    with face_on_a_page(tmp_path, red, SOUND_AFTER_TAP) as (browser, _):
        browser.wait('window.llia && window.llia.drawn > 25')
        assert browser.run('return window.llia.audio') == 'suspended'
        assert browser.run('return window.llia.scheduled') == 0
        assert (
            browser.run('return getComputedStyle(document.getElementById("hint")).display')
            != 'none'
        )
        assert near(middle(browser), RED)
        browser.tap()
        browser.wait('window.llia.audio === "running" && window.llia.scheduled > 10')
        drawn = browser.run('return window.llia.drawn')
        browser.wait(f'window.llia.drawn > {drawn} + 10')
        assert browser.run('return document.getElementById("hint").hidden')


def test_the_last_picture_stays_and_the_page_comes_back_when_the_server_does(tmp_path):
    port = free_port()
    with Browser(tmp_path, (600, 600), SOUND_ALLOWED) as browser:
        with closing(DisplayServer(port=port)) as server:
            with closing(SyntheticFace(server, red, epoch=7)):
                browser.open(server.url)
                browser.wait('window.llia && window.llia.drawn > 25')
        browser.wait('!window.llia.connected')
        assert near(middle(browser), RED)
        with closing(DisplayServer(port=port)) as server:
            with closing(SyntheticFace(server, lambda k: (GREEN_FACE, SILENCE, 'idle'))):
                browser.wait('window.llia.connections === 2 && window.llia.state === "idle"')
                until(lambda: near(middle(browser), GREEN))
