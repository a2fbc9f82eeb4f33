"""The control page's mapping: what does by hand what its controls do, with the tools of ROS 2."""

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ByHand:
    """A control and the shell command that does or shows the same.

    `line` has the names of topics, services and nodes in angles, `ros2 topic echo <playing>`.
    """

    control: str
    line: str

    def command(self, resolve: Callable[[str], str]) -> str:
        """The shell command, with every name in angles as `resolve` tells it."""
        return re.sub('<([a-z_/]+)>', lambda name: resolve(name[1]), self.line)


MAPPING = (
    ByHand(
        'Portrait of the gallery',
        'ros2 param set <avatar> portrait ada',
    ),
    ByHand(
        "Portrait of one's own",
        'ros2 param set <avatar> portrait ~/face.png',
    ),
    ByHand(
        'Expression, intensity',
        'ros2 topic pub --once <robot_face/expression> std_msgs/msg/String "{data: happy:0.6}"',
    ),
    ByHand(
        'State: speaking, listening, idle',
        'ros2 topic pub --once <dialogue/override> std_msgs/msg/String "{data: listening}"',
    ),
    ByHand(
        'State: automatic',
        'ros2 topic pub --once <dialogue/override> std_msgs/msg/String "{data: \'\'}"',
    ),
    ByHand(
        'Interrupt',
        'ros2 service call <interrupt> std_srvs/srv/Trigger',
    ),
    ByHand(
        "Look at a point (x out of the screen, y to the viewer's right, z up, metres)",
        'ros2 topic pub --once <look_at> geometry_msgs/msg/PointStamped '
        '"{header: {frame_id: face}, point: {x: 1.0, y: 0.3, z: 0.1}}"',
    ),
    ByHand(
        'Look around freely',
        'ros2 topic pub --once <look_at> geometry_msgs/msg/PointStamped',
    ),
    ByHand(
        'Type and speak',
        'espeak-ng -w hello.wav "Hello!" && ros2 run llia_ros audio_capture --ros-args '
        '-r __node:=robot_voice -r user/audio:=<robot/audio> -p source:=file '
        '-p file:=hello.wav -p end_of_utterance:=true',
    ),
    ByHand('Dialogue state', 'ros2 topic echo <dialogue/state>'),
    ByHand('Face is speaking', 'ros2 topic echo <playing>'),
    ByHand('Voice activity of the user', 'ros2 topic echo <user/is_speaking>'),
    ByHand('Voice activity of the robot', 'ros2 topic echo <robot/is_speaking>'),
    ByHand('Microphone', 'ros2 topic hz <user/audio>'),
    ByHand('Latencies, frames a second, late frames', 'ros2 topic echo /diagnostics'),
)


def describe(resolve: Callable[[str], str] = lambda name: f'/{name}') -> str:
    """The README's table of the mapping, in markdown."""
    rows = ['| control | by hand |', '|---|---|']
    rows += [f'| {entry.control} | `{entry.command(resolve)}` |' for entry in MAPPING]
    return '\n'.join(rows)
