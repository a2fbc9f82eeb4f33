"""A jitter buffer with a stated delay: a pure function of packets and time.

The quickest packet of the last seconds sets the clock; every sample is given out `delay` after
the time at which such a packet would have brought it. What has not come by then is concealed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from llia_ros.audio.stream import RATE, SECOND, Chunk
from llia_ros.telepresence.conceal import OVERLAP, Concealer, lengthen, shorten

TICKS = 48000  # of an RTP timestamp a second: Opus counts so at any rate
TICKS_PER_SAMPLE = TICKS // RATE
MS = SECOND // 1000
PACKET = TICKS // 50

# For how long the quickest packet counts: longer than a burst, shorter than a clock drifts by.
WINDOW = 10
# Distance from the far end's clock that is mended, ms: while nothing is said, and in any case.
IN_SILENCE, AT_ONCE = 4 * MS, 20 * MS
MEND = 10 * MS
QUIET = 100.0  # RMS of int16, -50 dBFS
# So many packets too late one after the other: the way has become longer for good.
LATE_IN_A_ROW = 5
# Without any packet for so long the far end pauses; what comes next begins anew.
PAUSE = SECOND // 2
# No network holds a packet back so long: the far end counts anew.
JUMP = 5 * TICKS

NOTHING = np.zeros(0, np.int16)
# Returns int16 (n,) at 16 kHz of an encoded packet; ValueError for one that is damaged.
Decode = Callable[[bytes], np.ndarray]


@dataclass(frozen=True)
class Packet:
    """One RTP packet of sound: 16 bit sequence number, 32 bit timestamp in ticks, payload."""

    sequence: int
    timestamp: int
    payload: bytes


@dataclass
class Counts:
    """What happened since the start; `lost` were not there in time, `late` came after all."""

    packets: int = 0
    lost: int = 0
    late: int = 0
    repeated: int = 0
    damaged: int = 0
    underruns: int = 0
    concealed_ms: float = 0.0
    inserted_ms: float = 0.0
    dropped_ms: float = 0.0
    begun: int = 0


class Quickest:
    """The smallest transit of the last WINDOW seconds, by seconds."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int]] = deque()

    def add(self, transit: int, now: int) -> None:
        """A packet took `transit` ns (of unknown origin) and arrived at `now` ns."""
        second = now // SECOND
        if self._seconds and self._seconds[-1][0] == second:
            transit = min(transit, self._seconds.pop()[1])
        self._seconds.append((second, transit))
        while self._seconds[0][0] < second - WINDOW:
            self._seconds.popleft()

    @property
    def transit(self) -> int:
        """Of the quickest packet, ns."""
        return min(transit for _, transit in self._seconds)


