"""The server's open connections: how many, how slow and how talkative they may be.

Between asyncio and aiohttp: what is refused here never costs more than its socket. Limits of what
a request says are in `access`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import WebSocketError, web
from aiohttp.http_exceptions import HttpProcessingError

from llia_ros.display.access import Access, Handler
from llia_ros.display.limits import RateLimit, network

MOST, MOST_OF_ADDRESS = 256, 64
# s that a connection may wait for its next request to be complete, and for an answer, its body
# received meanwhile.
REQUEST_TIMEOUT, ANSWER_TIMEOUT = 5.0, 30.0
# s that a client has to read why it is refused, while nothing of it is read any more.
FAREWELL = 1.0
CHECK = 0.5
# Bytes: of requests, the largest upload and some more at once; of a WebSocket, which gets
# commands and reports of some 2 kB a second, much less.
REQUEST_BYTES = (256 * 1024, 9 * 1024 * 1024)
STREAM_BYTES = (32 * 1024, 128 * 1024)
# Requests of one connection: a page has some 20 files.
REQUESTS = (20, 100)

log = logging.getLogger(__name__)
# What is sent may be anything: a traceback of each would fill the disk.
log.addFilter(lambda record: not isinstance((record.exc_info or (0, 0))[1], HttpProcessingError))


class Connections:
    """All connections of one server; counts what it refused.

    That is: answers from 400 on, WebSockets closed for what their frames were, and connections
    that were ended for what they did or gave way to newer ones, before they asked for anything.
    """

    def __init__(self) -> None:
        self.refused = 0
        self._open: dict[asyncio.Transport, Connection] = {}
        self._of_address: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def application(self, access: Access, most_body: int) -> web.Application:
        """Return an application whose requests pass this guard, then `access`.

        `most_body`: bytes of a request's body.
        """
        return web.Application(
            middlewares=[self.middleware, access.middleware], client_max_size=most_body
        )

    @asynccontextmanager
    async def listening(
        self,
        app: web.Application,
        access: Access,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
    ) -> AsyncIterator[asyncio.Server]:
        """Serve an application meanwhile; OSError where the address cannot be had.

        A body is never unpacked: small ones may unpack to large ones.
        """
        runner = web.AppRunner(
            app,
            handle_signals=False,
            access_log=None,
            logger=log,
            auto_decompress=False,
            lingering_time=FAREWELL,
        )
        await runner.setup()
        assert runner.server is not None
        try:
            server = await asyncio.get_running_loop().create_server(
                self.guarded(runner.server), host, port, ssl=tls, start_serving=False
            )
            access.serve(host, port, [each.getsockname()[0] for each in server.sockets])
            await server.start_serving()
            watch = asyncio.ensure_future(self.watch())
            try:
                yield server
            finally:
                server.close()
                watch.cancel()
                self.close()
        finally:
            await runner.cleanup()
        await server.wait_closed()

    def guarded(self, protocol: Callable[[], asyncio.Protocol]) -> Callable[[], Connection]:
        """A factory of protocols for asyncio, around that of the web server."""
        return lambda: Connection(self, protocol())

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note when a connection is being answered; refuse requests that come too fast."""
        transport = request.transport
        connection = self._open.get(transport) if transport is not None else None
        if connection is None:
            raise web.HTTPServiceUnavailable(text='the connection has ended\n')
        if not connection.requests.take():
            connection.refuse()
            raise web.HTTPTooManyRequests(text='too many requests\n')
        connection.answering(bool(web.WebSocketResponse().can_prepare(request)))
        try:
            answer = await handler(request)
        except web.HTTPError:
            self.refused += 1
            raise
        finally:
            connection.waiting()
        if isinstance(answer, web.WebSocketResponse):
            self.refused += isinstance(answer.exception(), WebSocketError)
        else:
            self.refused += answer.status >= 400
        return answer

    async def watch(self) -> None:
        """End those whose time is up, for ever."""
        while True:
            await asyncio.sleep(CHECK)
            now = time.monotonic()
            for connection in list(self._open.values()):
                if now > connection.deadline:
                    connection.end()

    def close(self) -> None:
        """End all of them."""
        for transport in list(self._open):
            transport.abort()

    def enter(self, connection: Connection, transport: asyncio.Transport) -> bool:
        """Take a new one in; where there are too many, the one that idles longest goes."""
        rivals = list(self._open.values())
        if self._of_address[connection.address] >= MOST_OF_ADDRESS:
            rivals = [each for each in rivals if each.address == connection.address]
        elif len(rivals) < MOST:
            rivals = []
        if rivals:
            idle = [each for each in rivals if not each.busy]
            if not idle:
                self.refused += 1
                return False
            min(idle, key=lambda each: each.since).give_way()
        self._open[transport] = connection
        self._of_address[connection.address] += 1
        return True

    def leave(self, connection: Connection, transport: asyncio.Transport) -> None:
        """Forget one that has ended."""
        if self._open.pop(transport, None) is not None:
            self._of_address[connection.address] -= 1
            if not self._of_address[connection.address]:
                del self._of_address[connection.address]


