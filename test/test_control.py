"""The control page's web side: every command, right and wrong, over a real connection."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest
from conftest import until

from llia_ros.audio.espeak import MOST_LETTERS, Espeak, SpeechError
from llia_ros.demo.headless import free_port
from llia_ros.display.access import Access
from llia_ros.display.by_hand import MAPPING, describe
from llia_ros.display.commands import COMMANDS, Command
from llia_ros.display.control import BURST, MOST_PAGES, Control
from llia_ros.display.server import DisplayServer

TOKEN = 'a-token-long-enough'


class Robot:
    """What the page's commands come to; `hindrance` is why it carries out none of them."""

    def __init__(self) -> None:
        self.done: list[Command] = []
        self.worn: list[np.ndarray] = []
        self.hindrance: Exception | None = None

    def do(self, command: Command) -> Future[str]:
        """Note a command."""
        self.done.append(command)
        return self._answer(f'did {command.name}')

    def wear(self, image: np.ndarray) -> Future[str]:
        """Note a portrait."""
        self.worn.append(image)
        return self._answer('worn')

    def _answer(self, line: str) -> Future[str]:
        answer: Future[str] = Future()
        if self.hindrance is None:
            answer.set_result(line)
        else:
            answer.set_exception(self.hindrance)
        return answer


class Desk:
    """A served control page."""

    def __init__(self, token: str = '') -> None:
        self.robot = Robot()
        self.control = Control(self.robot, {'expressions': ['neutral']})
        access = Access(token)
        self.server = DisplayServer(port=free_port(), access=access, routes=self.control.routes)
        self.url = self.server.url

    def close(self) -> None:
        """End it."""
        self.control.close()
        self.server.close()

    def talk(self, conversation: Callable[[aiohttp.ClientSession, Any], Awaitable[Any]]) -> Any:
        """Have a conversation over a page's socket, whose welcome has been taken."""

        async def begin() -> Any:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(f'{self.url}control/socket') as socket,
            ):
                assert 'hello' in await socket.receive_json(timeout=5)
                return await conversation(session, socket)

        return asyncio.run(begin())

    def answers(self, *messages: str | bytes) -> list[dict[str, Any]]:
        """What comes back for each of some messages."""

        async def one_by_one(_: Any, socket: Any) -> list[dict[str, Any]]:
            heard = []
            for message in messages:
                await (
                    socket.send_str(message)
                    if isinstance(message, str)
                    else socket.send_bytes(message)
                )
                heard.append(await socket.receive_json(timeout=5))
            return heard

        return self.talk(one_by_one)


@pytest.fixture
def desk() -> Iterator[Desk]:
    with closing(Desk()) as desk:
        yield desk


RIGHT: list[dict[str, Any]] = [
    {'do': 'expression', 'name': 'happy', 'intensity': 0.6},
    {'do': 'expression', 'name': 'neutral', 'intensity': 1},
    {'do': 'override', 'state': 'listening'},
    {'do': 'override', 'state': ''},
    {'do': 'interrupt'},
    {'do': 'look_at', 'x': 1, 'y': -0.3, 'z': 0.2},
    {'do': 'look_freely'},
    {'do': 'portrait', 'name': 'ada'},
    {'do': 'speak', 'text': 'Grüß Gott!', 'voice': 'de', 'variant': 'f2'},
    {'do': 'speak', 'text': 'a' * MOST_LETTERS, 'voice': 'en', 'variant': ''},
]


def test_every_command_arrives_checked_and_is_answered(desk: Desk) -> None:
    assert {message['do'] for message in RIGHT} == set(COMMANDS)
    sent = [json.dumps({**message, 'ticket': k}) for k, message in enumerate(RIGHT)]
    for k, (message, heard) in enumerate(zip(RIGHT, desk.answers(*sent))):
        name = message['do']
        assert heard['answer'] == {
            'ticket': k, 'do': name, 'done': True, 'line': f'did {name}',
        }  # fmt: skip
        values = {key: value for key, value in message.items() if key != 'do'}
        assert desk.robot.done[k] == Command(name, values, k)
    assert desk.control.mistakes == 0


