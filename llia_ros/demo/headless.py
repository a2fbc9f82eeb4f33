"""A real headless Chromium, led through ChromeDriver's HTTP protocol."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

CHROMIUM = (
    shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
)
CHROMEDRIVER = shutil.which('chromedriver')
MISSING = 'needs chromium and chromedriver (apt install chromium chromium-driver)'
FLAGS = (
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
)
SOUND_ALLOWED = '--autoplay-policy=no-user-gesture-required'
SOUND_AFTER_TAP = '--autoplay-policy=document-user-activation-required'


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


class Page(ABC):
    """A page in a browser, whichever it is; `run` is the browser's own."""

    @abstractmethod
    def run(self, script: str) -> Any:
        """Run JavaScript, which may `return` something."""

    def wait(self, condition: str, seconds: float = 20.0) -> Any:
        """Wait until a JavaScript expression is true, else tell what the page counted."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = self.run(f'return {condition}')
            if value:
                return value
            time.sleep(0.1)
        counters = self.run("return {...window.llia, output: ''}")
        raise AssertionError(f'{condition} did not become true: {counters}')


class Browser(Page):
    """One window of `size` (width, height) pixels; a context manager that ends it."""

    def __init__(self, profile: Path, size: tuple[int, int] = (1000, 600), *flags: str) -> None:
        arguments = [f'--user-data-dir={profile}', f'--window-size={size[0]},{size[1]}']
        self._start({'binary': CHROMIUM, 'args': [*FLAGS, *flags, *arguments]})

    @classmethod
    def attached(cls, port: int) -> Browser:
        """Lead a Chromium that others have started, with --remote-debugging-port, and end."""
        browser = cls.__new__(cls)
        browser._start({'debuggerAddress': f'127.0.0.1:{port}'})
        return browser

    def _start(self, options: dict[str, Any]) -> None:
        port = free_port()
        self._url = f'http://127.0.0.1:{port}'
        self._driver = subprocess.Popen(
            [str(CHROMEDRIVER), f'--port={port}'],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C is for whoever opened the browser, who then ends it.
            start_new_session=True,
        )
        wanted = {'capabilities': {'alwaysMatch': {'goog:chromeOptions': options}}}
        try:
            self._wait_for_driver()
            answer = self._call('POST', '/session', wanted)
        except BaseException:
            self._driver.kill()
            raise
        self._url += f'/session/{answer["sessionId"]}'

    def __enter__(self) -> Browser:
        """Return the browser itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End browser and driver."""
        try:
            self._call('DELETE', '')
        finally:
            self._driver.terminate()
            self._driver.wait()

    def open(self, url: str) -> None:
        """Load a page."""
        self._call('POST', '/url', {'url': url})

    def run(self, script: str) -> Any:
        """Run JavaScript, which may `return` something."""
        return self._call('POST', '/execute/sync', {'script': script, 'args': []})

    def tap(self) -> None:
        """Touch the middle of the page, as a person would."""
        actions = [
            {'type': 'pointerMove', 'duration': 0, 'x': 200, 'y': 200},
            {'type': 'pointerDown', 'button': 0},
            {'type': 'pointerUp', 'button': 0},
        ]
        finger = {
            'type': 'pointer',
            'id': 'finger',
            'parameters': {'pointerType': 'mouse'},
            'actions': actions,
        }
        self._call('POST', '/actions', {'actions': [finger]})

    def screenshot(self) -> np.ndarray:
        """What the window shows, uint8 RGB."""
        import cv2
        import numpy as np

        data = np.frombuffer(base64.b64decode(self._call('GET', '/screenshot')), np.uint8)
        return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    def resize(self, size: tuple[int, int]) -> None:
        """Give the page exactly so many pixels (width, height), whatever the window."""
        self.send_command(
            'Emulation.setDeviceMetricsOverride',
            {'width': size[0], 'height': size[1], 'deviceScaleFactor': 1, 'mobile': False},
        )

    def send_command(self, name: str, parameters: dict[str, Any]) -> Any:
        """Send a command of the Chrome DevTools Protocol, for what WebDriver does not know."""
        return self._call('POST', '/goog/cdp/execute', {'cmd': name, 'params': parameters})

    def _wait_for_driver(self) -> None:
        for _ in range(100):
            try:
                if self._call('GET', '/status')['ready']:
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError('chromedriver does not answer')

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._url + path, data, {'Content-Type': 'application/json'}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)['value']
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)['value']['message']) from error
