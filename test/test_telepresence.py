"""A call through a bad network: real peers, the real node, the avatar with the tiny model."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import aiohttp
import av
import numpy as np
import pytest
from conftest import ROOT, Probe, Start, write_sound
from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import Bool, Int16MultiArray

from llia_ros.demo.headless import free_port
from llia_ros.nodes.messages import AUDIO_QOS, LATCHED_QOS, read_audio, read_diagnostics
from llia_ros.telepresence import far_end
from llia_ros.telepresence.peer import CallOptions
from llia_ros.telepresence.server import CallServer
from llia_ros.telepresence.utterances import Utterances

RATE = 16000


def likeness(sent: np.ndarray, heard: np.ndarray) -> tuple[float, int]:
    """Correlation of the loudness of what was heard with what was sent, and at which lag, ms."""

    def loudness(samples: np.ndarray) -> np.ndarray:
        blocks = samples[: len(samples) // 160 * 160].reshape(-1, 160).astype(float)
        return np.log10(1 + np.sqrt(np.mean(blocks**2, axis=1)))

    a, b = loudness(sent), loudness(heard)
    windows = [(b[lag : lag + len(a)], lag * 10) for lag in range(len(b) - len(a) + 1)]
    return max((float(np.corrcoef(a, w)[0, 1]), lag) for w, lag in windows if np.ptp(w))


def same(part: np.ndarray, heard: np.ndarray) -> float:
    """How nearly `part` is found in `heard`, sample by sample: 1 for itself, louder or not."""
    size = 1 << (len(heard) + len(part)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(part, size))
    products = np.fft.irfft(spectrum, size)[: len(heard) - len(part)]
    energy = np.cumsum(np.concatenate([[0.0], heard.astype(float) ** 2]))
    energy = (energy[len(part) :] - energy[: -len(part)])[: len(products)]
    own = np.sum(part.astype(float) ** 2)
    return float(np.max(products / np.sqrt(np.maximum(energy, own / 100) * own)))


def values(heard: list[tuple[float, DiagnosticArray]]) -> list[dict[str, str]]:
    return [
        {'level': status.level, 'summary': status.summary, **status.values}
        for _, message in heard
        for status in read_diagnostics(message)
        if status.name == '/telepresence'
    ]


@pytest.fixture
def bad_network():
    started = []

    def start(target: str, *options: str) -> str:
        port = free_port()
        command = [sys.executable, '-m', 'llia_ros.benchmark.bad_network', target]
        process = subprocess.Popen(
            [*command, '--port', str(port), *options], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        started.append(process)
        assert json.loads(process.stdout.readline()) == {'ready': port}
        return f'http://127.0.0.1:{port}'

    yield start
    for process in started:
        process.terminate()
        process.wait()
        process.stdout.close()


def test_a_voice_goes_in_and_its_face_comes_out(
    probe: Probe, start: Start, bad_network, sentence: np.ndarray, tmp_path: Path
) -> None:
    port = free_port()
    # A delay that a busy machine keeps, too: what is tested is the network's loss, not its load.
    start('face', 'telepresence', port=port, send_face=True, jitter_ms=400.0)
    start('avatar')
    told = probe.hear(DiagnosticArray, '/diagnostics')
    spoken = probe.hear(Int16MultiArray, 'robot/audio', AUDIO_QOS)
    playing = probe.hear(Bool, 'playing', LATCHED_QOS)
    probe.until(lambda: values(told) and values(told)[-1]['lifecycle'] == 'active')
    probe.until(lambda: playing, 90)
    url = bad_network(f'http://127.0.0.1:{port}', '--delay', '80', '--loss', '1')

    speech = np.concatenate([np.zeros(RATE // 2, np.int16), sentence[: 2 * RATE]])
    file, video = write_sound(tmp_path / 'hello.wav', speech), tmp_path / 'face.mp4'
    command = [sys.executable, '-m', 'llia_ros.telepresence.far_end', str(file)]
    command += ['--url', url, '--out', str(video), '--tail', '4', '--json']
    command += ['--jitter-ms', '400']
    far = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    probe.until(lambda: far.poll() is not None)
    figures = json.loads(far.communicate()[0])
    assert far.returncode == 0

    # Here: one utterance, 16 kHz mono, without the silence around it, ended by an empty message.
    heard = [read_audio(message) for _, message in spoken]
    sound = np.concatenate([audio.samples[:, 0] for audio in heard])
    assert len(heard[-1].samples) == 0 and all(len(audio.samples) for audio in heard[:-1])
    assert {audio.rate for audio in heard} == {RATE} and heard[0].frame == 'far_end'
    assert len(sound) == pytest.approx(2 * RATE, abs=0.8 * RATE)
    correlation, _ = likeness(sentence[RATE // 2 : 2 * RATE], sound)
    assert correlation > 0.8
    # The face spoke, and rests again.
    probe.until(lambda: [message.data for _, message in playing][-1] is False, 5)
    assert True in [message.data for _, message in playing]

    # There: the face with the sound that it said, later than it was sent.
    assert figures['pictures'] > 5 and figures['in kbit/s'] > figures['out kbit/s'] > 10
    with av.open(str(video)) as file:
        pictures = [frame.to_ndarray(format='rgb24') for frame in file.decode(video=0)]
    assert pictures[0].shape == (512, 512, 3)
    with av.open(str(video)) as file:
        parts = [frame.to_ndarray().reshape(-1) for frame in file.decode(audio=0)]
    returned = np.concatenate(parts) * 32767
    # By parts: where a busy machine draws too late, the face pauses between two of them.
    places = range(RATE // 4, 7 * RATE // 4, RATE // 4)
    found = [same(sentence[at : at + RATE // 4], returned) for at in places]
    assert max(found) > 0.7, found
    moved = np.mean(np.ptp(np.stack(pictures).astype(np.int16), axis=0))
    assert moved > 1

    during = [one for one in values(told) if one.get('connection') == 'connected']
    assert during and all(float(one['jitter delay ms']) == 400 for one in during)
    last = during[-1]
    assert int(last['packets']) > 50
    most = {key: max(float(one[f'{key} kbit/s']) for one in during) for key in ('in', 'out')}
    assert most['out'] > most['in'] > 10
    assert int(last['calls']) == 1 and int(last['utterances']) == 1
    probe.until(lambda: values(told)[-1]['connection'] == 'none')


def test_only_one_far_end_at_a_time_and_nothing_but_offers(probe: Probe, start: Start) -> None:
    port = free_port()
    node = start('face', 'telepresence', port=port, token='a-token-of-one-house', jitter_ms=20.0)
    told = probe.hear(DiagnosticArray, '/diagnostics')
    spoken = probe.hear(Int16MultiArray, 'robot/audio', AUDIO_QOS)
    probe.until(lambda: values(told) and values(told)[-1]['lifecycle'] == 'active')
    url = f'http://127.0.0.1:{port}'
    token = {'Authorization': 'Bearer a-token-of-one-house'}

    async def hostile() -> dict[str, int]:
        statuses = {}
        async with aiohttp.ClientSession() as session:
            for name, body, headers in [
                ('no token', b'{}', {}),
                ('foreign', b'{}', {**token, 'Origin': 'http://elsewhere.example'}),
                ('no json', b'hello', token),
                ('deep', b'[' * 50000, token),
                ('no sdp', b'{"type": "offer", "sdp": 5}', token),
                ('bad sdp', json.dumps({'type': 'offer', 'sdp': 'v=0 m=audio'}).encode(), token),
                ('empty sdp', json.dumps({'type': 'offer', 'sdp': ''}).encode(), token),
                ('large', b'x' * 200_000, token),
            ]:
                async with session.post(f'{url}/offer', data=body, headers=headers) as answer:
                    statuses[name] = answer.status
            for path in ('', 'call.js', 'call.css', '../../setup.py', 'server.py', 'x.html'):
                async with session.get(f'{url}/{path}', headers=token) as answer:
                    statuses[path] = answer.status
        return statuses

    assert asyncio.run(hostile()) == {
        'no token': 401,
        'foreign': 403,
        'no json': 400,
        'deep': 400,
        'no sdp': 400,
        'bad sdp': 400,
        'empty sdp': 400,
        'large': 413,
        '': 200,
        'call.js': 200,
        'call.css': 200,
        '../../setup.py': 404,
        'server.py': 404,
        'x.html': 404,
    }

    async def two() -> tuple[far_end.Call, str]:
        silence = np.zeros(RATE, np.int16)
        first = asyncio.ensure_future(
            far_end.call(url, silence, token='a-token-of-one-house', tail=1.5)
        )
        await asyncio.sleep(1.2)
        with pytest.raises(ValueError) as refused:
            await far_end.call(url, silence, token='a-token-of-one-house')
        return await first, str(refused.value)

    made, refused = asyncio.run(two())
    assert 'somebody else is in a call' in refused
    # Silence is no utterance, and a call that was not asked for a face brings none.
    probe.spin(0.3)
    assert not spoken and not made.pictures and not made.sound
    with pytest.raises(ValueError, match='refused: wrong token'):
        asyncio.run(far_end.call(url, np.zeros(RATE, np.int16), token='wrong'))
    assert 'http' in node.output and node.running()


def test_what_cannot_be_is_said_in_one_line(tmp_path: Path, capsys) -> None:
    port = free_port()
    (tmp_path / 'bad.pem').write_text('no certificate')

    def server(port: int, **given: str) -> CallServer:
        return CallServer(print, CallOptions(), Utterances(0.5, 0.4), port=port, **given)

    taken = server(port)
    with pytest.raises(ValueError, match=f'calls cannot be taken at 127.0.0.1:{port}: .* in use'):
        server(port)
    taken.close()
    taken.close()
    with pytest.raises(ValueError, match='bad.pem.* give PEM files'):
        server(port, certificate=str(tmp_path / 'bad.pem'))

    sound = write_sound(tmp_path / 'x.wav', np.zeros(1600, np.int16))
    assert far_end.main([str(sound), '--url', f'http://127.0.0.1:{free_port()}']) == 2
    assert 'does not answer' in capsys.readouterr().err
    assert far_end.main(['nothing.wav']) == 2
    assert "'nothing.wav' does not exist" in capsys.readouterr().err
