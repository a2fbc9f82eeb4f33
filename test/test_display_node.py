"""The display node as its users meet it: a process, fed with real messages."""

import asyncio
import json
import socket
from contextlib import closing
from pathlib import Path

import aiohttp
import av
import numpy as np
import pytest
from conftest import Probe, Start
from diagnostic_msgs.msg import DiagnosticArray
from synthetic_face import SAMPLES, jpeg, tone
from talking_face import PERIOD, Face, values

from llia_ros.demo.headless import free_port
from llia_ros.display.mailbox import ALIVE, CUT, PICTURE, SOUND, Item, unpack
from llia_ros.nodes.messages import AUDIO_QOS, FRAME_QOS, Audio, audio_message

RED, GREEN, GROUND = (220, 50, 40), (40, 190, 60), (30, 60, 90)
RED_FACE, GREEN_FACE = jpeg(RED, GROUND), jpeg(GREEN, GROUND)


def test_a_recording_holds_every_picture_with_its_sound(
    probe: Probe, start: Start, tmp_path: Path
) -> None:
    path = tmp_path / 'face.mp4'
    node = start('display', output='file', file=str(path))
    face = Face(probe)
    for k in range(40):
        face.say(k, RED_FACE if k < 20 else GREEN_FACE)
    probe.spin(0.3)
    assert node.stop() == 0, node.output
    assert 'holds 1.60 s' in node.output and 'context is invalid' not in node.output
    with av.open(str(path)) as file:
        shown = [frame.to_ndarray(format='rgb24') for frame in file.decode(video=0)]
        lengths = [float(track.duration * track.time_base) for track in file.streams]
    with av.open(str(path)) as file:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
    assert len(shown) == 40 and abs(lengths[0] - lengths[1]) <= 0.04
    assert np.abs(shown[10][128, 128].astype(int) - RED).max() < 12
    assert np.abs(shown[30][128, 128].astype(int) - GREEN).max() < 12
    assert 0.2 < np.abs(heard[4800:-4800]).max() < 0.3


@pytest.mark.alone
def test_a_page_gets_pictures_and_sound_and_nothing_old_after_an_interruption(
    probe: Probe, start: Start
) -> None:
    port = free_port()
    told = probe.hear(DiagnosticArray, '/diagnostics')
    start('display', output='web', port=port)
    face = Face(probe)
    got: list[Item] = []

    async def watch() -> None:
        async with aiohttp.ClientSession() as session:
            stream = await session.ws_connect(f'http://127.0.0.1:{port}/stream')
            await asyncio.to_thread(talk)
            while True:
                got.append(unpack((await stream.receive(timeout=5)).data))
                # Nothing else has come for half a second, and that not before all was said.
                if got[-1].kind == ALIVE and any(item.index == 12 for item in got):
                    break
            # As the page does: drawn 50 ms after it was due, its sound heard 5 ms before that.
            [shown] = [item for item in got if (item.kind, item.index) == (PICTURE, 3)]
            frame = [3, shown.epoch, shown.stamp, 10.0, 12.0, 50.0, 45.0]
            await stream.send_str(json.dumps({'frames': [frame], 'cuts': []}))
            await stream.send_str('no report')

    def talk() -> None:
        for k in range(10):
            face.say(k, RED_FACE)
        face.cut(epoch=1)
        face.say(9, RED_FACE)
        face.say(10, GREEN_FACE, epoch=1)
        face.say(8, RED_FACE)
        face.say(11, RED_FACE)
        face.say(12, GREEN_FACE, epoch=1)

    probe.until(lambda: socket.socket().connect_ex(('127.0.0.1', port)) == 0)
    asyncio.run(watch())
    probe.until(lambda: values(told).get('page reports dropped') == '1')
    page = values(told)
    assert (page['page reports'], page['page lips after sound p50 ms']) == ('1', '5')
    assert float(page['way ours p50 ms']) == pytest.approx(150, abs=0.2)
    assert float(page['way generation p50 ms']) == pytest.approx(70, abs=0.2)
    sounds = [item for item in got if item.kind == SOUND]
    pictures = [item for item in got if item.kind == PICTURE]
    assert [item.index for item in sounds] == [*range(11), 12]
    assert [item.epoch for item in got if item.kind == CUT] == [1]
    assert [item.epoch for item in sounds] == [0] * 10 + [1] * 2
    assert pictures[-1].index == 12 and pictures[-1].data == GREEN_FACE
    assert all((item.data == GREEN_FACE) == (item.epoch == 1) for item in pictures)
    assert sounds[3].data == tone(3).tobytes() and sounds[3].state == 'speaking'
    assert sounds[3].stamp == pytest.approx((face.start + 3 * PERIOD) / 1e9, abs=1e-3)


