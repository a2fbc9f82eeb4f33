"""The face that came back, as a video file: picture and sound as they arrived."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np

from llia_ros.audio.stream import RATE, SECOND, Chunk

FPS = 25
TICK = Fraction(1, 1000)


def write(
    path: str, pictures: Sequence[tuple[int, float, av.VideoFrame]], sound: Sequence[Chunk]
) -> None:
    """Write `pictures` (arrival ns, s of the stream, picture) and `sound`, stamps in ns.

    The sound's stamps tell when it would have come without delay, as the pictures did. Raises
    ValueError where no picture came.
    """
    if not pictures:
        raise ValueError(f'no face came back, {path} is not written: set send_face there')
    # Of the quickest picture: what the others took longer is the network's, not the face's.
    origin = min(arrival - round(at * SECOND) for arrival, at, _ in pictures)
    begin = origin + round(pictures[0][1] * SECOND)
    with av.open(path, 'w') as file:
        video = file.add_stream('h264', FPS, options={'preset': 'veryfast', 'crf': '20'})
        first = pictures[0][2]
        video.width, video.height = first.width // 2 * 2, first.height // 2 * 2
        video.pix_fmt, video.time_base = 'yuv420p', TICK
        audio = file.add_stream('aac', RATE, layout='mono')
        last = -1
        for _, at, picture in pictures:
            shown = picture.reformat(video.width, video.height, 'yuv420p')
            shown.pts = max(last + 1, round((origin + at * SECOND - begin) / SECOND / TICK))
            shown.time_base = TICK
            last = shown.pts
            file.mux(video.encode(shown))
        file.mux(video.encode())
        for frame in _frames(_line(sound, begin)):
            file.mux(audio.encode(frame))
        file.mux(audio.encode())


def _line(sound: Sequence[Chunk], begin: int) -> np.ndarray:
    """Chunks at their places on one line, int16 (n,), whose first sample is at `begin` ns."""
    if not sound:
        return np.zeros(0, np.int16)
    places = [(chunk.stamp - begin) * RATE // SECOND for chunk in sound]
    length = max(place + len(chunk.samples) for place, chunk in zip(places, sound))
    line = np.zeros(max(0, length), np.int16)
    for place, chunk in zip(places, sound):
        samples = chunk.samples[max(0, -place) :]
        line[max(0, place) : max(0, place) + len(samples)] = samples
    return line


def _frames(line: np.ndarray) -> list[av.AudioFrame]:
    frames = []
    for position in range(0, len(line), 1024):
        part = line[position : position + 1024]
        frame = av.AudioFrame.from_ndarray(part[None], format='s16', layout='mono')
        frame.sample_rate, frame.pts = RATE, position
        frame.time_base = Fraction(1, RATE)
        frames.append(frame)
    return frames
