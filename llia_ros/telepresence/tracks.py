"""What goes out: sound, and the face whose picture and sound count on one clock."""

from __future__ import annotations

import asyncio
from collections import deque
from fractions import Fraction

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from llia_ros.audio.stream import RATE, SECOND

PACKET = RATE // 50
VIDEO_CLOCK = 90000
# Sound that may wait to be sent. What is older would only come late.
MOST = RATE // 2
# A gap in the face's stamps up to this long is filled with silence, ns; at a longer one the
# face was started anew.
GAP = SECOND


class SoundTrack(MediaStreamTrack):
    """16 kHz mono as an audio track; use it from the event loop's thread only."""

    kind = 'audio'

    def __init__(self) -> None:
        super().__init__()
        self.asked = False
        self.position = 0
        self.dropped = 0
        self._packets: deque[np.ndarray] = deque()
        self._rest = np.zeros(0, np.int16)
        self._sent = 0
        self._ready = asyncio.Event()

    def push(self, samples: np.ndarray) -> None:
        """Add int16 (n,) behind what was added before."""
        self.position += len(samples)
        joined = np.concatenate([self._rest, samples])
        whole = len(joined) // PACKET * PACKET
        self._rest = joined[whole:]
        self._packets.extend(joined[:whole].reshape(-1, PACKET))
        while len(self._packets) * PACKET > MOST:
            self._packets.popleft()
            self._sent += PACKET
            self.dropped += PACKET
        self._ready.set()

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms, once they are there; for aiortc."""
        self.asked = True
        while not self._packets:
            if self.readyState != 'live':
                raise MediaStreamError
            self._ready.clear()
            await self._ready.wait()
        samples = self._packets.popleft()
        frame = av.AudioFrame.from_ndarray(samples[None], format='s16', layout='mono')
        frame.sample_rate = RATE
        frame.pts, frame.time_base = self._sent, Fraction(1, RATE)
        self._sent += PACKET
        return frame

    def stop(self) -> None:
        """End the track."""
        super().stop()
        self._ready.set()


class PictureTrack(MediaStreamTrack):
    """Pictures as a video track: where sending takes long, a newer one replaces an older."""

    kind = 'video'

    def __init__(self) -> None:
        super().__init__()
        self.asked = False
        self.dropped = 0
        self.unusable = 0
        self._latest: tuple[bytes | np.ndarray, int] | None = None
        self._ready = asyncio.Event()
        self._jpeg = av.CodecContext.create('mjpeg', 'r')

    def push(self, picture: bytes | np.ndarray, position: int) -> None:
        """JPEG, or uint8 (H, W, 3) RGB, to be seen with the sample `position` of the sound."""
        self.dropped += self._latest is not None
        self._latest = picture, position
        self._ready.set()

    async def recv(self) -> av.VideoFrame:
        """The next picture, once it is there; for aiortc."""
        self.asked = True
        while True:
            while self._latest is None:
                if self.readyState != 'live':
                    raise MediaStreamError
                self._ready.clear()
                await self._ready.wait()
            (picture, position), self._latest = self._latest, None
            frame = self._frame(picture)
            if frame is not None:
                frame.pts = position * VIDEO_CLOCK // RATE
                frame.time_base = Fraction(1, VIDEO_CLOCK)
                return frame

    def _frame(self, picture: bytes | np.ndarray) -> av.VideoFrame | None:
        if isinstance(picture, np.ndarray):
            return av.VideoFrame.from_ndarray(picture, format='rgb24')
        try:
            (frame,) = self._jpeg.decode(av.Packet(picture))
        except (av.FFmpegError, ValueError):
            self.unusable += 1
            return None
        return frame

    def stop(self) -> None:
        """End the track."""
        super().stop()
        self._ready.set()


class FaceTracks:
    """The face as two tracks; the sample count of its sound is the clock of both."""

    def __init__(self) -> None:
        self.sound = SoundTrack()
        self.picture = PictureTrack()
        self._next: int | None = None

    def show(self, picture: bytes | np.ndarray | None, sound: np.ndarray, stamp: int) -> None:
        """One frame: its picture, its int16 (n,) at 16 kHz, and when it is to be seen, ns.

        Nothing is taken before both tracks are on their way, so that both begin with the same
        frame, and what is missing between two frames is silence.
        """
        if not (self.sound.asked and self.picture.asked):
            return
        late = 0 if self._next is None else stamp - self._next
        if len(sound) * SECOND // RATE // 2 < late <= GAP:
            self.sound.push(np.zeros(late * RATE // SECOND, np.int16))
        self._next = stamp + len(sound) * SECOND // RATE
        if picture is not None:
            self.picture.push(picture, self.sound.position)
        self.sound.push(sound)
