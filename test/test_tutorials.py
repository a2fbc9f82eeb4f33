"""The tutorials' commands and programs are run as they stand, each tutorial in a fresh folder.

A fenced block's info string says what becomes of it: `bash test` and `python test` are run in
their order, `file=NAME` is written to a file (and run as well where it says `test`), `by hand`
is what no test can run. A block of bash or python that says nothing is a mistake.
"""

import os
import re
import socket
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TUTORIALS = sorted((ROOT / 'docs' / 'tutorials').glob('*.md'))
FENCE = re.compile(r'^```(\w+)?([^\n]*)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
FILE = re.compile(r'\bfile=(\S+)')
# Of one block; seconds do, unless the machine is busy.
PATIENCE = 300.0


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, what follows it on the line, its text."""

    language: str
    marks: str
    text: str

    @property
    def file(self) -> str | None:
        """The name of the file that it is."""
        match = FILE.search(self.marks)
        return match[1] if match else None

    @property
    def run(self) -> bool:
        """Whether it is run here."""
        return 'test' in self.marks.split()


def blocks(path: Path) -> list[Block]:
    return [Block(*match.groups('')) for match in FENCE.finditer(path.read_text())]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """As a user's shell, but pip installs into the folder, and no network is needed."""
    site = tmp_path / 'site'
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    return {
        **os.environ,
        'PATH': f'{sysconfig.get_path("scripts")}:{os.environ["PATH"]}',
        'PYTHONPATH': os.pathsep.join([str(site), str(ROOT)]),
        'PIP_TARGET': str(site),
        'PIP_NO_BUILD_ISOLATION': '0',  # so pip reads it: no isolation
        'PIP_NO_INDEX': '1',
        'PIP_DISABLE_PIP_VERSION_CHECK': '1',
        'ROS_DOMAIN_ID': str(1 + (os.getpid() + 50) % 100),
        'PORT': str(port),
    }


@pytest.mark.parametrize('path', TUTORIALS, ids=lambda path: path.stem)
def test_every_block_says_what_becomes_of_it(path: Path) -> None:
    found = blocks(path)
    assert path.read_text().count('```') == 2 * len(found), 'a fence is not closed'
    assert any(block.run for block in found)
    for block in found:
        if block.language in ('bash', 'python'):
            assert block.run or block.file or 'by hand' in block.marks, block.text


@pytest.mark.parametrize('path', TUTORIALS, ids=lambda path: path.stem)
def test_its_commands_do_what_it_says(path: Path, tmp_path: Path, env: dict[str, str]) -> None:
    for number, block in enumerate(blocks(path)):
        if block.file:
            (tmp_path / block.file).write_text(block.text)
        if not block.run:
            continue
        if block.language == 'python':
            name = block.file or f'block{number}.py'
            (tmp_path / name).write_text(block.text)
            command = [sys.executable, name]
        else:
            command = ['bash', '-euo', 'pipefail', '-c', block.text]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f'{path.name}:\n{block.text}\n{done.stdout}'
