"""Signals never leave a node behind; every run is a process of its own, which gets them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Two nodes, the second of which is slow to start: it tells its number before Popen returns. A
# node here is a process that may be deaf to Ctrl-C, and the patience with it is endless.
RUN = """
import os, signal, subprocess, sys, threading, time
from pathlib import Path
from llia_ros.demo import processes

deaf, slow, meanwhile = sys.argv[2:5]
processes.PATIENCE = 1000.0
code = 'import signal, sys, time\\n'
code += 'signal.signal(signal.SIGINT, signal.' + ('SIG_IGN' if deaf == 'deaf' else 'SIG_DFL')
code += ')\\nprint("ready", flush=True)\\ntime.sleep(1000)'
processes._command = lambda name: [sys.executable, '-c', code]

class Slow(subprocess.Popen):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        log = Path(sys.argv[1], f'node{len(born)}')
        while b'ready' not in log.read_bytes():
            time.sleep(0.01)
        born.append(self.pid)
        if len(born) == 2:
            print(*born, flush=True)
            if slow == 'slow':
                # Not one long sleep: a handler runs between any two lines.
                for _ in range(50):
                    time.sleep(0.01)

born = []
subprocess.Popen = Slow
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
with processes.NodeProcesses() as nodes:
    for k in range(2):
        nodes.start(processes.NodeProcess('node', Path(sys.argv[1], f'node{k}'), os.environ))
    print('started', flush=True)
    if meanwhile == 'leave':
        threading.Timer(0.3, print, ('leaving',), {'flush': True}).start()
    else:
        while True:
            time.sleep(0.01)
print('left', flush=True)
"""


def run(folder: Path, *how: str) -> tuple[subprocess.Popen[str], list[int]]:
    """Start a run; returns it and its two nodes, the second of which may still be starting."""
    process = subprocess.Popen(
        [sys.executable, '-c', RUN, str(folder), *how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    words = process.stdout.readline().split()
    assert len(words) == 2, process.communicate()[1]
    return process, [int(word) for word in words]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ('number', 'code'),
    [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=['ctrl-c', 'terminate', 'hang-up'],
)
@pytest.mark.parametrize('slow', ['slow', 'quick'])
def test_a_signal_ends_every_node_also_one_that_is_being_started(tmp_path, number, code, slow):
    process, nodes = run(tmp_path, 'polite', slow, 'stay')
    process.send_signal(number)
    printed, told = process.communicate(timeout=60)
    assert process.returncode == code, told
    assert [node for node in nodes if alive(node)] == []
    assert 'left' not in printed
    assert slow != 'slow' or 'started' not in printed


def test_a_second_signal_kills_nodes_that_do_not_listen(tmp_path):
    process, nodes = run(tmp_path, 'deaf', 'slow', 'stay')
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)
    assert all(alive(node) for node in nodes)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert [node for node in nodes if alive(node)] == []


def test_a_signal_while_the_nodes_are_ending_by_themselves_kills_them_and_is_not_lost(tmp_path):
    process, nodes = run(tmp_path, 'deaf', 'quick', 'leave')
    assert process.stdout is not None
    assert [process.stdout.readline().strip() for _ in range(2)] == ['started', 'leaving']
    process.send_signal(signal.SIGTERM)
    printed, told = process.communicate(timeout=60)
    assert process.returncode == 143, told
    assert 'left' not in printed
    assert [node for node in nodes if alive(node)] == []


def blocked(process: int | str) -> int:
    """The mask of signals that a process blocks."""
    lines = Path(f'/proc/{process}/status').read_text().splitlines()
    [mask] = [line.split()[1] for line in lines if line.startswith('SigBlk')]
    return int(mask, 16)


def test_a_node_inherits_no_blocked_signals(tmp_path):
    process, nodes = run(tmp_path, 'polite', 'quick', 'stay')
    try:
        # Whoever runs the tests may block signals of its own.
        assert blocked(nodes[0]) & ~blocked('self') == 0
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
