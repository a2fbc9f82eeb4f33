"""How long a jitter buffer must wait: packets of made-up networks, offline and so exact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from aiortc.jitterbuffer import JitterBuffer as TheirBuffer
from aiortc.rtp import RtpPacket

from llia_ros.audio.stream import RATE
from llia_ros.telepresence.jitter import MS, JitterBuffer, Packet

LENGTH = RATE // 50
PACKETS = 6000  # two minutes
DELAYS = (0, 20, 40, 60, 80, 120, 200)

Transits = Callable[[np.random.Generator, int], np.ndarray]


def _wired(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.exponential(1.0, count)


def _wireless(rng: np.random.Generator, count: int) -> np.ndarray:
    # Retransmissions now and then, and twice in a minute the radio looks for other stations.
    transits = rng.exponential(6.0, count) + (rng.random(count) < 0.02) * rng.uniform(
        10, 50, count
    )
    for first in range(1500, count, 1500):
        scan = np.arange(5)
        transits[first : first + 5] = np.maximum(transits[first : first + 5], 90 - 20 * scan)
    return transits


def _mobile(rng: np.random.Generator, count: int) -> np.ndarray:
    slow = 15 * (1 + np.sin(np.arange(count) / 200))
    return slow + rng.exponential(12.0, count)


# name -> how late, in ms, each packet is
NETWORKS: dict[str, Transits] = {'wired': _wired, 'wireless': _wireless, 'mobile': _mobile}


@dataclass(frozen=True)
class Outcome:
    """Share of packets concealed (%), and what the buffer added over the quickest packet, ms."""

    network: str
    delay: int
    concealed: float
    added: float


def measure(
    seed: int = 0, packets: int = PACKETS, delays: Sequence[int] = DELAYS
) -> list[Outcome]:
    """Every network and delay, so many packets of 20 ms each."""
    silence = np.zeros(LENGTH, np.int16)
    done = []
    for name, transits_of in NETWORKS.items():
        transits = transits_of(np.random.default_rng(seed), packets)
        order = np.argsort(20 * np.arange(packets) + transits)
        for delay in delays:
            buffer = JitterBuffer(delay, lambda payload: silence)
            added = []
            for k in order:
                now = round((20 * int(k) + transits[k]) * MS)
                # Everything that was due before this packet arrived.
                while buffer.due is not None and (due := buffer.due) < now:
                    chunk = buffer.pull(due)
                    if not len(chunk.samples):
                        break
                    added.append((due - chunk.stamp) / MS)
                buffer.push(Packet(int(k) % 65536, int(k) * 960, b'x'), now)
            lost = buffer.counts.concealed_ms / 20
            done.append(Outcome(name, delay, 100 * lost / packets, float(np.median(added))))
    return done


def theirs(lost: int = 50, packets: int = 200) -> tuple[float, float, float]:
    """aiortc's own buffer of an even stream that loses its packet `lost`.

    Returns ms: its delay before the loss, its delay after it, and the longest stall.
    """
    buffer = TheirBuffer(capacity=16, prefetch=4)
    out = []
    for k in range(packets):
        if k == lost:
            continue
        packet = RtpPacket(sequence_number=k, timestamp=k * 960)
        packet._data = b'x'  # type: ignore[attr-defined]
        _, frame = buffer.add(packet)
        if frame is not None:
            out.append((20.0 * k, frame.timestamp / 48))
    before = [now - at for now, at in out if at < 20 * (lost - 5)]
    after = [now - at for now, at in out if at > 20 * (lost + 20)]
    stall = max(b[0] - a[0] for a, b in zip(out, out[1:])) - 20
    return float(np.median(before)), float(np.median(after)), stall