WRONG = [
    ('no JSON', 'no JSON'),
    ('[' * 2000, 'no JSON'),
    ('[]', 'no JSON object'),
    ('{}', 'unknown command'),
    ('{"do": ["expression"]}', 'unknown command'),
    ('{"do": "shutdown"}', 'expected one of expression, override'),
    ('{"do": "__class__"}', 'unknown command'),
    ('{"do": "interrupt", "ticket": "1"}', 'ticket'),
    ('{"do": "interrupt", "ticket": true}', 'ticket'),
    ('{"do": "interrupt", "now": 1}', 'expected the fields (none)'),
    ('{"do": "expression", "name": "happy"}', 'expected the fields name, intensity'),
    ('{"do": "expression", "name": "bored", "intensity": 1}', 'name must be one of neutral'),
    ('{"do": "expression", "name": "happy", "intensity": 1.1}', 'intensity must be a number'),
    ('{"do": "expression", "name": "happy", "intensity": "1"}', 'intensity must be a number'),
    ('{"do": "expression", "name": "happy", "intensity": NaN}', 'intensity must be a number'),
    ('{"do": "expression", "name": "happy", "intensity": true}', 'intensity must be a number'),
    ('{"do": "override", "state": "asleep"}', 'state must be one of (empty), speaking'),
    ('{"do": "override", "state": null}', 'state must be one of'),
    ('{"do": "look_at", "x": 0, "y": 0, "z": 0}', 'x must be a number of 0.05 .. 50'),
    ('{"do": "look_at", "x": 1, "y": 1e9, "z": 0}', 'y must be a number'),
    ('{"do": "look_at", "x": 1, "y": 0, "z": Infinity}', 'z must be a number'),
    ('{"do": "look_at", "x": 1' + '0' * 400 + ', "y": 0, "z": 0}', 'x must be a number'),
    ('{"do": "look_freely", "x": 1}', 'expected the fields (none)'),
    ('{"do": "portrait", "name": ""}', 'name must be a text of 1 .. 64'),
    ('{"do": "portrait", "name": 3}', 'name must be a text'),
    ('{"do": "speak", "text": " ", "voice": "en", "variant": ""}', 'text must be a text'),
    ('{"do": "speak", "text": "\\u0007", "voice": "en", "variant": ""}', 'text must be a text'),
    ('{"do": "speak", "text": "a", "voice": "en", "variant": "x"}', 'variant must be one of'),
    (json.dumps({'do': 'speak', 'text': 'a' * 501, 'voice': 'en', 'variant': ''}), '1 .. 500'),
    (b'\0\1', 'no text'),
]  # fmt: skip


def test_what_is_no_command_is_told_in_one_line_and_counted(desk: Desk) -> None:
    for (_, line), heard in zip(WRONG, desk.answers(*(message for message, _ in WRONG))):
        assert line in heard['refused'] and '\n' not in heard['refused']
        assert len(heard['refused']) < 200
    assert desk.control.mistakes == len(WRONG)
    assert desk.robot.done == []
    # The page that sent them has not been cut off, nor has the server suffered.
    assert desk.answers('{"do": "interrupt"}')[0]['answer']['done']


def test_a_hindrance_is_the_answer(desk: Desk) -> None:
    desk.robot.hindrance = ValueError('the avatar\nis not there')
    [heard] = desk.answers('{"do": "interrupt", "ticket": 5}')
    assert heard['answer'] == {
        'ticket': 5, 'do': 'interrupt', 'done': False, 'line': 'the avatar is not there',
    }  # fmt: skip


def test_commands_too_fast_are_refused_and_a_flood_is_cut_off(desk: Desk) -> None:
    async def flood(_: Any, socket: Any) -> tuple[int, list[str]]:
        for _ in range(1000):
            try:
                await socket.send_str('{"do": "look_freely"}')
            except ConnectionError:
                break
        answered, refused = 0, []
        async for message in socket:
            heard = json.loads(message.data)
            answered += 'answer' in heard
            refused += [heard['refused']] if 'refused' in heard else []
        return socket.close_code, answered, refused

    code, answered, refused = desk.talk(flood)
    assert code == aiohttp.WSCloseCode.POLICY_VIOLATION
    # The last answers may be lost as the page is cut off.
    assert BURST - 5 <= answered <= len(desk.robot.done) < 2 * BURST
    assert len(desk.robot.done) >= BURST
    assert refused == ['more than 20 commands a second']


