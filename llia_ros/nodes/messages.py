"""The only place that knows wire formats: plain Python and numpy on one side, ROS 2 on the other.

Sound travels as `std_msgs/Int16MultiArray`. `layout.dim[0].label` is a line of `key=value`
pairs, `rate=16000 stamp=12.000000345 frame=mic` (ROS time of the first sample, always nine
digits of nanoseconds), dim[1] is `frames`, dim[2] is `channels`. The avatar's sound adds
`epoch=3 index=120 state=speaking`: which picture it belongs to. That picture has the same stamp
in its header. At the first frame of a clip it adds `way=95.2/31.0`, how many ms before the stamp
the clip's sound was complete and its pictures were ready. A message without samples ends an
utterance; of the avatar, with an epoch and no index, it is a cut: an interrupt began that epoch,
and nothing older is to be shown or heard any more.

Everything that reads a message raises MessageError, one clear line, if it cannot be used.
"""

import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Bool, Int16MultiArray, MultiArrayDimension, MultiArrayLayout, String

from llia_ros.model.config import EXPRESSIONS, STATES

AUDIO_QOS = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
# Of subscriptions: room for a voice that is delivered faster than it is spoken.
AUDIO_IN_QOS = QoSProfile(depth=500, reliability=ReliabilityPolicy.RELIABLE)
FRAME_QOS = QoSProfile(depth=2, reliability=ReliabilityPolicy.RELIABLE)
LATCHED_QOS = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)

RATES = (4000, 192000)
MOST_CHANNELS = 32


class MessageError(ValueError):
    """A message cannot be used; it is dropped, counted and its reason told."""


@dataclass(frozen=True)
class Audio:
    """One message of sound: int16 (frames, channels), Hz, ROS time of the first sample in ns.

    `epoch`, `index` and `state` are there in the avatar's sound only: the picture it belongs to.
    `way`, s before the stamp: the clip that begins here had its sound, and its pictures.
    """

    samples: np.ndarray
    rate: int
    stamp: int
    frame: str = ''
    epoch: int | None = None
    index: int | None = None
    state: str | None = None
    way: tuple[float, float] | None = None

    @property
    def cuts(self) -> bool:
        """Whether it belongs to no picture and ends everything of older epochs."""
        return self.epoch is not None and self.index is None and not len(self.samples)


# ---- time


def nanoseconds(time: Any) -> int:
    """A ROS time message as nanoseconds."""
    return int(time.sec) * 1_000_000_000 + int(time.nanosec)