class Connection(asyncio.Protocol):
    """One connection: passes on to the web server what it may send."""

    def __init__(self, connections: Connections, protocol: asyncio.Protocol) -> None:
        self.address = ''
        self.busy = False
        self.requests = RateLimit(*REQUESTS)
        self._connections = connections
        self._protocol = protocol
        self._bytes = RateLimit(*REQUEST_BYTES)
        self._transport: asyncio.Transport | None = None
        # Has it sent anything, and was there a request in it?
        self._spoke = self._asked = self._refused = False
        self.since = self.deadline = 0.0
        self.waiting()

    def waiting(self) -> None:
        """From now on it waits for its next request."""
        if self._refused:
            return
        self.busy = False
        self.since = time.monotonic()
        self._until(REQUEST_TIMEOUT)

    def answering(self, stream: bool) -> None:
        """A request is being answered; a `stream`, a WebSocket, has all the time it wants."""
        self.busy = self._asked = True
        self._until(float('inf') if stream else ANSWER_TIMEOUT)
        if stream:
            self._bytes = RateLimit(*STREAM_BYTES)

    def refuse(self) -> None:
        """Read nothing more of it, and end it soon."""
        if not self._refused:
            self._refused = True
            self._connections.refused += 1
            self._until(FAREWELL)
        if self._transport is not None:
            self._transport.pause_reading()

    def give_way(self) -> None:
        """End it for a newer one; one that has asked for nothing counts as refused."""
        if not self._asked and not self._refused:
            self._refused = True
            self._connections.refused += 1
        self.end()

    def end(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._connections.leave(self, self._transport)
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Of asyncio: let it in, or end it before anything of it is read."""
        assert isinstance(transport, asyncio.Transport)
        # None for one that has gone already.
        peer = transport.get_extra_info('peername') or ('',)
        self.address = network(peer[0])
        if not self._connections.enter(self, transport):
            # Not now: asyncio is about to read from it.
            asyncio.get_running_loop().call_soon(transport.abort)
            return
        self._transport = transport
        self._protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Of asyncio: bytes have come."""
        self._spoke = True
        # The web server lets its own transport go on reading when it has room again.
        if self._refused or not self._bytes.take(len(data)):
            self.refuse()
        elif self._transport is not None:
            self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        """Of asyncio: the other side sends no more."""
        return self._protocol.eof_received() if self._transport is not None else None

    def pause_writing(self) -> None:
        """Of asyncio: the other side does not read."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Of asyncio: the other side reads again."""
        self._protocol.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        """Of asyncio: it has ended; one that spoke and asked for nothing counts as refused."""
        transport, self._transport = self._transport, None
        if transport is None:
            return
        if self._spoke and not self._asked and not self._refused:
            self._connections.refused += 1
        self._connections.leave(self, transport)
        self._protocol.connection_lost(error)

    def _until(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
