"""`llia demo`: a scripted conversation through all four nodes, as processes, in real time."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import tempfile
import time
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from rich.console import Console

from llia_ros.demo import headless
from llia_ros.demo.conversation import LINES, Conversation, Cue, prolonged, schedule
from llia_ros.demo.processes import NodeDied, NodeProcess, NodeProcesses

if TYPE_CHECKING:
    from llia_ros.demo.conductor import Graph
    from llia_ros.demo.figures import Figures

# The model is loaded and compiled before the first picture.
START_SECONDS = 180.0
PAGE_SECONDS = 60.0
# The conversation's clock is the user's sound: that long it may stand still.
STALL_SECONDS = 20.0
FAVOURITE_PORT = 8080
# From that share of late pictures on one hears it.
LATE_SHARE = 0.02
WINDOW = (900, 600)


class DemoFailed(RuntimeError):
    """The demo could not be run to its end."""


def run_demo(
    out: str | os.PathLike[str] = 'out',
    seconds: float | None = None,
    browser: bool = True,
    as_json: bool = False,
    model: str = 'tiny',
    portrait: str = 'robot',
    backend: str = 'auto',
    port: int | None = None,
    unseen: bool = False,
    live: bool = False,
) -> int:
    """Run the conversation, write `demo.mp4` and `timeline.png` to the folder `out`.

    `seconds` ends it earlier, or prolongs it by interruptions; `port` None takes 8080 or a free
    one; `unseen` opens the page in a headless Chromium and adds its figures; with `live` the
    robot's voice comes in real time. Prints a table, or JSON to stdout. Returns 0, or 1 after
    one line that says which node died or what did not come.
    Raises ValueError for arguments that cannot be.
    """
    conversation = schedule(LINES if seconds is None else prolonged(seconds), seconds)
    if unseen and not (headless.CHROMIUM and headless.CHROMEDRIVER):
        raise ValueError(f'--headless {headless.MISSING}')
    for needed, extra in (('rclpy', 'ros'), ('matplotlib', 'demo')):
        if find_spec(needed) is None:
            raise ValueError(f"the demo needs {needed}: pip install 'llia_ros[{extra}]'")
    if port is not None and not 1 <= port <= 65535:
        raise ValueError(f'port {port} cannot be served: give --port 1..65535')
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    try:
        figures = _run(
            conversation,
            folder,
            console,
            browser and not unseen,
            unseen,
            live,
            port or _free_port(),
            {'model': model, 'portrait': portrait, 'backend': backend},
        )
    except (DemoFailed, NodeDied) as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f'llia demo: {error}', style='red', markup=False
        )
        return 1
    if as_json:
        print(json.dumps(figures.as_dict(), indent=1))
    return 0


def _run(
    conversation: Conversation,
    folder: Path,
    console: Console,
    browser: bool,
    unseen: bool,
    live: bool,
    port: int,
    avatar: dict[str, str],
) -> Figures:
    from llia_ros.demo import figures as measuring
    from llia_ros.demo import report, timeline
    from llia_ros.demo.conductor import KEPT_SECONDS, Graph

    logs = folder / 'log'
    logs.mkdir(exist_ok=True)
    video, picture = folder / 'demo.mp4', folder / 'timeline.png'
    for old in (video, picture):
        old.unlink(missing_ok=True)
    domain = 30 + os.getpid() % 60
    os.environ.update(ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST', ROS_LOG_DIR=str(logs.absolute()))
    os.environ.pop('ROS_LOCALHOST_ONLY', None)
    env = {**os.environ, 'ROS_DOMAIN_ID': str(domain)}

    def say(cue: Cue) -> None:
        console.print(f'  {cue.start:5.1f} s  {cue.line.speaker:>5}: {cue.line.text}')

    graph = Graph(conversation, say, domain, live)
    try:
        with (
            NodeProcesses() as nodes,
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
            ExitStack() as opened,
        ):

            def start(name: str, parameters: dict[str, object]) -> None:
                nodes.start(NodeProcess(name, logs / f'{name}.log', env, parameters))

            start('dialogue_state', {})
            start('display', {'output': 'web,file', 'port': port, 'file': str(video)})
            start('avatar', dict(avatar))
            console.print(f'Starting four nodes on ROS_DOMAIN_ID={domain}, loading the model ...')
            _wait_for_pictures(graph, nodes)
            url = f'http://127.0.0.1:{port}/'
            console.print(f'The face is at {url} (with figures: {url}?debug=1)')
            if unseen:
                with nodes.held():
                    window = headless.Browser(
                        Path(scratch, 'profile'), WINDOW, headless.SOUND_ALLOWED
                    )
                    opened.enter_context(window)
                window.open(url)
                _wait(
                    lambda: window.run('return window.llia && window.llia.drawn > 25'),
                    nodes,
                    PAGE_SECONDS,
                    'the page drew nothing',
                )
            if browser and _has_screen():
                webbrowser.open(url)
            track = Path(scratch, 'user.wav')
            _write_track(conversation, track)
            start(
                'audio_capture',
                # Two listeners: dialogue_state and the conductor.
                {'source': 'file', 'file': str(track), 'wait_for_subscribers': 2, 'delay': 1.0},
            )
            _follow(graph, nodes, conversation.seconds)
            log, began = graph.conductor.log, graph.conductor.began or 0.0
    finally:
        graph.close()
    try:
        figures = measuring.measure(log)
        frames, seconds, sound_seconds = report.video_lengths(video)
    except ValueError as error:
        raise DemoFailed(str(error)) from error
    figures = replace(
        figures, video_frames=frames, video_seconds=seconds, video_sound_seconds=sound_seconds
    )
    timeline.draw(log.until(began + KEPT_SECONDS), began, picture)
    report.show(figures, console)
    if figures.late_frames > LATE_SHARE * figures.frames:
        console.print(
            f'This machine was too slow or too busy: {figures.late_frames} of {figures.frames} '
            'pictures were late, and the speech has gaps',
            style='yellow',
        )
    console.print(f'Look at {video} and {picture}')
    return figures


def _wait_for_pictures(graph: Graph, nodes: NodeProcesses) -> None:
    log = graph.conductor.log
    _wait(
        lambda: len(log.pictures) > 25 and bool(log.states) and 'display' in log.diagnostics,
        nodes,
        START_SECONDS,
        'no pictures came from the avatar',
    )


def _follow(graph: Graph, nodes: NodeProcesses, seconds: float) -> None:
    """Wait until the user's track has been played, and for its last pictures."""
    conductor = graph.conductor
    position, moved = -1.0, time.monotonic()
    while conductor.position < seconds - 0.1:
        nodes.check()
        if conductor.position != position:
            position, moved = conductor.position, time.monotonic()
        elif time.monotonic() - moved > STALL_SECONDS:
            raise DemoFailed(f'the user fell silent after {position:.1f} s: see log/audio_capture')
        shown = conductor.log.pictures[-1].arrival
        if time.time() - shown > STALL_SECONDS:
            raise DemoFailed('no more pictures come from the avatar: see log/avatar.log')
        time.sleep(0.1)


