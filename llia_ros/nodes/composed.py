"""Several nodes in one process: those of a face, or those named on the command line.

They exchange the same messages over the same topics as processes of their own do.
"""

import sys
from collections.abc import Sequence
from importlib import import_module

from rclpy.utilities import remove_ros_args

from llia_ros.nodes.parameters import FACE
from llia_ros.nodes.running import run

CLASSES = {
    'audio_capture': 'AudioCapture',
    'dialogue_state': 'DialogueState',
    'avatar': 'AvatarNode',
    'display': 'Display',
    'telepresence': 'Telepresence',
}


def main(args: Sequence[str] | None = None) -> int:
    """Console script `face`: `face [NODE ...] [--ros-args ...]`; exit code 2 for a wrong name."""
    given = list(sys.argv if args is None else args)
    names = remove_ros_args(args=given)[1:] or list(FACE)
    unknown = [name for name in names if name not in CLASSES]
    if unknown:
        print(
            f'face: no node {unknown[0]!r}: expected some of {", ".join(CLASSES)}',
            file=sys.stderr,
        )
        return 2
    classes = [getattr(import_module(f'llia_ros.nodes.{name}'), CLASSES[name]) for name in names]
    return run(*classes, args=given)
