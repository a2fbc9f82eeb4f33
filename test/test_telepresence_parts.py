"""Parts of telepresence by themselves: utterances, tracks on one clock, the bad network."""

import asyncio

import av
import cv2
import numpy as np
import pytest

from llia_ros.audio.stream import RATE, SECOND, Chunk
from llia_ros.benchmark import far_side, jitter_delays
from llia_ros.benchmark.bad_network import BadNetwork, address_of, redirected
from llia_ros.telepresence.far_end import Call
from llia_ros.telepresence.opus import OpusDecoder
from llia_ros.telepresence.tracks import FaceTracks, SoundTrack
from llia_ros.telepresence.utterances import Utterances

SDP = (
    'v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\n'
    'a=candidate:1 1 udp 2130706431 fd00::7 5001 typ host\r\n'
    'a=candidate:2 1 udp 2130706430 192.0.2.7 5002 typ host generation 0\r\n'
    'm=video 9 UDP/TLS/RTP/SAVPF 97\r\na=candidate:1 1 udp 2130706431 fd00::7 5001 typ host\r\n'
)


@pytest.mark.parametrize('length', [160, 320, 1000])
def test_only_speech_gets_through_and_each_utterance_ends(sentence, length: int) -> None:
    part = sentence[: 2 * RATE]
    quiet = np.random.default_rng(0).integers(-20, 20, 2 * RATE).astype(np.int16)
    stream = np.concatenate([quiet, part, quiet, part, quiet])
    utterances, out = Utterances(0.5, 0.4), []
    for position in range(0, len(stream), length):
        stamp = 7 * SECOND + position * SECOND // RATE
        out += utterances.push(Chunk(stream[position : position + length], stamp))
    ends = [k for k, chunk in enumerate(out) if not len(chunk.samples)]
    assert len(ends) == utterances.spoken == 2 and ends[-1] == len(out) - 1
    for first, last, begun in zip([0, ends[0] + 1], ends, [2 * RATE, 6 * RATE]):
        said = np.concatenate([chunk.samples for chunk in out[first:last]])
        place = (out[first].stamp - 7 * SECOND) * RATE // SECOND
        # Bit by bit what was spoken, from no later than its first sound, with its own times.
        assert place <= begun + 0.1 * RATE and place >= begun - 0.2 * RATE
        assert np.array_equal(said, stream[place : place + len(said)])
        assert 2 * RATE <= place + len(said) - begun <= 3 * RATE
    for before, after in zip(out, out[1:]):
        assert after.stamp >= before.stamp
    assert utterances.end(0) == []


def test_sound_that_stops_ends_the_utterance(sentence) -> None:
    utterances = Utterances(0.5, 0.4)
    assert any(len(chunk.samples) for chunk in utterances.push(Chunk(sentence[:RATE], 0)))
    (end,) = utterances.end(123)
    assert not len(end.samples) and end.stamp == 123 and not utterances.speaking


def test_picture_and_sound_count_on_one_clock() -> None:
    async def run() -> None:
        face = FaceTracks()
        red = np.zeros((32, 32, 3), np.uint8)
        face.show(red, np.ones(640, np.int16), 0)  # nobody listens yet: not taken
        sound = asyncio.ensure_future(face.sound.recv())
        picture = asyncio.ensure_future(face.picture.recv())
        await asyncio.sleep(0)
        _, jpeg = cv2.imencode('.jpg', red + 99)
        places, heard = [], []
        for k, stamp in enumerate([0, 40, 80, 200, 9000]):
            shown = red if k % 2 else jpeg.tobytes()
            face.show(shown, np.full(640, k, np.int16), stamp * 1_000_000)
            frame = await picture
            assert isinstance(frame, av.VideoFrame) and frame.width == 32
            places.append(frame.pts * frame.time_base)
            picture = asyncio.ensure_future(face.picture.recv())
            for _ in range(4 if k == 3 else 2):
                heard.append(await sound)
                sound = asyncio.ensure_future(face.sound.recv())
        # Three frames in a row; then 80 ms are missing, filled with silence; then a new start.
        assert [round(float(place) * 1000) for place in places] == [0, 40, 80, 200, 240]
        await asyncio.sleep(0)
        face.show(b'no jpeg', np.zeros(640, np.int16), 9_040_000_000)
        await asyncio.sleep(0.01)
        assert face.picture.unusable == 1 and not picture.done()
        times = [float(frame.pts * frame.time_base) for frame in heard]
        assert times == pytest.approx([0.02 * k for k in range(len(heard))])
        for task in (sound, picture):
            task.cancel()

    asyncio.run(run())


