"""Parameters: dataclasses, config/*.yaml and the real nodes say the same."""

import subprocess
import sys
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path

import pytest
import rclpy
import yaml
from conftest import Probe, Start
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from rclpy.parameter import Parameter

from llia_ros.nodes.composed import CLASSES
from llia_ros.nodes.declaration import ParameterError, check, declare, limits
from llia_ros.nodes.parameters import (
    FACE,
    NODES,
    AvatarParameters,
    DialogueStateParameters,
    DisplayParameters,
    as_yaml,
)

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize('cls', NODES.values(), ids=NODES)
def test_defaults_are_within_their_own_limits_and_described(cls) -> None:
    check(cls())
    for item in fields(cls):
        assert item.metadata['description'].endswith('.')
        assert type(item.default) in (bool, int, float, str)


def test_the_parameter_file_is_the_one_that_the_dataclasses_write() -> None:
    for name, nodes in (('robot_face', FACE), ('telepresence', tuple(NODES))):
        written = (ROOT / 'config' / f'{name}.yaml').read_text()
        assert written == as_yaml(nodes), f'write as_yaml({nodes}) to {name}.yaml again'
        parsed = yaml.safe_load(written)
        assert set(parsed) == {f'/**/{node}' for node in nodes}
        for node in nodes:
            assert NODES[node](**parsed[f'/**/{node}']['ros__parameters']) == NODES[node]()


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'jpeg_quality': 101}, 'parameter jpeg_quality must be in 10 .. 100, not 101'),
        ({'jpeg_quality': 90.0}, 'parameter jpeg_quality must be a int'),
        (
            {'expression_type': 'magic'},
            "parameter expression_type must be one of std_msgs/msg/String, .*, not 'magic'",
        ),
        ({'barge_in': 1}, r'parameter barge_in must be a bool \(such as true\), not 1'),
        ({'model': 3}, 'parameter model must be a str'),
    ],
)
def test_a_value_out_of_its_limits_is_named_with_what_it_may_be(changes, said) -> None:
    with pytest.raises(ParameterError, match=said):
        check(replace(AvatarParameters(), **changes))


@pytest.mark.parametrize('output', ['web', 'file', 'none', 'web,file', 'window, camera,web'])
def test_outputs_are_a_list_of_names(output: str) -> None:
    check(DisplayParameters(output=output))


@pytest.mark.parametrize('output', ['', 'hologram', 'web,', 'web,none', 'web,web', 'web file'])
def test_a_list_of_outputs_that_makes_no_sense_is_refused_with_one_line(output: str) -> None:
    said = 'parameter output must be a comma-separated list, each once, some of web, file, window'
    with pytest.raises(ParameterError, match=said):
        check(DisplayParameters(output=output))


@pytest.fixture
def node(probe: Probe):
    made = []

    def make(*overrides: Parameter):
        node = rclpy.create_node(
            'tested', context=probe.context, parameter_overrides=list(overrides)
        )
        made.append(node)
        probe.add(node)
        return node

    yield make
    for node in made:
        node.destroy_node()


def test_initial_values_out_of_their_limits_are_refused_with_our_reason(node) -> None:
    for override, said in [
        (Parameter('threshold', value=2.0), 'must be in 0.05 .. 0.95, not 2.0'),
        (Parameter('threshold', value=1), r'must be a float \(such as 0.5\), not 1'),
        (Parameter('echo', value='loud'), 'must be one of off, mask, aec'),
    ]:
        with pytest.raises(ParameterError, match=said):
            declare(node(override), DialogueStateParameters)


def test_ros_sees_descriptions_and_limits_and_refuses_with_a_reason(node, probe: Probe) -> None:
    tested = node(Parameter('attack', value=0.25))
    parameters = declare(tested, DialogueStateParameters)
    assert parameters.current == DialogueStateParameters(attack=0.25)

    names = [item.name for item in fields(DialogueStateParameters)]
    described = probe.call(
        DescribeParameters, '/tested/describe_parameters', DescribeParameters.Request(names=names)
    )
    for descriptor, item in zip(
        described.descriptors, fields(DialogueStateParameters), strict=True
    ):
        assert descriptor.description == item.metadata['description']
        assert descriptor.read_only == item.metadata['read_only']
        if item.metadata['choices']:
            assert limits(item) in descriptor.additional_constraints

    def set_(**values):
        request = SetParameters.Request(
            parameters=[Parameter(k, value=v).to_parameter_msg() for k, v in values.items()]
        )
        return probe.call(SetParameters, '/tested/set_parameters', request).results

    assert [result.successful for result in set_(release=1.5, echo_margin=3.0)] == [True, True]
    assert (parameters.current.release, parameters.current.echo_margin) == (1.5, 3.0)
    (refused,) = set_(release=99.0)
    assert not refused.successful and 'release' in refused.reason
    (refused,) = set_(voices='anna')
    assert not refused.successful and 'read-only' in refused.reason

    def never(old, new) -> None:
        raise ValueError('not today')

    parameters.on_change = never
    (refused,) = set_(attack=0.5)
    assert not refused.successful and refused.reason == 'not today'
    assert parameters.current.attack == 0.25


@pytest.mark.parametrize('name', NODES)
def test_the_real_nodes_declare_what_their_dataclasses_say(name: str, probe: Probe) -> None:
    cls = getattr(import_module(f'llia_ros.nodes.{name}'), CLASSES[name])
    made = cls(context=probe.context)
    try:
        declared = set(made._parameters) - {'use_sim_time', 'start_type_description_service'}
        assert declared == {item.name for item in fields(NODES[name])}
        assert made.get_name() == name
    finally:
        made.destroy_node()


def test_a_parameter_file_reaches_a_node_in_a_namespace(
    start: Start, probe: Probe, tmp_path: Path
) -> None:
    text = (ROOT / 'config' / 'robot_face.yaml').read_text()
    changed = tmp_path / 'mine.yaml'
    changed.write_text(text.replace('release: 0.6', 'release: 1.25'))
    process = start(
        'dialogue_state', '--ros-args', '--params-file', str(changed), '-r', '__ns:=/robot/head'
    )
    service = '/robot/head/dialogue_state/get_parameters'
    request = GetParameters.Request(names=['release'])
    assert probe.call(GetParameters, service, request).values[0].double_value == 1.25
    assert process.stop() == 0


@pytest.mark.parametrize(
    ('script', 'parameters', 'said'),
    [
        ('audio_capture', {'chunk_ms': 2}, 'parameter chunk_ms must be in 5 .. 200, not 2'),
        ('avatar', {'jpeg_quality': 5}, 'parameter jpeg_quality must be in 10 .. 100, not 5'),
        ('dialogue_state', {'echo': 'x'}, "parameter echo must be one of off, mask, aec, not 'x'"),
        ('display', {'port': -1}, 'parameter port must be in'),
    ],
)
def test_a_script_ends_with_code_2_and_one_line(start: Start, script, parameters, said) -> None:
    process = start(script, **parameters)
    assert process.wait() == 2
    (line,) = process.output.strip().splitlines()
    assert said in line


def test_parameters_can_be_described_without_ros() -> None:
    code = (
        'import sys; sys.modules["rclpy"] = None;'
        'from llia_ros.nodes.declaration import describe;'
        'from llia_ros.nodes.parameters import NODES;'
        'print("\\n".join(map(describe, NODES.values())))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '| `jpeg_quality` | `90` | 10 .. 100 |' in done.stdout
