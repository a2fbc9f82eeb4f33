"""The kiosk page's web server: pictures and sound go to browsers over one WebSocket.

The server runs in a thread of its own with its own event loop, and whoever feeds it never waits:
an item is left in each client's mailbox, where a newer picture takes the place of an older one.
"""

from __future__ import annotations

import asyncio
import errno
import json
import mimetypes
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from importlib import resources

from aiohttp import WSCloseCode, WSMsgType, web

from llia_ros.display.access import Access
from llia_ros.display.connections import Connections
from llia_ros.display.deadline import deadline
from llia_ros.display.headers import protect
from llia_ros.display.mailbox import ALIVE, MAX_SOUNDS, PICTURE, STATE_BYTES, Item, Mailbox
from llia_ros.display.page_meter import MOST_BYTES, PageMeter

MAX_CLIENTS = 16
# Bytes of a request's body; uploads, which count theirs themselves, may be larger.
MOST_BODY = 16 * 1024
# What the kernel may hold for a client. The default of some MB would hide seconds of delay.
SEND_BUFFER = 128 * 1024
SEND_TIMEOUT = 10.0
# A page that hears nothing for three times as long takes its connection for lost.
ALIVE_SECONDS = 0.5


class ServerError(ValueError):
    """The page cannot be served as asked."""


