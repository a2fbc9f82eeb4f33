"""Writes docs/ros_api.md from the code's own tables: python docs/make_ros_api.py."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from llia_ros.model.config import EXPRESSIONS, STATES  # noqa: E402
from llia_ros.nodes.declaration import describe  # noqa: E402
from llia_ros.nodes.optional_messages import HRI_EXPRESSIONS  # noqa: E402
from llia_ros.nodes.parameters import NODES  # noqa: E402
from llia_ros.nodes.topics import DIAGNOSTICS, QUALITIES, TOPICS, Topic  # noqa: E402

PAGE = ROOT / 'docs' / 'ros_api.md'
WAYS = {'pub': 'publishes', 'sub': 'hears', 'srv': 'serves'}

HEAD = """# ROS API

Written by `python docs/make_ros_api.py` from `llia_ros/nodes/topics.py` and
`llia_ros/nodes/parameters.py`; tests hold both against the real nodes. Change those, not this
page.

All names but `/diagnostics` are relative and can be remapped. Types are standard messages;
others are chosen by parameters, and never by what happens to be installed. All nodes are
lifecycle nodes: `autostart` configures and activates them, and their topics live while they are
active. A node exits with 1 where it cannot start, with 2 for a parameter out of its limits, each
with one line that says why. A message that cannot be used is dropped, counted on `/diagnostics`
and its reason logged.
"""

AFTER_TOPICS = """## The message of sound

`std_msgs/msg/Int16MultiArray`: interleaved PCM in `data`. `layout.dim[0].label` is a line of
`key=value` pairs, `dim[1]` is `frames`, `dim[2]` is `channels`:

```
rate=16000 stamp=12.000000345 frame=mic
rate=16000 stamp=12.040000345 frame=face epoch=3 index=120 state=speaking way=95.2/31.0
```

`stamp` is the ROS time of the first sample, always with nine digits of nanoseconds. The second
line is of the avatar's `audio`, which tells the picture that the sound belongs to: that picture
carries the same stamp. `way` stands at a clip's first frame: how many ms before the stamp its
sound was complete, and its pictures were ready. A message without samples ends an utterance. Any
rate of 4000 .. 192000 Hz and up to 32 channels are taken.

An interrupt is told on `audio` at once by a *cut*: a message without samples that has an `epoch`
and no `index`. Who plays `audio` drops everything older than that epoch; its first frame follows.
The rest of an utterance that is still arriving at the avatar is dropped, up to its empty message
or a pause of 0.5 s, and counted on `/diagnostics`.

## Echo

`mask` needs no extra package, but in the first second of the robot's first speech nobody can
interrupt it, and a user must be louder than the echo. `aec` (extra `echo`) cancels it once it
has heard three seconds of the robot, and hears most users within 0.6 s; with a headset use `off`
(quoted, for YAML takes a bare off for false: `-p echo:='"off"'`). More in
[barge_in.md](barge_in.md).
"""


def short(kind: str) -> str:
    """Return a type as people write it, `std_msgs/Bool`."""
    return kind.replace('/msg/', '/').replace('/srv/', '/')


def row(topic: Topic) -> str:
    """Return a topic as a row of its node's table."""
    kind = f'`{short(topic.kind)}`'
    if topic.chosen_by:
        kind += f', or by `{topic.chosen_by}`'
    quality = topic.quality.name if topic.quality else ''
    return f'| {WAYS[topic.way]} | `{topic.name}` | {kind} | {quality} | {topic.meaning} |'


def topic_tables() -> list[str]:
    """Return the topics and services of every node."""
    head = ['| | name | type | QoS | meaning |', '|---|---|---|---|---|']
    lines = ['## Topics and services', '']
    for node in NODES:
        rows = [row(topic) for topic in TOPICS if topic.node == node]
        lines += [f'### {node}', '', *head, *rows, row(DIAGNOSTICS), '']
    lines += [
        '### QoS',
        '',
        '| name | reliability | durability | depth |',
        '|---|---|---|---|',
    ]
    for quality in QUALITIES:
        durability = 'transient local' if quality.latched else 'volatile'
        lines.append(f'| {quality.name} | reliable | {durability} | {quality.depth} |')
    return [*lines, '']


def expression_tables() -> list[str]:
    """Return the names of states and expressions, and what hri_msgs' become."""
    lines = [
        '## States and expressions',
        '',
        f'States: {", ".join(f"`{name}`" for name in STATES)}.',
        '',
        '### Expressions',
        '',
        f'{", ".join(f"`{name}`" for name in EXPRESSIONS)}, each with an intensity of 0 .. 1, as '
        'in `happy:0.6`. With `expression_type` `hri_msgs/msg/Expression` its own become:',
        '',
        '| hri_msgs | drawn as |',
        '|---|---|',
    ]
    lines += [
        f'| `{theirs}` | `{ours}:{intensity:g}` |'
        for theirs, (ours, intensity) in HRI_EXPRESSIONS.items()
    ]
    return [
        *lines,
        '',
        'Without a name its valence and arousal decide: happy, angry, sad, surprised or sleepy.',
        '',
    ]


def page() -> str:
    """Return the page."""
    lines = [HEAD, *topic_tables(), AFTER_TOPICS, *expression_tables(), '## Parameters', '']
    lines += [
        'Every one at its default is in [config/robot_face.yaml](../config/robot_face.yaml). '
        'Those that are not read-only may be set while the node runs.',
        '',
    ]
    for node, cls in NODES.items():
        lines += [f'### Parameters of {node}', '', describe(cls), '']
    return '\n'.join(lines).rstrip() + '\n'


if __name__ == '__main__':
    PAGE.write_text(page())
