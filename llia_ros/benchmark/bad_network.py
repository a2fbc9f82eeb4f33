"""A bad network between two ends of a call: `python -m llia_ros.benchmark.bad_network`.

Stands in front of another's `POST /offer`: each end is told our address in place of the other's,
and every packet between them, of sound, pictures and control, is delayed, or lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
from collections.abc import Callable, Sequence

from aiohttp import ClientSession, web

# foundation, component, protocol, priority, address, port, type
CANDIDATE = re.compile(r'a=candidate:(\S+) 1 udp (\d+) (\S+) (\d+) typ host.*', re.IGNORECASE)
Address = tuple[str, int]


class BadNetwork:
    """Delays each packet by `delay` s and up to `jitter` s more, and loses a share `loss` of them.

    The same both ways; lost packets are drawn from `seed`. What went through is in `carried`:
    [there, back] as (packets, bytes).
    """

    def __init__(self, delay: float, loss: float, jitter: float = 0.0, seed: int = 0) -> None:
        self.delay, self.loss, self.jitter = delay, loss, jitter
        self.carried = [[0, 0], [0, 0]]
        self._random = random.Random(seed)

    async def between(self, host: str) -> tuple[End, End]:
        """Two sockets on `host`: what the far end sends to, and what the near end does."""
        outer, inner = End(), End()
        for end in (outer, inner):
            await end.open(host)
        outer.take = lambda data: self._carry(0, data, inner)
        inner.take = lambda data: self._carry(1, data, outer)
        return outer, inner

    def _carry(self, way: int, data: bytes, out: End) -> None:
        if self._random.random() < self.loss:
            return
        self.carried[way][0] += 1
        self.carried[way][1] += len(data)
        late = self.delay + self.jitter * self._random.random()
        if late:
            asyncio.get_running_loop().call_later(late, out.send, data)
        else:
            out.send(data)


class End(asyncio.DatagramProtocol):
    """A socket that answers whoever wrote to it last."""

    def __init__(self) -> None:
        self.transport: asyncio.DatagramTransport | None = None
        self.peer: Address | None = None
        self.take: Callable[[bytes], None] = lambda data: None

    async def open(self, host: str) -> None:
        """Take a free port."""
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(lambda: self, (host, 0))
        self.address: Address = self.transport.get_extra_info('sockname')[:2]

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """A packet of this side."""
        self.peer = addr[:2]
        self.take(data)

    def send(self, data: bytes) -> None:
        """To this side, once it is known."""
        if self.peer is not None and self.transport is not None:
            if not self.transport.is_closing():
                self.transport.sendto(data, self.peer)


def address_of(sdp: str) -> Address:
    """The first IPv4 address that a description offers; ValueError where there is none."""
    for _, _, host, port in (match.groups() for match in CANDIDATE.finditer(sdp)):
        if '.' in host and not host.endswith('.local'):
            return host, int(port)
    raise ValueError('no IPv4 address in the description')


def redirected(sdp: str, address: Address) -> str:
    """A description that offers `address` alone."""
    lines, told = [], False
    for line in sdp.splitlines():
        if not line.startswith('a=candidate:'):
            told = told and not line.startswith('m=')
            lines.append(line)
        elif not told:
            told = True
            host, port = address
            lines.append(f'a=candidate:1 1 udp 2130706431 {host} {port} typ host')
    return '\r\n'.join(lines) + '\r\n'


async def serve(network: BadNetwork, target: str, port: int) -> web.AppRunner:
    """Take calls for `target` on 127.0.0.1:`port`."""

    async def offer(request: web.Request) -> web.Response:
        body = await request.json()
        far = address_of(body['sdp'])
        outer, inner = await network.between(far[0])
        body['sdp'] = redirected(body['sdp'], inner.address)
        passed = {
            key: request.headers[key] for key in ('Authorization',) if key in request.headers
        }
        async with (
            ClientSession() as session,
            session.post(f'{target.rstrip("/")}/offer', json=body, headers=passed) as answered,
        ):
            if answered.status != 200:
                return web.Response(status=answered.status, text=await answered.text())
            answer = await answered.json()
        inner.peer, outer.peer = address_of(answer['sdp']), far
        answer['sdp'] = redirected(answer['sdp'], outer.address)
        return web.json_response(answer)

    async def carried(request: web.Request) -> web.Response:
        return web.json_response({'ways': network.carried})

    app = web.Application()
    app.router.add_post('/offer', offer)
    app.router.add_get('/carried', carried)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, '127.0.0.1', port).start()
    return runner


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('target', help='address of the real end, such as http://127.0.0.1:8090')
    parser.add_argument('--port', type=int, required=True, help='to take calls at')
    parser.add_argument('--delay', type=float, default=0.0, help='of each packet, ms')
    parser.add_argument('--jitter', type=float, default=0.0, help='at most that much more, ms')
    parser.add_argument('--loss', type=float, default=0.0, help='of the packets, %%')
    parser.add_argument('--seed', type=int, default=0)
    given = parser.parse_args(argv)
    network = BadNetwork(given.delay / 1000, given.loss / 100, given.jitter / 1000, given.seed)

    async def run() -> None:
        await serve(network, given.target, given.port)
        print(json.dumps({'ready': given.port}), flush=True)
        await asyncio.Event().wait()

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == '__main__':
    sys.exit(main())
