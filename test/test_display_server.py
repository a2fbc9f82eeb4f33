"""The kiosk's server: what clients get, and what they cannot do to it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import closing

import aiohttp
import pytest

from llia_ros.demo.headless import free_port
from llia_ros.display.mailbox import (
    ALIVE,
    CUT,
    HEADER,
    MAX_SOUNDS,
    PICTURE,
    SOUND,
    Item,
    Mailbox,
    unpack,
)
from llia_ros.display.server import MAX_CLIENTS, DisplayServer, ServerError


@pytest.fixture
def server() -> Iterator[DisplayServer]:
    with closing(DisplayServer(port=free_port())) as running:
        yield running


def picture(index: int, epoch: int = 0, size: int = 10) -> Item:
    return Item(PICTURE, index, epoch, 100 + index / 25, 'speaking', bytes([index % 256]) * size)


CUT_2 = Item(CUT, 0, 2, 100.0, '', b'')


def sound(index: int, epoch: int = 0) -> Item:
    return Item(SOUND, index, epoch, 100 + index / 25, 'idle', bytes(1280))


async def joined(server: DisplayServer, session: aiohttp.ClientSession, **options):
    before = server.clients
    stream = await session.ws_connect(server.url + 'stream', **options)
    while server.clients == before:
        await asyncio.sleep(0.01)
    return stream


async def received(stream) -> Item:
    """The next picture or sound; on a busy machine signs of life come between them."""
    while True:
        message = await asyncio.wait_for(stream.receive(), 5)
        assert message.type == aiohttp.WSMsgType.BINARY
        if (item := unpack(message.data)).kind != ALIVE:
            return item


def test_frames_arrive_whole_and_in_order(server):
    async def talk():
        async with aiohttp.ClientSession() as session:
            stream = await joined(server, session)
            for k in range(20):
                server.send(sound(k, epoch=2))
                server.send(picture(k, epoch=2))
                assert await received(stream) == sound(k, epoch=2)
                assert await received(stream) == picture(k, epoch=2)

    asyncio.run(talk())


def test_samples_lie_aligned_behind_the_header():
    assert HEADER.size % 8 == 0


def test_a_slow_client_holds_nobody_up_and_sees_the_latest_picture_next(server):
    big = 200_000

    async def talk():
        async with aiohttp.ClientSession() as session:
            slow = await joined(server, session)
            await asyncio.sleep(0.1)
            longest = 0.0
            for k in range(100):
                before = time.perf_counter()
                server.send(picture(k, size=big))
                server.send(sound(k))
                longest = max(longest, time.perf_counter() - before)
                # The client reads nothing meanwhile: only its thread's turn is given away.
                time.sleep(0.002)
            got = [await received(slow)]
            while got[-1].index != 99 or got[-1].kind != PICTURE:
                got.append(await received(slow))
            return longest, got

    longest, got = asyncio.run(talk())
    pictures = [item.index for item in got if item.kind == PICTURE]
    assert longest < 1.0, 'the sender waited for a client that does not read'
    assert pictures == sorted(pictures) and pictures[-1] == 99
    assert len(pictures) < 50, 'old pictures were kept for a client that is late'
    assert server.dropped > 50


def test_what_waits_for_a_client_is_bounded_and_never_older_than_an_interruption():
    async def fill():
        mailbox = Mailbox()
        for k in range(1000):
            mailbox.put(sound(k))
            mailbox.put(picture(k))
        full = mailbox.take()
        for k in range(5):
            mailbox.put(sound(k, epoch=0))
        mailbox.put(sound(5, epoch=1))
        newer = mailbox.take()
        mailbox.put(sound(6, epoch=1))
        mailbox.put(picture(6, epoch=1))
        mailbox.put(CUT_2)
        return full, newer, mailbox.take()

    full, after, cut = asyncio.run(fill())
    assert len(full) == MAX_SOUNDS + 1 and full[-1] == picture(999)
    assert after == [sound(5, epoch=1)] and cut == [CUT_2]


def test_a_page_that_opens_later_gets_the_last_picture_at_once(server):
    async def talk():
        async with aiohttp.ClientSession() as session:
            first = await joined(server, session)
            server.send(picture(41))
            await received(first)
            return await received(await joined(server, session))

    assert asyncio.run(talk()).index == 41


@pytest.mark.parametrize(
    ('headers', 'status'),
    [
        ({'Origin': 'http://evil.example'}, 403),
        ({'Origin': 'null'}, 403),
        ({'Host': 'evil.example', 'Origin': 'http://evil.example'}, 403),
        ({'Host': '.', 'Origin': 'http://.'}, 403),
    ],
    ids=['foreign origin', 'no origin', 'rebound name', 'strange name'],
)
def test_foreign_pages_get_no_stream(server, headers, status):
    async def talk():
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(server.url + 'stream', headers=headers)
            return caught.value.status

    assert asyncio.run(talk()) == status
    assert server.refused == 1 and server.clients == 0


def test_its_own_page_gets_the_stream(server):
    async def talk():
        async with aiohttp.ClientSession() as session:
            stream = await joined(server, session, headers={'Origin': server.url[:-1]})
            server.send(picture(3))
            return await received(stream)

    assert asyncio.run(talk()).index == 3


def test_too_many_pages_are_refused(server):
    async def talk():
        async with aiohttp.ClientSession() as session:
            streams = [await joined(server, session) for _ in range(MAX_CLIENTS)]
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(server.url + 'stream')
            server.send(picture(1))
            assert [(await received(stream)).index for stream in streams] == [1] * MAX_CLIENTS
            return caught.value.status

    assert asyncio.run(talk()) == 503


@pytest.mark.parametrize(
    'path',
    ['recorder.py', '..%2fserver.py', '%2e%2e/recorder.py', 'page/index.html', '/etc/passwd'],
)
def test_only_the_pages_own_files_are_served(server, path):
    async def talk():
        async with aiohttp.ClientSession() as session:
            async with session.get(server.url + path) as answer:
                return answer.status

    assert asyncio.run(talk()) == 404


def test_the_page_and_its_parts_are_served(server):
    async def talk():
        async with aiohttp.ClientSession() as session:
            kinds = {}
            for name in ('', 'kiosk.js', 'player.js', 'stream.js', 'stage.js', 'kiosk.css'):
                async with session.get(server.url + name) as answer:
                    assert answer.status == 200
                    kinds[name] = answer.content_type
            return kinds

    kinds = asyncio.run(talk())
    assert kinds[''] == 'text/html' and 'javascript' in kinds['kiosk.js']


def test_a_taken_port_is_named_with_its_remedy():
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ServerError, match=rf"port {port} .* taken .* parameter 'port'"):
            DisplayServer(port=port)


@pytest.mark.parametrize('port', [0, -1, 70000])
def test_a_port_that_cannot_be_is_named_with_its_remedy(port):
    with pytest.raises(ServerError, match=rf"port {port} .* parameter 'port'"):
        DisplayServer(port=port)


def test_an_address_of_another_machine_is_named_with_its_remedy():
    with pytest.raises(ServerError, match=r"'192\.0\.2\.1' .* parameter 'host'"):
        DisplayServer(host='192.0.2.1', port=free_port())


def test_a_closed_server_gives_its_port_back_and_takes_no_more():
    port = free_port()
    first = DisplayServer(port=port)
    first.close()
    first.send(picture(0))
    first.close()
    with closing(DisplayServer(port=port)) as second:
        assert second.clients == 0


def test_a_state_that_does_not_fit_the_header_is_refused(server):
    with pytest.raises(ValueError, match='more than 16 letters'):
        server.send(Item(PICTURE, 0, 0, 0.0, 'unspeakably_bored', b''))