def test_sound_that_nobody_sends_does_not_pile_up() -> None:
    async def run() -> None:
        track = SoundTrack()
        track.push(np.zeros(10 * RATE, np.int16))
        frame = await track.recv()
        assert float(frame.pts * frame.time_base) == pytest.approx(9.5)
        assert track.dropped == 9.5 * RATE
        track.stop()

    asyncio.run(run())


def test_opus_gives_each_packet_its_length_and_refuses_what_is_none() -> None:
    encoder = av.CodecContext.create('libopus', 'w')
    encoder.sample_rate, encoder.layout, encoder.format = 48000, 'stereo', 's16'
    tone = np.rint(8000 * np.sin(np.arange(48000) * 2 * np.pi * 300 / 48000)).astype(np.int16)
    packets = []
    for position in range(0, 48000, 960):
        stereo = np.repeat(tone[position : position + 960], 2)[None]
        frame = av.AudioFrame.from_ndarray(stereo, format='s16', layout='stereo')
        frame.sample_rate = 48000
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    decode = OpusDecoder()
    for bad in (b'', b'\xff\xff\xff'):
        with pytest.raises(ValueError, match='Opus packet'):
            decode(bad)
    parts = [decode(packet) for packet in packets]
    assert {len(part) for part in parts} == {320}
    spectrum = np.abs(np.fft.rfft(np.concatenate(parts)[-RATE // 2 :].astype(float)))
    assert np.argmax(spectrum) * 2 == 300


def test_ends_are_told_the_bad_network_in_place_of_each_other() -> None:
    assert address_of(SDP) == ('192.0.2.7', 5002)
    changed = redirected(SDP, ('127.0.0.1', 99))
    assert address_of(changed) == ('127.0.0.1', 99)
    assert '192.0.2.7' not in changed and 'fd00' not in changed
    assert changed.count('candidate') == 2 and changed.count('m=') == 2
    with pytest.raises(ValueError, match='no IPv4'):
        address_of('v=0')


def test_the_bad_network_delays_and_loses_as_it_says() -> None:
    async def run() -> tuple[int, float]:
        network = BadNetwork(0.05, 0.2, seed=3)
        outer, inner = await network.between('127.0.0.1')
        loop = asyncio.get_running_loop()
        came: list[float] = []

        class Near(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: object) -> None:
                came.append(loop.time())

        near, _ = await loop.create_datagram_endpoint(Near, ('127.0.0.1', 0))
        inner.peer = near.get_extra_info('sockname')[:2]
        far, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=outer.address
        )
        begun = loop.time()
        for _ in range(200):
            far.sendto(b'x' * 10)
            await asyncio.sleep(0)
        while len(came) < network.carried[0][0] or network.carried[0][0] < 100:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert network.carried[0] == [len(came), 10 * len(came)]
        for transport in (near, far, outer.transport, inner.transport):
            transport.close()
        return len(came), min(came) - begun

    count, soonest = asyncio.run(run())
    assert 120 <= count <= 190
    assert soonest >= 0.049


def test_the_default_delay_conceals_little_of_a_wireless_network() -> None:
    delays = (0, 40, 60)
    measured = jitter_delays.measure(packets=2000, delays=delays)
    done = {(one.network, one.delay): one for one in measured}
    for name in jitter_delays.NETWORKS:
        shares = [done[name, delay].concealed for delay in delays]
        assert shares == sorted(shares, reverse=True)
    assert done['wireless', 60].concealed < 0.5 < done['wireless', 40].concealed
    # What is said of aiortc's own buffer, and why it is not used.
    before, after, stall = jitter_delays.theirs()
    assert before == 80 and after > 200 and stall > 200


def test_latencies_are_those_of_the_sound_and_picture_that_came_back() -> None:
    speech = far_side.spoken(2)
    rng = np.random.default_rng(0)
    lag, behind = 0.4, 0.03
    made = Call(began=5 * SECOND)
    heard = (speech * 0.5 + rng.normal(0, 30, len(speech))).astype(np.int16)
    first = made.began + round(lag * SECOND)
    for position in range(0, len(heard) - 320, 320):
        chunk = Chunk(heard[position : position + 320], first + position * SECOND // RATE)
        made.sound.append((chunk.stamp, chunk))
    for k in range(25 * len(heard) // RATE):
        made.pictures.append((first + round((k / 25 + behind) * SECOND), k / 25, None))
    sound, face = far_side.latencies(made, speech, 2)
    count = len(far_side.places(2))
    assert count == 8
    assert sound == pytest.approx([400] * count, abs=1)
    assert face == pytest.approx([430] * count, abs=1)
    made.sound = [(at, Chunk(chunk.samples[::-1], at)) for at, chunk in made.sound]
    assert far_side.latencies(made, speech, 2) == ([], [])
