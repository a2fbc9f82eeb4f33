"""The whole face: audio_capture, dialogue_state, avatar and display.

An argument that is left empty leaves its parameter to params_file.
"""

import os
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue

PACKAGE = 'llia_ros'
RESPAWN_DELAY = 0.2  # s

# name, default, description
ARGUMENTS = (
    ('namespace', '', 'Namespace of all nodes and topics.'),
    (
        'params_file',
        os.path.join(get_package_share_directory(PACKAGE), 'config', 'robot_face.yaml'),
        'ROS parameters of all nodes.',
    ),
    ('model', '', 'Model: a name that ships with the package, or its folder.'),
    ('portrait', '', 'Face: a name that ships with the model, or a picture file.'),
    ('backend', '', 'What runs the model: auto, openvino, torch, tensorrt or onnx.'),
    ('display', '', 'Where the face is shown, such as web,file: web, file, window, camera; none.'),
    ('video', '', 'Video file to write where display names file.'),
    ('port', '', 'Port of the page.'),
    ('fit', '', 'How the page fills the screen: contain or cover.'),
    ('rotate', '', 'Degrees by which the page turns the picture: 0, 90, 180 or 270.'),
    ('device', '', 'Sound input: part of its name, its number, or pulse:<source>; none: no ear.'),
    ('speech', '', 'Sound file that the face says once it is there, for a first try.'),
    ('autostart', 'true', 'Configure and activate the nodes; false: a lifecycle manager does.'),
    ('barge_in', '', "Whether the user's voice interrupts the robot's: true or false."),
    ('composed', 'false', 'All nodes in one process.'),
    ('respawn', 'false', 'Start a node anew whenever it has ended.'),
)


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch llia_ros avatar.launch.py` starts."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=nodes)])


def nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The nodes, with the parameters that were given as arguments."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    autostart = {'autostart': given['autostart'].lower() == 'true'}

    def parameters(**of_arguments: str) -> list[Any]:
        # As a string, whatever it looks like: a device may be called 3.
        chosen = {
            name: ParameterValue(value, value_type=int if name in ('port', 'rotate') else str)
            for name, value in of_arguments.items()
            if value
        }
        return [given['params_file'], {**autostart, **chosen}]

    wanted = {
        'audio_capture': parameters(device=given['device']),
        'dialogue_state': parameters(),
        'avatar': parameters(
            model=given['model'], portrait=given['portrait'], backend=given['backend']
        ),
        'display': parameters(
            output=given['display'],
            file=given['video'],
            port=given['port'],
            fit=given['fit'],
            rotate=given['rotate'],
        ),
    }
    if given['barge_in']:
        wanted['avatar'][1]['barge_in'] = given['barge_in'].lower() == 'true'
    if given['device'] == 'none':
        del wanted['audio_capture']

    common = {
        'package': PACKAGE,
        'namespace': given['namespace'],
        'output': 'screen',
        'respawn': given['respawn'].lower() == 'true',
        'respawn_delay': RESPAWN_DELAY,
    }
    if given['composed'].lower() == 'true':
        merged = {key: value for _, own in wanted.values() for key, value in own.items()}
        started = [
            Node(
                executable='face',
                arguments=list(wanted),
                parameters=[given['params_file'], merged],
                **common,
            )
        ]
    else:
        started = [
            LifecycleNode(executable=name, name=name, parameters=own, **common)
            for name, own in wanted.items()
        ]
    if given['speech']:
        # The same node as the ear, with a file as its source: the robot's voice.
        # It waits for both who listen to the robot: dialogue_state and avatar.
        file = {
            **parameters(source='file', file=given['speech'])[1],
            'end_of_utterance': True,
            'wait_for_subscribers': 2,
        }
        started.append(
            LifecycleNode(
                executable='audio_capture',
                name='robot_voice',
                parameters=[file],
                remappings=[('user/audio', 'robot/audio')],
                **{**common, 'respawn': False},  # said once
            )
        )
    return started
