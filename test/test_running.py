"""A process of nodes: how it starts, what it says when it cannot, and how it ends."""

import signal
from pathlib import Path

import numpy as np
import pytest
from conftest import Probe, Start, write_sound
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState, GetState
from std_msgs.msg import String

from llia_ros.nodes import messages
from llia_ros.nodes.messages import LATCHED_QOS


def status_of(heard: list, node: str) -> messages.Status | None:
    told = [s for _, m in heard for s in messages.read_diagnostics(m) if s.name == node]
    return told[-1] if told else None


def test_several_nodes_live_in_one_process_under_their_own_names(
    start: Start, probe: Probe, tmp_path: Path
) -> None:
    path = write_sound(tmp_path / 'x.wav', np.zeros(1600, np.int16))
    heard = probe.hear(DiagnosticArray, '/diagnostics')
    states = probe.hear(String, '/robot/dialogue/state', LATCHED_QOS)
    process = start(
        'face',
        'audio_capture',
        'dialogue_state',
        source='file',
        file=str(path),
        loop=True,
        remap={'__ns': '/robot'},
    )
    probe.until(lambda: status_of(heard, '/robot/audio_capture'))
    probe.until(lambda: status_of(heard, '/robot/dialogue_state'))
    probe.until(lambda: states)
    probe.until(lambda: int(status_of(heard, '/robot/audio_capture').values['messages']) > 0)
    assert process.stop(signal.SIGINT) == 0


def test_one_node_that_cannot_start_ends_the_process_with_its_reason(start: Start) -> None:
    process = start('face', 'dialogue_state', 'audio_capture', source='file', file='/nothing.wav')
    assert process.wait() == 1
    assert "sound file '/nothing.wav' does not exist" in process.output
    assert 'Traceback' not in process.output


def test_a_wrong_name_of_a_node_is_named(start: Start) -> None:
    process = start('face', 'ear')
    assert process.wait() == 2
    assert process.output.startswith("face: no node 'ear'")


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_node_cleanly_at_any_moment(start: Start, probe: Probe, number) -> None:
    for wait in (0.0, 0.3, 0.6):
        states = probe.hear(String, 'dialogue/state', LATCHED_QOS)
        process = start('dialogue_state')
        probe.until(lambda states=states: states)
        probe.spin(wait)
        assert process.stop(number) == 0
        assert 'Traceback' not in process.output


def test_without_autostart_a_lifecycle_manager_decides(start: Start, probe: Probe) -> None:
    heard = probe.hear(DiagnosticArray, '/diagnostics')
    states = probe.hear(String, 'dialogue/state', LATCHED_QOS)
    start('dialogue_state', autostart=False, voices='b-c')

    def state() -> str:
        return probe.call(GetState, '/dialogue_state/get_state').current_state.label

    def change(label: str) -> bool:
        request = ChangeState.Request()
        request.transition.label = label
        return probe.call(ChangeState, '/dialogue_state/change_state', request).success

    assert state() == 'unconfigured'
    assert not change('configure')
    assert state() == 'unconfigured'
    probe.until(lambda: status_of(heard, '/dialogue_state'))
    heard.clear()
    told = probe.until(lambda: status_of(heard, '/dialogue_state'))
    assert told.level == 'error' and "'b-c'" in told.summary
    assert not states


def test_two_installations_of_ros_are_warned_of(start: Start, tmp_path: Path) -> None:
    mixed = {'PYTHONPATH': '/opt/ros/jazzy/lib/python3.12/site-packages'}
    process = start('dialogue_state', env=mixed, echo='off', voices='b-c')
    assert process.wait() == 1
    assert 'two ROS 2 installations are mixed' in process.output
    alone = start('dialogue_state', voices='b-c')
    assert alone.wait() == 1
    assert 'mixed' not in alone.output
