"""A far end without a browser: sends a sound file, records the face that comes back.

`python -m llia_ros.telepresence.far_end hello.wav --out face.mp4`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import av
import numpy as np
from aiortc import RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from llia_ros.audio import files
from llia_ros.audio.stream import RATE, SECOND, Chunk
from llia_ros.telepresence.peer import CallError, connection
from llia_ros.telepresence.receiver import SoundReceiver
from llia_ros.telepresence.recording import write
from llia_ros.telepresence.tracks import PACKET, SoundTrack

PATIENCE = 10.0


@dataclass
class Call:
    """What one call brought; times are time.monotonic_ns().

    `began` is when the first sample was spoken; `sound` chunks of the face's voice, each with
    when it was handed over; `pictures` (arrival, s of the stream, picture).
    """

    began: int = 0
    connected: int = 0
    sound: list[tuple[int, Chunk]] = field(default_factory=list)
    room: list[tuple[int, Chunk]] = field(default_factory=list)
    arrivals: list[tuple[int, int]] = field(default_factory=list)
    pictures: list[tuple[int, float, av.VideoFrame]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)


async def call(
    url: str, speech: np.ndarray, *, token: str = '', tail: float = 1.0, jitter_ms: float = 60.0
) -> Call:
    """Speak int16 (n,) at 16 kHz at the pace of real time, and listen `tail` s longer.

    Raises CallError where nobody answers, or not as WebRTC does.
    """
    made, own, voice = Call(), connection(), SoundTrack()
    own.addTransceiver(voice, direction='sendrecv')
    own.addTransceiver('video', direction='recvonly')
    own.addTransceiver('audio', direction='recvonly')
    heard, _, room = (each.receiver for each in own.getTransceivers())
    received = [
        SoundReceiver(
            heard,
            jitter_ms,
            lambda chunk: made.sound.append((time.monotonic_ns(), chunk)),
            lambda packet, now: made.arrivals.append((packet.timestamp, now)),
        ),
        SoundReceiver(
            room, jitter_ms, lambda chunk: made.room.append((time.monotonic_ns(), chunk))
        ),
    ]
    tasks = []

    @own.on('track')
    def on_track(track: MediaStreamTrack) -> None:
        if track.kind == 'video':
            tasks.append(asyncio.ensure_future(_watch(track, made)))

    try:
        await own.setLocalDescription(await own.createOffer())
        answer = await _signal(url, own.localDescription.sdp, token)
        try:
            await own.setRemoteDescription(RTCSessionDescription(answer, 'answer'))
        except ValueError as error:
            raise CallError(f'{url} gave no answer of WebRTC: {error}') from None
        await _until_connected(own)
        made.connected = time.monotonic_ns()
        await _speak(voice, speech, made)
        await asyncio.sleep(tail)
        made.figures = await _figures(own, received[0], made)
    finally:
        for receiver in received:
            receiver.close()
        for task in tasks:
            task.cancel()
        voice.stop()
        await own.close()
    return made


async def _signal(url: str, offer: str, token: str) -> str:
    headers = {'Authorization': f'Bearer {token}'} if token else {}
    body = {'type': 'offer', 'sdp': offer}
    target = url.rstrip('/') + '/offer'
    try:
        # The certificate of a machine at home is its own; who calls, chose the address.
        async with (
            aiohttp.ClientSession() as session,
            session.post(target, json=body, headers=headers, ssl=False) as response,
        ):
            if response.status != 200:
                raise CallError(f'{target} refused: {(await response.text()).strip()}')
            return str((await response.json())['sdp'])
    except (aiohttp.ClientError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, CallError):
            raise
        raise CallError(f'{target} does not answer: {error}') from None


async def _until_connected(own: Any) -> None:
    end = time.monotonic() + PATIENCE
    while own.connectionState != 'connected':
        if own.connectionState in ('failed', 'closed') or time.monotonic() > end:
            raise CallError(f'no connection within {PATIENCE:g} s: is UDP let through?')
        await asyncio.sleep(0.01)


async def _speak(voice: SoundTrack, speech: np.ndarray, made: Call) -> None:
    """A packet each 20 ms, once its last sample has been spoken."""
    made.began = time.monotonic_ns()
    for position in range(0, len(speech), PACKET):
        part = speech[position : position + PACKET]
        due = made.began + (position + len(part)) * SECOND // RATE
        await asyncio.sleep(max(0.0, (due - time.monotonic_ns()) / SECOND))
        voice.push(np.pad(part, (0, PACKET - len(part))))


async def _watch(track: MediaStreamTrack, made: Call) -> None:
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        assert isinstance(frame, av.VideoFrame)
        made.pictures.append((time.monotonic_ns(), frame.time or 0.0, frame))


async def _figures(own: Any, sound: SoundReceiver, made: Call) -> dict[str, Any]:
    elapsed = (time.monotonic_ns() - made.connected) / SECOND
    figures: dict[str, Any] = {'seconds': elapsed, 'pictures': len(made.pictures)}
    for figure in (await own.getStats()).values():
        if figure.type == 'transport':
            figures['in kbit/s'] = figure.bytesReceived * 8e-3 / elapsed
            figures['out kbit/s'] = figure.bytesSent * 8e-3 / elapsed
    counts = sound.buffer.counts
    figures |= {'lost': counts.lost, 'late': counts.late, 'concealed ms': counts.concealed_ms}
    return figures


def main(argv: Sequence[str] | None = None) -> int:
    """Call, speak, record; 2 and one line for what cannot be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('speech', help='sound file to speak: wav, flac, ogg or mp3')
    parser.add_argument('--url', default='http://127.0.0.1:8090', help='where the face is called')
    parser.add_argument('--token', default='', help='where it asks for one')
    parser.add_argument('--out', help='video file of the face that comes back (send_face)')
    parser.add_argument('--tail', type=float, default=1.5, help='s to go on listening')
    parser.add_argument('--jitter-ms', type=float, default=60.0, help='delay of the buffer here')
    parser.add_argument('--json', action='store_true', help='print JSON')
    given = parser.parse_args(argv)
    try:
        speech = files.read(given.speech)
        made = asyncio.run(
            call(
                given.url,
                speech,
                token=given.token,
                tail=given.tail,
                jitter_ms=given.jitter_ms,
            )
        )
        if given.out:
            write(given.out, made.pictures, [chunk for _, chunk in made.sound])
    except (ValueError, OSError) as error:
        print(f'far_end: {error}', file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps(made.figures))
    else:
        print('\n'.join(f'{key}: {value:.4g}' for key, value in made.figures.items()))
    return 0


if __name__ == '__main__':
    sys.exit(main())