def test_bad_messages_are_counted_and_the_face_stays(probe: Probe, start: Start) -> None:
    told = probe.hear(DiagnosticArray, '/diagnostics')
    start('display', output='web', port=free_port())
    face = Face(probe)
    unnamed = audio_message(Audio(tone(0), 16000, face.start, 'mic'))
    broken = audio_message(Audio(tone(0), 16000, face.start, 'face', 0, 0, 'speaking'))
    broken.layout.dim[0].label = 'nonsense'
    fast = audio_message(Audio(tone(0), 48000, face.start, 'face', 0, 0, 'speaking'))
    long = audio_message(
        Audio(np.zeros(3 * SAMPLES, np.int16), 16000, face.start, 'face', 0, 0, 'speaking')
    )
    k = 0

    def shows_more() -> None:
        nonlocal k
        before = int(values(told).get('pictures', 0))
        until = k + 1000
        while int(values(told).get('pictures', 0)) <= before:
            face.say(k, RED_FACE)
            k += 1
            assert k < until, values(told)

    shows_more()
    for message in (unnamed, broken, fast, long):
        probe.say('audio', message, AUDIO_QOS)
    probe.say('image_raw/compressed', face.picture(0, b'no picture'), FRAME_QOS)
    probe.until(
        lambda: (
            values(told).get('dropped audio') == '4'
            and values(told).get('dropped image_raw/compressed') == '1'
        )
    )
    shows_more()


def test_diagnostics_tell_how_late_pictures_are(
    probe: Probe, start: Start, tmp_path: Path
) -> None:
    told = probe.hear(DiagnosticArray, '/diagnostics')
    port = free_port()
    start('display', output='web,file', port=port, file=str(tmp_path / 'face.mp4'))
    face = Face(probe)
    k = 0
    while float(values(told).get('recorded s', 0)) < 1:
        face.say(k, RED_FACE)
        k += 1
        assert k < 1000, values(told)
    told_last = values(told)
    assert told_last['level'] == 'ok' and told_last['page'] == f'http://127.0.0.1:{port}/'
    assert 5 < float(told_last['fps']) <= 26
    assert float(told_last['latency p95 ms']) >= float(told_last['latency p50 ms'])
    assert told_last['old frames held back'] == '0'


def test_a_taken_port_ends_the_node_with_one_line(start: Start) -> None:
    with closing(socket.socket()) as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        port = other.getsockname()[1]
        node = start('display', port=port)
        assert node.wait() == 1
    assert f"port {port} of 127.0.0.1 is taken by another program: set parameter 'port'" in (
        node.output
    )


def test_a_file_that_cannot_be_written_ends_the_node_with_one_line(
    start: Start, tmp_path: Path
) -> None:
    node = start('display', output='file', file=str(tmp_path / 'nowhere' / 'face.mp4'))
    assert node.wait() == 1
    [line] = node.output.strip().splitlines()
    assert 'cannot write' in line and 'No such file or directory' in line


@pytest.mark.parametrize(
    ('parameter', 'value'), [('port', 0), ('output', 'hologram')], ids=['port', 'output']
)
def test_a_parameter_out_of_range_ends_the_node_with_code_2(
    start: Start, parameter: str, value: object
) -> None:
    node = start('display', **{parameter: value})
    assert node.wait() == 2
    assert f'parameter {parameter}' in node.output