def test_a_message_too_long_ends_its_page_only(desk: Desk) -> None:
    async def shout(_: Any, socket: Any) -> int:
        await socket.send_str('x' * 5000)
        assert (await socket.receive(timeout=5)).type == aiohttp.WSMsgType.CLOSE
        return int(socket.close_code)

    assert desk.talk(shout) == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
    until(lambda: desk.control.mistakes == 1)
    assert desk.answers('{"do": "interrupt"}')[0]['answer']['done']


def test_facts_are_told_once_when_they_change_and_to_those_who_come_later(desk: Desk) -> None:
    async def watch(_: Any, socket: Any) -> list[Any]:
        # How many messages they come in is up to the server's thread, which may wake in between.
        for state, level in (('idle', -40), ('idle', -40), ('speaking', -40), ('idle', None)):
            desk.control.tell(state=state, level=level)
        heard = [await socket.receive_json(timeout=5)]
        while heard[-1]['facts'].get('level', 0) is not None:
            heard.append(await socket.receive_json(timeout=5))
        desk.control.measure({'time': 1.0, 'stages': {'latency': [1.0, float('nan')]}})
        heard.append(await socket.receive_json(timeout=5))
        desk.control.tell(state='idle')
        with pytest.raises(asyncio.TimeoutError):
            await socket.receive(timeout=0.3)
        return heard

    figures = {'time': 1.0, 'stages': {'latency': [1.0, None]}}
    *told, measured = desk.talk(watch)
    known: dict[str, Any] = {}
    for message in told:
        assert not known.items() & message['facts'].items(), 'told again'
        known.update(message['facts'])
    assert known == {'state': 'idle', 'level': None}
    assert measured == {'facts': {'figures': figures}}

    async def come_later() -> Any:
        async with aiohttp.ClientSession() as session:
            socket = await session.ws_connect(f'{desk.url}control/socket')
            return await socket.receive_json(timeout=5)

    later = asyncio.run(come_later())
    assert later['hello'] == {'expressions': ['neutral'], 'history': [figures]}
    assert later['facts'] == {'state': 'idle', 'level': None, 'figures': figures}


def test_page_and_thumbnails_are_served_by_name_only(desk: Desk) -> None:
    desk.control.hang({'ada': b'\xff\xd8ada'})

    async def look(session: aiohttp.ClientSession, _: Any) -> None:
        async with session.get(f'{desk.url}control') as page:
            assert page.status == 200 and 'control.js' in await page.text()
            assert page.headers['Content-Security-Policy']
        async with session.get(f'{desk.url}portraits/ada') as thumbnail:
            assert await thumbnail.read() == b'\xff\xd8ada'
            assert thumbnail.content_type == 'image/jpeg'
        for name in ('ben', 'ada.png', '..%2f..%2fetc%2fpasswd', '%2e%2e', 'ada%00'):
            url = aiohttp.client.URL(f'{desk.url}portraits/{name}', encoded=True)
            async with session.get(url) as nothing:
                assert nothing.status == 404

    desk.talk(look)


def test_an_upload_is_decoded_and_what_is_none_is_refused(desk: Desk) -> None:
    picture = np.zeros((96, 80, 3), np.uint8)
    picture[:48] = (250, 10, 10)
    png = cv2.imencode('.png', picture[..., ::-1])[1].tobytes()

    async def send(session: aiohttp.ClientSession, _: Any) -> list[tuple[int, str]]:
        heard = []
        for body in (png, b'no picture', png[:60], b''):
            async with session.post(f'{desk.url}control/portrait', data=body) as answer:
                heard.append((answer.status, await answer.text()))
        desk.robot.hindrance = ValueError('nobody listens')
        async with session.post(f'{desk.url}control/portrait', data=png) as answer:
            heard.append((answer.status, await answer.text()))
        headers = {'Origin': 'http://elsewhere.example'}
        async with session.post(
            f'{desk.url}control/portrait', data=png, headers=headers
        ) as answer:
            heard.append((answer.status, await answer.text()))
        return heard

    good, *bad, hindered, foreign = desk.talk(send)
    assert good == (200, 'worn\n') and np.array_equal(desk.robot.worn[0], picture)
    for status, line in bad:
        assert 400 <= status < 500 and line.count('\n') == 1
    assert hindered == (409, 'nobody listens\n')
    assert foreign[0] == 403
    assert len(desk.robot.worn) == 2 and desk.control.mistakes == 3