class DisplayServer:
    """Serves the kiosk page at `http://host:port/` and streams to every page that is open.

    `access` decides who may ask for anything; `routes` of other parts pass it as well.
    What pages report about themselves is in `meter`.
    `settings` of the page: how the picture lies on the screen.
    Raises ServerError when the address or the port cannot be had.
    """

    def __init__(
        self,
        host: str = '127.0.0.1',
        port: int = 8080,
        access: Access | None = None,
        routes: Iterable[web.RouteDef] = (),
        settings: Mapping[str, object] | None = None,
    ) -> None:
        if not 1 <= port <= 65535:
            raise ServerError(f"port {port} cannot be served: set parameter 'port' to 1..65535")
        self.host = host
        self.port = port
        self.url = f'http://{f"[{host}]" if ":" in host else host}:{port}/'
        self.access = access or Access()
        self.meter = PageMeter()
        self._routes = tuple(routes)
        self._page = _page_files()
        self._page['settings.json'] = json.dumps(dict(settings or {})).encode()
        self._mailboxes: set[Mailbox] = set()
        self._sockets: set[web.WebSocketResponse] = set()
        self._dropped = 0
        self._connections = Connections()
        self._latest: Item | None = None
        self._lock = threading.Lock()
        self._inbox: list[Item] = []
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        started: list[BaseException | None] = []
        bound = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(started, bound), name='display-server', daemon=True
        )
        self._thread.start()
        bound.wait()
        if started[0] is not None:
            self._thread.join()
            raise started[0]

    @property
    def address(self) -> str:
        """What to open in a browser: `url`, with the token where one is asked for."""
        if not self.access.token:
            return self.url
        named = self.host in ('', '0.0.0.0', '::')
        url = f'http://{socket.gethostname()}:{self.port}/' if named else self.url
        return f'{url}?token={self.access.token}'

    @property
    def clients(self) -> int:
        """Pages that are open now."""
        return len(self._mailboxes)

    @property
    def dropped(self) -> int:
        """Items that gave way to newer ones because a client was slow."""
        return self._dropped + sum(box.dropped for box in tuple(self._mailboxes))

    @property
    def refused(self) -> int:
        """Connections refused: who they were, how many, what they sent (docs/security.md)."""
        return self._connections.refused

    def send(self, item: Item) -> None:
        """Hand an item to every open page; returns at once, from any thread.

        Raises ValueError for a state whose name is too long to be sent.
        """
        if len(item.state.encode()) > STATE_BYTES:
            raise ValueError(
                f"state '{item.state}' has more than {STATE_BYTES} letters: use one of the model's"
            )
        with self._lock:
            if len(self._inbox) >= 4 * MAX_SOUNDS:
                self._inbox.pop(0)
                self._dropped += 1
            self._inbox.append(item)
            first = len(self._inbox) == 1
        if first and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver)

    def close(self) -> None:
        """Say goodbye to every page and end the thread. May be called twice."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join()

    def _deliver(self) -> None:
        with self._lock:
            items, self._inbox = self._inbox, []
        for item in items:
            if item.kind == PICTURE:
                self._latest = item
            for mailbox in self._mailboxes:
                mailbox.put(item)

    def _run(self, started: list[BaseException | None], bound: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve(started, bound))
        finally:
            self._loop.close()

    async def _serve(self, started: list[BaseException | None], bound: threading.Event) -> None:
        app = self._connections.application(self.access, MOST_BODY)
        app.on_response_prepare.append(protect)
        app.router.add_routes(self._routes)
        app.router.add_get('/stream', self._stream)
        app.router.add_get('/{name:[a-z.]*}', self._file)
        try:
            async with self._connections.listening(
                app, self.access, self.host, self.port
            ) as server:
                started.append(None)
                bound.set()
                await self._closing.wait()
                server.close()
                for stream in tuple(self._sockets):
                    await stream.close(code=WSCloseCode.GOING_AWAY, message=b'display is closing')
        except OSError as error:
            if bound.is_set():
                raise
            started.append(self._address_error(error))
            bound.set()

    def _address_error(self, error: OSError) -> ServerError:
        if error.errno == errno.EADDRINUSE:
            return ServerError(
                f'port {self.port} of {self.host} is taken by another program: set parameter '
                "'port' to a free one"
            )
        if error.errno == errno.EACCES:
            return ServerError(
                f"port {self.port} needs privileges: set parameter 'port' to 1024..65535"
            )
        return ServerError(
            f"address '{self.host}' cannot be served: {error.strerror or error}; set parameter "
            "'host' to an address of this machine"
        )

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info['name'] or 'index.html'
        if name not in self._page:
            raise web.HTTPNotFound(text='no such page\n')
        kind = mimetypes.guess_type(name)[0] or 'application/octet-stream'
        return web.Response(body=self._page[name], content_type=kind)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if len(self._mailboxes) >= MAX_CLIENTS:
            raise web.HTTPServiceUnavailable(text='too many pages are open\n')
        _limit_send_buffer(request)
        stream = web.WebSocketResponse(
            heartbeat=SEND_TIMEOUT, compress=False, max_msg_size=MOST_BYTES
        )
        await stream.prepare(request)
        mailbox = Mailbox()
        if self._latest is not None:
            mailbox.put(self._latest)
        self._mailboxes.add(mailbox)
        self._sockets.add(stream)
        sender = asyncio.ensure_future(self._send_all(stream, mailbox))
        try:
            async for message in stream:
                text = message.data if message.type == WSMsgType.TEXT else None
                self.meter.take(mailbox, text, time.monotonic())
        finally:
            self.meter.leave(mailbox)
            sender.cancel()
            self._mailboxes.discard(mailbox)
            self._sockets.discard(stream)
            self._dropped += mailbox.dropped
        return stream

    async def _send_all(self, stream: web.WebSocketResponse, mailbox: Mailbox) -> None:
        try:
            while True:
                try:
                    async with deadline(ALIVE_SECONDS):
                        await mailbox.ready.wait()
                except asyncio.TimeoutError:
                    mailbox.put(Item(ALIVE, 0, 0, time.time(), '', b''))
                for item in mailbox.take():
                    async with deadline(SEND_TIMEOUT):
                        await stream.send_bytes(item.packed())
        except (ConnectionError, asyncio.TimeoutError):
            await stream.close()


def _limit_send_buffer(request: web.Request) -> None:
    transport = request.transport
    connection = transport.get_extra_info('socket') if transport is not None else None
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)


def _page_files() -> dict[str, bytes]:
    """Every file of the page by name: requests choose among these, no path is ever opened."""
    folder = resources.files('llia_ros.display').joinpath('page')
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}
