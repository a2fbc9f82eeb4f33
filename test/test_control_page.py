"""Every control of the control page, operated in a real browser; its effect seen by a ROS node.

One graph and one browser for the whole file: the tests follow each other on the same face.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import SCRIPTS, Probe, Process
from firefox import FIREFOX, Firefox
from firefox import MISSING as NO_FIREFOX
from geometry_msgs.msg import PointStamped
from hands import Hands
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Bool, Int16MultiArray, String

from llia_ros.demo.headless import CHROMEDRIVER, CHROMIUM, MISSING, SOUND_ALLOWED, free_port
from llia_ros.display.by_hand import MAPPING
from llia_ros.model.config import EXPRESSIONS
from llia_ros.nodes import messages
from llia_ros.nodes.messages import AUDIO_QOS, FRAME_QOS, LATCHED_QOS
from llia_ros.runtime.backends import model_folder, model_names
from llia_ros.runtime.portraits import load_portrait

pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and CHROMEDRIVER), reason=MISSING),
    pytest.mark.skipif('tiny' not in model_names(), reason='the model is not there'),
]
SLOW = 240.0  # a model that loads on a busy machine


class Desk:
    """The page, the nodes behind it, and a plain node that sees what comes of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.probe = probe = Probe()
        self.port = free_port()
        self.processes = [
            self.start('avatar'),
            self.start('dialogue_state', 'listening_hold:=0.3'),
            self.start('display', f'port:={self.port}'),
        ]
        self.expressions = probe.hear(String, 'robot_face/expression')
        self.overrides = probe.hear(String, 'dialogue/override')
        self.states = probe.hear(String, 'dialogue/state', LATCHED_QOS)
        self.points = probe.hear(PointStamped, 'look_at')
        self.portraits = probe.hear(Image, 'portrait', LATCHED_QOS)
        self.voice = probe.hear(Int16MultiArray, 'robot/audio', AUDIO_QOS)
        self.sounds = probe.hear(Int16MultiArray, 'audio', AUDIO_QOS)
        self.playing = probe.hear(Bool, 'playing', LATCHED_QOS)
        self.pictures = probe.hear(CompressedImage, 'image_raw/compressed', FRAME_QOS)
        self.page = Hands(folder / 'profile', (1280, 943), SOUND_ALLOWED)

    def begin(self) -> None:
        """Open the page once there is a face."""
        self.probe.until(lambda: self.pictures, SLOW)
        self.page.open(f'http://127.0.0.1:{self.port}/control')
        self.wait('window.llia && llia.drawn > 3 && llia.facts.avatar && llia.facts.gallery')

    def start(self, name: str, *parameters: str, **env: str) -> Process:
        """Start a node of the package."""
        arguments = [str(SCRIPTS / name), '--ros-args']
        for parameter in parameters:
            arguments += parameter.split() if parameter[0] == '-' else ['-p', parameter]
        return Process(arguments, self.folder, env)

    def wait(self, condition: str, seconds: float = 30.0) -> None:
        """Wait for a JavaScript condition while the node hears."""
        self.probe.until(lambda: self.page.run(f'return Boolean({condition})'), seconds)

    def new(self, heard: list[Any], act: Callable[[], object], count: int = 1) -> list[Any]:
        """What is heard, at least `count` messages, after something is done."""
        self.probe.spin(0.02)
        before = len(heard)
        act()
        self.probe.until(lambda: len(heard) >= before + count)
        return [message for _, message in heard[before:]]

    def parameter(self, name: str) -> str:
        """A parameter of the avatar."""
        request = GetParameters.Request(names=[name])
        answer = self.probe.call(GetParameters, 'avatar/get_parameters', request)
        return str(answer.values[0].string_value)

    def epoch(self) -> int:
        """The epoch of the sound that the avatar publishes."""
        self.new(self.sounds, lambda: None)
        return int(messages.read_audio(self.sounds[-1][1]).epoch or 0)

    def corner(self) -> np.ndarray:
        """The colour of the picture's upper left corner, which tells the portraits apart."""
        self.new(self.pictures, lambda: None)
        picture = messages.decode_jpeg(messages.read_jpeg(self.pictures[-1][1]))
        return picture[4:40, 4:40].mean(axis=(0, 1))

    def until_it_wears(self, portrait: np.ndarray) -> None:
        """Wait until the picture has the ground of a portrait."""
        ground = portrait[4:40, 4:40].mean(axis=(0, 1))
        self.probe.until(lambda: np.abs(self.corner() - ground).max() < 25)

    def click(self, selector: str) -> None:
        """Click with the mouse."""
        self.page.press_at(selector)

    def close(self) -> None:
        """End everything, and see that it ends well."""
        self.page.__exit__()
        with ThreadPoolExecutor() as pool:
            codes = list(pool.map(Process.stop, self.processes))
        self.probe.close()
        logs = [process.output for process in self.processes]
        assert codes == [0] * len(codes), logs
        assert not any('Traceback' in log for log in logs), logs


