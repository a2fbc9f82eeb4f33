"""A kiosk: the whole face and a browser full screen on it, each started anew when it has ended.

Every argument of avatar.launch.py is one of this file, too.
"""

import os

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

PACKAGE = 'llia_ros'
RESPAWN_DELAY = 0.2  # s

# name, default, description
ARGUMENTS = (
    ('browser', 'chromium', 'What shows the face: chromium, firefox or none.'),
    ('profile', '', "The browser's own folder of settings; empty: one in the user's state."),
    ('flags', '', 'More flags of the browser, as in a shell.'),
    ('query', '', 'What is added to the address of the page, as ?debug=1.'),
    ('display', 'web', 'Where the face is shown: web, or web,file.'),
    ('port', '8080', 'Port of the page.'),
    ('respawn', 'true', 'Start a node, or the browser, anew whenever it has ended.'),
)


def generate_launch_description() -> LaunchDescription:
    """What `ros2 launch llia_ros kiosk.launch.py` starts."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    share = get_package_share_directory(PACKAGE)
    face = PythonLaunchDescriptionSource(os.path.join(share, 'launch', 'avatar.launch.py'))
    passed = {name: LaunchConfiguration(name) for name in ('display', 'port', 'respawn')}
    return LaunchDescription(
        [
            *arguments,
            IncludeLaunchDescription(face, launch_arguments=list(passed.items())),
            OpaqueFunction(function=browser),
        ]
    )


def browser(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The browser, which waits for the page by itself."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    if given['browser'] == 'none':
        return []
    arguments = [f'http://127.0.0.1:{given["port"]}/{given["query"]}']
    for option in ('browser', 'profile', 'flags'):
        if given[option]:
            # Joined, for flags begin with dashes themselves.
            arguments.append(f'--{option}={given[option]}')
    return [
        Node(
            package=PACKAGE,
            executable='kiosk_browser',
            arguments=arguments,
            output='screen',
            respawn=given['respawn'].lower() == 'true',
            respawn_delay=RESPAWN_DELAY,
        )
    ]
