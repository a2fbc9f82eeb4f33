"""Who may ask: tokens, names, and how often one may try."""

from __future__ import annotations

import asyncio
from contextlib import closing

import aiohttp
import pytest

from llia_ros.demo.headless import free_port
from llia_ros.display.access import RANDOM, Access, AccessError
from llia_ros.display.limits import AddressLimits, RateLimit, network
from llia_ros.display.server import DisplayServer


@pytest.mark.parametrize(
    ('given', 'bound', 'asked'),
    [
        ('', ['127.0.0.1'], False),
        ('', ['127.0.0.1', '::1'], False),
        ('', ['127.0.1.1'], False),
        ('', ['0.0.0.0'], True),
        ('', ['::'], True),
        ('', ['127.0.0.1', '192.0.2.7'], True),
        (RANDOM, ['127.0.0.1'], True),
        ('sixteen_letters_', ['127.0.0.1'], True),
    ],
)
def test_a_token_is_asked_for_wherever_others_could_come_from(given, bound, asked) -> None:
    access = Access(given)
    assert access.token, 'before it knows where it listens it lets nobody in'
    access.serve('x', 8080, bound)
    assert bool(access.token) == asked
    assert given in ('', RANDOM) or access.token == given


def test_random_tokens_are_long_and_never_the_same() -> None:
    tokens = {Access(RANDOM).token for _ in range(20)}
    assert len(tokens) == 20 and min(map(len, tokens)) >= 43


@pytest.mark.parametrize('token', ['secret', 'fifteen_letters', 'with a blank in it', '?' * 20])
def test_a_token_that_could_be_guessed_or_not_be_sent_is_refused(token) -> None:
    with pytest.raises(AccessError, match='16 or more letters'):
        Access(token)


@pytest.mark.parametrize('name', ['http://robot', 'robot:80', 'a b', ''])
def test_a_name_that_is_none_is_refused(name) -> None:
    with pytest.raises(AccessError, match='is no host name'):
        Access(names=[name])


def test_the_cookie_outlives_the_server_and_a_given_name_is_known() -> None:
    port, token = free_port(), 'sixteen_letters_'

    async def get(session, path: str = '', **headers: str) -> tuple[int, str]:
        url = f'http://127.0.0.1:{port}/{path}'
        async with session.get(url, headers=headers) as answer:
            return answer.status, str(answer.url)

    async def visits() -> list[tuple[int, str]]:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            with closing(DisplayServer(port=port, access=Access(token, ['Face.example']))):
                first = [await get(session), await get(session, f'?token={token}')]
                first.append(await get(session, Host='face.example'))
            with closing(DisplayServer(port=port, access=Access(token))):
                return [*first, await get(session), await get(session, Host='face.example')]

    url = f'http://127.0.0.1:{port}/'
    codes = asyncio.run(visits())
    assert [code for code, _ in codes] == [401, 200, 200, 200, 403]
    assert codes[1][1] == url, 'the token stayed in the address'


def test_a_token_leads_to_no_other_machine() -> None:
    async def visit(server: DisplayServer) -> str:
        reader, writer = await asyncio.open_connection('127.0.0.1', server.port)
        token = server.access.token
        writer.write(f'GET //evil.example/x?token={token} HTTP/1.1\r\nHost: ::1\r\n\r\n'.encode())
        writer.write(
            f'GET //evil.example/x?token={token} HTTP/1.1\r\nHost: [::1]\r\n\r\n'.encode()
        )
        got = await reader.readuntil(b'unknown host name\n') + await reader.readuntil(b'\r\n\r\n')
        writer.close()
        return got.decode()

    with closing(DisplayServer(port=free_port(), access=Access(RANDOM))) as server:
        assert 'Location: /evil.example/x\r\n' in asyncio.run(visit(server))


def test_a_bucket_gives_what_it_holds_and_fills_with_time() -> None:
    limit = RateLimit(rate=2, burst=3)
    assert [limit.take(now=10.0) for _ in range(4)] == [True, True, True, False]
    assert not limit.take(now=10.4) and limit.take(now=10.6) and not limit.take(now=10.7)
    assert limit.left(now=1000.0) == 3 and not limit.take(4, now=1000.0)


def test_limits_of_addresses_are_apart_and_bounded() -> None:
    limits = AddressLimits(rate=0.1, burst=2, most=50)
    assert [limits.take('192.0.2.1', now=0.0) for _ in range(3)] == [True, True, False]
    assert limits.exhausted('::ffff:192.0.2.1', now=0.0) and limits.take('192.0.2.2', now=0.0)
    for k in range(1000):
        limits.take(f'2001:db8:0:{k:x}::1', now=0.0)
    assert len(limits) == 50
    assert network('2001:db8::1') == network('2001:db8::2') != network('2001:db8:0:1::1')
