"""The parameters of every node: one frozen dataclass each.

Declarations with descriptors, validation with a reason, docs/ros_api.md and `config/*.yaml`
all come from these dataclasses.
"""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from llia_ros.nodes.declaration import NodeParameters, limits, parameter

AUDIO_TYPES = (
    'std_msgs/msg/Int16MultiArray',
    'audio_common_msgs/msg/AudioDataStamped',
    'audio_common_msgs/msg/AudioStamped',
    'foxglove_msgs/msg/RawAudio',
)
EXPRESSION_TYPES = ('std_msgs/msg/String', 'hri_msgs/msg/Expression')


def _audio_type() -> Any:
    return parameter(
        AUDIO_TYPES[0], 'Message type that carries sound.', choices=AUDIO_TYPES, read_only=True
    )


def _audio_rate() -> Any:
    return parameter(
        16000,
        'Sample rate (Hz) of sound whose message type does not tell it.',
        within=(4000, 192000),
        read_only=True,
    )


def _audio_channels() -> Any:
    return parameter(
        1,
        'Channels of sound whose message type does not tell them.',
        within=(1, 32),
        read_only=True,
    )


@dataclass(frozen=True)
class AudioCaptureParameters(NodeParameters):
    """Parameters of `audio_capture`."""

    source: str = parameter(
        'device', 'Where sound comes from.', choices=('device', 'file'), read_only=True
    )
    device: str = parameter(
        '',
        'Input device: part of its name, its number, or `pulse:<source>` (also a monitor); '
        'empty takes the default one. `llia devices` lists them.',
        read_only=True,
    )
    file: str = parameter('', 'Sound file to play at real-time pace (source: file).')
    loop: bool = parameter(False, 'Start the file again when it has ended.')
    end_of_utterance: bool = parameter(
        False, 'Send a message without samples when the file has ended: the end of an utterance.'
    )
    wait_for_subscribers: int = parameter(
        1, 'A file starts once that many subscribers are there.', within=(0, 100)
    )
    delay: float = parameter(
        0.0,
        'Seconds from the last of these subscribers to the first sample.',
        within=(0.0, 3600.0),
    )
    chunk_ms: int = parameter(
        20, 'Length of the sound in one message, ms.', within=(5, 200), read_only=True
    )
    frame: str = parameter('mic', 'Frame named in the messages.')
    audio_type: str = _audio_type()


@dataclass(frozen=True)
class DialogueStateParameters(NodeParameters):
    """Parameters of `dialogue_state`."""

    threshold: float = parameter(
        0.5, 'Probability from which sound counts as speech.', within=(0.05, 0.95)
    )
    attack: float = parameter(
        0.1,
        'Seconds of speech before somebody counts as speaking; sure speech counts double.',
        within=(0.0, 2.0),
    )
    release: float = parameter(
        0.6, 'Seconds of silence before somebody no longer counts as speaking.', within=(0.0, 5.0)
    )
    listening_hold: float = parameter(
        1.5,
        'Seconds that the face goes on listening after the user has ended.',
        within=(0.0, 60.0),
    )
    echo: str = parameter(
        'mask',
        "How the robot's own voice is kept apart from the user's: off (headset), mask (only what "
        'is clearly louder than the expected echo counts), aec (echo cancellation, extra `echo`).',
        choices=('off', 'mask', 'aec'),
        read_only=True,
    )
    echo_margin: float = parameter(
        5.0,
        'How much louder than the expected echo a user must be (mask), dB.',
        within=(0.0, 40.0),
    )
    voices: str = parameter(
        '',
        'REP-155 voice ids, comma-separated: `humans/voices/<id>/is_speaking` of these replaces '
        "the node's own voice activity of the user.",
        read_only=True,
    )
    audio_type: str = _audio_type()
    audio_rate: int = _audio_rate()
    audio_channels: int = _audio_channels()


@dataclass(frozen=True)
class AvatarParameters(NodeParameters):
    """Parameters of `avatar`."""

    model: str = parameter(
        'tiny', 'Model: a name that ships with the package, or its folder.', read_only=True
    )
    portrait: str = parameter(
        'robot', 'Face to draw: a name that ships with the model, or a picture file.'
    )
    any_portrait: bool = parameter(
        False, 'Take portraits unlike the faces that the model knows, too.', read_only=True
    )
    backend: str = parameter(
        'auto',
        'What runs the model: openvino, torch, tensorrt, onnx, or one that another package '
        'registers; auto takes the first of ours that works.',
        read_only=True,
    )
    steps: int = parameter(
        0,
        "Steps of sampling for each clip; 0 takes the model's own number.",
        within=(0, 8),
        read_only=True,
    )
    expression: str = parameter('neutral', 'Expression at start, as on `robot_face/expression`.')
    barge_in: bool = parameter(
        True, 'Fall silent when the user starts to speak while the robot speaks.'
    )
    jpeg_quality: int = parameter(90, 'Quality of the compressed pictures.', within=(10, 100))
    frame: str = parameter('face', 'Frame named in pictures and sound, and of `look_at`.')
    expression_type: str = parameter(
        EXPRESSION_TYPES[0],
        'Message type on `robot_face/expression`.',
        choices=EXPRESSION_TYPES,
        read_only=True,
    )
    audio_type: str = _audio_type()
    audio_rate: int = _audio_rate()
    audio_channels: int = _audio_channels()


