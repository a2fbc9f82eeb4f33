"""The control page's web side: checked messages to the robot, what is known of it back."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TimeoutErrorOfFutures
from importlib import resources
from typing import Any, Protocol

import numpy as np
from aiohttp import WSCloseCode, WSMsgType, web

from llia_ros.display.commands import Command, CommandError, read_command
from llia_ros.display.deadline import deadline
from llia_ros.display.limits import RateLimit
from llia_ros.display.uploads import UploadError, Uploads

MOST_PAGES = 8
MOST_BYTES = 4096
# Commands a second of one page, and how many at once: a finger on the pad sends ten.
RATE, BURST = 20.0, 40
# A page that goes on after so many commands too many is cut off.
PATIENCE = 200
# Facts go to a page at most ten times a second.
PACE = 0.1
ANSWER_TIMEOUT = 20.0
HISTORY = 300
HEARTBEAT = 10.0
GOODBYE = 1.0


class Robot(Protocol):
    """What is controlled. Both are called by the server's thread and return at once.

    The future's result is a line for the page; a ValueError, raised or in it, is what hindered.
    """

    def do(self, command: Command) -> Future[str]:
        """Begin to carry out a command."""

    def wear(self, image: np.ndarray) -> Future[str]:
        """Begin to show an uploaded portrait, uint8 (H, W, 3) RGB."""


class Control:
    """Serves the control page by `routes` and tells every page that is open what is `tell`ed.

    `welcome`: what a page has to know first. `mistakes` counts messages that were refused.
    """

    def __init__(self, robot: Robot, welcome: Mapping[str, Any]) -> None:
        self.mistakes = 0
        self._robot = robot
        self._welcome = welcome
        self._page = resources.files('llia_ros.display').joinpath('page/control.html').read_bytes()
        self._facts: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._history: deque[Mapping[str, Any]] = deque(maxlen=HISTORY)
        self._thumbnails: dict[str, bytes] = {}
        self._pages: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._sockets: set[web.WebSocketResponse] = set()
        self._closed = False
        self._uploads = Uploads()
        self.routes = (
            web.get('/control', self._serve_page),
            web.get('/control/socket', self._serve_socket),
            web.post('/control/portrait', self._take_portrait),
            web.get('/portraits/{name}', self._serve_thumbnail),
        )

    @property
    def pages(self) -> int:
        """Control pages that are open now."""
        return len(self._pages)

    def tell(self, **facts: Any) -> None:
        """Tell every page what has changed, from any thread; values as JSON knows them."""
        with self._lock:
            if not _news(facts, self._facts):
                return
            self._facts = {**self._facts, **facts}
        for changed, loop in tuple(self._pages.items()):
            try:
                loop.call_soon_threadsafe(changed.set)
            except RuntimeError:
                pass  # the server has just ended

    def measure(self, figures: Mapping[str, Any]) -> None:
        """Tell the figures of a second, which are kept for pages that come later."""
        self._history.append(figures)
        self.tell(figures=figures)

    def hang(self, thumbnails: Mapping[str, bytes]) -> None:
        """Show another gallery: JPEG pictures by the name of their portrait."""
        self._thumbnails = dict(thumbnails)
        self.tell(gallery=list(thumbnails))

    def close(self) -> None:
        """Say goodbye to every page, for which the server must still be there."""
        self._closed = True
        for loop in set(self._pages.values()):
            try:
                asyncio.run_coroutine_threadsafe(self._say_goodbye(), loop).result(GOODBYE)
            except TimeoutErrorOfFutures:
                pass  # a page that does not answer has had its time

    async def _say_goodbye(self) -> None:
        closing = (
            socket.close(code=WSCloseCode.GOING_AWAY, message=b'display is closing')
            for socket in tuple(self._sockets)
        )
        await asyncio.gather(*closing, return_exceptions=True)

    # ---- requests

    async def _serve_page(self, request: web.Request) -> web.Response:
        return web.Response(
            body=self._page,
            content_type='text/html',
            charset='utf-8',
            headers={'Cache-Control': 'no-cache'},
        )

    async def _serve_thumbnail(self, request: web.Request) -> web.Response:
        picture = self._thumbnails.get(request.match_info['name'])
        if picture is None:
            raise web.HTTPNotFound(text='no such portrait\n')
        return web.Response(
            body=picture, content_type='image/jpeg', headers={'Cache-Control': 'no-cache'}
        )

    async def _take_portrait(self, request: web.Request) -> web.Response:
        try:
            image = await self._uploads.picture(request)
            line = await _answer(self._robot.wear(image))
        except UploadError as error:
            self.mistakes += 1
            return web.Response(status=error.status, text=f'{error}\n')
        except ValueError as error:
            return web.Response(status=409, text=f'{error}\n')
        return web.Response(text=f'{line}\n')

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        if self._closed or len(self._pages) >= MOST_PAGES:
            raise web.HTTPServiceUnavailable(text='too many control pages are open\n')
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT, max_msg_size=MOST_BYTES)
        await socket.prepare(request)
        changed = asyncio.Event()
        self._pages[changed] = asyncio.get_running_loop()
        self._sockets.add(socket)
        teller = asyncio.ensure_future(self._tell_page(socket, changed))
        try:
            await self._listen(socket)
        finally:
            teller.cancel()
            await asyncio.gather(teller, return_exceptions=True)
            del self._pages[changed]
            self._sockets.discard(socket)
        return socket

    async def _tell_page(self, socket: web.WebSocketResponse, changed: asyncio.Event) -> None:
        told: dict[str, Any] = self._facts
        try:
            history = list(self._history)
            await _send(socket, {'hello': {**self._welcome, 'history': history}, 'facts': told})
            while True:
                await changed.wait()
                changed.clear()
                facts = self._facts
                news, told = _news(facts, told), facts
                if news:
                    await _send(socket, {'facts': news})
                await asyncio.sleep(PACE)
        except (ConnectionError, asyncio.TimeoutError):
            await socket.close()

    async def _listen(self, socket: web.WebSocketResponse) -> None:
        limit, too_many = RateLimit(RATE, BURST), 0
        running: set[asyncio.Task[None]] = set()
        async for message in socket:
            if not limit.take():
                self.mistakes += 1
                too_many += 1
                if too_many > PATIENCE:
                    await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b'too many')
                    return
                if too_many == 1:
                    await _send(socket, {'refused': f'more than {RATE:.0f} commands a second'})
                continue
            try:
                if message.type != WSMsgType.TEXT:
                    raise CommandError('a message that is no text')
                command = read_command(message.data)
            except CommandError as error:
                self.mistakes += 1
                await _send(socket, {'refused': str(error)})
                continue
            task = asyncio.ensure_future(self._carry_out(socket, command))
            running.add(task)
            task.add_done_callback(running.discard)
            # A flood is read without a pause: others have their turn, too.
            await asyncio.sleep(0)
        if socket.close_code == WSCloseCode.MESSAGE_TOO_BIG:
            self.mistakes += 1

    async def _carry_out(self, socket: web.WebSocketResponse, command: Command) -> None:
        answer: dict[str, Any] = {'ticket': command.ticket, 'do': command.name}
        try:
            line = await _answer(self._robot.do(command))
            answer |= {'done': True, 'line': line}
        except ValueError as error:
            answer |= {'done': False, 'line': ' '.join(str(error).split())}
        try:
            await _send(socket, {'answer': answer})
        except (ConnectionError, asyncio.TimeoutError):
            pass  # the page has gone; what it asked for was done


def _news(facts: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if (key, value) not in known.items()}


async def _answer(future: Future[str]) -> str:
    try:
        async with deadline(ANSWER_TIMEOUT):
            return await asyncio.wrap_future(future)
    except asyncio.TimeoutError:
        raise ValueError('no answer came: is the avatar node running?') from None


async def _send(socket: web.WebSocketResponse, message: Mapping[str, Any]) -> None:
    async with deadline(HEARTBEAT):
        await socket.send_str(json.dumps(_finite(message)))


def _finite(value: Any) -> Any:
    """NaN and infinity are no JSON for browsers."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