@pytest.fixture(scope='module')
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with closing(Desk(tmp_path_factory.mktemp('desk'))) as desk:
        desk.begin()
        yield desk


def portrait(name: str) -> np.ndarray:
    return load_portrait(name, model_folder('tiny'), 512)


def test_the_page_opens_without_a_complaint_and_shows_the_face(desk: Desk) -> None:
    assert desk.page.complaints() == []
    seen = desk.page.run(
        'const c = document.getElementById("face"); '
        'return [...c.getContext("2d").getImageData(20, 20, 1, 1).data.slice(0, 3)]'
    )
    assert np.abs(np.array(seen) - portrait('robot')[20, 20]).max() < 40
    # Sound is only heard where it is asked for.
    assert desk.page.run('return llia.gain') == 0
    desk.click('#sound')
    assert desk.page.run('return llia.gain') == 1
    desk.click('#sound')
    assert desk.page.run('return llia.gain') == 0


def test_every_expression_is_sent_with_its_intensity(desk: Desk) -> None:
    for name in EXPRESSIONS:
        button = f'#expressions [data-value="{name}"]'
        [said] = desk.new(desk.expressions, lambda: desk.click(button))  # noqa: B023
        assert messages.read_expression(said.data) == (name, 0.8)
        assert desk.page.run(f"return document.querySelector('{button}').ariaChecked") == 'true'
    desk.page.run('document.getElementById("intensity").focus()')
    said = desk.new(desk.expressions, lambda: desk.page.type('ArrowLeft', 'ArrowLeft'))
    assert messages.read_expression(said[-1].data) == ('loving', 0.7)
    desk.wait('document.getElementById("intensitytext").textContent === "70 %"')
    # With a finger, at the slider's left end.
    width = desk.page.run('return document.getElementById("intensity").offsetWidth')
    end = (-width // 2 + 9, 0)
    said = desk.new(
        desk.expressions, lambda: desk.page.press_at('#intensity', (0, 0), end, kind='touch')
    )
    desk.probe.spin(0.3)
    assert messages.read_expression(desk.expressions[-1][1].data)[1] < 0.1
    # What others say is shown, too.
    desk.probe.say('robot_face/expression', messages.text('sad:0.4'))
    desk.wait('document.querySelector(\'[data-value="sad"]\').ariaChecked === "true"')
    assert desk.page.run('return document.getElementById("intensity").value') == '0.4'


@pytest.mark.parametrize('group', ['expressions', 'overrides'])
def test_what_is_told_of_an_earlier_choice_does_not_undo_a_later_one(
    desk: Desk, group: str
) -> None:
    buttons = f"[...document.querySelectorAll('#{group} button')]"
    chosen = desk.page.run(
        f'const buttons = {buttons}; window.marked = []; '
        'window.watch = new MutationObserver((changes) => { for (const {target} of changes) '
        'if (target.ariaChecked === "true" && target.dataset.value !== marked.at(-1)) '
        'marked.push(target.dataset.value); }); '
        "const watched = {attributeFilter: ['aria-checked']}; "
        'for (const button of buttons) watch.observe(button, watched); '
        'const order = [...Array(25).keys()].map((k) => k % 3 + 1).concat(0); '
        'return new Promise((done) => { const press = (k) => { '
        'if (k === order.length) done(order.map((at) => buttons[at].dataset.value)); '
        'else { buttons[order[k]].click(); setTimeout(press, 2, k + 1); } }; press(0); })'
    )
    fact = {
        'expressions': 'llia.facts.expression.split(":")[0]',
        'overrides': 'llia.facts.override',
    }
    desk.wait(f'{fact[group]} === "{chosen[-1]}"')
    desk.probe.spin(1.5)
    assert desk.page.run('watch.disconnect(); return marked') == chosen


def test_the_state_is_overridden_and_handed_back(desk: Desk) -> None:
    for state in ('speaking', 'listening', 'idle'):
        button = f'#overrides [data-value="{state}"]'
        [said] = desk.new(desk.overrides, lambda: desk.click(button))  # noqa: B023
        assert said.data == state
        desk.probe.until(lambda: desk.states[-1][1].data == state)  # noqa: B023
        desk.wait(f'document.getElementById("statename").textContent === "{state}"')
    [said] = desk.new(desk.overrides, lambda: desk.click('#overrides [data-value=""]'))
    assert said.data == ''
    # As a radio group: an arrow key chooses, and the focus goes along.
    [said] = desk.new(desk.overrides, lambda: desk.page.type('ArrowRight'))
    assert said.data == 'speaking'
    [said] = desk.new(desk.overrides, lambda: desk.page.type('ArrowLeft'))
    assert said.data == ''


def test_a_portrait_is_chosen_from_the_gallery(desk: Desk) -> None:
    names = desk.page.run("return [...document.querySelectorAll('#gallery button')].map("
                          'b => b.dataset.value)')  # fmt: skip
    assert names == sorted(path.stem for path in (model_folder('tiny') / 'portraits').glob('*'))
    loaded = "[...document.querySelectorAll('#gallery img')].every(i => i.naturalWidth === 160)"
    desk.wait(loaded)
    desk.page.press_at('#gallery [data-value="mint"]', kind='touch')
    desk.probe.until(lambda: desk.parameter('portrait') == 'mint')
    desk.until_it_wears(portrait('mint'))
    # A choice of somebody else is shown.
    value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value='night')
    request = SetParameters.Request(parameters=[Parameter(name='portrait', value=value)])
    assert desk.probe.call(SetParameters, 'avatar/set_parameters', request).results[0].successful
    desk.wait('document.querySelector(\'[data-value="night"]\').ariaChecked === "true"')