@dataclass(frozen=True)
class DisplayParameters(NodeParameters):
    """Parameters of `display`."""

    output: str = parameter(
        'web',
        'Where the face is shown: on a page for a browser, in a video file, in a window on this '
        "machine's screen (extra `window`), as a webcam (extra `camera`); comma-separated.",
        choices=('web', 'file', 'window', 'camera', 'none'),
        read_only=True,
        several=True,
    )
    host: str = parameter('127.0.0.1', 'Address that the page is served on.', read_only=True)
    port: int = parameter(8080, 'Port of the page.', within=(1, 65535), read_only=True)
    token: str = parameter(
        '',
        'Secret that the page asks for, 16 letters or more; `random` makes one at every start; '
        'empty asks for none on a loopback address and is `random` on any other.',
        read_only=True,
    )
    names: str = parameter(
        '',
        "Host names that the page may be asked for under besides this machine's own, "
        'comma-separated.',
        read_only=True,
    )
    control: bool = parameter(
        True, 'Serve the control page, at /control of the same address.', read_only=True
    )
    fit: str = parameter(
        'contain',
        'How the picture fills page, window and camera: with the whole of it on its own ground, '
        "or with as much of it as leaves none. `?fit=` in the page's address wins.",
        choices=('contain', 'cover'),
        read_only=True,
    )
    rotate: int = parameter(
        0,
        'Degrees clockwise by which the picture is turned on page, window and camera, for a '
        "screen on its side. `?rotate=` in the page's address wins.",
        choices=(0, 90, 180, 270),
        read_only=True,
    )
    file: str = parameter('out/face.mp4', 'Video file to write (output: file).', read_only=True)
    fullscreen: bool = parameter(
        True, 'Whether the window takes the whole screen (output: window).', read_only=True
    )
    width: int = parameter(
        1280,
        'Width of the camera, and of a window that is not full screen, pixels.',
        within=(64, 7680),
        read_only=True,
    )
    height: int = parameter(
        720,
        'Height of the camera, and of a window that is not full screen, pixels.',
        within=(64, 7680),
        read_only=True,
    )
    speaker: str = parameter(
        '',
        'Output device of the window: part of its name, its number, or `pulse:<sink>`; empty '
        'takes the default one.',
        read_only=True,
    )
    camera_device: str = parameter(
        '',
        'Loopback device of the camera, such as /dev/video10; empty takes the first one (output: '
        'camera).',
        read_only=True,
    )
    audio_type: str = _audio_type()
    audio_rate: int = _audio_rate()
    audio_channels: int = _audio_channels()


@dataclass(frozen=True)
class TelepresenceParameters(NodeParameters):
    """Parameters of `telepresence`."""

    host: str = parameter(
        '127.0.0.1', 'Address that calls are taken at; any other asks for a token.', read_only=True
    )
    port: int = parameter(
        8090, 'Port of the page and of the offers.', within=(1, 65535), read_only=True
    )
    token: str = parameter(
        '',
        'What a far end must show: empty makes a random token and prints it once, but asks for '
        'none on a loopback address; `random` always makes one; or a token of 16 letters or more.',
        read_only=True,
    )
    certificate: str = parameter(
        '',
        'PEM file with a certificate: browsers on other machines lend their microphone only to '
        'https.',
        read_only=True,
    )
    key: str = parameter('', "PEM file with the certificate's key.", read_only=True)
    jitter_ms: float = parameter(
        60.0,
        'Delay of the jitter buffer: how much later than the quickest packet another one may '
        'come, ms.',
        within=(0.0, 1000.0),
        read_only=True,
    )
    threshold: float = parameter(
        0.5, "Probability from which the far end's sound counts as speech.", within=(0.05, 0.95)
    )
    release: float = parameter(
        0.4, 'Seconds of silence there that end an utterance.', within=(0.1, 5.0)
    )
    send_face: bool = parameter(
        False, 'Send the face back, its picture and its sound.', read_only=True
    )
    send_microphone: bool = parameter(
        False, 'Send `user/audio`, what is heard here, to the far end.', read_only=True
    )
    ice_servers: str = parameter(
        '',
        'STUN and TURN servers, comma-separated, such as stun:stun.example.org; empty asks none.',
        read_only=True,
    )
    frame: str = parameter('far_end', 'Frame named in the messages.')
    audio_type: str = _audio_type()
    audio_rate: int = _audio_rate()
    audio_channels: int = _audio_channels()


NODES: dict[str, type[NodeParameters]] = {
    'audio_capture': AudioCaptureParameters,
    'dialogue_state': DialogueStateParameters,
    'avatar': AvatarParameters,
    'display': DisplayParameters,
    'telepresence': TelepresenceParameters,
}
# What shows a face that this machine drives by itself.
FACE = ('audio_capture', 'dialogue_state', 'avatar', 'display')


def as_yaml(nodes: Sequence[str] = FACE) -> str:
    """A ROS parameter file with every parameter of these nodes at its default."""
    lines = ['# Every parameter of every node at its default, whatever the namespace.']
    for node, cls in ((node, NODES[node]) for node in nodes):
        lines += ['', f'/**/{node}:', '  ros__parameters:']
        for item in fields(cls):
            value = json.dumps(item.default)
            about = f' ({limits(item)})' if limits(item) else ''
            comment = f'# {item.metadata["description"].rstrip(".")}{about}.'
            lines += textwrap.wrap(
                comment,
                95,
                initial_indent='    ',
                subsequent_indent='    # ',
                break_on_hyphens=False,
                break_long_words=False,
            )
            lines.append(f'    {item.name}: {value}')
    return '\n'.join(lines) + '\n'
