"""Wire formats: what goes in comes out, and what is broken is refused with its reason."""

import types
from array import array

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Int16MultiArray, MultiArrayDimension

from llia_ros.nodes import messages
from llia_ros.nodes.declaration import ParameterError
from llia_ros.nodes.messages import Audio, MessageError
from llia_ros.nodes.optional_messages import (
    HRI_EXPRESSIONS,
    audio_carrier,
    expression_carrier,
    read_hri_expression,
)
from llia_ros.nodes.parameters import AUDIO_TYPES

SAMPLES = np.arange(-160, 160, dtype=np.int16)


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


@given(
    rate=st.integers(4000, 192000),
    stamp=st.integers(0, 2**31 * 10**9 - 1),
    channels=st.integers(1, 8),
    frames=st.integers(0, 50),
    epoch=st.none() | st.integers(0, 10**9),
    index=st.none() | st.integers(0, 10**9),
    state=st.sampled_from([None, 'speaking', 'listening', 'idle']),
)
def test_sound_survives_the_wire(rate, stamp, channels, frames, epoch, index, state) -> None:
    samples = np.random.default_rng(frames).integers(-32768, 32768, (frames, channels), np.int16)
    sent = Audio(samples, rate, stamp, 'mic', epoch, index, state)
    got = messages.read_audio(over_the_wire(messages.audio_message(sent)))
    assert np.array_equal(got.samples, samples)
    assert got.samples.dtype == np.int16
    for key in ('rate', 'stamp', 'frame', 'epoch', 'index', 'state'):
        assert getattr(got, key) == getattr(sent, key)
    assert got.cuts is (frames == 0 and epoch is not None and index is None)


def test_the_label_reads_as_documented() -> None:
    message = messages.audio_message(Audio(SAMPLES, 16000, 12_000000345, 'mic'))
    first, frames, channels = message.layout.dim
    assert first.label == 'rate=16000 stamp=12.000000345 frame=mic'
    assert (frames.label, frames.size, frames.stride) == ('frames', 320, 320)
    assert (channels.label, channels.size, channels.stride) == ('channels', 1, 1)


def test_the_way_of_a_clip_is_told_to_tenths_of_a_millisecond() -> None:
    sent = Audio(SAMPLES, 16000, 1, way=(0.09524, -0.0012))
    message = messages.audio_message(sent)
    assert message.layout.dim[0].label.endswith(' way=95.2/-1.2')
    assert messages.read_audio(message).way == pytest.approx((0.0952, -0.0012))


def test_keys_that_nobody_knows_are_left_out() -> None:
    label = 'rate=8000 stamp=1.000000000 gain=3'
    message = Int16MultiArray(data=array('h', [1, 2]))
    message.layout.dim = [MultiArrayDimension(label=label)]
    assert messages.read_audio(message).rate == 8000


@pytest.mark.parametrize(
    ('label', 'said'),
    [
        ('', 'lacks rate or stamp'),
        ('rate=16000', 'lacks rate or stamp'),
        ('rate=16000 stamp', 'expected a label'),
        ('rate=sixteen stamp=1.000000000', 'no whole number'),
        ('rate=-1 stamp=1.000000000', 'no whole number'),
        ('rate=16000 stamp=1.5', 'stamp'),
        ('rate=16000 stamp=1', 'stamp'),
        ('rate=16000 stamp=1.0000000000', 'stamp'),
        ('rate=100 stamp=1.000000000', '100 Hz'),
        ('rate=16000 stamp=1.000000000 epoch=x', 'epoch'),
        ('rate=16000 stamp=1.000000000 state=asleep', 'asleep'),
        ('rate=16000 stamp=1.000000000 way=1e9/2', 'way'),
        ('nonsense ' * 100, 'expected a label'),
    ],
)
def test_a_broken_label_is_refused_in_one_line(label: str, said: str) -> None:
    message = messages.audio_message(Audio(SAMPLES, 16000, 1))
    message.layout.dim[0].label = label
    with pytest.raises(MessageError, match=said) as refused:
        messages.read_audio(message)
    assert '\n' not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_layout_that_does_not_fit_its_data_is_refused() -> None:
    def broken(change) -> Int16MultiArray:
        message = messages.audio_message(Audio(SAMPLES, 16000, 1))
        change(message)
        return message

    def set_size(dim: int, size: int):
        return lambda message: setattr(message.layout.dim[dim], 'size', size)

    for change, said in [
        (lambda message: setattr(message.layout, 'dim', []), 'without a layout'),
        (lambda message: setattr(message.layout, 'data_offset', 3), 'data_offset'),
        (set_size(1, 319), '320 frames'),
        (set_size(2, 0), '0 channels'),
        (set_size(2, 3), 'does not divide'),
        (set_size(2, 1000), '1000 channels'),
    ]:
        with pytest.raises(MessageError, match=said):
            messages.read_audio(broken(change))


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_time_survives(stamp: int) -> None:
    assert messages.nanoseconds(messages.time_message(stamp)) == stamp


