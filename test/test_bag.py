"""The ordinary topics in a rosbag2 bag, played back into a display: the same face again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import yaml
from conftest import ROOT, Probe, Start
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import Reader, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Int16MultiArray, String
from synthetic_face import jpeg
from talking_face import Face

from llia_ros.nodes.messages import AUDIO_QOS, FRAME_QOS, LATCHED_QOS, text

OVERRIDES = yaml.safe_load((ROOT / 'config' / 'bag_qos.yaml').read_text())
TYPES = {
    '/image_raw/compressed': CompressedImage,
    '/audio': Int16MultiArray,
    '/dialogue/state': String,
}
FRAMES = 25
FOREVER = QosTime(2147483647, 4294967295)


def profile(policies: dict[str, Any]) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy[policies['history'].upper()],
        depth=policies['depth'],
        reliability=ReliabilityPolicy[policies['reliability'].upper()],
        durability=DurabilityPolicy[policies['durability'].upper()],
    )


def offered(policies: dict[str, Any]) -> Qos:
    return Qos(
        QosHistory[policies['history'].upper()],
        policies['depth'],
        QosReliability[policies['reliability'].upper()],
        QosDurability[policies['durability'].upper()],
        FOREVER,
        FOREVER,
        QosLiveliness.AUTOMATIC,
        FOREVER,
        False,
    )


def kind(message_type: type) -> str:
    return f'{message_type.__module__.split(".")[0]}/msg/{message_type.__name__}'


def content(path: Path) -> tuple[list[int], np.ndarray]:
    """Which frame's shade each picture of a file shows, and its sound."""
    with av.open(str(path)) as file:
        pictures = [frame.to_ndarray(format='rgb24') for frame in file.decode(video=0)]
    with av.open(str(path)) as file:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
    return [round(float(picture[128, 128].mean()) / 10) for picture in pictures], sound


def record(probe: Probe, start: Start, folder: Path) -> None:
    """Say a face's frames to a display that records, and write the topics into a bag."""
    display = start('display', output='file', file=str(folder / 'live.mp4'))
    store = get_typestore(Stores.ROS2_JAZZY)
    with Writer(folder / 'bag', version=9) as bag:
        for topic, message_type in TYPES.items():
            connection = bag.add_connection(
                topic,
                kind(message_type),
                typestore=store,
                offered_qos_profiles=[offered(OVERRIDES[topic])],
            )
            probe.node.create_subscription(
                message_type,
                topic,
                lambda data, connection=connection: bag.write(connection, time.time_ns(), data),
                profile(OVERRIDES[topic]),
                raw=True,
            )
        face = Face(probe, listeners=2)  # the bag and the display
        probe.say('dialogue/state', text('speaking'), LATCHED_QOS, listeners=2)
        for k in range(FRAMES):
            face.say(k, jpeg((10 * k, 10 * k, 10 * k), (0, 0, 0)))
        probe.spin(0.3)
    assert display.stop() == 0, display.output


def play(start: Start, folder: Path) -> None:
    """Publish the bag's messages, as they were written, at its pace and with its QoS."""
    display = start('display', output='file', file=str(folder / 'played.mp4'))
    player = Probe()
    with Reader(folder / 'bag') as bag:
        publishers = {}
        for connection in bag.connections:
            [qos] = connection.ext.offered_qos_profiles
            policies = {
                'history': qos.history.name,
                'depth': qos.depth,
                'reliability': qos.reliability.name,
                'durability': qos.durability.name,
            }
            publisher = player.node.create_publisher(
                TYPES[connection.topic], connection.topic, profile(policies)
            )
            publishers[connection.topic] = publisher
        player.until(lambda: all(each.get_subscription_count() for each in publishers.values()))
        player.spin(0.2)
        began = time.time_ns()
        for connection, stamp, data in bag.messages():
            due = (stamp - bag.start_time) - (time.time_ns() - began)
            player.spin(max(0, due) / 1e9)
            publishers[connection.topic].publish(data)
    player.spin(0.3)
    assert display.stop() == 0, display.output
    player.close()


def test_a_bag_of_the_ordinary_topics_plays_the_same_face_again(
    start: Start, tmp_path: Path
) -> None:
    probe = Probe()
    record(probe, start, tmp_path)
    probe.close()
    play(start, tmp_path)
    live, live_sound = content(tmp_path / 'live.mp4')
    played, played_sound = content(tmp_path / 'played.mp4')
    assert len(live) == len(played) == FRAMES
    # What a busy machine loses on the way is filled by its predecessor, never by another.
    for shown in (live, played):
        assert all(shade in (k, k - 1) for k, shade in enumerate(shown))
        assert sum(shade == k for k, shade in enumerate(shown)) > 0.7 * FRAMES
    assert np.abs(played_sound).max() > 0.2
    assert np.array_equal(played_sound, live_sound)


@pytest.mark.parametrize(
    ('topic', 'published'),
    [
        ('/audio', AUDIO_QOS),
        ('/image_raw/compressed', FRAME_QOS),
        ('/dialogue/state', LATCHED_QOS),
    ],
)
def test_the_overrides_fit_what_the_nodes_offer(topic: str, published: QoSProfile) -> None:
    override = profile(OVERRIDES[topic])
    assert override.reliability == published.reliability
    assert override.durability == published.durability
    assert override.depth >= published.depth
