"""A loudspeaker with a timeline: sound is placed on it by its sample, and it tells what is heard.

The clock is the sound card's. `written` is how much of the timeline the card has taken, `heard`
what is leaving the loudspeaker at this moment; both in seconds, and between them lies the card's
latency.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import soxr

from llia_ros.audio.devices import (
    DeviceError,
    find_output,
    one_line,
    portaudio,
    through_pulse,
)
from llia_ros.audio.stream import RATE

# Samples that are drawn from the timeline at once where the card has another rate: 10 ms.
STEP = RATE // 100
# Seconds that the card may hold. A Python callback needs some room on a busy machine.
LATENCY = 0.04
# Blocks that wait to be played, far more than a face is ever ahead.
MOST = 200


class Loudspeaker:
    """Plays 16 kHz mono on an output device, or through PulseAudio on `pulse:<sink>`.

    `rate` forces the card's rate; None takes 16 kHz where the card can do that, else its own.
    Raises DeviceError where there is no device or it cannot be used.
    """

    def __init__(self, wanted: str = '', rate: int | None = None) -> None:
        wanted, sink = through_pulse(wanted, 'PULSE_SINK')
        device = find_output(wanted)
        sounddevice = portaudio()
        self.name = f'{device.name} ({sink})' if sink else device.name
        self.rate, channels = rate or RATE, 1
        try:
            sounddevice.check_output_settings(device.number, 1, 'int16', samplerate=self.rate)
        except sounddevice.PortAudioError:
            self.rate, channels = device.rate, min(2, device.outputs)
        self.underruns = 0
        self._blocks: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()
        self._drawn = 0
        self._given = 0
        self._anchor: tuple[float, float] | None = None
        self._resampler: Any = None
        self._rest = np.zeros(0, np.int16)
        if self.rate != RATE:
            self._resampler = soxr.ResampleStream(RATE, self.rate, 1, 'int16', quality='MQ')

        def callback(data: Any, frames: int, times: Any, status: Any) -> None:
            self.underruns += bool(status.output_underflow)
            self._anchor = (self._given / self.rate, times.outputBufferDacTime)
            data[:] = self._next(frames)[:, None]
            self._given += frames

        try:
            self._stream = sounddevice.OutputStream(
                device=device.number,
                samplerate=self.rate,
                channels=channels,
                dtype='int16',
                latency=LATENCY,
                callback=callback,
            )
            self._stream.start()
        except sounddevice.PortAudioError as error:
            raise DeviceError(
                f'sound output device {self.name!r} cannot be opened ({one_line(error)}): is '
                'another program using it, or does the sink not exist?'
            ) from None

    @property
    def written(self) -> float:
        """Seconds of the timeline that the card has taken; what is placed later is played."""
        return self._drawn / RATE

    @property
    def heard(self) -> float:
        """Second of the timeline that leaves the loudspeaker now."""
        if self._anchor is None:
            return 0.0
        start, leaves = self._anchor
        return min(start + self._stream.time - leaves, self._given / self.rate)

    def place(self, time: float, samples: np.ndarray) -> bool:
        """Play int16 samples at a second of the timeline; False where that is too late."""
        start = round(time * RATE)
        with self._lock:
            if start < self._drawn:
                return False
            self._blocks[start] = samples
            if len(self._blocks) > MOST:
                del self._blocks[min(self._blocks)]
        return True

    def silence(self) -> None:
        """Play nothing of what was placed any more."""
        with self._lock:
            self._blocks.clear()

    def close(self) -> None:
        """Give the device back."""
        self._stream.close()
        self._resampler = None

    def _next(self, frames: int) -> np.ndarray:
        if self._resampler is None:
            return self._draw(frames)
        while len(self._rest) < frames:
            more = self._resampler.resample_chunk(self._draw(STEP))
            self._rest = np.concatenate([self._rest, more])
        given, self._rest = self._rest[:frames], self._rest[frames:]
        return given

    def _draw(self, frames: int) -> np.ndarray:
        """Take the next samples from the timeline, silence where nothing was placed."""
        drawn = np.zeros(frames, np.int16)
        with self._lock:
            begin, end = self._drawn, self._drawn + frames
            for start in sorted(self._blocks):
                if start >= end:
                    break
                block = self._blocks[start]
                stop = min(start + len(block), end)
                first = max(start, begin)
                if stop > first:
                    drawn[first - begin : stop - begin] = block[first - start : stop - start]
                if start + len(block) <= end:
                    del self._blocks[start]
            self._drawn = end
        return drawn
