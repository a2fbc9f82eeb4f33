"""A real headless Firefox, led by WebDriver BiDi, which it speaks without any driver."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import numpy as np

from llia_ros.demo.headless import Page, free_port
from llia_ros.display.browser import firefox_preferences

FIREFOX = shutil.which('firefox-esr') or shutil.which('firefox')
MISSING = 'needs firefox (apt install firefox-esr)'
PATIENCE = 60.0


class Firefox(Page):
    """One page; a context manager that ends the browser. The verbs are those of `Browser`."""

    def __init__(self, profile: Path, sound: bool, env: dict[str, str]) -> None:
        """Start it; `sound`: may a page play some untouched? `env`: where it finds a device."""
        profile.mkdir(parents=True, exist_ok=True)
        (profile / 'user.js').write_text(firefox_preferences(sound))
        port = free_port()
        self._process = subprocess.Popen(
            [
                str(FIREFOX),
                '--headless',
                '--no-remote',
                f'--remote-debugging-port={port}',
                '--profile',
                str(profile),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **env},
            start_new_session=True,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._serial = 0
        try:
            self._do(self._connect(port))
            self.call('session.new', capabilities={})
            contexts = self.call('browsingContext.getTree', maxDepth=0)['contexts']
            self._context = contexts[0]['context']
        except BaseException:
            self._process.kill()
            raise

    def __enter__(self) -> Firefox:
        """Return the browser itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the browser."""
        self._do(self._disconnect())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def open(self, url: str) -> None:
        """Load a page."""
        self.call('browsingContext.navigate', context=self._context, url=url, wait='complete')

    def resize(self, size: tuple[int, int]) -> None:
        """Give the page so many pixels (width, height)."""
        viewport = {'width': size[0], 'height': size[1]}
        self.call('browsingContext.setViewport', context=self._context, viewport=viewport)

    def run(self, script: str) -> Any:
        """Run JavaScript, which may `return` a simple value."""
        answer = self.call(
            'script.evaluate',
            expression=f'JSON.stringify((() => {{ {script} }})() ?? null)',
            target={'context': self._context},
            awaitPromise=False,
        )
        assert answer['type'] == 'success', answer
        return json.loads(answer['result']['value'])

    def tap(self) -> None:
        """Press the mouse on the page, as a person would."""
        self._press((200, 200))

    def press_at(self, selector: str, *path: tuple[int, int]) -> None:
        """Press at the element's middle plus path[0] (px), move along the path, let go."""
        x, y = self.run(
            f'const e = document.querySelector({selector!r}); '
            'e.scrollIntoView({block: "center"}); const b = e.getBoundingClientRect(); '
            'return [Math.round(b.left + b.width / 2), Math.round(b.top + b.height / 2)]'
        )
        self._press(*((x + dx, y + dy) for dx, dy in path or ((0, 0),)))

    def _press(self, *path: tuple[int, int]) -> None:
        first, *moves = ({'type': 'pointerMove', 'x': x, 'y': y} for x, y in path)
        down, up = {'type': 'pointerDown', 'button': 0}, {'type': 'pointerUp', 'button': 0}
        mouse = {'type': 'pointer', 'id': 'mouse', 'actions': [first, down, *moves, up]}
        self.call('input.performActions', context=self._context, actions=[mouse])

    def screenshot(self) -> np.ndarray:
        """What the page shows, uint8 RGB."""
        answer = self.call('browsingContext.captureScreenshot', context=self._context)
        data = np.frombuffer(base64.b64decode(answer['data']), np.uint8)
        return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    def call(self, method: str, **params: Any) -> Any:
        """Send a command of WebDriver BiDi and return its result."""
        return self._do(self._call(method, params))

    def _do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    async def _connect(self, port: int) -> None:
        self._session = aiohttp.ClientSession()
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self._socket = await self._session.ws_connect(
                    f'ws://127.0.0.1:{port}/session', max_msg_size=0
                )
                return
            except aiohttp.ClientError:
                if time.monotonic() > end or self._process.poll() is not None:
                    raise
                await asyncio.sleep(0.1)

    async def _disconnect(self) -> None:
        await self._socket.close()
        await self._session.close()

    async def _call(self, method: str, params: dict[str, Any]) -> Any:
        self._serial += 1
        await self._socket.send_json({'id': self._serial, 'method': method, 'params': params})
        while True:
            answer = await self._socket.receive_json()
            if answer.get('id') == self._serial:
                if answer['type'] == 'error':
                    raise RuntimeError(f'{method}: {answer["message"]}')
                return answer['result']