def test_a_picture_is_uploaded_and_can_be_taken_back(desk: Desk) -> None:
    own = np.ascontiguousarray(portrait('sunny')[:, ::-1])
    path = desk.folder / 'own face.png'
    cv2.imwrite(str(path), own[..., ::-1])
    [sent] = desk.new(desk.portraits, lambda: desk.page.choose_file('#file', path))
    assert np.array_equal(messages.read_image(sent), own)
    desk.until_it_wears(own)
    # The parameter has this name still: it has to be worn again all the same.
    assert desk.parameter('portrait') == 'night'
    desk.click('#gallery [data-value="night"]')
    desk.until_it_wears(portrait('night'))

    large = cv2.resize(portrait('rose'), (1500, 1200))
    path = desk.folder / 'rose.jpg'
    cv2.imwrite(str(path), large[..., ::-1])
    [sent] = desk.new(desk.portraits, lambda: desk.page.drop_file('#drop', path))
    assert (sent.width, sent.height) == (1024, 819)
    desk.until_it_wears(portrait('rose'))
    desk.click('#gallery [data-value="robot"]')
    desk.until_it_wears(portrait('robot'))

    for name, content, said in (
        ('notes.txt', b'no picture', 'PNG, JPEG or WebP'),
        ('broken.png', path.read_bytes()[:80], 'picture'),
    ):
        (desk.folder / name).write_bytes(content)
        desk.page.choose_file('#file', desk.folder / name)
        desk.wait(f'document.getElementById("notices").innerText.includes("{said}")')
    # One that the model does not know is refused by the avatar, and the page says so.
    cv2.imwrite(str(path), np.full((128, 128, 3), (0, 255, 0), np.uint8))
    desk.page.choose_file('#file', path)
    desk.wait('document.getElementById("notices").innerText.includes("dropped portrait")')
    desk.wait('document.querySelector(\'[data-value="robot"]\').ariaChecked === "true"')
    assert len(desk.portraits) <= 5