def time_message(stamp: int) -> Time:
    """Nanoseconds as a ROS time message."""
    return Time(sec=stamp // 1_000_000_000, nanosec=stamp % 1_000_000_000)


# ---- sound

_LABEL_HINT = 'expected a label such as "rate=16000 stamp=12.000000345 frame=mic"'
_WAY = re.compile(r'(-?\d{1,7}\.\d)/(-?\d{1,7}\.\d)')
_STAMP = re.compile(r'(\d{1,10})\.(\d{9})')


def audio_label(audio: Audio) -> str:
    """The label of a message of sound."""
    seconds, rest = divmod(audio.stamp, 1_000_000_000)
    parts = [f'rate={audio.rate}', f'stamp={seconds}.{rest:09d}']
    if audio.frame:
        parts.append(f'frame={audio.frame}')
    for key in ('epoch', 'index', 'state'):
        value = getattr(audio, key)
        if value is not None:
            parts.append(f'{key}={value}')
    if audio.way is not None:
        complete, made = (1000 * seconds for seconds in audio.way)
        parts.append(f'way={complete:.1f}/{made:.1f}')
    return ' '.join(parts)


def read_label(label: str) -> dict[str, Any]:
    """The pairs of a label, as arguments of Audio; keys that nobody knows are left out."""
    pairs = {}
    for part in label.split():
        key, equals, value = part.partition('=')
        if not equals or not key or not value:
            raise MessageError(f'audio label {_short(label)}: {_LABEL_HINT}')
        pairs[key] = value
    if 'rate' not in pairs or 'stamp' not in pairs:
        raise MessageError(f'audio label {_short(label)} lacks rate or stamp: {_LABEL_HINT}')
    rate = _count(pairs['rate'], 'rate')
    match = _STAMP.fullmatch(pairs['stamp'])
    if match is None:
        raise MessageError(f'audio label: stamp {_short(pairs["stamp"])}: {_LABEL_HINT}')
    known: dict[str, Any] = {
        'rate': rate,
        'stamp': int(match[1]) * 1_000_000_000 + int(match[2]),
        'frame': pairs.get('frame', ''),
    }
    for key in ('epoch', 'index'):
        if key in pairs:
            known[key] = _count(pairs[key], key)
    if 'state' in pairs:
        known['state'] = read_state(pairs['state'])
    if 'way' in pairs:
        way = _WAY.fullmatch(pairs['way'])
        if way is None:
            raise MessageError(f'audio label: way {_short(pairs["way"])}: expected way=95.2/31.0')
        known['way'] = float(way[1]) / 1000, float(way[2]) / 1000
    return known


def audio_message(audio: Audio) -> Int16MultiArray:
    """Sound as `std_msgs/Int16MultiArray`; samples (frames,) count as one channel."""
    samples = np.ascontiguousarray(audio.samples, dtype='<i2')
    frames = len(samples)
    channels = samples.shape[1] if samples.ndim == 2 else 1
    total = frames * channels
    data = array('h')
    data.frombytes(samples.tobytes())
    return Int16MultiArray(
        layout=MultiArrayLayout(
            dim=[
                MultiArrayDimension(label=audio_label(audio), size=1, stride=total),
                MultiArrayDimension(label='frames', size=frames, stride=total),
                MultiArrayDimension(label='channels', size=channels, stride=channels),
            ]
        ),
        data=data,
    )


def read_audio(message: Int16MultiArray) -> Audio:
    """Sound from `std_msgs/Int16MultiArray`."""
    dims = message.layout.dim
    if not dims:
        raise MessageError(f'audio message without a layout: {_LABEL_HINT}')
    known = read_label(dims[0].label)
    sizes = {dim.label: dim.size for dim in dims[1:]}
    channels = sizes.get('channels', 1)
    if message.layout.data_offset:
        raise MessageError('audio message with a data_offset: expected 0')
    samples = checked_samples(np.frombuffer(message.data, dtype=np.int16), known['rate'], channels)
    if 'frames' in sizes and sizes['frames'] != len(samples):
        raise MessageError(
            f'audio message of {len(samples)} frames, its layout says {sizes["frames"]}'
        )
    return Audio(samples, **known)


def checked_samples(interleaved: np.ndarray, rate: int, channels: int) -> np.ndarray:
    """Interleaved int16 as (frames, channels), or MessageError."""
    if not RATES[0] <= rate <= RATES[1]:
        raise MessageError(f'audio message with rate {rate} Hz: expected {RATES[0]} .. {RATES[1]}')
    if not 1 <= channels <= MOST_CHANNELS:
        raise MessageError(
            f'audio message with {channels} channels: expected 1 .. {MOST_CHANNELS}'
        )
    if len(interleaved) % channels:
        raise MessageError(
            f'audio message of {len(interleaved)} samples does not divide into {channels} channels'
        )
    return interleaved.reshape(-1, channels)


# ---- pictures

# How many bytes a pixel has, and what turns it into RGB.
_ENCODINGS: dict[str, tuple[int, int | None]] = {
    'rgb8': (3, None),
    'bgr8': (3, cv2.COLOR_BGR2RGB),
    'rgba8': (4, cv2.COLOR_RGBA2RGB),
    'bgra8': (4, cv2.COLOR_BGRA2RGB),
    'mono8': (1, cv2.COLOR_GRAY2RGB),
}


def image_message(image: np.ndarray, stamp: int, frame: str) -> Image:
    """A picture, uint8 (H, W, 3) RGB, as `sensor_msgs/Image` rgb8."""
    data = array('B')
    data.frombytes(np.ascontiguousarray(image).data)
    message = Image(
        height=image.shape[0],
        width=image.shape[1],
        encoding='rgb8',
        is_bigendian=0,
        step=image.shape[1] * 3,
        data=data,
    )
    message.header.stamp = time_message(stamp)
    message.header.frame_id = frame
    return message


def read_image(message: Image) -> np.ndarray:
    """A picture from `sensor_msgs/Image`, uint8 (H, W, 3) RGB.

    Encodings beyond rgb8, bgr8, rgba8, bgra8 and mono8 need cv_bridge.
    """
    height, width, step = message.height, message.width, message.step
    if not height or not width:
        raise MessageError('picture without pixels')
    if message.encoding not in _ENCODINGS:
        return _image_by_cv_bridge(message)
    depth, conversion = _ENCODINGS[message.encoding]
    if step < width * depth or len(message.data) != height * step:
        raise MessageError(
            f'picture {width}x{height} {message.encoding} with step {step} and '
            f'{len(message.data)} bytes: expected at least step {width * depth}, and height * step'
        )
    rows = np.frombuffer(message.data, dtype=np.uint8).reshape(height, step)
    pixels = rows[:, : width * depth].reshape(height, width, depth)
    return pixels.copy() if conversion is None else cv2.cvtColor(pixels, conversion)


def _image_by_cv_bridge(message: Image) -> np.ndarray:
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except ImportError:
        raise MessageError(
            f'picture of encoding {_short(message.encoding)}: expected {", ".join(_ENCODINGS)}, '
            'or install cv_bridge'
        ) from None
    try:
        return np.asarray(CvBridge().imgmsg_to_cv2(message, 'rgb8'))
    except (CvBridgeError, ValueError, TypeError) as error:
        raise MessageError(f'picture of encoding {_short(message.encoding)}: {error}') from None


def encode_jpeg(image: np.ndarray, quality: int = 90) -> bytes:
    """uint8 (H, W, 3) RGB as the bytes of a JPEG file."""
    done, data = cv2.imencode(
        '.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise ValueError(f'picture of shape {image.shape} cannot be written as JPEG')
    return data.tobytes()


def jpeg_message(jpeg: bytes, stamp: int, frame: str) -> CompressedImage:
    """The bytes of a JPEG file as `sensor_msgs/CompressedImage`."""
    data = array('B')
    data.frombytes(jpeg)
    message = CompressedImage(format='rgb8; jpeg compressed bgr8', data=data)
    message.header.stamp = time_message(stamp)
    message.header.frame_id = frame
    return message


def read_jpeg(message: CompressedImage) -> bytes:
    """The bytes of the JPEG file in a `sensor_msgs/CompressedImage`."""
    data = bytes(message.data)
    if not data.startswith(b'\xff\xd8'):
        raise MessageError(
            f'compressed picture of format {_short(message.format)}: expected a JPEG'
        )
    return data


def decode_jpeg(jpeg: bytes) -> np.ndarray:
    """The bytes of a JPEG file as uint8 (H, W, 3) RGB."""
    image = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise MessageError('compressed picture: its JPEG is broken')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


# ---- words and flags


def text(value: str) -> String:
    """A `std_msgs/String`."""
    return String(data=value)


def flag(value: bool) -> Bool:
    """A `std_msgs/Bool`."""
    return Bool(data=bool(value))


def read_state(value: str) -> str:
    """One of STATES."""
    if value not in STATES:
        raise MessageError(f'state {_short(value)}: expected {", ".join(STATES)}')
    return value


def read_expression(value: str) -> tuple[str, float]:
    """`happy` or `happy:0.6` as a name of EXPRESSIONS and an intensity of 0 .. 1."""
    name, colon, amount = value.strip().partition(':')
    if name not in EXPRESSIONS:
        raise MessageError(
            f'expression {_short(value)}: expected one of {", ".join(EXPRESSIONS)}, '
            'also with an intensity as in happy:0.6'
        )
    try:
        intensity = float(amount) if colon else 1.0
    except ValueError:
        intensity = -1.0
    if not 0.0 <= intensity <= 1.0:
        raise MessageError(f'expression {_short(value)}: its intensity must be 0 .. 1')
    return name, intensity


# ---- diagnostics

LEVELS = {
    'ok': DiagnosticStatus.OK,
    'warn': DiagnosticStatus.WARN,
    'error': DiagnosticStatus.ERROR,
    'stale': DiagnosticStatus.STALE,
}


@dataclass(frozen=True)
class Status:
    """One status of a node: `level` is a key of LEVELS; numbers in `values` are rounded."""

    name: str
    level: str
    summary: str
    values: Mapping[str, Any]


def diagnostics_message(statuses: Sequence[Status], stamp: int) -> DiagnosticArray:
    """Statuses as `diagnostic_msgs/DiagnosticArray`."""
    message = DiagnosticArray()
    message.header.stamp = time_message(stamp)
    message.status = [
        DiagnosticStatus(
            level=LEVELS[status.level],
            name=status.name,
            message=status.summary,
            hardware_id='',
            values=[
                KeyValue(key=key, value=_plain(value)) for key, value in status.values.items()
            ],
        )
        for status in statuses
    ]
    return message


def read_diagnostics(message: DiagnosticArray) -> list[Status]:
    """Statuses from `diagnostic_msgs/DiagnosticArray`; every value is a string."""
    names = {level: name for name, level in LEVELS.items()}
    return [
        Status(
            status.name,
            names.get(status.level, 'stale'),
            status.message,
            {pair.key: pair.value for pair in status.values},
        )
        for status in message.status
    ]


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'{value:.4g}' if isinstance(value, float) else str(value)


def _count(value: str, key: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 12:
        raise MessageError(f'audio label: {key} {_short(value)} is no whole number: {_LABEL_HINT}')
    return int(value)


def _short(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:57] + '...')