def picture(height: int = 5, width: int = 7) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_a_picture_survives_the_wire() -> None:
    message = over_the_wire(messages.image_message(picture(), 42, 'face'))
    assert np.array_equal(messages.read_image(message), picture())
    assert message.encoding == 'rgb8'
    assert message.header.frame_id == 'face'
    assert messages.nanoseconds(message.header.stamp) == 42


@pytest.mark.parametrize(
    ('encoding', 'conversion'),
    [
        ('bgr8', cv2.COLOR_RGB2BGR),
        ('rgba8', cv2.COLOR_RGB2RGBA),
        ('bgra8', cv2.COLOR_RGB2BGRA),
        ('mono8', cv2.COLOR_RGB2GRAY),
    ],
)
@pytest.mark.parametrize('padding', [0, 3])
def test_every_plain_encoding_is_read_also_with_padded_rows(encoding, conversion, padding) -> None:
    pixels = cv2.cvtColor(picture(), conversion).reshape(5, -1)
    rows = np.pad(pixels, ((0, 0), (0, padding)))
    message = Image(height=5, width=7, encoding=encoding, step=rows.shape[1])
    message.data = array('B', rows.tobytes())
    expected = picture()
    if encoding == 'mono8':
        expected = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    assert np.array_equal(messages.read_image(message), expected)


def test_broken_pictures_are_refused() -> None:
    message = messages.image_message(picture(), 0, 'face')
    message.data = message.data[:-1]
    with pytest.raises(MessageError, match='104 bytes'):
        messages.read_image(message)
    message = messages.image_message(picture(), 0, 'face')
    message.step = 3
    with pytest.raises(MessageError, match='step 3'):
        messages.read_image(message)
    with pytest.raises(MessageError, match='without pixels'):
        messages.read_image(Image(encoding='rgb8'))
    with pytest.raises(MessageError, match='bayer_rggb8'):
        messages.read_image(Image(height=1, width=1, encoding='bayer_rggb8'))


def test_jpeg_survives_nearly() -> None:
    smooth = cv2.resize(picture(4, 4), (64, 64), interpolation=cv2.INTER_CUBIC)
    sent = messages.jpeg_message(messages.encode_jpeg(smooth, 95), 7, 'face')
    message = over_the_wire(sent)
    got = messages.decode_jpeg(messages.read_jpeg(message))
    assert np.abs(got.astype(int) - smooth).mean() < 3
    assert 'jpeg' in message.format


def test_what_is_no_jpeg_is_refused() -> None:
    with pytest.raises(MessageError, match='expected a JPEG'):
        messages.read_jpeg(CompressedImage(format='png', data=array('B', b'\x89PNG')))
    with pytest.raises(MessageError, match='broken'):
        messages.decode_jpeg(b'\xff\xd8 nothing')


def test_expressions_have_a_name_and_an_intensity() -> None:
    assert messages.read_expression('happy') == ('happy', 1.0)
    assert messages.read_expression(' sad:0.25') == ('sad', 0.25)
    for wrong in ('', 'glad', 'happy:', 'happy:2', 'happy:-1', 'happy:nan', 'happy:much'):
        with pytest.raises(MessageError, match='expression'):
            messages.read_expression(wrong)


def test_diagnostics_survive_as_text() -> None:
    status = messages.Status('avatar', 'warn', 'late', {'fps': 24.98765, 'late': 3, 'on': True})
    message = over_the_wire(messages.diagnostics_message([status], 5))
    assert isinstance(message, DiagnosticArray)
    (got,) = messages.read_diagnostics(message)
    assert (got.name, got.level, got.summary) == ('avatar', 'warn', 'late')
    assert got.values == {'fps': '24.99', 'late': '3', 'on': 'true'}


# ---- packages that are not on PyPI: their messages' fields, as their .msg files have them


class Header:
    def __init__(self) -> None:
        self.stamp = messages.time_message(0)
        self.frame_id = ''


class RawAudio:
    def __init__(self, **values) -> None:
        self.timestamp, self.data, self.format = messages.time_message(0), array('B'), ''
        self.sample_rate = self.number_of_channels = 0
        vars(self).update(values)


