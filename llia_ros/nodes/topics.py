"""Every topic and service of every node, declared once: docs/ros_api.md is written from it.

A test holds it against the publishers, subscriptions and services that the real nodes have.
Needs no ROS.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quality:
    """Quality of service; everything is reliable. `latched`: transient local."""

    name: str
    depth: int
    latched: bool = False


PLAIN = Quality('plain', 10)
SOUND = Quality('sound', 50)
SOUND_IN = Quality('sound in', 500)
PICTURE = Quality('picture', 2)
LATCHED = Quality('latched', 1, latched=True)
QUALITIES = (SOUND, SOUND_IN, PICTURE, LATCHED, PLAIN)


@dataclass(frozen=True)
class Topic:
    """A topic that one node publishes (pub) or hears (sub), or a service that it offers (srv).

    `kind`: its message type; where the parameter `chosen_by` chooses it, that one's default.
    `name` is relative; `<id>` stands for each of the ids that a parameter names.
    """

    node: str
    way: str
    name: str
    kind: str
    quality: Quality | None
    meaning: str
    chosen_by: str = ''


AUDIO = 'std_msgs/msg/Int16MultiArray'
TEXT, FLAG = 'std_msgs/msg/String', 'std_msgs/msg/Bool'
JPEG = 'sensor_msgs/msg/CompressedImage'

TOPICS = (
    Topic(
        'audio_capture',
        'pub',
        'user/audio',
        AUDIO,
        SOUND,
        'What the user says, 16 kHz mono, `chunk_ms` a message.',
        'audio_type',
    ),
    Topic(
        'dialogue_state',
        'sub',
        'user/audio',
        AUDIO,
        SOUND_IN,
        "The user's side, judged for voice activity.",
        'audio_type',
    ),
    Topic(
        'dialogue_state',
        'sub',
        'robot/audio',
        AUDIO,
        SOUND_IN,
        "The robot's side, judged where nobody publishes `playing`.",
        'audio_type',
    ),
    Topic(
        'dialogue_state',
        'sub',
        'audio',
        AUDIO,
        SOUND_IN,
        'What the face really plays: the echo to take out.',
    ),
    Topic(
        'dialogue_state',
        'sub',
        'playing',
        FLAG,
        LATCHED,
        'The robot counts as speaking while it is true.',
    ),
    Topic(
        'dialogue_state',
        'sub',
        'humans/voices/<id>/is_speaking',
        FLAG,
        PLAIN,
        'REP-155: replaces own voice activity of the user, for the ids of the parameter `voices`.',
    ),
    Topic(
        'dialogue_state',
        'sub',
        'dialogue/override',
        TEXT,
        PLAIN,
        'A dialogue manager sets the state; an empty string hands it back.',
    ),
    Topic(
        'dialogue_state',
        'pub',
        'dialogue/state',
        TEXT,
        LATCHED,
        '`speaking`, `listening` or `idle`; where it came from is on `/diagnostics`.',
    ),
    Topic('dialogue_state', 'pub', 'user/is_speaking', FLAG, LATCHED, 'Voice activity.'),
    Topic('dialogue_state', 'pub', 'robot/is_speaking', FLAG, LATCHED, 'Voice activity.'),
    Topic(
        'avatar',
        'sub',
        'robot/audio',
        AUDIO,
        SOUND_IN,
        "The robot's voice, as fast as it comes; a message without samples ends the utterance.",
        'audio_type',
    ),
    Topic('avatar', 'sub', 'dialogue/state', TEXT, LATCHED, 'Decides between listening and idle.'),
    Topic(
        'avatar',
        'sub',
        'dialogue/override',
        TEXT,
        PLAIN,
        'Decides what is drawn, whatever is heard; an empty string hands it back.',
    ),
    Topic(
        'avatar',
        'sub',
        'user/is_speaking',
        FLAG,
        LATCHED,
        'Interrupts where the parameter `barge_in` is true.',
    ),
    Topic(
        'avatar',
        'sub',
        'robot_face/expression',
        TEXT,
        PLAIN,
        '`happy`, or `happy:0.6`; see [expressions](#expressions).',
        'expression_type',
    ),
    Topic(
        'avatar',
        'sub',
        'portrait',
        'sensor_msgs/msg/Image',
        LATCHED,
        'A new face, at run time. The publisher must be latched as well.',
    ),
    Topic(
        'avatar',
        'sub',
        'look_at',
        'geometry_msgs/msg/PointStamped',
        PLAIN,
        'Where to look, in the frame `face`: x out of the screen, y left, z up, metres; the '
        'origin: look around freely.',
    ),
    Topic(
        'avatar',
        'srv',
        'interrupt',
        'std_srvs/srv/Trigger',
        None,
        'Stop speaking now; the answer names the new epoch.',
    ),
    Topic(
        'avatar',
        'pub',
        'image_raw/compressed',
        JPEG,
        PICTURE,
        'JPEG, while somebody subscribes; the stamp is when the frame is to be seen.',
    ),
    Topic(
        'avatar',
        'pub',
        'image_raw',
        'sensor_msgs/msg/Image',
        PICTURE,
        'rgb8, while somebody subscribes; the same stamp.',
    ),
    Topic(
        'avatar',
        'pub',
        'audio',
        AUDIO,
        SOUND,
        "The robot's voice cut to the frames, with their stamps: play this one, and lips and "
        'sound agree. A cut tells an interrupt.',
    ),
    Topic('avatar', 'pub', 'playing', FLAG, LATCHED, 'The face is speaking right now.'),
    Topic(
        'display',
        'sub',
        'image_raw/compressed',
        JPEG,
        PICTURE,
        'JPEG.',
    ),
    Topic('display', 'sub', 'audio', AUDIO, SOUND, 'The sound of each frame.'),
    Topic('display', 'sub', 'dialogue/state', TEXT, LATCHED, 'Of frames that do not tell it.'),
    *(
        Topic('display', 'pub', name, kind, quality, f'Control page: {meaning}.', chosen_by)
        for name, kind, quality, meaning, chosen_by in (
            ('robot_face/expression', TEXT, PLAIN, 'an expression was chosen', ''),
            ('dialogue/override', TEXT, PLAIN, 'a state was chosen', ''),
            ('portrait', 'sensor_msgs/msg/Image', LATCHED, 'a picture was uploaded', ''),
            ('look_at', 'geometry_msgs/msg/PointStamped', PLAIN, 'the pad was touched', ''),
            ('robot/audio', AUDIO, SOUND, 'a text is spoken', 'audio_type'),
        )
    ),
    *(
        Topic('display', 'sub', name, kind, quality, f'Control page: {meaning}.')
        for name, kind, quality, meaning in (
            ('robot_face/expression', TEXT, PLAIN, 'what others have chosen'),
            ('dialogue/override', TEXT, PLAIN, 'what others have chosen'),
            ('playing', FLAG, LATCHED, 'a lamp'),
            ('user/is_speaking', FLAG, LATCHED, 'a lamp'),
            ('robot/is_speaking', FLAG, LATCHED, 'a lamp'),
            (
                '/diagnostics',
                'diagnostic_msgs/msg/DiagnosticArray',
                PLAIN,
                'latencies. While a page is open it hears `user/audio`, too',
            ),
        )
    ),
    Topic(
        'telepresence',
        'pub',
        'robot/audio',
        AUDIO,
        SOUND,
        "The far end's voice, utterance by utterance.",
        'audio_type',
    ),
    Topic('telepresence', 'sub', 'audio', AUDIO, SOUND, 'To the far end, with `send_face`.'),
    Topic(
        'telepresence',
        'sub',
        'image_raw/compressed',
        JPEG,
        PICTURE,
        'To the far end, with `send_face`.',
    ),
    Topic(
        'telepresence',
        'sub',
        'user/audio',
        AUDIO,
        SOUND_IN,
        'To the far end, with `send_microphone`.',
        'audio_type',
    ),
)
# Every node has it, from before it is configured.
DIAGNOSTICS = Topic(
    'all',
    'pub',
    '/diagnostics',
    'diagnostic_msgs/msg/DiagnosticArray',
    PLAIN,
    'Once a second: rates, latency by stage, late frames, drops, where the state came from.',
)
