"""Sound cards: what there is, and recording from one of them."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from llia_ros.audio.stream import RATE

# samples int16 (n, channels), seconds since the first of them was recorded, whether some were
# lost before
OnSound = Callable[[np.ndarray, float, bool], None]

PULSE = 'pulse'


class DeviceError(ValueError):
    """A sound device is not there or cannot be used."""


@dataclass(frozen=True)
class Device:
    """One device as PortAudio sees it."""

    number: int
    name: str
    inputs: int
    outputs: int
    rate: int
    default_input: bool
    default_output: bool


def devices() -> list[Device]:
    """Every sound device of this machine, as it is now; an empty list where there is none."""
    sounddevice = portaudio()
    # PortAudio looks once, when it starts.
    sounddevice._terminate()
    sounddevice._initialize()
    default_input, default_output = sounddevice.default.device
    return [
        Device(
            number,
            str(found['name']),
            int(found['max_input_channels']),
            int(found['max_output_channels']),
            int(found['default_samplerate']),
            number == default_input,
            number == default_output,
        )
        for number, found in enumerate(sounddevice.query_devices())
    ]


def find_input(wanted: str) -> Device:
    """The input device of a number, of a part of a name, or, if `wanted` is empty, the default.

    Raises DeviceError, which lists what there is.
    """
    inputs = [device for device in devices() if device.inputs]
    if not inputs:
        raise DeviceError(
            'no sound input device on this machine: plug in a microphone, start the sound server, '
            'or take source:=file'
        )
    return _chosen(inputs, wanted, 'input', [each for each in inputs if each.default_input])


def find_output(wanted: str) -> Device:
    """The output device of a number, of a part of a name, or, if `wanted` is empty, the default.

    Raises DeviceError, which lists what there is.
    """
    outputs = [device for device in devices() if device.outputs]
    if not outputs:
        raise DeviceError(
            'no sound output device on this machine: plug in a loudspeaker or start the sound '
            'server'
        )
    return _chosen(outputs, wanted, 'output', [each for each in outputs if each.default_output])


def _chosen(found: list[Device], wanted: str, kind: str, default: list[Device]) -> Device:
    if not wanted:
        chosen = default or found
    elif wanted.isdigit():
        chosen = [device for device in found if device.number == int(wanted)]
    else:
        exact = [device for device in found if device.name == wanted]
        chosen = exact or [device for device in found if wanted.lower() in device.name.lower()]
    if not chosen:
        known = '; '.join(f'{device.number} {device.name}' for device in found)
        raise DeviceError(f'no sound {kind} device {wanted!r}: there are {known}')
    return chosen[0]


def through_pulse(wanted: str, variable: str) -> tuple[str, str]:
    """Return the device to ask PortAudio for, and what `pulse:<name>` names beyond it, or ''.

    Sets `variable` of the environment, PULSE_SOURCE or PULSE_SINK: the only way through PortAudio
    and ALSA to choose one of PulseAudio's.
    """
    kind, colon, name = wanted.partition(':')
    if not colon or kind != PULSE:
        return wanted, ''
    os.environ[variable] = name
    return PULSE, name


class Microphone:
    """Records from an input device, or through PulseAudio from `pulse:<source>` (also monitors).

    Sound comes as 16 kHz mono where the device can do that, else at its own rate and with up
    to two channels: `rate` and `channels` tell. Raises DeviceError.
    """

    def __init__(self, wanted: str, chunk_seconds: float, on_sound: OnSound) -> None:
        wanted, source = through_pulse(wanted, 'PULSE_SOURCE')
        device = find_input(wanted)
        sounddevice = portaudio()
        self.name = f'{device.name} ({source})' if source else device.name
        self.rate, self.channels = RATE, 1
        try:
            sounddevice.check_input_settings(device.number, 1, 'int16', samplerate=RATE)
        except sounddevice.PortAudioError:
            self.rate, self.channels = device.rate, min(2, device.inputs)

        def callback(data: Any, frames: int, times: Any, status: Any) -> None:
            age = max(0.0, times.currentTime - times.inputBufferAdcTime)
            on_sound(data.copy(), age, bool(status.input_overflow))

        try:
            self._stream = sounddevice.InputStream(
                device=device.number,
                samplerate=self.rate,
                channels=self.channels,
                dtype='int16',
                blocksize=round(self.rate * chunk_seconds),
                latency='low',
                callback=callback,
            )
        except sounddevice.PortAudioError as error:
            raise DeviceError(
                f'sound input device {self.name!r} cannot be opened ({one_line(error)}): is '
                'another program using it, or does the source not exist?'
            ) from None

    def start(self) -> None:
        """Begin to record."""
        try:
            self._stream.start()
        except portaudio().PortAudioError as error:
            raise DeviceError(
                f'sound input device {self.name!r} does not start ({one_line(error)})'
            ) from None

    def stop(self) -> None:
        """Stop recording; it may be started again."""
        self._stream.stop()

    def close(self) -> None:
        """Give the device back."""
        self._stream.close()


def portaudio() -> Any:
    """The module sounddevice; DeviceError where the library below it is missing."""
    try:
        import sounddevice
    except OSError as error:
        raise DeviceError(
            f'sound devices cannot be used ({one_line(error)}): install libportaudio2'
        ) from None
    return sounddevice


def one_line(error: BaseException) -> str:
    """An error's text without line breaks."""
    return ' '.join(str(error).split())
