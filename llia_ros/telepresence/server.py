"""Where a far end calls: a page for its browser, and `POST /offer` for WebRTC's offer and answer.

The server and the call live in a thread of their own with its own event loop; whoever feeds it
never waits. One call at a time: a second one is refused while the first is alive.
"""

from __future__ import annotations

import asyncio
import json
import mimetypes
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from importlib import resources
from typing import Any

import numpy as np
from aiohttp import web

from llia_ros.audio.stream import SECOND, Chunk
from llia_ros.display.access import Access
from llia_ros.display.connections import Connections
from llia_ros.telepresence.peer import CallError, CallOptions, Peer
from llia_ros.telepresence.utterances import Utterances

MOST_BYTES = 64 * 1024  # of an offer; a browser's with every codec has some 10 KB
# Offers are parsed and keys are made for each: no more than that many a minute.
OFFERS = 30
# Without sound for so long an open utterance has ended, s.
SILENT = 0.5
PERIOD = 0.2


class CallServer:
    """Serves the page at `url`, and figures as JSON; answers calls while `answering` is true.

    `on_utterance` gets the far end's speech, 16 kHz mono, in this thread: chunks while there is
    a voice in it, and an empty one at each end; stamps in time.monotonic_ns().
    Raises ValueError when the address, the port or the certificate cannot be used.
    """

    def __init__(
        self,
        on_utterance: Callable[[Chunk], None],
        options: CallOptions,
        utterances: Utterances,
        host: str = '127.0.0.1',
        port: int = 8090,
        access: Access | None = None,
        certificate: str = '',
        key: str = '',
    ) -> None:
        self.access = access or Access()
        self.utterances = utterances
        self.answering = False
        self.calls = 0
        self.frames = 0
        self._connections = Connections()
        self._on_utterance = on_utterance
        self._options = options
        self._host, self._port = host, port
        self._tls = _tls(certificate, key) if certificate else None
        name = f'[{host}]' if ':' in host else host
        self.url = f'http{"s" if self._tls else ""}://{name}:{port}/'
        self._page = _page_files()
        self._peer: Peer | None = None
        self._figures: dict[str, Any] = {}
        self._offers: list[float] = []
        self._last_sound = 0.0
        self._delays: deque[float] = deque(maxlen=500)
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._failed: list[OSError] = []
        bound = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(bound,), name='telepresence', daemon=True
        )
        self._thread.start()
        bound.wait()
        if self._failed:
            self._thread.join()
            raise ValueError(
                f'calls cannot be taken at {host}:{port}: {self._failed[0].strerror}; set the '
                "parameters 'host' and 'port' to what is free on this machine"
            ) from None

    @property
    def address(self) -> str:
        """What the far end opens: `url`, with the token where one is asked for."""
        if not self.access.token:
            return self.url
        everywhere = self._host in ('', '0.0.0.0', '::')
        url = f'{self.url.split(":")[0]}://{socket.gethostname()}:{self._port}/'
        return f'{url if everywhere else self.url}?token={self.access.token}'

    def figures(self) -> dict[str, Any]:
        """State, rates and losses of the call as of the last second."""
        delays = tuple(self._delays)
        values = {'connection': 'none', **self._figures, 'calls': self.calls}
        values['refused'] = self._connections.refused
        values['face frames'] = self.frames
        values['utterances'] = self.utterances.spoken
        if delays:
            values['way in p50 ms'] = float(np.median(delays))
        return values

    def show(self, picture: bytes | None, sound: np.ndarray, stamp: int) -> None:
        """Send a frame of the face, as Peer.show; from any thread."""
        self.frames += 1
        self._later(lambda peer: peer.show(picture, sound, stamp))

    def hear(self, samples: np.ndarray) -> None:
        """Send sound of the room, as Peer.hear; from any thread."""
        self._later(lambda peer: peer.hear(samples))

    def hang_up(self) -> None:
        """End the call, if there is one, and its utterance."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result()

    def close(self) -> None:
        """Hang up, give the port back, end the thread. May be called twice."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join()

    def _later(self, work: Callable[[Peer], None]) -> None:
        peer = self._peer
        if peer is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(work, peer)

    # ---- the server's thread

    def _run(self, bound: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve(bound))
        finally:
            bound.set()
            self._loop.close()

    async def _serve(self, bound: threading.Event) -> None:
        app = self._connections.application(self.access, MOST_BYTES)
        app.router.add_post('/offer', self._offer)
        app.router.add_get('/figures', self._told)
        app.router.add_get('/{name:[a-z.]*}', self._file)
        try:
            async with self._connections.listening(
                app, self.access, self._host, self._port, self._tls
            ) as server:
                bound.set()
                watching = asyncio.ensure_future(self._watch())
                await self._closing.wait()
                watching.cancel()
                server.close()
                await self._hang_up()
        except OSError as error:
            if bound.is_set():
                raise
            self._failed.append(error)

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info['name'] or 'call.html'
        if name not in self._page:
            raise web.HTTPNotFound(text='no such page\n')
        headers = {
            'Cache-Control': 'no-cache',
            'X-Content-Type-Options': 'nosniff',
            'Content-Security-Policy': "default-src 'self'; frame-ancestors 'none'",
        }
        kind = mimetypes.guess_type(name)[0]
        return web.Response(body=self._page[name], content_type=kind, headers=headers)

    async def _offer(self, request: web.Request) -> web.Response:
        now = time.monotonic()
        self._offers = [then for then in self._offers if now - then < 60]
        if len(self._offers) >= OFFERS:
            raise web.HTTPTooManyRequests(text='too many calls in a minute\n')
        self._offers.append(now)
        if not self.answering:
            raise web.HTTPServiceUnavailable(text='nobody answers now\n')
        if self._peer is not None and self._peer.alive:
            raise web.HTTPConflict(text='somebody else is in a call\n')
        try:
            offer = json.loads(await request.text())
            if offer['type'] != 'offer' or not isinstance(offer['sdp'], str):
                raise ValueError('type is not offer')
        except (ValueError, KeyError, TypeError, RecursionError):
            text = 'expected JSON with type "offer" and sdp\n'
            raise web.HTTPBadRequest(text=text) from None
        await self._hang_up()
        peer = self._peer = Peer(self._options, self._on_sound)
        try:
            answer = await peer.answer(offer['sdp'])
        except CallError as error:
            self._peer = None if self._peer is peer else self._peer
            raise web.HTTPBadRequest(text=f'{error}\n') from None
        self.calls += 1
        return web.json_response({'type': 'answer', 'sdp': answer})

    async def _told(self, request: web.Request) -> web.Response:
        return web.json_response(self.figures())

    async def _hang_up(self) -> None:
        peer, self._peer = self._peer, None
        self._figures = {}
        self._end(time.monotonic_ns())
        if peer is not None:
            await peer.close()

    def _on_sound(self, chunk: Chunk) -> None:
        self._last_sound = time.monotonic()
        self._delays.append((time.monotonic_ns() - chunk.stamp) * 1000 / SECOND)
        for part in self.utterances.push(chunk):
            self._on_utterance(part)

    def _end(self, stamp: int) -> None:
        for part in self.utterances.end(stamp):
            self._on_utterance(part)

    async def _watch(self) -> None:
        """Ends utterances and calls that nobody ended, and keeps the figures."""
        told = 0.0
        while True:
            await asyncio.sleep(PERIOD)
            now = time.monotonic()
            if self.utterances.speaking and now - self._last_sound > SILENT:
                self._end(time.monotonic_ns())
            peer = self._peer
            if peer is not None and peer.state in ('failed', 'closed'):
                await self._hang_up()
            elif peer is not None and now - told >= 1.0:
                told, figures = now, await peer.figures()
                self._figures = figures if peer is self._peer else self._figures


def _tls(certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key or None)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(
            f"certificate '{certificate}' cannot be used ({error}): give PEM files in the "
            "parameters 'certificate' and 'key'"
        ) from None
    return context


def _page_files() -> dict[str, bytes]:
    """Every file of the page by name: requests choose among these, no path is ever opened."""
    folder = resources.files('llia_ros.telepresence').joinpath('page')
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}
