"""Every launch file, run against recorders: arguments, executables and parameters are real.

ROS 2's launch is not on PyPI; where it is installed, the real one reads the files, too.
"""

import importlib.util
import re
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from llia_ros.nodes.declaration import check
from llia_ros.nodes.parameters import FACE, NODES

ROOT = Path(__file__).parents[1]
LAUNCH_FILES = sorted((ROOT / 'launch').glob('*.launch.py'))


@dataclass
class LaunchConfiguration:
    name: str

    def perform(self, context: dict[str, str]) -> str:
        Recorded.asked.add(self.name)
        return context[self.name]


@dataclass
class DeclareLaunchArgument:
    name: str
    default_value: str = ''
    description: str = ''


@dataclass
class OpaqueFunction:
    function: Any


@dataclass
class PythonLaunchDescriptionSource:
    path: str


@dataclass
class IncludeLaunchDescription:
    source: PythonLaunchDescriptionSource
    launch_arguments: list[tuple[str, LaunchConfiguration]] = field(default_factory=list)

    @property
    def entities(self) -> list[Any]:
        """What the included file describes, with the arguments that it is not given."""
        passed = {name for name, value in self.launch_arguments if value.name == name}
        assert len(passed) == len(self.launch_arguments)
        Recorded.asked |= passed
        return [
            entity
            for entity in load(Path(self.source.path)).entities
            if not (isinstance(entity, DeclareLaunchArgument) and entity.name in passed)
        ]


@dataclass
class LaunchDescription:
    entities: list[Any]


@dataclass
class ParameterValue:
    value: Any
    value_type: Any = None


@dataclass
class Node:
    package: str
    executable: str
    name: str = ''
    namespace: str = ''
    output: str = ''
    arguments: list[str] = field(default_factory=list)
    parameters: list[Any] = field(default_factory=list)
    remappings: list[tuple[str, str]] = field(default_factory=list)
    respawn: bool = False
    respawn_delay: float = 0.0

    @property
    def values(self) -> dict[str, Any]:
        """The parameters that are given beside files."""
        given = {}
        for part in self.parameters:
            if isinstance(part, dict):
                given.update(part)
        return {
            key: value.value_type(value.value) if isinstance(value, ParameterValue) else value
            for key, value in given.items()
        }


@dataclass
class LifecycleNode(Node):
    def __post_init__(self) -> None:
        assert self.name and self.namespace is not None, 'launch_ros demands both'


class Recorded:
    asked: set[str] = set()


@pytest.fixture
def recorders(monkeypatch: pytest.MonkeyPatch) -> None:
    Recorded.asked = set()
    modules = {
        'launch': (LaunchDescription, 'LaunchContext', 'LaunchDescriptionEntity'),
        'launch.actions': (DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction),
        'launch.launch_description_sources': (PythonLaunchDescriptionSource,),
        'launch.substitutions': (LaunchConfiguration,),
        'launch_ros': (),
        'launch_ros.actions': (Node, LifecycleNode),
        'launch_ros.parameter_descriptions': (ParameterValue,),
    }
    for name, members in modules.items():
        module = types.ModuleType(name)
        for member in members:
            if isinstance(member, str):
                setattr(module, member, Any)
            else:
                setattr(module, member.__name__, member)
        monkeypatch.setitem(sys.modules, name, module)
    packages = types.ModuleType('ament_index_python.packages')
    packages.get_package_share_directory = lambda package: str(ROOT)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, 'ament_index_python', types.ModuleType('ament_index_python'))
    monkeypatch.setitem(sys.modules, 'ament_index_python.packages', packages)


