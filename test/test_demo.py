"""`llia demo` as a user runs it: four real nodes, a page, a video; and what it leaves behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from conftest import until

import llia_ros
from llia_ros.demo.headless import CHROMEDRIVER, CHROMIUM, free_port
from llia_ros.demo.processes import NodeDied, NodeProcess, NodeProcesses


def restore_interrupts() -> None:
    """Tests that run in the background of a shell inherit a SIGINT that is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def demo(out: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, '-m', 'llia_ros.demo', '--out', str(out), '--no-browser']
    return subprocess.Popen(
        [*command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=restore_interrupts,
    )


def small(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA).ravel()


def living(log_folder: Path) -> Iterator[int]:
    """Processes that were started to log into a folder, by their environment."""
    mark = f'ROS_LOG_DIR={log_folder.absolute()}'.encode()
    for process in Path('/proc').glob('[0-9]*'):
        try:
            if mark in (process / 'environ').read_bytes().split(b'\0'):
                yield int(process.name)
        except OSError:
            continue


@pytest.mark.alone
def test_a_conversation_is_held_filmed_seen_and_measured(tmp_path):
    portraits = Path(llia_ros.__file__).parent / 'weights/tiny/portraits'
    portrait = cv2.imread(str(portraits / 'mint.png'))[..., ::-1]
    seen = ['--headless'] if CHROMIUM and CHROMEDRIVER else []
    port = str(free_port())
    run = demo(tmp_path, '--seconds', '9', '--json', '--port', port, '--portrait', 'mint', *seen)
    printed, told = run.communicate(timeout=300)
    assert run.returncode == 0, told
    figures = json.loads(printed)
    assert {'idle', 'listening', 'speaking'} <= set(figures['states'])
    assert figures['frames'] > 100 and figures['fps'] == pytest.approx(25, abs=0.5)
    assert figures['first_picture_ms'] > 0 and figures['reaction_to_user_ms'] > 0
    assert 'http://127.0.0.1:' in told and 'Hello there!' in told
    with av.open(str(tmp_path / 'demo.mp4')) as file:
        video, audio = file.streams.video[0], file.streams.audio[0]
        lengths = [float(track.duration * track.time_base) for track in (video, audio)]
        assert float(video.average_rate) == 25 and video.width == 512
        shown = [small(frame.to_ndarray(format='rgb24')) for frame in file.decode(video=0)]
    assert abs(lengths[0] - lengths[1]) <= 0.04
    assert len(shown) == figures['video_frames'] > 200
    assert shown[-1].std() > 10, 'the picture is flat'
    likeness = np.median([np.corrcoef(one, small(portrait))[0, 1] for one in shown])
    # It looks about; every other face stays below 0.6.
    assert likeness > 0.8, f'correlation with the portrait {likeness:.2f}'
    if seen:
        page = figures['page']
        assert 0 < page['fps'] < 26 and page['reports_dropped'] == 0
        assert page['due_to_drawn_p50_ms'] > 0 and page['lips_p50_ms'] is not None
    assert cv2.imread(str(tmp_path / 'timeline.png')).std() > 10
    assert list(living(tmp_path / 'log')) == []


def test_a_node_that_dies_ends_the_demo_with_one_line_and_no_orphans(tmp_path):
    with closing(socket.socket()) as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        run = demo(tmp_path, '--port', str(other.getsockname()[1]))
        printed, told = run.communicate(timeout=120)
    assert run.returncode == 1
    [line] = [line for line in told.splitlines() if line.strip()]
    assert 'node display ended with code 1' in line and 'is taken by another program' in line
    assert list(living(tmp_path / 'log')) == []


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM], ids=['ctrl-c', 'terminate'])
def test_ending_the_demo_ends_its_nodes(tmp_path, number):
    run = demo(tmp_path)
    logs = tmp_path / 'log'
    until(lambda: len(list(living(logs))) >= 4)
    run.send_signal(number)
    assert run.wait(60) == (130 if number == signal.SIGINT else 143)
    assert list(living(logs)) == []


@pytest.mark.parametrize(
    ('arguments', 'line'),
    [
        (('--seconds', '1'), '1 s are too short'),
        (('--port', '99999'), 'port 99999 cannot be served: give --port 1..65535'),
    ],
)
def test_bad_arguments_end_with_one_line_and_code_2(tmp_path, arguments, line):
    run = demo(tmp_path, *arguments)
    printed, told = run.communicate(timeout=60)
    assert run.returncode == 2 and printed == ''
    assert len(told.strip().splitlines()) == 1 and line in told


def test_a_node_that_does_not_listen_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr('llia_ros.demo.processes.PATIENCE', 1.0)
    with NodeProcesses() as nodes:
        node = nodes.start(NodeProcess('dialogue_state', tmp_path / 'log', os.environ))
        time.sleep(0.5)
        [pid] = [
            int(path.parent.name)
            for path in Path('/proc').glob('[0-9]*/stat')
            if f' {os.getpid()} ' in path.read_text() and b'dialogue_state' in command(path)
        ]
        os.kill(pid, signal.SIGSTOP)
    assert node.exit_code == -signal.SIGKILL


def command(stat: Path) -> bytes:
    return stat.with_name('cmdline').read_bytes()


def test_a_node_that_ended_is_noticed_with_its_last_words(tmp_path):
    with NodeProcesses() as nodes:
        nodes.start(NodeProcess('display', tmp_path / 'log', os.environ, {'port': 0}))
        with pytest.raises(NodeDied, match=r'node display ended with code 2: .*parameter port'):
            until(lambda: nodes.check())
