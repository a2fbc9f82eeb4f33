"""Message types of packages that need not be there, chosen by parameter, never by chance.

Imported when a node is configured. Two packages are called audio_common_msgs, so what was
imported is held against the fields that we need.
"""

import importlib
import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from std_msgs.msg import Int16MultiArray, String

from llia_ros.nodes.declaration import ParameterError
from llia_ros.nodes.messages import (
    Audio,
    MessageError,
    audio_message,
    checked_samples,
    nanoseconds,
    read_audio,
    read_expression,
    time_message,
)

INT16_FORMAT = 8  # PortAudio's paInt16, which audio_common's AudioInfo carries


@dataclass(frozen=True)
class AudioCarrier:
    """A message type for sound, and how to read and write it."""

    message_type: Any
    read: Callable[[Any], Audio]
    write: Callable[[Audio], Any]


def audio_carrier(audio_type: str, rate: int = 16000, channels: int = 1) -> AudioCarrier:
    """The carrier of a parameter `audio_type`.

    `rate` and `channels` hold where the type does not tell them. Raises ParameterError where
    the package is not installed or is another one of the same name.
    """
    if audio_type == 'std_msgs/msg/Int16MultiArray':
        return AudioCarrier(Int16MultiArray, read_audio, audio_message)
    if audio_type == 'foxglove_msgs/msg/RawAudio':
        return _foxglove(_message_type(audio_type, 'data', 'sample_rate', 'number_of_channels'))
    if audio_type == 'audio_common_msgs/msg/AudioStamped':
        return _audio_stamped(_message_type(audio_type, 'header', 'audio.audio_data.int16_data'))
    if audio_type == 'audio_common_msgs/msg/AudioDataStamped':
        message_type = _message_type(audio_type, 'header', 'audio.data')
        return _audio_data_stamped(message_type, rate, channels)
    raise ParameterError(f'parameter audio_type: {audio_type!r} is not known')


def _message_type(name: str, *needed: str) -> Any:
    package, _, cls = name.partition('/msg/')
    try:
        message_type = getattr(importlib.import_module(f'{package}.msg'), cls)
    except (ImportError, AttributeError):
        raise ParameterError(
            f'message type {name} is not installed: install {package}, '
            'or take std_msgs/msg/Int16MultiArray'
        ) from None
    for path in needed:
        value = message_type()
        for part in path.split('.'):
            if not hasattr(value, part):
                raise ParameterError(
                    f'message type {name} has no field {path}: another package of the name '
                    f'{package} is installed than the one that this type is of'
                )
            value = getattr(value, part)
    return message_type


def _bytes_as_samples(data: Any) -> np.ndarray:
    raw = np.frombuffer(bytes(data), dtype=np.uint8)
    if len(raw) % 2:
        raise MessageError(f'audio message of {len(raw)} bytes: expected 16 bit samples')
    return raw.view('<i2')


def _samples_as_bytes(samples: np.ndarray) -> 'array[int]':
    data = array('B')
    data.frombytes(np.ascontiguousarray(samples, dtype='<i2').tobytes())
    return data


def _channels(samples: np.ndarray) -> int:
    return samples.shape[1] if samples.ndim == 2 else 1


def _foxglove(message_type: Any) -> AudioCarrier:
    def read(message: Any) -> Audio:
        if message.format != 'pcm-s16':
            raise MessageError(f'audio message of format {message.format!r}: expected pcm-s16')
        rate = int(message.sample_rate)
        samples = _bytes_as_samples(message.data)
        samples = checked_samples(samples, rate, int(message.number_of_channels))
        return Audio(samples, rate, nanoseconds(message.timestamp))

    def write(audio: Audio) -> Any:
        return message_type(
            timestamp=time_message(audio.stamp),
            data=_samples_as_bytes(audio.samples),
            format='pcm-s16',
            sample_rate=audio.rate,
            number_of_channels=_channels(audio.samples),
        )

    return AudioCarrier(message_type, read, write)


