"""A ROS workspace builds the package from a clean copy, and what it installs is complete."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llia_ros.nodes.parameters import NODES

ROOT = Path(__file__).parents[1]
COLCON = Path(sys.executable).parent / 'colcon'


@pytest.fixture(scope='module')
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where colcon installed a copy of what git has."""
    if not COLCON.exists():
        pytest.skip('colcon is not installed: pip install colcon-common-extensions')
    workspace = tmp_path_factory.mktemp('workspace')
    source = workspace / 'src' / 'llia_ros'
    listed = subprocess.run(
        ['git', 'ls-files', '--cached', '--others', '--exclude-standard', '-z'],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split('\0')):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    env = {**os.environ, 'PATH': f'{COLCON.parent}:{os.environ["PATH"]}'}
    command = [str(COLCON), 'build', '--event-handlers', 'console_direct+']
    built = subprocess.run(command, cwd=workspace, env=env, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    assert '1 package finished' in built.stdout
    return workspace / 'install' / 'llia_ros'


def test_ros_finds_the_package_its_launch_files_and_its_parameters(prefix: Path) -> None:
    share = prefix / 'share'
    assert (share / 'ament_index/resource_index/packages/llia_ros').exists()
    assert (share / 'llia_ros/package.xml').exists()
    for folder in ('launch', 'config'):
        ours = {path.name for path in (ROOT / folder).iterdir() if path.is_file()}
        assert ours == {path.name for path in (share / 'llia_ros' / folder).iterdir()}


def test_executables_are_where_ros_looks_for_them_and_run(prefix: Path) -> None:
    scripts = prefix / 'lib' / 'llia_ros'
    assert {*NODES, 'face', 'llia'} <= {path.name for path in scripts.iterdir()}
    (site,) = prefix.glob('lib/python*/site-packages')
    # Found as after sourcing install/setup.bash, before what pip has installed.
    env = {**os.environ, 'PYTHONPATH': str(site)}
    done = subprocess.run(
        [sys.executable, str(scripts / 'face'), 'nothing'], env=env, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "no node 'nothing'" in done.stderr


def test_every_data_file_is_installed_with_the_code(prefix: Path) -> None:
    (site,) = prefix.glob('lib/python*/site-packages')
    package = ROOT / 'llia_ros'
    ours = {
        path.relative_to(package)
        for path in package.rglob('*')
        if path.is_file() and path.suffix != '.pyc'
    }
    theirs = {path.relative_to(site / 'llia_ros') for path in (site / 'llia_ros').rglob('*')}
    assert any(path.suffix == '.html' for path in ours)
    assert ours - theirs == set()
