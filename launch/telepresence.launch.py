"""A face that a far end speaks through: avatar.launch.py's nodes and telepresence.

The far end opens the address that telepresence prints. Every argument of avatar.launch.py is one
of this file, too. An argument that is left empty leaves its parameter to params_file.
"""

import os

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue

PACKAGE = 'llia_ros'
SHARE = get_package_share_directory(PACKAGE)

# name, default, description
SHARED = (
    ('namespace', '', 'Namespace of all nodes and topics.'),
    (
        'params_file',
        os.path.join(SHARE, 'config', 'telepresence.yaml'),
        'ROS parameters of all nodes.',
    ),
    ('autostart', 'true', 'Configure and activate the nodes; false: a lifecycle manager does.'),
    ('barge_in', 'false', 'Whether somebody who speaks here interrupts the far end.'),
)
OWN = (
    ('host', '', 'Address that calls are taken at; any other than loopback asks for a token.'),
    ('call_port', '', 'Port that calls are taken at.'),
    ('call_token', '', 'Token that a far end must show; random makes one and prints it.'),
    ('certificate', '', 'PEM certificate: browsers elsewhere lend a microphone only to https.'),
    ('key', '', "PEM file with the certificate's key."),
    ('jitter_ms', '', 'Delay of the jitter buffer, ms.'),
    ('send_face', 'false', 'Send the face back, picture and sound.'),
    ('send_microphone', 'true', 'Send what the microphone here hears to the far end.'),
    ('ice_servers', '', 'STUN and TURN servers, comma-separated; none are asked otherwise.'),
)
# What is called otherwise as a parameter, and what is no text.
PARAMETERS = {'call_port': 'port', 'call_token': 'token'}
TYPES = {'call_port': int, 'jitter_ms': float}


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch llia_ros telepresence.launch.py` starts."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in (*SHARED, *OWN)
    ]
    face = PythonLaunchDescriptionSource(os.path.join(SHARE, 'launch', 'avatar.launch.py'))
    passed = [(name, LaunchConfiguration(name)) for name, _, _ in SHARED]
    return LaunchDescription(
        [
            *arguments,
            IncludeLaunchDescription(face, launch_arguments=passed),
            OpaqueFunction(function=telepresence),
        ]
    )


def telepresence(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The node, with the parameters that were given as arguments."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in (*SHARED, *OWN)}
    own: dict[str, object] = {
        name: given[name].lower() == 'true'
        for name in ('autostart', 'send_face', 'send_microphone')
    }
    for name, _, _ in OWN:
        if given[name] and name not in own:
            value = ParameterValue(given[name], value_type=TYPES.get(name, str))
            own[PARAMETERS.get(name, name)] = value
    return [
        LifecycleNode(
            package=PACKAGE,
            executable='telepresence',
            name='telepresence',
            namespace=given['namespace'],
            output='screen',
            parameters=[given['params_file'], own],
        )
    ]