def test_the_face_looks_where_the_pad_is_touched(desk: Desk) -> None:
    desk.page.run("window.told = []; new MutationObserver(() => window.told.push("
                  "document.getElementById('gazetext').textContent)).observe("
                  "document.getElementById('gazetext'), {childList: true})")  # fmt: skip
    points = desk.new(
        desk.points,
        lambda: desk.page.press_at('#pad', (0, 0), (50, -30), kind='touch', hold=250),
        2,
    )
    desk.probe.until(lambda: (desk.points[-1][1].point.y, desk.points[-1][1].point.z) == (0, 0))
    points = [message.point for _, message in desk.points]
    assert {point.x for point in points} == {1.0}
    assert any(point.y > 0.3 and 0.15 < point.z < 0.35 for point in points)
    told = desk.page.run('return window.told')
    assert any('m right' in line for line in told) and told[-1] == 'straight ahead'
    [freely] = desk.new(desk.points, lambda: desk.click('#freely'))
    assert (freely.point.x, freely.point.y, freely.point.z) == (0, 0, 0)
    desk.page.type('g')
    for key, y, z in (('ArrowLeft', -0.058, 0), ('ArrowUp', -0.058, 0.058), ('Home', 0, 0)):
        [said] = desk.new(desk.points, lambda: desk.page.type(key))  # noqa: B023
        assert (said.point.y, said.point.z) == (pytest.approx(y), pytest.approx(z))
        desk.probe.spin(0.12)


def test_a_typed_text_is_spoken_and_interrupted(desk: Desk) -> None:
    desk.click('#text')
    desk.page.type('A rather long story, of which only the beginning is to be heard by anybody.')
    desk.page.run("document.getElementById('voice').value = 'en-gb'; "
                  "document.getElementById('variant').value = 'f2'")  # fmt: skip
    before = desk.epoch()
    desk.click('#speak')
    desk.probe.until(lambda: desk.voice and not len(desk.voice[-1][1].data))
    voice = [messages.read_audio(message) for _, message in desk.voice]
    assert {audio.rate for audio in voice} == {16000} and len(voice[-1].samples) == 0
    assert 2 < sum(len(audio.samples) for audio in voice) / 16000 < 8
    desk.probe.until(lambda: desk.playing[-1][1].data)
    desk.wait('llia.facts.state === "speaking" && !document.getElementById("playing").hidden')
    desk.wait('document.getElementById("robot").dataset.on === "true"')

    desk.click('#interrupt')
    desk.probe.until(lambda: desk.epoch() == before + 1)
    desk.probe.until(lambda: not desk.playing[-1][1].data, 3.0)
    desk.wait('document.getElementById("robot").dataset.on === "false"')
    # With the keyboard alone; Enter speaks.
    count = len(desk.voice)
    desk.page.type('t', 'Hi', 'Enter')
    desk.probe.until(lambda: len(desk.voice) > count and not len(desk.voice[-1][1].data))
    desk.probe.until(lambda: desk.playing[-1][1].data)
    desk.probe.until(lambda: not desk.playing[-1][1].data)


def test_the_microphone_and_who_speaks_are_shown(desk: Desk, sentence: np.ndarray) -> None:
    desk.wait('document.getElementById("leveltext").textContent === "no sound"')
    seen: dict[str, Any] = {'level': -60, 'user': False}
    start = time.time_ns()
    for k in range(0, len(sentence) - 320, 320):
        audio = messages.Audio(sentence[k : k + 320], 16000, start + k * 62500, 'mic')
        desk.probe.say('user/audio', messages.audio_message(audio), AUDIO_QOS)
        desk.probe.spin(0.015)
        if k % 3200 == 0:
            level, on = desk.page.run(
                "return [document.getElementById('level').value, "
                "document.getElementById('user').dataset.on]"
            )
            seen['level'] = max(seen['level'], level)
            seen['user'] |= on == 'true'
    assert -40 < seen['level'] < 0 and seen['user']
    desk.wait('document.getElementById("user").dataset.on === "false"')


