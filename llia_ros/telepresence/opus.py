"""Opus packets as 16 kHz mono, one by one, by PyAV."""

from __future__ import annotations

import av
import numpy as np

from llia_ros.audio.stream import RATE
from llia_ros.telepresence.jitter import TICKS, TICKS_PER_SAMPLE


class OpusDecoder:
    """Decodes packets in their order; a call gives exactly the packet's length in samples.

    The resampler's delay of about a millisecond is silence at the start.
    """

    def __init__(self) -> None:
        self._codec = av.CodecContext.create('libopus', 'r')
        self._codec.format = 's16'
        self._codec.layout = 'mono'
        self._codec.sample_rate = TICKS
        self._resampler = av.AudioResampler(format='s16', layout='mono', rate=RATE)
        self._left = np.zeros(0, np.int16)

    def __call__(self, payload: bytes) -> np.ndarray:
        """int16 (n,); ValueError for a packet that cannot be decoded."""
        if not payload:
            raise ValueError('Opus packet without bytes')
        try:
            frames = self._codec.decode(av.Packet(payload))
        except av.FFmpegError as error:
            raise ValueError(f'Opus packet of {len(payload)} bytes: {error}') from None
        parts: list[np.ndarray] = [self._left]
        count = 0
        for frame in frames:
            count += frame.samples // TICKS_PER_SAMPLE
            frame.pts = None
            parts += [part.to_ndarray().reshape(-1) for part in self._resampler.resample(frame)]
        if not count:
            raise ValueError(f'Opus packet of {len(payload)} bytes holds no sound')
        samples = np.concatenate(parts)
        if len(samples) < count:
            samples = np.concatenate([np.zeros(count - len(samples), np.int16), samples])
        self._left = samples[count:]
        return samples[:count]
