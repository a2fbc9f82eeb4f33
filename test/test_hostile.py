"""Hostile requests to a display that shows a face meanwhile: refused, counted, and not felt.

The display is the real node in a process of its own. Pictures are published at 25 fps; the next
one is not before a well-behaved page has got the one before, so that one that is lost, or a server
that stands still, fails the test however fast the machine is. `pytest -s` prints the delays.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import socket
import struct
import threading
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import aiohttp
import numpy as np
import pytest
from conftest import SCRIPTS, Probe, Process, Start, until
from diagnostic_msgs.msg import DiagnosticArray
from synthetic_face import jpeg, tone

from llia_ros.demo.headless import free_port
from llia_ros.display.connections import MOST_OF_ADDRESS
from llia_ros.display.mailbox import PICTURE, unpack
from llia_ros.nodes.messages import (
    AUDIO_QOS,
    FRAME_QOS,
    Audio,
    audio_message,
    jpeg_message,
    read_diagnostics,
)

TOKEN = 'a_token_of_this_test'
PERIOD = 40_000_000
FACE = jpeg((220, 50, 40), (30, 60, 90))
MEGABYTE = 1024 * 1024
LEAST_PICTURES = 10
PATIENCE = 30.0
# What no answer may hold: pieces of /etc/passwd, of this package's code, of its parameters.
SECRETS = re.compile(rb'root:|daemon:|class |import |def |ros__parameters')

Result = TypeVar('Result')


class Stage:
    """A display, a page that watches it, and a face that speaks while something else goes on."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f'http://127.0.0.1:{self.port}/'
        command = [str(SCRIPTS / 'display'), '--ros-args', '-p', f'port:={self.port}']
        self.process = Process([*command, '-p', f'token:={TOKEN}'], folder, {})
        self.probe = Probe()
        self.told = self.probe.hear(DiagnosticArray, '/diagnostics')
        self.seen: list[int] = []
        self.index = 0
        self._closing = False
        self._watching = threading.Thread(target=lambda: asyncio.run(self._watch()))
        self.probe.until(lambda: socket.socket().connect_ex(('127.0.0.1', self.port)) == 0)
        self._watching.start()
        self._start = self.probe.node.get_clock().now().nanoseconds
        self.during(lambda: asyncio.sleep(0))

    async def _watch(self) -> None:
        async with aiohttp.ClientSession() as session:
            bearer = {'Authorization': f'Bearer {TOKEN}'}
            async with session.ws_connect(self.url + 'stream', headers=bearer) as stream:
                while not self._closing:
                    with suppress(asyncio.TimeoutError):
                        item = unpack((await stream.receive(timeout=0.5)).data)
                        if item.kind == PICTURE:
                            self.seen.append(item.index)

    def during(self, attack: Callable[[], Awaitable[Result]]) -> Result:
        """Speak while an attack goes on, at least ten pictures long; returns its result."""
        results: list[Result] = []

        async def run() -> Result:
            return await asyncio.wait_for(attack(), 2 * PATIENCE)

        attacker = threading.Thread(target=lambda: results.append(asyncio.run(run())))
        first, delays = self.index, []
        attacker.start()
        while attacker.is_alive() or self.index < first + LEAST_PICTURES:
            delays.append(self._say())
        attacker.join()
        if first:
            assert self.seen[self.seen.index(first) :] == list(range(first, self.index))
        p50, p95 = 1000 * np.percentile(delays, (50, 95))
        print(f' {len(delays)} pictures, at the page after {p50:.1f} ms (p95 {p95:.1f} ms)')
        [result] = results
        return result

    def _say(self) -> float:
        """One frame, and wait until the page has it; returns how long that took, s."""
        index, stamp = self.index, self._start + self.index * PERIOD
        audio = Audio(tone(index), 16000, stamp, 'face', 0, index, 'speaking')
        said = time.monotonic()
        self.probe.say('audio', audio_message(audio), AUDIO_QOS)
        self.probe.say('image_raw/compressed', jpeg_message(FACE, stamp, 'face'), FRAME_QOS)
        self.index += 1
        if index == 0:
            # The page may not have been open yet: it gets this one as soon as it is.
            said = time.monotonic()
        while not (self.seen and self.seen[-1] >= index):
            assert time.monotonic() < said + PATIENCE, f'picture {index} never came to the page'
            time.sleep(0.0005)
        took = time.monotonic() - said
        self.probe.spin(max(0.0, PERIOD / 1e9 - took))
        return took

    def refused(self) -> int:
        """The connections refused so far, by the display's newest diagnostics."""
        self.told.clear()
        asked = time.monotonic()

        def newest() -> int | None:
            for arrival, message in self.told:
                for status in read_diagnostics(message):
                    if status.name == '/display' and arrival > asked:
                        return int(status.values['connections refused'])
            return None

        self.probe.until(lambda: newest() is not None)
        count = newest()
        assert count is not None
        return count

    def close(self) -> None:
        """End the display; it ends as it should after everything."""
        self._closing = True
        self._watching.join()
        self.probe.close()
        assert self.process.stop() == 0, self.process.output
        assert 'Traceback' not in self.process.output