def load(path: Path) -> LaunchDescription:
    spec = importlib.util.spec_from_file_location(path.name.replace('.', '_'), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def described(path: Path) -> list[Any]:
    """What a launch file and those that it includes describe."""
    entities = []
    for entity in load(path).entities:
        entities += entity.entities if isinstance(entity, IncludeLaunchDescription) else [entity]
    return entities


def started(path: Path, **given: str) -> list[Node]:
    """The nodes that a launch file starts with these arguments."""
    entities = described(path)
    context = {
        entity.name: entity.default_value
        for entity in entities
        if isinstance(entity, DeclareLaunchArgument)
    }
    assert set(given) <= set(context)
    context.update(given)
    nodes: list[Node] = []
    for entity in entities:
        if isinstance(entity, OpaqueFunction):
            nodes += entity.function(context)
        elif isinstance(entity, Node):
            nodes.append(entity)
    return nodes


def known_to(path: Path, given: dict[str, str]) -> dict[str, str]:
    """Of these arguments those that a launch file has."""
    declared = {e.name for e in load(path).entities if isinstance(e, DeclareLaunchArgument)}
    return {name: value for name, value in given.items() if name in declared}


def scripts() -> dict[str, str]:
    """Console scripts of setup.py, as it really calls setup()."""
    called = {}
    fake = types.ModuleType('setuptools')
    fake.setup = called.update  # type: ignore[attr-defined]
    fake.find_packages = lambda **_: []  # type: ignore[attr-defined]
    real = sys.modules.get('setuptools')
    sys.modules['setuptools'] = fake
    try:
        code = compile((ROOT / 'setup.py').read_text(), str(ROOT / 'setup.py'), 'exec')
        exec(code, {'__file__': str(ROOT / 'setup.py'), '__name__': 'setup'})
    finally:
        if real is None:
            del sys.modules['setuptools']
        else:
            sys.modules['setuptools'] = real
    entries = called['entry_points']['console_scripts']
    return dict(re.split(r'\s*=\s*', entry) for entry in entries)


COMBINATIONS: list[dict[str, str]] = [
    {},
    {'composed': 'true'},
    {'device': 'none'},
    {'device': '3', 'composed': 'true', 'display': 'web,file', 'video': '/tmp/x.mp4'},
    {'speech': 'hello.wav', 'autostart': 'false'},
    {'namespace': 'robot', 'model': 'm', 'portrait': 'p.png', 'backend': 'openvino'},
]


def test_there_is_a_launch_file() -> None:
    assert 'avatar.launch.py' in [path.name for path in LAUNCH_FILES]


@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.name)
def test_arguments_are_described_and_used(path: Path, recorders) -> None:
    started(path)
    declared = [e for e in described(path) if isinstance(e, DeclareLaunchArgument)]
    assert {argument.name for argument in declared} == Recorded.asked
    for argument in declared:
        assert argument.description.endswith('.')


@pytest.mark.parametrize('given', COMBINATIONS, ids=str)
@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.name)
def test_executables_are_console_scripts_that_can_be_imported(path, given, recorders) -> None:
    for node in started(path, **known_to(path, given)):
        assert node.package == 'llia_ros'
        module, _, function = scripts()[node.executable].partition(':')
        assert callable(getattr(importlib.import_module(module), function))
        assert node.executable not in ('face', *NODES) or set(node.arguments) <= set(NODES)


@pytest.mark.parametrize('given', COMBINATIONS, ids=str)
@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.name)
def test_parameters_are_those_of_the_node_and_valid(path, given, recorders) -> None:
    for node in started(path, **known_to(path, given)):
        if node.executable not in ('face', *NODES):
            assert not node.parameters
            continue
        names = node.arguments or [node.executable]
        known = {key for name in names for key in NODES[name].__dataclass_fields__}
        assert set(node.values) <= known
        for name in names:
            cls = NODES[name]
            fields = cls.__dataclass_fields__
            check(cls(**{k: v for k, v in node.values.items() if k in fields}))
        for part in node.parameters:
            if isinstance(part, str):
                told = set(yaml.safe_load(Path(part).read_text()))
                assert {f'/**/{name}' for name in names} <= told