def _audio_stamped(message_type: Any) -> AudioCarrier:
    def read(message: Any) -> Audio:
        data, info = message.audio.audio_data, message.audio.info
        if info.format != INT16_FORMAT:
            raise MessageError(
                f'audio message of PortAudio format {info.format}: expected {INT16_FORMAT}, int16'
            )
        samples = np.array(data.int16_data, dtype=np.int16)
        samples = checked_samples(samples, int(info.rate), int(info.channels))
        return Audio(
            samples, int(info.rate), nanoseconds(message.header.stamp), message.header.frame_id
        )

    def write(audio: Audio) -> Any:
        message = message_type()
        message.header.stamp = time_message(audio.stamp)
        message.header.frame_id = audio.frame
        data = array('h')
        data.frombytes(np.ascontiguousarray(audio.samples, dtype='<i2').tobytes())
        message.audio.audio_data.int16_data = data
        message.audio.info.format = INT16_FORMAT
        message.audio.info.channels = _channels(audio.samples)
        message.audio.info.rate = audio.rate
        message.audio.info.chunk = len(audio.samples)
        return message

    return AudioCarrier(message_type, read, write)


def _audio_data_stamped(message_type: Any, rate: int, channels: int) -> AudioCarrier:
    def read(message: Any) -> Audio:
        samples = checked_samples(_bytes_as_samples(message.audio.data), rate, channels)
        return Audio(samples, rate, nanoseconds(message.header.stamp), message.header.frame_id)

    def write(audio: Audio) -> Any:
        message = message_type()
        message.header.stamp = time_message(audio.stamp)
        message.header.frame_id = audio.frame
        message.audio.data = _samples_as_bytes(audio.samples)
        return message

    return AudioCarrier(message_type, read, write)


# ---- expressions

# hri_msgs knows 25; the nearest of ours, and how much of it.
HRI_EXPRESSIONS = {
    'neutral': ('neutral', 1.0),
    'angry': ('angry', 0.8),
    'sad': ('sad', 0.8),
    'happy': ('happy', 0.8),
    'surprised': ('surprised', 0.8),
    'disgusted': ('angry', 0.6),
    'scared': ('surprised', 0.8),
    'pleading': ('sad', 0.5),
    'vulnerable': ('sad', 0.4),
    'despaired': ('sad', 1.0),
    'guilty': ('sad', 0.6),
    'disappointed': ('sad', 0.6),
    'embarrassed': ('sad', 0.3),
    'horrified': ('surprised', 1.0),
    'skeptical': ('thinking', 0.8),
    'annoyed': ('angry', 0.5),
    'furious': ('angry', 1.0),
    'suspicious': ('thinking', 0.8),
    'rejected': ('sad', 0.8),
    'bored': ('sleepy', 0.4),
    'tired': ('sleepy', 0.7),
    'asleep': ('sleepy', 1.0),
    'confused': ('thinking', 1.0),
    'amazed': ('surprised', 0.9),
    'excited': ('happy', 1.0),
}


@dataclass(frozen=True)
class ExpressionCarrier:
    """A message type for expressions, and how to read a name and an intensity from it."""

    message_type: Any
    read: Callable[[Any], tuple[str, float]]


def expression_carrier(expression_type: str) -> ExpressionCarrier:
    """The carrier of a parameter `expression_type`; raises ParameterError like audio_carrier."""
    if expression_type == 'std_msgs/msg/String':
        return ExpressionCarrier(String, lambda message: read_expression(message.data))
    message_type = _message_type(expression_type, 'expression', 'valence', 'arousal')
    return ExpressionCarrier(message_type, read_hri_expression)


def read_hri_expression(message: Any) -> tuple[str, float]:
    """`hri_msgs/Expression`: its name, or, if that is empty, its valence and arousal."""
    name = str(message.expression)
    if name:
        if name not in HRI_EXPRESSIONS:
            raise MessageError(
                f'expression {name!r}: expected one of hri_msgs/Expression, such as happy'
            )
        return HRI_EXPRESSIONS[name]
    valence, arousal = float(message.valence), float(message.arousal)
    if not (-1.0 <= valence <= 1.0 and -1.0 <= arousal <= 1.0):
        raise MessageError(
            f'expression with valence {valence}, arousal {arousal}: expected -1 .. 1'
        )
    intensity = min(1.0, math.hypot(valence, arousal))
    if intensity < 0.2:
        return 'neutral', 1.0
    if valence > abs(arousal) / 2:
        return 'happy', intensity
    if valence < -abs(arousal) / 2:
        return ('angry' if arousal > 0 else 'sad'), intensity
    return ('surprised' if arousal > 0 else 'sleepy'), intensity