def _wait(
    condition: Callable[[], bool], nodes: NodeProcesses, seconds: float, failure: str
) -> None:
    until = time.monotonic() + seconds
    while not condition():
        nodes.check()
        if time.monotonic() > until:
            raise DemoFailed(f'{failure} within {seconds:.0f} s')
        time.sleep(0.05)


def _write_track(conversation: Conversation, path: Path) -> None:
    import soundfile

    from llia_ros.audio.stream import RATE

    soundfile.write(path, conversation.user_track(), RATE, subtype='PCM_16')


def _free_port() -> int:
    for wanted in (FAVOURITE_PORT, 0):
        with socket.socket() as probe:
            try:
                probe.bind(('127.0.0.1', wanted))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoFailed('no port of 127.0.0.1 is free')


def _has_screen() -> bool:
    if sys.platform in ('darwin', 'win32'):
        return True
    return bool(os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY'))


def _terminate(number: int, frame: FrameType | None) -> None:
    # As an exception it runs every `finally`, which end the nodes.
    raise SystemExit(128 + number)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `llia demo`; 2 and one clear line for arguments that cannot be."""
    parser = argparse.ArgumentParser(
        prog='llia demo',
        description='A scripted conversation: a user asks, the robot answers, falls silent, and '
        'is interrupted. Four ROS nodes in real time, a page to watch it on, a video of it, and '
        'a table of what was measured.',
    )
    parser.add_argument('--out', default='out', help='folder for demo.mp4 and timeline.png')
    parser.add_argument(
        '--seconds', type=float, help='how long the conversation is; beyond 40 s of interruptions'
    )
    parser.add_argument('--minutes', type=float, help='the same')
    parser.add_argument(
        '--headless',
        action='store_true',
        help='open the page in a headless Chromium and measure what is seen and heard there',
    )
    parser.add_argument(
        '--live', action='store_true', help="the robot's voice comes at the pace of speech"
    )
    parser.add_argument('--no-browser', action='store_true', help='open no browser')
    parser.add_argument('--json', action='store_true', help='print JSON instead of a table')
    parser.add_argument('--port', type=int, help='of the page (default: 8080, or a free one)')
    parser.add_argument('--model', default='tiny', help='name of a shipped model, or a folder')
    parser.add_argument('--portrait', default='robot', help='name of a portrait, or a picture')
    parser.add_argument('--backend', default='auto', help='auto, openvino or torch')
    given = parser.parse_args(argv)
    if given.seconds is not None and given.minutes is not None:
        parser.error('give --seconds or --minutes')
    seconds = given.seconds if given.minutes is None else 60 * given.minutes
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        return run_demo(
            given.out,
            seconds,
            not given.no_browser,
            given.json,
            given.model,
            given.portrait,
            given.backend,
            given.port,
            given.headless,
            given.live,
        )
    except (ValueError, OSError) as error:
        print(f'llia demo: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
