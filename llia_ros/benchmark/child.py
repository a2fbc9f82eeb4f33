"""Runs a function in a process of its own: its memory, cores and instruction set are its alone.

`python -m llia_ros.benchmark.child` reads {function, arguments, cores} as JSON and writes what the
function returns as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def call(
    function: Callable[..., Any],
    *arguments: Any,
    env: Mapping[str, str] | None = None,
    cores: Sequence[int] | None = None,
    seconds: float = 900.0,
) -> Any:
    """Return what a module's function returns in a new process, arguments and result as JSON.

    `env`: added to the environment. `cores`: the only ones it may use. RuntimeError, one line,
    where it fails or takes longer than `seconds`.
    """
    order = {
        'function': f'{function.__module__}:{function.__qualname__}',
        'arguments': arguments,
        'cores': None if cores is None else list(cores),
    }
    try:
        done = subprocess.run(
            [sys.executable, '-m', __name__],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            env={**os.environ, **(env or {})},
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f'{order["function"]} took longer than {seconds:g} s') from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f'exit code {done.returncode}']
        raise RuntimeError(lines[-1])
    return json.loads(done.stdout)


def main() -> None:
    """Do what is ordered on the standard input."""
    order = json.load(sys.stdin)
    # Libraries print as they like, so the answer has a way out of its own.
    answer = os.dup(1)
    os.dup2(2, 1)
    if order['cores'] is not None:
        os.sched_setaffinity(0, order['cores'])
    module, _, name = order['function'].partition(':')
    try:
        result = getattr(import_module(module), name)(*order['arguments'])
    except Exception as error:
        words = ' '.join(str(error).split()) or type(error).__name__
        sys.exit(words if isinstance(error, ValueError) else f'{type(error).__name__}: {words}')
    with os.fdopen(answer, 'w') as out:
        json.dump(result, out)


if __name__ == '__main__':
    main()
