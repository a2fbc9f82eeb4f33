"""The package's nodes as processes of their own: started, watched, and always ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

# A recording is finished before its node ends, on a busy machine, too.
PATIENCE = 30.0
# What ends a run from outside: Ctrl-C, a supervisor, a terminal that was closed.
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class NodeDied(RuntimeError):
    """A node ended by itself."""


class NodeProcess:
    """One console script of the package, with parameters and remappings of its node.

    Its output goes to `log`, a file. It runs from `start` on.
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
        self._env = dict(env)
        self._arguments = ['--ros-args', '--disable-external-lib-logs']
        for key, value in (parameters or {}).items():
            self._arguments += ['-p', f'{key}:={_yaml(value)}']
        for key, value in (remappings or {}).items():
            self._arguments += ['-r', f'{key}:={value}']
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it; OSError where that cannot be."""
        with self.log.open('wb') as output:
            # In a session of its own: Ctrl-C reaches the demo alone, which ends its nodes.
            self._process = subprocess.Popen(
                [*_command(self.name), *self._arguments],
                env=self._env,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """None while the node runs, or before it does."""
        return None if self._process is None else self._process.poll()

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
        if self._process is not None and self.exit_code is None:
            self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End the node and whatever it has started, at once."""
        if self._process is not None and self.exit_code is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self, patience: float = PATIENCE) -> None:
        """Wait for the node to end, at most `patience` seconds, then kill it."""
        if self._process is None:
            return
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()


class NodeProcesses:
    """All nodes of a run; leaving the context ends every one of them, as does a signal.

    Within the context (in the main thread) a signal that ends the run waits until a node that is
    being started is in care, ends the nodes, and only then does what it did before; where that
    was nothing but to end the process, it raises SystemExit(128 + number). A second one, or one
    that comes while the nodes are ending, kills them at once.
    """

    def __init__(self) -> None:
        self._nodes: list[NodeProcess] = []
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}
        self._starting = self._ending = self._hurry = False
        self._pending: int | None = None

    def start(self, node: NodeProcess) -> NodeProcess:
        """Start a node and take it into care."""
        with self.held():
            node.start()
            self._nodes.append(node)
        return node

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within, signals wait: for what has to be started and taken into care as one."""
        self._starting = True
        try:
            yield
        finally:
            self._starting = False
            self._deliver()

    def check(self) -> None:
        """Raise NodeDied if any node has ended."""
        for node in self._nodes:
            node.check()

    def end(self) -> None:
        """Interrupt all, wait, and kill what is left."""
        self._ending = True
        for node in self._nodes:
            if self._hurry:
                node.kill()
            else:
                node.interrupt()
        until = time.monotonic() + PATIENCE
        for node in self._nodes:
            node.end(max(0.0, until - time.monotonic()))

    def __enter__(self) -> NodeProcesses:
        """Return itself."""
        # Only the main thread may set handlers, and only there they run.
        if threading.current_thread() is threading.main_thread():
            for number in ENDINGS:
                # What is ignored on purpose, as by nohup, stays ignored.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.getsignal(number)
                    signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every node."""
        self.end()
        before, self._before = self._before, {}
        for number, action in before.items():
            signal.signal(number, action)
        if self._pending is not None and error is None:
            _act(self._pending, before[self._pending])

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._hurry = self._ending or self._pending is not None
        self._pending = number
        if self._ending:
            for node in self._nodes:
                node.kill()
        elif not self._starting:
            self._deliver()

    def _deliver(self) -> None:
        number, self._pending = self._pending, None
        if number is None:
            return
        try:
            _act(number, self._before[number])
        except BaseException:
            # Here, and not only on the way out of the context: nothing can come between.
            self.end()
            raise


def _act(number: int, action: Callable[[int, FrameType | None], Any] | int | None) -> None:
    if callable(action):
        action(number, None)
    else:
        raise SystemExit(128 + number)


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
