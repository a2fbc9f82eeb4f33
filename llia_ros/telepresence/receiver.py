"""Sound that aiortc receives, by way of our jitter buffer instead of its own.

aiortc's holds sound back by counting packets, not by time: 80 ms at first, and from the first loss
on 280 ms for good, after a stall as long; it conceals nothing (docs/telepresence.md has figures).
Its transport, decryption, statistics and RTCP are used as they are.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from aiortc import RTCRtpReceiver

from llia_ros.audio.stream import SECOND, Chunk
from llia_ros.display.deadline import deadline
from llia_ros.telepresence.jitter import JitterBuffer, Packet
from llia_ros.telepresence.opus import OpusDecoder

# Private, but the only place between its RTP and its decoder; setup.py bounds the version.
BUFFER = '_RTCRtpReceiver__jitter_buffer'


class _Tap:
    """Stands where aiortc keeps its jitter buffer and hands packets on; it decodes nothing."""

    def __init__(self, take: Callable[[Packet], None]) -> None:
        self._take = take

    def add(self, packet: Any) -> tuple[bool, None]:
        """aiortc's JitterBuffer.add: whether a key frame is needed, and a complete frame."""
        if packet.payload:
            self._take(Packet(packet.sequence_number, packet.timestamp, packet.payload))
        return False, None


class SoundReceiver:
    """Hands over 16 kHz mono from one audio receiver, steadily, `jitter_ms` after the quickest.

    `on_sound` gets chunks in the event loop's thread, `on_packet`, if given, what arrives and
    when; stamps are time.monotonic_ns() at which the samples would have come without delay.
    Raises RuntimeError for an aiortc that it does not know, ValueError for a delay that is none.
    """

    def __init__(
        self,
        receiver: RTCRtpReceiver,
        jitter_ms: float,
        on_sound: Callable[[Chunk], None],
        on_packet: Callable[[Packet, int], None] | None = None,
    ) -> None:
        if not hasattr(receiver, BUFFER):
            raise RuntimeError(
                'this aiortc keeps no jitter buffer that is known: take 1.9 .. 1.16'
            )
        self.buffer = JitterBuffer(jitter_ms, OpusDecoder())
        self.last = 0
        self._on_sound = on_sound
        self._on_packet = on_packet
        self._arrived = asyncio.Event()
        setattr(receiver, BUFFER, _Tap(self._take))
        self._task = asyncio.ensure_future(self._give())

    def close(self) -> None:
        """Hand nothing over any more."""
        self._task.cancel()

    def _take(self, packet: Packet) -> None:
        self.last = time.monotonic_ns()
        self.buffer.push(packet, self.last)
        if self._on_packet is not None:
            self._on_packet(packet, self.last)
        self._arrived.set()

    async def _give(self) -> None:
        while True:
            due = self.buffer.due
            wait = None if due is None else (due - time.monotonic_ns()) / SECOND
            self._arrived.clear()
            if wait is None or wait > 0:
                # A packet may make the next one due earlier, before the first has been played.
                try:
                    async with deadline(wait):
                        await self._arrived.wait()
                except asyncio.TimeoutError:
                    pass
            else:
                await asyncio.sleep(0)
            chunk = self.buffer.pull(time.monotonic_ns())
            if len(chunk.samples):
                self._on_sound(chunk)