def test_latencies_are_drawn_and_told(desk: Desk) -> None:
    stages = desk.page.run(
        "return [...document.getElementById('stage').options].map(o => o.value)"
    )
    assert {'latency', 'denoise', 'decode', 'display: latency'} <= set(stages)
    ink = (
        'const c = document.getElementById("chart"), d = c.getContext("2d").getImageData(0, 0, '
        'c.width, c.height).data; let n = 0; for (let i = 0; i < d.length; i += 4) '
        'n += d[i] === 111 && d[i + 1] === 183 && d[i + 2] === 214; return n'
    )
    assert desk.page.run(ink) > 20
    for stage in ('denoise', 'display: latency'):
        desk.page.run(f"const s = document.getElementById('stage'); s.value = '{stage}'; "
                      "s.dispatchEvent(new Event('change'))")  # fmt: skip
        assert desk.page.run(ink) > 20
        assert re.fullmatch(r'\d+ ms', desk.page.text('#p50'))
        assert re.fullmatch(r'\d+ ms', desk.page.text('#p95'))
    assert 1 < float(desk.page.text('#fps')) < 30
    assert desk.page.text('#late').isdigit()
    assert 'Model tiny on' in desk.page.text('#engine')


def test_the_lines_for_a_terminal_are_shown_and_copied_and_name_what_there_is(desk: Desk) -> None:
    desk.click('#byhand summary')
    assert desk.page.run("return document.querySelectorAll('#mapping tr').length") == len(MAPPING)
    permissions = {'permissions': ['clipboardReadWrite', 'clipboardSanitizedWrite']}
    desk.page.send_command('Browser.grantPermissions', permissions)
    desk.click('#mapping tr:nth-child(3) button')
    line = desk.page.run('return navigator.clipboard.readText()')
    assert line == desk.page.text('#mapping tr:nth-child(3) code')
    assert line.startswith('ros2 topic pub --once /robot_face/expression')
    topics = dict(desk.probe.node.get_topic_names_and_types())
    services = dict(desk.probe.node.get_service_names_and_types())
    for line in desk.page.text('#mapping').splitlines():
        if pub := re.search(r'topic pub --once (\S+) (\S+)', line):
            assert pub[2] in topics[pub[1]]
        elif call := re.search(r'service call (\S+) (\S+)', line):
            assert services[call[1]] == [call[2]]
        elif echo := re.search(r'topic (?:echo|hz) (\S+)', line):
            assert echo[1] in topics


