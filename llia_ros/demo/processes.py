"""The package's nodes as processes of their own: started, watched, and always ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

PATIENCE = 15.0


class NodeDied(RuntimeError):
    """A node ended by itself."""


class NodeProcess:
    """One console script of the package, with parameters and remappings of its node.

    Its output goes to `log`, a file.
    """

    def __init__(
        self,
        name: str,
        log: Path,
        env: Mapping[str, str],
        parameters: Mapping[str, object] | None = None,
        remappings: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        arguments = ['--ros-args', '--disable-external-lib-logs']
        for key, value in (parameters or {}).items():
            arguments += ['-p', f'{key}:={_yaml(value)}']
        for key, value in (remappings or {}).items():
            arguments += ['-r', f'{key}:={value}']
        with log.open('wb') as output:
            # In a session of its own: Ctrl-C reaches the demo alone, which ends its nodes.
            self._process = subprocess.Popen(
                [*_command(name), *arguments],
                env=dict(env),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """None while the node runs."""
        return self._process.poll()

    def check(self) -> None:
        """Raise NodeDied, with the last thing the node said, if it has ended."""
        code = self.exit_code
        if code is not None:
            raise NodeDied(f'node {self.name} ended with code {code}: {self.last_words()}')

    def last_words(self) -> str:
        """The last error in the node's log, else its last line."""
        lines = [
            line for line in self.log.read_text(errors='replace').splitlines() if line.strip()
        ]
        errors = [line for line in lines if '[ERROR]' in line or '[FATAL]' in line]
        return (errors or lines or ['it said nothing'])[-1]

    def interrupt(self) -> None:
        """Ask the node to end, as Ctrl-C does."""
        if self.exit_code is None:
            self._process.send_signal(signal.SIGINT)

    def end(self, patience: float = PATIENCE) -> int:
        """Wait for the node to end, at most `patience` seconds, then kill it; its exit code."""
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            return self._process.wait()


class NodeProcesses:
    """All nodes of a run; leaving the context ends every one of them."""

    def __init__(self) -> None:
        self._nodes: list[NodeProcess] = []

    def start(self, node: NodeProcess) -> NodeProcess:
        """Take a node into care."""
        self._nodes.append(node)
        return node

    def check(self) -> None:
        """Raise NodeDied if any node has ended."""
        for node in self._nodes:
            node.check()

    def end(self) -> None:
        """Interrupt all, wait, and kill what is left."""
        for node in self._nodes:
            node.interrupt()
        until = time.monotonic() + PATIENCE
        for node in self._nodes:
            node.end(max(0.0, until - time.monotonic()))

    def __enter__(self) -> NodeProcesses:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every node."""
        self.end()


def _command(name: str) -> list[str]:
    beside = Path(sys.executable).with_name(name)
    if os.access(beside, os.X_OK):
        return [str(beside)]
    # colcon puts console scripts into lib/<package>, which ROS's setup files do not put on PATH.
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        found = shutil.which(name, path=str(Path(prefix, 'lib', 'llia_ros'))) if prefix else None
        if found:
            return [found]
    start = f'from llia_ros.nodes.{name} import main; raise SystemExit(main())'
    return [sys.executable, '-c', start]


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value)