def test_no_more_pages_than_are_allowed(desk: Desk) -> None:
    async def crowd(session: aiohttp.ClientSession, _: Any) -> int:
        url = f'{desk.url}control/socket'
        pages = [await session.ws_connect(url) for _ in range(MOST_PAGES - 1)]
        assert not any(page.closed for page in pages)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(url)
        return int(refused.value.status)

    assert desk.talk(crowd) == 503


def test_where_a_token_is_asked_for_nothing_is_had_without() -> None:
    async def knock(url: str) -> list[int]:
        heard = []
        # Cookies of an address that is a number.
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            for method, path in (
                ('GET', 'control'),
                ('GET', 'portraits/ada'),
                ('POST', 'control/portrait'),
            ):
                async with session.request(method, url + path) as answer:
                    heard.append(answer.status)
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f'{url}control/socket')
            heard.append(int(refused.value.status))
            async with session.get(f'{url}control?token={TOKEN}') as answer:
                heard.append(answer.status)
        return heard

    with closing(Desk(TOKEN)) as desk:
        assert asyncio.run(knock(desk.url)) == [401, 401, 401, 401, 200]
        assert desk.robot.done == []


def test_pages_are_told_goodbye(desk: Desk) -> None:
    async def wait(_: Any, socket: Any) -> int:
        message, _ = await asyncio.gather(socket.receive(timeout=5), asyncio.to_thread(desk.close))
        assert message.type == aiohttp.WSMsgType.CLOSE
        return int(socket.close_code)

    assert desk.talk(wait) == aiohttp.WSCloseCode.GOING_AWAY


def test_what_is_told_at_the_very_end_does_not_hold_the_server_up(desk: Desk) -> None:
    async def end(_: Any, __: Any) -> float:
        async with aiohttp.ClientSession() as session:
            url = f'{desk.url}control/socket'
            for _ in range(MOST_PAGES - 1):
                socket = await session.ws_connect(url)
                await socket.receive(timeout=5)
            desk.control.tell(avatar=False)
            start = time.monotonic()
            await asyncio.to_thread(desk.close)
            return time.monotonic() - start

    assert desk.talk(end) < 10


def test_the_mapping_names_every_command_and_resolves_its_names() -> None:
    lines = [entry.command(lambda name: f'/left/{name}') for entry in MAPPING]
    assert 'ros2 service call /left/interrupt std_srvs/srv/Trigger' in lines
    assert not any('<' in line for line in lines)
    for topic in ('robot_face/expression', 'dialogue/override', 'look_at', 'robot/audio'):
        assert any(f'/left/{topic}' in line for line in lines)
    assert describe().count('\n') == len(MAPPING) + 1


def test_a_text_is_spoken_and_what_cannot_be_is_said(speak: Any) -> None:
    espeak = Espeak()
    samples, rate = espeak.speak('Hello there, how are you?', 'en-us', 'f2')
    assert samples.dtype == np.int16 and 1.0 < len(samples) / rate < 4.0
    assert np.abs(samples.astype(int)).max() > 3000
    # A text is what is spoken, never an argument.
    assert len(espeak.speak('--version', 'en-us')[0]) > rate / 4
    for text, voice, variant in (
        ('', 'en-us', ''),
        ('x' * (MOST_LETTERS + 1), 'en-us', ''),
        ('hello', '../en', ''),
        ('hello', 'en-us', 'f2;ls'),
        ('...', 'en-us', ''),
    ):
        with pytest.raises(SpeechError):
            espeak.speak(text, voice, variant)


def test_without_espeak_the_reason_says_how_to_get_it() -> None:
    espeak = Espeak(find=lambda name: None)
    assert espeak.voices == [] and 'apt install espeak-ng' in espeak.missing
    with pytest.raises(SpeechError, match='apt install espeak-ng'):
        espeak.speak('hello')


def test_the_documents_have_the_mapping() -> None:
    page = Path(__file__).parents[1] / 'docs' / 'control.md'
    assert describe() in page.read_text(), 'put describe() of by_hand.py into it again'
