"""One WebRTC connection, seen from the face: a voice comes in, the face and the room go out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError, OperationError

from llia_ros.audio.stream import Chunk
from llia_ros.telepresence.receiver import SoundReceiver
from llia_ros.telepresence.tracks import FaceTracks, SoundTrack

# A connection from which nothing came for so long is taken for dead, s.
DEAD = 3.0
# The second sound of a call: what the first audio section carries is the face's.
ROOM = 1


class CallError(ValueError):
    """A call cannot be answered as offered."""


@dataclass(frozen=True)
class CallOptions:
    """What a call is like; `ice_servers` are STUN or TURN addresses, none unless given."""

    jitter_ms: float = 60.0
    send_face: bool = False
    send_microphone: bool = False
    ice_servers: tuple[str, ...] = ()


def connection(ice_servers: Sequence[str] = ()) -> RTCPeerConnection:
    """A connection that asks nobody for its address but those named."""
    servers = [RTCIceServer(urls=url) for url in ice_servers]
    return RTCPeerConnection(
        RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    )


class Peer:
    """Answers one offer; everything here runs in one event loop.

    `on_sound` gets the far end's voice as 16 kHz mono, stamps in time.monotonic_ns().
    """

    def __init__(self, options: CallOptions, on_sound: Callable[[Chunk], None]) -> None:
        self.sound: SoundReceiver | None = None
        self._options = options
        self._on_sound = on_sound
        self._connection = connection(options.ice_servers)
        self._face = FaceTracks() if options.send_face else None
        self._room = SoundTrack() if options.send_microphone else None
        self._begun = time.monotonic()
        self._before = (self._begun, 0, 0)

    @property
    def state(self) -> str:
        """WebRTC's: new, connecting, connected, failed, closed."""
        return str(self._connection.connectionState)

    @property
    def alive(self) -> bool:
        """Whether somebody is there: connected, and not silent since DEAD seconds."""
        heard = self.sound.last / 1e9 if self.sound is not None else 0.0
        recent = time.monotonic() - max(self._begun, heard) < DEAD
        return recent and self.state not in ('failed', 'closed')

    async def answer(self, offer: str) -> str:
        """SDP of the answer to an SDP offer; CallError for one that cannot be answered."""
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(offer, 'offer'))
            self._attach(self._connection.getTransceivers())
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except CallError:
            await self.close()
            raise
        except (ValueError, KeyError, IndexError, AttributeError, AssertionError) as error:
            await self.close()
            raise CallError(f'no offer that can be answered: {error}') from None
        except (InvalidStateError, OperationError) as error:
            await self.close()
            raise CallError(f'no offer that can be answered: {error}') from None
        return str(self._connection.localDescription.sdp)

    def _attach(self, transceivers: Sequence[RTCRtpTransceiver]) -> None:
        sounds = [one for one in transceivers if one.kind == 'audio']
        pictures = [one for one in transceivers if one.kind == 'video']
        if not sounds:
            raise CallError('the offer has no audio: the face needs a voice')
        self.sound = SoundReceiver(sounds[0].receiver, self._options.jitter_ms, self._on_sound)
        sending = []
        if self._face is not None and pictures:
            sending += [(sounds[0], self._face.sound), (pictures[0], self._face.picture)]
        if self._room is not None and len(sounds) > ROOM:
            sending += [(sounds[ROOM], self._room)]
        for transceiver, track in sending:
            transceiver.sender.replaceTrack(track)
            transceiver.direction = 'sendrecv'

    def show(self, picture: bytes | np.ndarray | None, sound: np.ndarray, stamp: int) -> None:
        """Send a frame of the face: JPEG or RGB, its int16 at 16 kHz, when it is seen, ns."""
        if self._face is not None:
            self._face.show(picture, sound, stamp)

    def hear(self, samples: np.ndarray) -> None:
        """Send int16 at 16 kHz of the room's microphone."""
        if self._room is not None and self._room.asked:
            self._room.push(samples)

    async def figures(self) -> dict[str, Any]:
        """Connection, rates since the last call, and what the jitter buffer has counted."""
        values: dict[str, Any] = {'connection': self.state}
        round_trip, jitter = None, None
        now, received, sent = time.monotonic(), 0, 0
        for figure in (await self._connection.getStats()).values():
            if figure.type == 'transport':
                received += figure.bytesReceived
                sent += figure.bytesSent
            elif figure.type == 'remote-inbound-rtp' and figure.kind == 'audio':
                round_trip = getattr(figure, 'roundTripTime', None)
            elif figure.type == 'inbound-rtp' and figure.kind == 'audio':
                jitter = figure.jitter / 48
        then, received_then, sent_then = self._before
        self._before = now, received, sent
        elapsed = max(1e-3, now - then)
        values['in kbit/s'] = (received - received_then) * 8e-3 / elapsed
        values['out kbit/s'] = (sent - sent_then) * 8e-3 / elapsed
        if round_trip is not None:
            values['round trip ms'] = 1000 * round_trip
        if jitter is not None:
            values['network jitter ms'] = jitter
        if self.sound is not None:
            buffer, counts = self.sound.buffer, self.sound.buffer.counts
            expected = max(1, counts.packets - counts.late - counts.repeated + counts.lost)
            values |= {
                'jitter buffer ms': buffer.depth_ms,
                'packets': counts.packets,
                'lost': counts.lost,
                'loss %': 100 * counts.lost / expected,
                'late': counts.late,
                'underruns': counts.underruns,
                'concealed ms': counts.concealed_ms,
                'clock mended ms': counts.inserted_ms - counts.dropped_ms,
            }
        if self._face is not None:
            values['pictures dropped'] = self._face.picture.dropped
        return values

    async def close(self) -> None:
        """Hang up."""
        if self.sound is not None:
            self.sound.close()
        for track in (self._room, *((self._face.sound, self._face.picture) if self._face else ())):
            if track is not None:
                track.stop()
        await self._connection.close()
