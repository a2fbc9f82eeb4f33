"""The far end in a real browser: its microphone reaches the face, and the face its screen."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import until, write_sound

from llia_ros.audio.stream import Chunk
from llia_ros.demo.headless import Browser, free_port
from llia_ros.telepresence.peer import CallOptions
from llia_ros.telepresence.server import CallServer
from llia_ros.telepresence.utterances import Utterances

RED = np.zeros((64, 64, 3), np.uint8)
RED[:] = (200, 40, 30)
CENTRE = """
const video = document.getElementById('face');
const canvas = document.createElement('canvas');
canvas.width = video.videoWidth; canvas.height = video.videoHeight;
const pen = canvas.getContext('2d');
pen.drawImage(video, 0, 0);
return [...pen.getImageData(32, 32, 1, 1).data];
"""


@pytest.fixture
def server():
    heard: list[Chunk] = []
    options = CallOptions(send_face=True, send_microphone=True)
    server = CallServer(heard.append, options, Utterances(0.5, 0.4), port=free_port())
    server.answering = True
    stopped = threading.Event()

    def show() -> None:
        begun, k = time.monotonic_ns(), 0
        while not stopped.wait(max(0.0, (begun + k * 40_000_000 - time.monotonic_ns()) / 1e9)):
            server.show(RED, np.zeros(640, np.int16), begun + k * 40_000_000)
            server.hear(np.zeros(640, np.int16))
            k += 1

    thread = threading.Thread(target=show)
    thread.start()
    yield server, heard
    stopped.set()
    thread.join()
    server.close()


def test_a_browser_calls_speaks_sees_the_face_and_hangs_up(
    server, sentence: np.ndarray, tmp_path: Path
) -> None:
    called, heard = server
    spoken = write_sound(tmp_path / 'mouth.wav', np.pad(sentence, (8000, 16000)))
    flags = (
        '--use-fake-ui-for-media-stream',
        '--use-fake-device-for-media-stream',
        f'--use-file-for-fake-audio-capture={spoken}',
    )
    with Browser(tmp_path / 'profile', (640, 480), *flags) as browser:
        browser.open(called.url)
        browser.wait("document.readyState === 'complete'")
        browser.run("document.getElementById('call').click()")
        browser.wait("document.getElementById('said').textContent.startsWith('Connected')")
        browser.wait("document.getElementById('face').videoWidth === 64")
        until(lambda: abs(np.array(browser.run(CENTRE)[:3]) - RED[0, 0]).max() < 25)
        browser.wait("document.getElementById('room').srcObject !== null")
        # Its microphone is heard here, and what it says ends.
        until(lambda: any(not len(chunk.samples) for chunk in heard))
        loud = np.concatenate([chunk.samples for chunk in heard])
        assert len(loud) > 8000 and np.abs(loud.astype(int)).max() > 2000
        assert called.figures()['calls'] == 1

        browser.run("document.getElementById('mute').click()")
        assert browser.run("return document.getElementById('mute').textContent") == 'Unmute me'
        browser.run("document.getElementById('call').click()")
        until(lambda: called.figures()['connection'] == 'none')
        called.answering = False
        browser.run("document.getElementById('call').click()")
        browser.wait("document.getElementById('said').textContent.includes('nobody answers now')")