class AudioStamped:
    def __init__(self) -> None:
        self.header = Header()
        data = types.SimpleNamespace(
            float32_data=[], int32_data=[], int16_data=array('h'), int8_data=[], uint8_data=[]
        )
        info = types.SimpleNamespace(format=0, channels=0, rate=0, chunk=0)
        self.audio = types.SimpleNamespace(audio_data=data, info=info)


class AudioDataStamped:
    def __init__(self) -> None:
        self.header = Header()
        self.audio = types.SimpleNamespace(data=array('B'))


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch):
    def install(package: str, *classes: type) -> None:
        module = types.ModuleType(f'{package}.msg')
        for cls in classes:
            setattr(module, cls.__name__, cls)
        monkeypatch.setitem(__import__('sys').modules, package, types.ModuleType(package))
        monkeypatch.setitem(__import__('sys').modules, f'{package}.msg', module)

    return install


@pytest.mark.parametrize('audio_type', AUDIO_TYPES)
@pytest.mark.parametrize('channels', [1, 2])
def test_every_carrier_of_sound_gives_back_what_it_was_given(
    audio_type, channels, packages
) -> None:
    packages('foxglove_msgs', RawAudio)
    packages('audio_common_msgs', AudioStamped, AudioDataStamped)
    carrier = audio_carrier(audio_type, 44100, channels)
    sent = Audio(SAMPLES.reshape(-1, channels), 44100, 3_000000001)
    got = carrier.read(carrier.write(sent))
    assert np.array_equal(got.samples, sent.samples)
    assert (got.rate, got.stamp) == (44100, 3_000000001)


@pytest.mark.parametrize('audio_type', AUDIO_TYPES[1:])
def test_a_carrier_that_is_not_installed_is_named(audio_type: str) -> None:
    with pytest.raises(ParameterError, match='not installed'):
        audio_carrier(audio_type)


def test_two_packages_of_one_name_are_told_apart(packages) -> None:
    other = type('AudioStamped', (AudioDataStamped,), {})
    packages('audio_common_msgs', other)
    with pytest.raises(ParameterError, match='another package'):
        audio_carrier('audio_common_msgs/msg/AudioStamped')


def test_other_carriers_refuse_what_is_no_16_bit_sound(packages) -> None:
    packages('foxglove_msgs', RawAudio)
    packages('audio_common_msgs', AudioStamped, AudioDataStamped)
    raw = audio_carrier('foxglove_msgs/msg/RawAudio')
    for message in (
        RawAudio(format='opus', sample_rate=16000, number_of_channels=1),
        RawAudio(format='pcm-s16', sample_rate=1, number_of_channels=1),
        RawAudio(
            format='pcm-s16', sample_rate=16000, number_of_channels=1, data=array('B', b'abc')
        ),
    ):
        with pytest.raises(MessageError):
            raw.read(message)
    with pytest.raises(MessageError, match='PortAudio format'):
        audio_carrier('audio_common_msgs/msg/AudioStamped').read(AudioStamped())


def test_expressions_of_hri_msgs_become_ours(packages) -> None:
    def expression(name: str = '', valence: float = 0.0, arousal: float = 0.0):
        return types.SimpleNamespace(expression=name, valence=valence, arousal=arousal)

    for name, (ours, intensity) in HRI_EXPRESSIONS.items():
        assert read_hri_expression(expression(name)) == (ours, intensity)
        messages.read_expression(f'{ours}:{intensity}')
    assert read_hri_expression(expression(valence=0.8)) == ('happy', 0.8)
    assert read_hri_expression(expression(valence=-0.6, arousal=-0.1))[0] == 'sad'
    assert read_hri_expression(expression(valence=-0.6, arousal=0.6))[0] == 'angry'
    assert read_hri_expression(expression(arousal=0.9))[0] == 'surprised'
    assert read_hri_expression(expression(arousal=-0.9))[0] == 'sleepy'
    assert read_hri_expression(expression())[0] == 'neutral'
    with pytest.raises(MessageError):
        read_hri_expression(expression('glad'))
    with pytest.raises(MessageError):
        read_hri_expression(expression(valence=7.0))
    with pytest.raises(ParameterError, match='hri_msgs'):
        expression_carrier('hri_msgs/msg/Expression')
    packages('hri_msgs', type('Expression', (), {'expression': '', 'valence': 0, 'arousal': 0}))
    assert expression_carrier('hri_msgs/msg/Expression').read is read_hri_expression