def test_every_key_does_what_the_page_says(desk: Desk) -> None:
    desk.page.run('document.activeElement.blur()')
    for key, state in (('s', 'speaking'), ('l', 'listening'), ('i', 'idle'), ('a', '')):
        [said] = desk.new(desk.overrides, lambda: desk.page.type(key))  # noqa: B023
        assert said.data == state
    for k, name in enumerate(EXPRESSIONS):
        [said] = desk.new(desk.expressions, lambda: desk.page.type(str(k + 1)))  # noqa: B023
        assert messages.read_expression(said.data)[0] == name
    amount = float(desk.page.run("return document.getElementById('intensity').value"))
    [said] = desk.new(desk.expressions, lambda: desk.page.type('+'))
    assert messages.read_expression(said.data)[1] == pytest.approx(amount + 0.1)
    [said] = desk.new(desk.expressions, lambda: desk.page.type('-'))
    assert messages.read_expression(said.data)[1] == pytest.approx(amount)
    desk.page.type('n')
    desk.probe.until(lambda: desk.parameter('portrait') == 'rose')
    desk.page.type('p')
    desk.probe.until(lambda: desk.parameter('portrait') == 'robot')
    [freely] = desk.new(desk.points, lambda: desk.page.type('f'))
    assert freely.point.x == 0
    before = desk.epoch()
    desk.page.type('Escape')
    desk.probe.until(lambda: desk.epoch() == before + 1)
    desk.page.type('m')
    assert desk.page.run('return llia.gain') == 1
    desk.page.type('m')
    opened = desk.page.run("return document.getElementById('byhand').open")
    desk.page.type('h')
    assert desk.page.run("return document.getElementById('byhand').open") != opened
    desk.page.run("window.asked = 0; document.getElementById('file').onclick = (event) => "
                  '{ window.asked += 1; event.preventDefault(); }')  # fmt: skip
    desk.page.type('u', '?')
    assert desk.page.run("return [window.asked, document.getElementById('keys').open]") == [
        1,
        True,
    ]
    # Keys that somebody has switched off do nothing, but the one that stops the face.
    desk.click('#shortcuts')
    desk.page.run('document.activeElement.blur()')
    count = len(desk.overrides)
    before = desk.epoch()
    desk.page.type('i', 'Escape')
    desk.probe.until(lambda: desk.epoch() == before + 1)
    assert len(desk.overrides) == count
    desk.click('#shortcuts')


def test_a_page_comes_back_with_its_display_and_says_if_espeak_is_missing(desk: Desk) -> None:
    assert desk.processes.pop().stop() == 0
    desk.wait('!document.getElementById("offline").hidden')
    assert 'No connection' in desk.page.text('#offline')
    desk.click('#interrupt')
    desk.wait('document.getElementById("notices").innerText.includes("no connection")')
    # A choice that does not come into force does not stay.
    angry = 'document.querySelector(\'[data-value="angry"]\')'
    assert desk.page.run(f'{angry}.click(); return {angry}.ariaChecked') == 'true'
    desk.wait(f'{angry}.ariaChecked === "false"')
    shown = 'document.querySelector(\'#expressions [aria-checked="true"]\').dataset.value'
    assert desk.page.run(f'return llia.facts.expression.startsWith({shown})')
    empty = desk.folder / 'empty'
    empty.mkdir()
    desk.processes.append(desk.start('display', f'port:={desk.port}', PATH=str(empty)))
    desk.wait('document.getElementById("offline").hidden && llia.facts.avatar')
    assert 'sudo apt install espeak-ng' in desk.page.text('#nospeech')
    assert desk.page.run("return document.getElementById('speak').disabled")
    before = desk.epoch()
    desk.click('#interrupt')
    desk.probe.until(lambda: desk.epoch() == before + 1)


@pytest.mark.skipif(not FIREFOX, reason=NO_FIREFOX)
def test_firefox_operates_the_page_as_well(desk: Desk, tmp_path: Path) -> None:
    with Firefox(tmp_path / 'profile', sound=False, env={}) as page:
        page.resize((1280, 943))
        page.open(f'http://127.0.0.1:{desk.port}/control')
        shown = 'return Boolean(window.llia && llia.drawn > 3 && llia.facts.avatar)'
        desk.probe.until(lambda: page.run(shown), 30.0)
        [said] = desk.new(
            desk.expressions, lambda: page.press_at('#expressions [data-value="happy"]')
        )
        assert messages.read_expression(said.data)[0] == 'happy'
        [said] = desk.new(desk.overrides, lambda: page.press_at('#overrides [data-value="idle"]'))
        assert said.data == 'idle'
        [said] = desk.new(desk.overrides, lambda: page.press_at('#overrides [data-value=""]'))
        assert said.data == ''
        points = desk.new(desk.points, lambda: page.press_at('#pad', (0, 0), (50, -30)))
        assert points[0].point.x == 1.0
        before = desk.epoch()
        page.press_at('#interrupt')
        desk.probe.until(lambda: desk.epoch() == before + 1)
        # What is chosen in one browser is shown in the other.
        desk.wait('document.querySelector(\'[data-value="happy"]\').ariaChecked === "true"')
