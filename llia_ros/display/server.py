"""The kiosk page's web server: pictures and sound go to browsers over one WebSocket.

The server runs in a thread of its own with its own event loop, and whoever feeds it never waits:
an item is left in each client's mailbox, where a newer picture takes the place of an older one.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import json
import mimetypes
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, WSMsgType, web

from llia_ros.display.page_meter import MOST_BYTES, PageMeter

PICTURE, SOUND, ALIVE = 1, 2, 3
# kind, padding, epoch, index, stamp (s), state as text; little endian. A multiple of 8 bytes, so
# that the samples behind it are aligned for the browser's Int16Array.
STATE_BYTES = 16
HEADER = struct.Struct(f'<BxxxIqd{STATE_BYTES}s')

MAX_CLIENTS = 16
# Sound kept for a client that lags: half a second. What is older would be too late anyway.
MAX_SOUNDS = 12
# What the kernel may hold for a client. The default of some MB would hide seconds of delay.
SEND_BUFFER = 128 * 1024
SEND_TIMEOUT = 10.0
# A page that hears nothing for three times as long takes its connection for lost.
ALIVE_SECONDS = 0.5


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ServerError(ValueError):
    """The page cannot be served as asked."""


@dataclass(frozen=True)
class Item:
    """One message to the page: a JPEG picture or the PCM sound of the frame `index`.

    `stamp` is when the frame is to be seen (s of ROS time); `data` JPEG bytes or int16 mono.
    """

    kind: int
    index: int
    epoch: int
    stamp: float
    state: str
    data: bytes

    def packed(self) -> bytes:
        """Header and data as they go over the WebSocket."""
        epoch, state = self.epoch & 0xFFFFFFFF, self.state.encode()
        return HEADER.pack(self.kind, epoch, self.index, self.stamp, state) + self.data


def unpack(message: bytes) -> Item:
    """Undo `Item.packed`, for clients written in Python."""
    kind, epoch, index, stamp, state = HEADER.unpack_from(message)
    name = state.rstrip(b'\0').decode()
    return Item(kind, index, epoch, stamp, name, message[HEADER.size :])


class Mailbox:
    """What waits for one client: the latest picture and a little sound, never more."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.dropped = 0
        self._picture: Item | None = None
        self._sounds: deque[Item] = deque()

    def put(self, item: Item) -> None:
        """Leave an item; an older one gives way to it."""
        if item.kind == PICTURE:
            self.dropped += self._picture is not None
            self._picture = item
        else:
            while self._sounds and (
                self._sounds[0].epoch != item.epoch or len(self._sounds) >= MAX_SOUNDS
            ):
                self._sounds.popleft()
                self.dropped += 1
            self._sounds.append(item)
        self.ready.set()

    def take(self) -> list[Item]:
        """Empty the mailbox: sound first, for it has to be scheduled before its picture."""
        items = list(self._sounds)
        self._sounds.clear()
        if self._picture is not None:
            items.append(self._picture)
            self._picture = None
        self.ready.clear()
        return items


class DisplayServer:
    """Serves the kiosk page at `http://host:port/` and streams to every page that is open.

    What pages report about themselves is in `meter`.
    `settings` of the page: how the picture lies on the screen.
    Raises ServerError when the address or the port cannot be had.
    """

    def __init__(
        self,
        host: str = '127.0.0.1',
        port: int = 8080,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        if not 1 <= port <= 65535:
            raise ServerError(f"port {port} cannot be served: set parameter 'port' to 1..65535")
        self.host = host
        self.port = port
        self.url = f'http://{f"[{host}]" if ":" in host else host}:{port}/'
        self.meter = PageMeter()
        self._page = _page_files()
        self._page['settings.json'] = json.dumps(dict(settings or {})).encode()
        self._mailboxes: set[Mailbox] = set()
        self._sockets: set[web.WebSocketResponse] = set()
        self._dropped = 0
        self._refused = 0
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
    def clients(self) -> int:
        """Pages that are open now."""
        return len(self._mailboxes)

    @property
    def dropped(self) -> int:
        """Items that gave way to newer ones because a client was slow."""
        return self._dropped + sum(box.dropped for box in tuple(self._mailboxes))

    @property
    def refused(self) -> int:
        """Connections refused for a foreign origin or host, or because there were too many."""
        return self._refused

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
        app = web.Application(middlewares=[self._own_hosts_only])
        app.router.add_get('/stream', self._stream)
        app.router.add_get('/{name:[a-z.]*}', self._file)
        runner = web.AppRunner(app, handle_signals=False, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self.host, self.port)
            await site.start()
        except OSError as error:
            await runner.cleanup()
            started.append(self._address_error(error))
            bound.set()
            return
        started.append(None)
        bound.set()
        await self._closing.wait()
        for stream in tuple(self._sockets):
            await stream.close(code=WSCloseCode.GOING_AWAY, message=b'display is closing')
        await runner.cleanup()

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

    @web.middleware
    async def _own_hosts_only(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse names that are not this machine's: a page elsewhere may point its name here."""
        if not self._is_own(urlsplit(f'//{request.host}').hostname):
            self._refused += 1
            raise web.HTTPForbidden(text='unknown host name\n')
        return await handler(request)

    def _is_own(self, name: str | None) -> bool:
        if name is None:
            return False
        try:
            ipaddress.ip_address(name)
            return True
        except ValueError:
            own = socket.gethostname().lower()
            return name.lower() in ('localhost', own, f'{own}.local', self.host.lower())

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info['name'] or 'index.html'
        if name not in self._page:
            raise web.HTTPNotFound(text='no such page\n')
        kind = mimetypes.guess_type(name)[0] or 'application/octet-stream'
        headers = {'Cache-Control': 'no-cache', 'X-Content-Type-Options': 'nosniff'}
        return web.Response(body=self._page[name], content_type=kind, headers=headers)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        origin = request.headers.get('Origin')
        # Only browsers send an origin, and only they can be led here by a foreign page.
        if origin is not None and urlsplit(origin).netloc != request.host:
            self._refused += 1
            raise web.HTTPForbidden(text='foreign origin\n')
        if len(self._mailboxes) >= MAX_CLIENTS:
            self._refused += 1
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
            if stream.close_code == WSCloseCode.MESSAGE_TOO_BIG:
                self.meter.take(mailbox, None, time.monotonic())
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
                    await asyncio.wait_for(mailbox.ready.wait(), ALIVE_SECONDS)
                except asyncio.TimeoutError:
                    mailbox.put(Item(ALIVE, 0, 0, time.time(), '', b''))
                for item in mailbox.take():
                    await asyncio.wait_for(stream.send_bytes(item.packed()), SEND_TIMEOUT)
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
