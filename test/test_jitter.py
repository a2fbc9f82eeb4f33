"""The jitter buffer by its properties: a pure function of packets and time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llia_ros.telepresence.conceal import Concealer, lengthen, shorten
from llia_ros.telepresence.jitter import JitterBuffer, Packet

MS = 1_000_000
LENGTH = 320  # samples at 16 kHz of a packet of 20 ms
RATE = 16000


def plain(payload: bytes) -> np.ndarray:
    """A codec without loss: what comes out can be held against what went in."""
    if not payload:
        raise ValueError('damaged')
    return np.frombuffer(payload, np.int16)


def packets(samples: np.ndarray, sequence: int = 0, tick: int = 0) -> list[Packet]:
    """20 ms each, numbered from where the test likes it."""
    parts = samples.reshape(-1, LENGTH)
    return [
        Packet((sequence + k) % 2**16, (tick + 960 * k) % 2**32, part.tobytes())
        for k, part in enumerate(parts)
    ]


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9000, 9000, count * LENGTH).astype(np.int16)


def tone(count: int, hz: float = 200.0) -> np.ndarray:
    t = np.arange(count * LENGTH) / RATE
    return np.rint(9000 * np.sin(2 * np.pi * hz * t)).astype(np.int16)


class Network:
    """Brings packets at their times and pulls every 5 ms, as the peer does."""

    def __init__(self, delay_ms: float) -> None:
        self.buffer = JitterBuffer(delay_ms, plain)
        self.heard: list[np.ndarray] = []
        self.stamps: list[int] = []
        self.ends: list[int] = []

    def run(self, arrivals: list[tuple[int, Packet]], until: int, step: int = 5 * MS) -> None:
        waiting = sorted(arrivals, key=lambda arrival: arrival[0])
        for now in range(0, until, step):
            while waiting and waiting[0][0] <= now:
                moment, packet = waiting.pop(0)
                self.buffer.push(packet, moment)
            chunk = self.buffer.pull(now)
            if len(chunk.samples):
                self.heard.append(chunk.samples)
                self.stamps.append(chunk.stamp)
                self.ends.append(now)

    @property
    def sound(self) -> np.ndarray:
        return np.concatenate(self.heard)


@settings(max_examples=60, deadline=None)
@given(
    jitters=st.lists(st.integers(0, 60), min_size=2, max_size=40),
    sequence=st.sampled_from([0, 65530]),
    tick=st.sampled_from([0, 2**32 - 5000, 12345]),
    step=st.sampled_from([1, 3, 5, 20]),
)
def test_any_order_of_arrival_within_the_delay_gives_the_original(
    jitters: list[int], sequence: int, tick: int, step: int
) -> None:
    original = noise(len(jitters))
    arrivals = [
        ((20 * k + jitter) * MS, packet)
        for k, (jitter, packet) in enumerate(zip(jitters, packets(original, sequence, tick)))
    ]
    network = Network(60)
    network.run(arrivals, (20 * len(jitters) + 140) * MS, step * MS)
    counts = network.buffer.counts
    assert counts.lost == counts.late == counts.damaged == 0 and counts.begun == 1
    # Where a quicker packet than the first comes along, the clock moves, which is another test's.
    if jitters[0] - min(jitters) <= 20:
        assert np.array_equal(network.sound[: len(original)], original)


@settings(max_examples=60, deadline=None)
@given(
    order=st.permutations(range(4)),
    repeats=st.lists(st.integers(0, 15), max_size=4),
    tick=st.sampled_from([0, 2**32 - 5000]),
)
def test_disorder_and_repetition_are_undone_bit_by_bit(
    order: list[int], repeats: list[int], tick: int
) -> None:
    # Groups of four arrive at once, in any order: none later than its delay.
    original = noise(16)
    sent = packets(original, 65533, tick)
    arrivals = [((80 * (k // 4) + 60) * MS, sent[4 * (k // 4) + order[k % 4]]) for k in range(16)]
    arrivals += [(400 * MS, sent[k]) for k in repeats]
    network = Network(60)
    network.run(arrivals, 400 * MS)
    assert np.array_equal(network.sound[: len(original)], original)
    counts = network.buffer.counts
    assert counts.lost == counts.late == 0
    assert counts.packets == 16


def test_the_delay_is_the_one_that_was_stated() -> None:
    for delay in (0, 20, 60, 140):
        network = Network(delay)
        arrivals = [((20 * k + 7) * MS, packet) for k, packet in enumerate(packets(noise(50)))]
        network.run(arrivals, 1000 * MS, MS)
        assert network.ends[0] == (7 + delay) * MS
        assert network.stamps == [(20 * k + 7) * MS for k in range(len(network.stamps))]
        assert np.array_equal(network.sound, noise(50)[: len(network.sound)])


@pytest.mark.parametrize('seed', range(4))
def test_one_percent_of_loss_is_concealed_and_counted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    original = tone(1000)
    lost = {int(k) for k in rng.choice(np.arange(5, 990), 10, replace=False)}
    network = Network(40)
    arrivals = [
        (20 * k * MS, packet) for k, packet in enumerate(packets(original)) if k not in lost
    ]
    network.run(arrivals, 20_000 * MS)
    counts = network.buffer.counts
    assert counts.lost == 10 and counts.late == 0
    assert counts.concealed_ms == 200.0
    heard = network.sound
    steps = np.abs(np.diff(heard.astype(int)))
    # No click: nowhere does it jump further than the tone itself does.
    assert steps.max() <= 1.6 * np.abs(np.diff(original.astype(int))).max()
    for k in range(1000 - 5):
        part = slice(k * LENGTH, (k + 1) * LENGTH)
        if k not in lost and k - 1 not in lost:
            assert np.array_equal(heard[part], original[part])
        elif k in lost:
            # The voice goes on, rather than stopping.
            assert np.abs(heard[part].astype(int)).max() > 4000


def test_a_long_hole_fades_away_and_a_dry_buffer_is_an_underrun() -> None:
    original = tone(60)
    arrivals = [
        (20 * k * MS, packet) for k, packet in enumerate(packets(original)) if not 20 <= k < 35
    ]
    network = Network(40)
    network.run(arrivals, 1200 * MS)
    hole = network.sound[20 * LENGTH : 35 * LENGTH].astype(int)
    assert np.abs(hole[RATE * 80 // 1000 :]).max() == 0
    assert network.buffer.counts.lost == 15
    assert network.buffer.counts.underruns == 1
    assert np.array_equal(network.sound[36 * LENGTH : 50 * LENGTH], original[36 * 320 : 50 * 320])


def test_packets_after_their_time_are_late_and_a_longer_way_is_taken_over() -> None:
    original = tone(200)
    # From the 50th packet on the way is 150 ms longer.
    arrivals = [
        ((20 * k + (150 if k >= 50 else 0)) * MS, packet)
        for k, packet in enumerate(packets(original))
    ]
    network = Network(40)
    network.run(arrivals, 4200 * MS)
    counts = network.buffer.counts
    assert 1 <= counts.late <= 5 and counts.begun == 2
    late_part = network.sound[-100 * LENGTH :]
    assert np.abs(late_part[: 50 * LENGTH].astype(int)).max() > 8000
    # It did not stay behind: from there on its delay is the stated one again.
    assert network.ends[-1] - network.stamps[-1] <= 45 * MS


@pytest.mark.parametrize('drift', [-500e-6, 500e-6])
@pytest.mark.parametrize('loud', [False, True], ids=['with pauses', 'never silent'])
def test_a_drifting_clock_is_followed_in_silence_if_there_is_any(drift: float, loud: bool) -> None:
    seconds = 120
    original = tone(50 * seconds)
    if not loud:
        original.reshape(seconds, -1)[:, RATE // 2 :] = 0
    arrivals = [
        (round(20 * k * MS * (1 + drift)), packet) for k, packet in enumerate(packets(original))
    ]
    network = Network(40)
    network.run(arrivals, int(seconds * 1e9 * (1 + drift)), 10 * MS)
    counts = network.buffer.counts
    assert counts.lost == counts.late == counts.underruns == 0
    heard_ms = len(network.sound) / 16
    # As long here as by our clock, not as by theirs: the buffer neither fills nor runs dry.
    assert heard_ms == pytest.approx(seconds * 1000 * (1 + drift), abs=80)
    moved = counts.inserted_ms if drift > 0 else counts.dropped_ms
    assert moved == pytest.approx(60, abs=25)
    assert network.ends[-1] - network.stamps[-1] <= (40 + 25 + 10) * MS
    steps = np.abs(np.diff(network.sound.astype(int)))
    assert steps.max() <= (1.6 if loud else 12) * np.abs(np.diff(tone(2).astype(int))).max()


def test_a_far_end_that_sends_nothing_while_silent_loses_nothing() -> None:
    sent = packets(tone(60))
    # Numbered on, with time passing: discontinuous transmission.
    kept = [
        (k, Packet(n, p.timestamp, p.payload))
        for n, (k, p) in enumerate((k, p) for k, p in enumerate(sent) if not 20 <= k < 30)
    ]
    network = Network(250)
    network.run([(20 * k * MS, p) for k, p in kept], 1440 * MS)
    counts = network.buffer.counts
    assert counts.lost == counts.concealed_ms == counts.underruns == 0
    assert np.abs(network.sound[21 * LENGTH : 30 * LENGTH].astype(int)).max() < 9000
    assert np.abs(network.sound[25 * LENGTH : 30 * LENGTH].astype(int)).max() == 0


def test_a_damaged_packet_is_concealed_and_a_restarted_far_end_is_followed() -> None:
    sent = packets(tone(30))
    sent[10] = Packet(10, sent[10].timestamp, b'')
    again = packets(noise(30), sequence=777, tick=2**31)
    arrivals = [(20 * k * MS, p) for k, p in enumerate(sent)]
    arrivals += [((620 + 20 * k) * MS, p) for k, p in enumerate(again)]
    network = Network(40)
    network.run(arrivals, 1300 * MS)
    counts = network.buffer.counts
    assert counts.damaged == 1 and counts.begun == 2 and counts.lost == 0
    assert (
        network.sound[-40 * LENGTH :].tobytes().find(noise(30)[LENGTH : 20 * LENGTH].tobytes()) > 0
    )


def test_a_burst_that_was_held_back_does_not_delay_what_follows() -> None:
    sent = packets(tone(100))
    # Nothing for 0.8 s, then all of it at once.
    arrivals = [(max(20 * k, 1000 if 10 <= k < 50 else 0) * MS, p) for k, p in enumerate(sent)]
    network = Network(40)
    network.run(arrivals, 2100 * MS, MS)
    assert network.ends[-1] - network.stamps[-1] <= 42 * MS
    assert network.buffer.counts.begun == 2


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 160), st.integers(160 + 80, 960), st.floats(60, 400))
def test_a_mended_packet_is_as_long_as_asked_and_does_not_click(
    count: int, length: int, hz: float
) -> None:
    t = np.arange(length) / RATE
    samples = np.rint(9000 * np.sin(2 * np.pi * hz * t)).astype(np.int16)
    longer, shorter = lengthen(samples, count), shorten(samples, count)
    assert (len(longer), len(shorter)) == (length + count, length - count)
    assert longer[-1] == samples[-1]
    most = np.abs(np.diff(samples.astype(int))).max() + 2 * 9000 / 80 + 2
    for mended in (longer, shorter):
        assert np.abs(np.diff(mended.astype(int))).max() <= most


@settings(max_examples=40, deadline=None)
@given(st.floats(60, 350), st.integers(10, 4000), st.integers(1, 320))
def test_concealment_goes_on_from_what_was_heard(hz: float, heard: int, missing: int) -> None:
    t = np.arange(heard + missing + 320) / RATE
    wave = np.rint(9000 * np.sin(2 * np.pi * hz * t)).astype(np.int16)
    concealer = Concealer()
    parts = [concealer.heard(wave[:heard]), concealer.missing(missing)]
    parts.append(concealer.heard(wave[heard + missing :]))
    joined = np.concatenate(parts).astype(int)
    assert len(joined) == len(wave)
    most = 9000 * 2 * np.pi * hz / RATE + 2 * 9000 / 80 + 4
    assert np.abs(np.diff(joined)).max() <= 2 * most


def test_a_delay_that_is_no_time_is_refused() -> None:
    for delay in (-1, 1001):
        with pytest.raises(ValueError, match='jitter_ms'):
            JitterBuffer(delay, plain)
