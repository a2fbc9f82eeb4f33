"""docs/ros_api.md is what the code's tables say, and the tables are what the real nodes do."""

import importlib.util
import socket
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import Probe, write_sound
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from llia_ros.audio.stream import RATE
from llia_ros.nodes.composed import CLASSES
from llia_ros.nodes.parameters import NODES
from llia_ros.nodes.topics import DIAGNOSTICS, TOPICS, Topic

ROOT = Path(__file__).parents[1]
VOICE = 'anna'


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location('make_ros_api', ROOT / 'docs/make_ros_api.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_the_one_that_the_code_writes() -> None:
    written = (ROOT / 'docs' / 'ros_api.md').read_text()
    assert written == generator().page(), 'run python docs/make_ros_api.py'


def name_of(kind: Any) -> str:
    """std_msgs.msg._bool.Bool as std_msgs/msg/Bool."""
    package, folder = kind.__module__.split('.')[:2]
    return f'{package}/{folder}/{kind.__name__}'


def real(node: Any) -> set[tuple[Any, ...]]:
    """What a node publishes, hears and serves beyond what every node of ROS 2 does."""
    found = set()
    own = f'/{node.get_name()}/'
    for way, entities in (('pub', node.publishers), ('sub', node.subscriptions)):
        for entity in entities:
            if entity.topic_name.startswith((own, '/rosout', '/parameter_events')):
                continue
            infos = (
                node.get_publishers_info_by_topic(entity.topic_name)
                if way == 'pub'
                else node.get_subscriptions_info_by_topic(entity.topic_name)
            )
            for info in (info for info in infos if info.node_name == node.get_name()):
                quality = info.qos_profile
                depth = entity.qos_profile.depth  # which does not travel with discovery
                assert quality.reliability == ReliabilityPolicy.RELIABLE
                latched = quality.durability == DurabilityPolicy.TRANSIENT_LOCAL
                assert info.topic_type == name_of(entity.msg_type)
                found.add((way, entity.topic_name, info.topic_type, latched, depth))
    for service in node.services:
        name = node.resolve_service_name(service.srv_name)
        if not name.startswith(own):
            found.add(('srv', name, name_of(service.srv_type), False, 0))
    return found


def declared(node: str) -> set[tuple[Any, ...]]:
    def entry(topic: Topic) -> tuple[Any, ...]:
        name = '/' + topic.name.replace('<id>', VOICE).lstrip('/')
        if topic.quality is None:
            return topic.way, name, topic.kind, False, 0
        return topic.way, name, topic.kind, topic.quality.latched, topic.quality.depth

    return {entry(topic) for topic in (*TOPICS, DIAGNOSTICS) if topic.node in (node, 'all')}


@pytest.mark.parametrize('name', NODES)
def test_the_real_nodes_have_the_topics_that_are_declared(
    name: str, probe: Probe, sentence: Any, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    given = {
        'audio_capture': {
            'source': 'file',
            'file': str(write_sound(tmp_path / 'a.wav', sentence, RATE)),
        },
        'dialogue_state': {'voices': VOICE},
        'display': {'output': 'web', 'port': port},
        'telepresence': {'port': port, 'send_face': True, 'send_microphone': True},
    }.get(name, {})
    cls = getattr(import_module(f'llia_ros.nodes.{name}'), CLASSES[name])
    overrides = [Parameter(key, value=value) for key, value in given.items()]
    node = cls(context=probe.context, parameter_overrides=overrides)
    try:
        assert node.start(), node.failure
        wanted = declared(name)
        assert real(node) == wanted, 'bring llia_ros/nodes/topics.py up to date'
    finally:
        node.close()
        node.destroy_node()
