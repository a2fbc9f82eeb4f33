"""A face that a far end speaks through: avatar.launch.py's nodes and telepresence.

The far end opens the address that telepresence prints. An argument that is left empty leaves its
parameter to params_file.
"""

import os

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue

PACKAGE = 'llia_ros'

# name, default, description
ARGUMENTS = (
    ('namespace', '', 'Namespace of all nodes and topics.'),
    (
        'params_file',
        os.path.join(get_package_share_directory(PACKAGE), 'config', 'telepresence.yaml'),
        'ROS parameters of all nodes.',
    ),
    ('host', '', 'Address that calls are taken at; any other than loopback asks for a token.'),
    ('call_port', '', 'Port that calls are taken at.'),
    ('call_token', '', 'Token that a far end must show; random makes one and prints it.'),
    ('certificate', '', 'PEM certificate: browsers elsewhere lend a microphone only to https.'),
    ('key', '', "PEM file with the certificate's key."),
    ('jitter_ms', '', 'Delay of the jitter buffer, ms.'),
    ('send_face', 'false', 'Send the face back, picture and sound.'),
    ('send_microphone', 'true', 'Send what the microphone here hears to the far end.'),
    ('ice_servers', '', 'STUN and TURN servers, comma-separated; none are asked otherwise.'),
    ('barge_in', 'false', 'Whether somebody who speaks here interrupts the far end.'),
    ('model', '', 'Model: a name that ships with the package, or its folder.'),
    ('portrait', '', 'Face: a name that ships with the model, or a picture file.'),
    ('backend', '', 'What runs the model: auto, openvino, torch, tensorrt or onnx.'),
    ('display', '', 'Where the face is shown: as the parameter output of the display.'),
    ('device', '', 'Sound input: part of its name, its number, or pulse:<source>; none: no ear.'),
    ('autostart', 'true', 'Configure and activate the nodes; false: a lifecycle manager does.'),
)


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch llia_ros telepresence.launch.py` starts."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=nodes)])


def nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The nodes, with the parameters that were given as arguments."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}

    def is_true(name: str) -> bool:
        return given[name].lower() == 'true'

    def texts(**of_arguments: str) -> dict[str, object]:
        # As a string, whatever it looks like: a device may be called 3.
        return {
            name: ParameterValue(given[argument], value_type=str)
            for name, argument in of_arguments.items()
            if given[argument]
        }

    numbers: dict[str, object] = {}
    if given['call_port']:
        numbers['port'] = int(given['call_port'])
    if given['jitter_ms']:
        numbers['jitter_ms'] = float(given['jitter_ms'])
    wanted = {
        'audio_capture': texts(device='device'),
        'dialogue_state': {},
        'avatar': {
            **texts(model='model', portrait='portrait', backend='backend'),
            'barge_in': is_true('barge_in'),
        },
        'display': texts(output='display'),
        'telepresence': {
            **texts(
                host='host',
                token='call_token',
                certificate='certificate',
                key='key',
                ice_servers='ice_servers',
            ),
            **numbers,
            'send_face': is_true('send_face'),
            'send_microphone': is_true('send_microphone'),
        },
    }
    if given['device'] == 'none':
        del wanted['audio_capture']
    return [
        LifecycleNode(
            package=PACKAGE,
            executable=name,
            name=name,
            namespace=given['namespace'],
            output='screen',
            parameters=[given['params_file'], {'autostart': is_true('autostart'), **own}],
        )
        for name, own in wanted.items()
    ]