def test_arguments_reach_their_nodes(recorders) -> None:
    path = ROOT / 'launch' / 'avatar.launch.py'
    nodes = {node.name: node for node in started(path)}
    assert set(nodes) == set(FACE)
    assert all(node.values == {'autostart': True} for node in nodes.values())

    nodes = {
        node.name: node
        for node in started(
            path,
            namespace='robot',
            model='m',
            portrait='p.png',
            backend='torch',
            display='file',
            video='v.mp4',
            device='usb',
            speech='hello.wav',
            autostart='False',
        )
    }
    assert {node.namespace for node in nodes.values()} == {'robot'}
    assert not any(node.values['autostart'] for node in nodes.values())
    given = nodes['avatar'].values
    assert (given['model'], given['portrait'], given['backend']) == ('m', 'p.png', 'torch')
    assert nodes['display'].values['output'] == 'file'
    assert nodes['display'].values['file'] == 'v.mp4'
    assert nodes['audio_capture'].values['device'] == 'usb'
    voice = nodes['robot_voice']
    assert voice.remappings == [('user/audio', 'robot/audio')]
    assert voice.values['file'] == 'hello.wav' and voice.values['end_of_utterance'] is True
    assert 'audio_capture' not in {node.name for node in started(path, device='none')}
    (face,) = started(path, composed='true')
    assert face.arguments == list(FACE)


def test_a_far_end_speaks_through_a_face_that_no_user_interrupts(recorders) -> None:
    path = ROOT / 'launch' / 'telepresence.launch.py'
    nodes = {node.name: node for node in started(path)}
    assert set(nodes) == set(FACE) | {'telepresence'}
    assert nodes['avatar'].values['barge_in'] is False
    assert nodes['telepresence'].values == {
        'autostart': True,
        'send_face': False,
        'send_microphone': True,
    }
    nodes = {
        node.name: node
        for node in started(
            path,
            host='0.0.0.0',
            call_port='8443',
            call_token='a-token-of-one-house',
            certificate='c.pem',
            key='k.pem',
            send_face='true',
            send_microphone='false',
            jitter_ms='120',
            ice_servers='stun:stun.example.org',
            barge_in='true',
            device='none',
        )
    }
    assert set(nodes) == set(FACE) - {'audio_capture'} | {'telepresence'}
    values = nodes['telepresence'].values
    assert values == {
        'autostart': True,
        'host': '0.0.0.0',
        'port': 8443,
        'token': 'a-token-of-one-house',
        'certificate': 'c.pem',
        'key': 'k.pem',
        'send_face': True,
        'send_microphone': False,
        'jitter_ms': 120.0,
        'ice_servers': 'stun:stun.example.org',
    }
    assert nodes['avatar'].values['barge_in'] is True


def test_a_kiosk_comes_back_by_itself_and_shows_the_page_that_is_served(recorders) -> None:
    path = ROOT / 'launch' / 'kiosk.launch.py'
    *nodes, browser = started(path, port='8123', fit='cover', rotate='90', flags='--a --b')
    assert {node.name for node in nodes} == set(FACE)
    assert all(node.respawn for node in [*nodes, browser])
    [shown] = [node.values for node in nodes if node.name == 'display']
    assert {'output': 'web', 'port': 8123, 'fit': 'cover', 'rotate': 90}.items() <= shown.items()
    assert browser.executable == 'kiosk_browser'
    assert browser.arguments == [
        'http://127.0.0.1:8123/',
        '--browser=chromium',
        '--flags=--a --b',
    ]
    assert len(started(path, browser='none', respawn='false', device='none')) == 3
    face, browser = started(path, composed='true', browser='firefox', query='?debug=1')
    assert face.respawn and browser.arguments[0] == 'http://127.0.0.1:8080/?debug=1'
    *_, voice, _ = started(path, speech='hello.wav')
    assert voice.name == 'robot_voice' and not voice.respawn


def test_the_real_launch_reads_them(monkeypatch) -> None:
    pytest.importorskip('launch_ros')
    packages = pytest.importorskip('ament_index_python.packages')
    monkeypatch.setattr(packages, 'get_package_share_directory', lambda package: str(ROOT))
    for path in LAUNCH_FILES:
        assert load(path).entities