class JitterBuffer:
    """Packets in, in any order; 16 kHz mono out, `delay_ms` later, without holes.

    Raises ValueError for a delay that is no time.
    """

    def __init__(self, delay_ms: float, decode: Decode) -> None:
        if not 0 <= delay_ms <= 1000:
            raise ValueError(f'jitter_ms {delay_ms} must be in 0 .. 1000')
        self.counts = Counts()
        self._delay = round(delay_ms * MS)
        self._decode = decode
        self._newest: tuple[int, int] | None = None
        self._forget()

    def _forget(self) -> None:
        # tick -> sequence number, arrival, payload
        self._waiting: dict[int, tuple[int, int, bytes]] = {}
        self._played: deque[int] = deque(maxlen=64)
        self._next: int | None = None
        self._quickest = Quickest()
        self._transit = 0
        self._late = 0
        self._dry = False
        self._last_arrival = 0
        self._length = PACKET
        self._concealer = Concealer()

    @property
    def depth_ms(self) -> float:
        """Sound that waits, ms."""
        if not self._waiting:
            return 0.0
        first = min(self._waiting) if self._next is None else self._next
        return (max(self._waiting) + self._length - first) * 1000 / TICKS

    @property
    def due(self) -> int | None:
        """When `pull` has something to give next, ns; None: not before the next packet."""
        if self._next is not None:
            return self._playout(self._next)
        return self._playout(min(self._waiting)) if self._waiting else None

    def push(self, packet: Packet, now: int) -> None:
        """A packet arrives at `now` ns."""
        self.counts.packets += 1
        sequence, tick = self._unwrap(packet)
        if self._next is not None and abs(tick - self._next) > JUMP:
            self._forget()
        if self._next is not None and tick < self._next:
            if sequence in self._played:
                self.counts.repeated += 1
                return
            self.counts.late += 1
            self._late += 1
            if self._late < LATE_IN_A_ROW:
                return
            self._forget()
        elif tick in self._waiting:
            self.counts.repeated += 1
            return
        else:
            self._late = 0
        self._waiting[tick] = sequence, now, packet.payload
        self._quickest.add(now - tick * SECOND // TICKS, now)
        self._last_arrival = now
        if self._next is None:
            self._transit = self._quickest.transit

    def pull(self, now: int) -> Chunk:
        """All that is due at `now` ns; its stamp is when it would have come without delay."""
        if self._next is None and not self._begin(now):
            return Chunk(NOTHING, now)
        assert self._next is not None
        stamp = self._playout(self._next) - self._delay
        parts = []
        while self._next is not None and self._playout(self._next) <= now:
            if not self._waiting and now - self._last_arrival > PAUSE:
                self._forget()
                break
            parts.append(self._mended(self._step()))
        return Chunk(np.concatenate(parts) if parts else NOTHING, stamp)

    def _begin(self, now: int) -> bool:
        # After a burst that was held back, only the last of it is still in time.
        for tick, (_, arrival, _) in tuple(self._waiting.items()):
            if arrival > self._playout(tick):
                del self._waiting[tick]
                self.counts.late += 1
        if not self._waiting or self._playout(min(self._waiting)) > now:
            return False
        self._next = min(self._waiting)
        self.counts.begun += 1
        return True

    def _playout(self, tick: int) -> int:
        return tick * SECOND // TICKS + self._transit + self._delay

    def _unwrap(self, packet: Packet) -> tuple[int, int]:
        if self._newest is None:
            self._newest = packet.sequence, packet.timestamp
            return self._newest
        sequence, tick = self._newest
        sequence += (packet.sequence - sequence + 0x8000) % 0x10000 - 0x8000
        tick += (packet.timestamp - tick + 0x80000000) % 0x100000000 - 0x80000000
        self._newest = max(self._newest, (sequence, tick))
        return sequence, tick

    def _step(self) -> np.ndarray:
        """What is at `_next`, a packet or a hole, after which `_next` is behind it."""
        assert self._next is not None
        found = self._waiting.pop(self._next, None)
        if found is None:
            return self._hole(self._next)
        sequence, _, payload = found
        if self._played:
            self.counts.lost += max(0, sequence - self._played[-1] - 1)
        self._played.append(sequence)
        self._dry = False
        try:
            samples = self._decode(payload)
        except ValueError:
            self.counts.damaged += 1
            return self._hole(self._next, damaged=True)
        self._length = len(samples) * TICKS_PER_SAMPLE
        self._next += self._length
        return self._concealer.heard(samples)

    def _hole(self, tick: int, damaged: bool = False) -> np.ndarray:
        following = min(self._waiting, default=None)
        length = self._length if following is None else min(self._length, following - tick)
        count = max(1, length // TICKS_PER_SAMPLE)
        self._next = tick + count * TICKS_PER_SAMPLE
        if following is not None:
            self._next = min(self._next, following)
            if not damaged and self._waiting[following][0] == self._played[-1] + 1:
                # Nothing was lost: a far end that is silent need not send.
                return self._concealer.heard(np.zeros(count, np.int16))
        elif not self._dry:
            self._dry = True
            self.counts.underruns += 1
        self.counts.concealed_ms += count * 1000 / RATE
        return self._concealer.missing(count)

    def _mended(self, samples: np.ndarray) -> np.ndarray:
        """`samples` made a little longer or shorter where the far end's clock asks for it."""
        error = self._quickest.transit - self._transit
        if abs(error) <= IN_SILENCE or len(samples) < 2 * OVERLAP:
            return samples
        if abs(error) <= AT_ONCE and np.sqrt(np.mean(samples.astype(float) ** 2)) > QUIET:
            return samples
        count = min(min(abs(error), MEND) * RATE // SECOND, len(samples) - OVERLAP)
        moved = count * SECOND // RATE
        if error > 0:
            self._transit += moved
            self.counts.inserted_ms += moved / MS
            return lengthen(samples, count)
        self._transit -= moved
        self.counts.dropped_ms += moved / MS
        return shorten(samples, count)