@pytest.fixture(scope='module')
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One display for all attacks: each has to leave it as it was."""
    stage = Stage(tmp_path_factory.mktemp('hostile'))
    yield stage
    stage.close()


async def talk(port: int, data: bytes, ends: bool = False, source: str = '127.0.0.1') -> bytes:
    """Send bytes on a connection of their own; returns what comes until it is closed."""
    reader, writer = await asyncio.open_connection('127.0.0.1', port, local_addr=(source, 0))
    got = b''
    try:
        with suppress(ConnectionError):
            writer.write(data)
            await writer.drain()
            if ends:
                writer.write_eof()
            while piece := await asyncio.wait_for(reader.read(65536), PATIENCE):
                got += piece
    finally:
        writer.close()
    return got


def request(line: str, *headers: str, host: str = '127.0.0.1', token: str = TOKEN) -> bytes:
    """A request as bytes, so that no library makes it better than it is meant."""
    lines = [line, f'Host: {host}', 'Connection: close', *headers]
    if token:
        lines.append(f'Authorization: Bearer {token}')
    return ('\r\n'.join(lines) + '\r\n\r\n').encode('latin-1')


def status(answer: bytes) -> int:
    """The status code of an answer, 0 where there is none."""
    first = re.match(rb'HTTP/1\.[01] (\d{3}) ', answer)
    return int(first[1]) if first else 0


UPGRADE = (
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: ' + b64encode(bytes(16)).decode(),
)


def test_who_has_no_right_is_refused(stage: Stage) -> None:
    own = f'127.0.0.1:{stage.port}'
    page, stream = 'GET / HTTP/1.1', 'GET /stream HTTP/1.1'
    asked = {
        'no token': (401, request(page, token='')),
        'no token on the stream': (401, request(stream, *UPGRADE, token='')),
        'cookie of its own': (401, request(page, f'Cookie: llia_{stage.port}=1', token='')),
        'foreign host': (403, request(page, host='evil.example')),
        'host that ends like ours': (403, request(page, host='127.0.0.1.evil.example')),
        'host with more behind it': (403, request(page, host=f'{own};x')),
        'no host': (400, f'GET / HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n'.encode()),
        'no host, old': (403, f'GET / HTTP/1.0\r\nAuthorization: Bearer {TOKEN}\r\n\r\n'.encode()),
        'foreign origin': (403, request(stream, *UPGRADE, 'Origin: http://evil.example')),
        'null origin': (403, request(stream, *UPGRADE, 'Origin: null')),
        'other port': (403, request(stream, *UPGRADE, 'Origin: http://127.0.0.1:1', host=own)),
        'foreign command': (
            403,
            request('POST /control HTTP/1.1', 'Content-Length: 0', 'Origin: http://evil.example'),
        ),
    }
    wrong = [request(page, token='x' + TOKEN), request(f'GET /?token={TOKEN}x HTTP/1.1', token='')]
    guesses = [request(page, token=f'guess_{k}') for k in range(18)]

    async def attack() -> tuple[dict[str, int], list[int], int]:
        answers = {name: status(await talk(stage.port, data)) for name, (_, data) in asked.items()}
        # A good token first: what is refused below is refused for the guesses.
        good = status(await talk(stage.port, request(page)))
        # From an address of its own, for it is shut out for a while.
        guessed = [status(await talk(stage.port, d, source='127.0.0.9')) for d in wrong + guesses]
        return answers, guessed, good

    before = stage.refused()
    answers, guessed, good = stage.during(attack)
    expected = {name: code for name, (code, _) in asked.items()}
    assert answers | {'no host': 400} == expected and answers['no host'] in (400, 403)
    assert good == 200
    # Ten wrong ones are looked at, perhaps one or two more while the test runs.
    assert guessed[:10] == [403] * 10 and guessed[-1] == 429
    assert stage.refused() == before + len(answers) + len(guessed)


def test_off_loopback_the_address_that_is_printed_opens_the_page_and_no_other(
    start: Start,
) -> None:
    port = free_port()
    node = start('display', host='0.0.0.0', port=port)
    printed = until(lambda: re.findall(r'http://\S+', node.output))
    [(name, token)] = re.findall(rf'^http://(.+):{port}/\?token=([\w-]+)$', '\n'.join(printed))
    assert len(token) >= 43 and node.output.count(token) == 1
    assert name == socket.gethostname()
    url = f'http://127.0.0.1:{port}/'
    entry = f'{url}?token={token}&debug=1'

    async def visit() -> list[object]:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            seen: list[object] = []
            async with session.get(url) as answer:
                seen.append(answer.status)
            async with session.get(entry, allow_redirects=False) as answer:
                seen += [answer.status, answer.headers['Location']]
                cookie = answer.headers['Set-Cookie']
                assert 'HttpOnly' in cookie and 'SameSite=Strict' in cookie
                assert token not in cookie and token not in answer.headers['Location']
            async with session.get(url) as answer:
                seen.append(answer.status)
                assert "frame-ancestors 'none'" in answer.headers['Content-Security-Policy']
                assert answer.headers['Referrer-Policy'] == 'no-referrer'
            async with session.ws_connect(url + 'stream', origin=url[:-1]) as stream:
                seen.append(stream.closed)
            return seen

    assert asyncio.run(visit()) == [401, 303, '/?debug=1', 200, False]


def test_no_path_leads_out_of_the_page(stage: Stage) -> None:
    up = ['..', '%2e%2e', '.%2E', '%252e%252e', '..%2f..', '..%5c..', '\\..', '....//', '%c0%ae.']
    paths = [f'/{step}/{step}/{step}/etc/passwd' for step in up]
    paths += ['//etc/passwd', '/etc/passwd', '/kiosk.js/../server.py', '/..', '/.', '/%00', '/']
    paths += ['/../server.py', '/%2e%2e/server.py', '/index.html%00.js', '/page/index.html']
    paths += ['file:///etc/passwd', f'http://127.0.0.1:{stage.port}/../server.py', '*', 'x' * 9000]

    async def attack() -> list[bytes]:
        lines = [f'GET {path} HTTP/1.1' for path in paths]
        return [await talk(stage.port, request(line)) for line in lines]

    for path, answer in zip(paths, stage.during(attack), strict=True):
        if path != '/':
            assert status(answer) in (400, 403, 404, 405), (path, answer[:200])
        assert not SECRETS.search(answer), path


def frame(opcode: int, data: bytes = b'', flags: int = 0x80, length: int | None = None) -> bytes:
    """A WebSocket frame of a client; `length` may lie."""
    length = len(data) if length is None else length
    size = bytes([0x80 | length]) if length < 126 else b'\xfe' + struct.pack('>H', length & 0xFFFF)
    if length > 0xFFFF:
        size = b'\xff' + struct.pack('>Q', length)
    return bytes([flags | opcode]) + size + bytes(4) + data


def test_malformed_frames_and_garbage_end_their_own_connection(stage: Stage) -> None:
    noise = os.urandom(4096)
    frames = {
        'unknown kind': frame(3),
        'reserved bits': frame(1, b'x', flags=0xF0),
        'long ping': frame(9, bytes(200)),
        'split ping': frame(9, flags=0),
        'no beginning': frame(0, b'x'),
        'text that is none': frame(1, b'\xff\xfe'),
        'too long': frame(1, bytes(5000)),
        'says 2**62': frame(1, bytes(5000), length=2**62),
        'says 2**63': frame(1, length=2**63),
        'never ends': frame(1, bytes(900), flags=0) + 9 * frame(0, bytes(900), flags=0),
        'bad farewell': frame(8, b'x'),
        'close for no reason': frame(8, struct.pack('>H', 999)),
        'noise': b'\xf7' + noise,
    }
    garbage = {
        'noise': noise + b'\r\n\r\n',
        'TLS': bytes.fromhex('16030100c8010000c40303') + noise + b'\r\n\r\n',
        'header without end': b'GET / HTTP/1.1\r\nX: ' + bytes(200_000),
        'many headers': request('GET / HTTP/1.1', *(f'X{k}: y' for k in range(5000))),
        'two lengths': request('POST / HTTP/1.1', 'Content-Length: 5', 'Content-Length: 6'),
        'two kinds of length': request(
            'POST / HTTP/1.1', 'Content-Length: 5', 'Transfer-Encoding: chunked'
        ),
        'length below zero': request('POST / HTTP/1.1', 'Content-Length: -1'),
        'no verb': b'\r\n\r\n \r\n\r\n',
        'HTTP/9': request('GET / HTTP/9.9'),
    }

    async def attack() -> dict[str, bytes]:
        hello = request('GET /stream HTTP/1.1', *UPGRADE).replace(b'Connection: close\r\n', b'')
        answers = {f'frame: {k}': await talk(stage.port, hello + v) for k, v in frames.items()}
        return answers | {f'bytes: {k}': await talk(stage.port, v) for k, v in garbage.items()}

    before = stage.refused()
    for name, answer in stage.during(attack).items():
        assert status(answer) in ((101,) if name[0] == 'f' else (0, 400, 404, 405, 501)), name
        assert not SECRETS.search(answer), name
    assert stage.refused() == before + len(frames) + len(garbage)


def test_an_upload_of_a_gigabyte_is_not_read(stage: Stage) -> None:
    head = request(
        'POST /control/portrait HTTP/1.1', 'Transfer-Encoding: chunked', 'Content-Type: image/png'
    )
    piece = b'100000\r\n' + bytes(MEGABYTE) + b'\r\n'

    async def attack() -> tuple[bytes, int]:
        reader, writer = await asyncio.open_connection('127.0.0.1', stage.port)
        answer, sent = asyncio.ensure_future(received(reader)), 0
        writer.write(head)
        with suppress(ConnectionError):
            while sent < 1024 and not answer.done():
                writer.write(piece)
                await writer.drain()
                sent += 1
        return await asyncio.wait_for(answer, PATIENCE), sent

    async def received(reader: asyncio.StreamReader) -> bytes:
        # Piece by piece: a connection that is reset takes with it what was not read.
        got = b''
        with suppress(ConnectionError):
            while part := await reader.read(65536):
                got += part
        return got

    before = stage.refused()
    answer, sent = stage.during(attack)
    # Some MB are on their way in the kernel when the connection ends.
    assert status(answer) == 413 and sent < 40
    assert stage.refused() > before


def test_a_thousand_connections_and_slow_ones_hold_nobody_up(stage: Stage) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))

    async def ended(reader: asyncio.StreamReader) -> bool:
        with suppress(ConnectionError):
            return not await asyncio.wait_for(reader.read(), PATIENCE)
        return True

    async def attack() -> tuple[int, int, bool]:
        crowd = await asyncio.gather(
            *(asyncio.open_connection('127.0.0.1', stage.port) for _ in range(1000))
        )
        # Half a line each: what was never accepted would be open at this end for minutes.
        for _, writer in crowd:
            writer.write(b'GET')
        # Somebody who asks at once gets an answer while all the others only wait.
        good = status(await talk(stage.port, request('GET / HTTP/1.1')))
        slow = await asyncio.open_connection('127.0.0.1', stage.port)
        drip = asyncio.ensure_future(dripping(slow[1]))
        closed = await asyncio.gather(*(ended(reader) for reader, _ in crowd))
        gone = await ended(slow[0])
        drip.cancel()
        for _, writer in [*crowd, slow]:
            writer.close()
        return good, sum(closed), gone

    async def dripping(writer: asyncio.StreamWriter) -> None:
        writer.write(b'GET / HTTP/1.1\r\n')
        while True:
            writer.write(b'X-Slow: 1\r\n')
            await asyncio.sleep(0.2)

    before = stage.refused()
    try:
        good, closed, slow_one_gone = stage.during(attack)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert good == 200 and closed == 1000 and slow_one_gone
    assert stage.refused() >= before + 1000 - MOST_OF_ADDRESS
