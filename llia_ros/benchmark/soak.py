"""A long stream of mixed states, drawn as fast as it can be: is anything growing?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from llia_ros.audio.stream import RATE
from llia_ros.benchmark.live import play
from llia_ros.benchmark.setting import Setting
from llia_ros.benchmark.speech import voice
from llia_ros.benchmark.subject import Subject
from llia_ros.benchmark.usage import page_faults, rss_mb
from llia_ros.runtime.avatar import Avatar
from llia_ros.runtime.backends import Backend

# One round of the stream: state, whether the robot speaks, seconds.
ROUND = (('idle', True, 4.0), ('listening', False, 2.0), ('idle', False, 2.0))
AHEAD = 250  # frames pushed before they are drawn, at most
WINDOWS = 24
PROBE = 8.0  # seconds of live stream before and after, for the latency
# Called flat is what changes by no more than this between the first and the last third.
FLAT_TIME, FLAT_MEMORY = 0.05, 0.02


class Feeder:
    """Pushes rounds of ROUND in its own thread, no more than AHEAD frames before the picture."""

    def __init__(self, avatar: Avatar, frames: int) -> None:
        """Start pushing until `frames` are there."""
        self._avatar, self._left, self._drawn = avatar, frames, 0
        self._moved = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name='speech', daemon=True)
        self._thread.start()

    def drew(self) -> None:
        """Learn that a frame was taken."""
        with self._moved:
            self._drawn += 1
            self._moved.notify()

    def stop(self) -> None:
        """End early."""
        with self._moved:
            self._stopped = True
            self._moved.notify()
        self._thread.join()

    def _run(self) -> None:
        fps, samples = self._avatar.config.fps, self._avatar.config.samples_per_frame
        pushed = 0
        while self._left > 0:
            for state, spoken, seconds in ROUND:
                frames = min(self._left, round(seconds * fps))
                if not frames:
                    break
                with self._moved:
                    while pushed - self._drawn > AHEAD and not self._stopped:
                        self._moved.wait()
                    if self._stopped:
                        return
                self._avatar.set_state(state)
                sound = voice(frames * samples / RATE) if spoken else None
                self._avatar.push_audio(
                    np.zeros(frames * samples, np.int16) if sound is None else sound
                )
                self._avatar.end_of_speech()
                pushed, self._left = pushed + frames, self._left - frames
        self._avatar.finish()


def soak(
    setting: Setting,
    minutes: float,
    note: Callable[[float], None] = lambda share: None,
    *,
    backend: Backend | None = None,
    probe: float = PROBE,
) -> dict[str, Any]:
    """Return how a stream of `minutes` of video fares; `note` is told the share that is done.

    `windows`: per piece of the stream its `minute`, `ms_per_frame`, `rss_mb`, `generation_ms`
    (plan to picture, p50 of the clips just drawn), `page_faults_per_frame` and
    `disk_faults_per_frame`. `start` and `end`: latency and first clip of `probe` seconds of live
    stream before and after. `backend`: one that is loaded. ValueError for a length that is none.
    """
    if not 0 < minutes <= 24 * 60:
        raise ValueError(f'a soak lasts 0 .. 1440 minutes of stream, not {minutes:g}')
    subject = Subject(setting, backend)
    start = _probe(subject, probe)
    frames = max(WINDOWS, round(minutes * 60 * subject.config.fps))
    edges = np.linspace(0, frames, WINDOWS + 1).astype(int)
    windows: list[dict[str, float]] = []
    with subject.avatar(paced=False) as avatar:
        feeder, began = Feeder(avatar, frames), time.perf_counter()
        clock, (soft, hard), drawn = began, page_faults(), 0
        for frame in avatar:
            subject.sized(frame.image)
            feeder.drew()
            drawn += 1
            if drawn < edges[len(windows) + 1]:
                continue
            now, faults, count = time.perf_counter(), page_faults(), drawn - edges[len(windows)]
            windows.append(
                {
                    'minute': drawn / subject.config.fps / 60,
                    'ms_per_frame': 1000 * (now - clock) / count,
                    'rss_mb': rss_mb(),
                    'generation_ms': _generation(avatar),
                    'page_faults_per_frame': (faults[0] - soft) / count,
                    'disk_faults_per_frame': (faults[1] - hard) / count,
                }
            )
            clock, (soft, hard) = now, faults
            note(drawn / frames)
            if len(windows) == WINDOWS:
                break
        feeder.stop()
    seconds = time.perf_counter() - began
    return {
        **subject.described(),
        'soak_minutes': minutes,
        'frames': drawn,
        'fps': drawn / seconds,
        'start': start,
        'end': _probe(subject, probe),
        **trend(windows),
        'windows': windows,
    }


def trend(windows: list[dict[str, float]]) -> dict[str, Any]:
    """Return how time and memory changed from the first to the last third, and if that is flat.

    The first window of a stream is left out: it pays for what is made once.
    """
    third = max(1, (len(windows) - 1) // 3)

    def change(key: str) -> float:
        values = [window[key] for window in windows[1:]] or [windows[0][key]]
        return float(np.median(values[-third:]) / np.median(values[:third]) - 1)

    time_change, memory_change = change('ms_per_frame'), change('rss_mb')
    return {
        'change_of_time': time_change,
        'change_of_memory': memory_change,
        'flat': time_change <= FLAT_TIME and memory_change <= FLAT_MEMORY,
    }


def _generation(avatar: Any) -> float:
    """Return the median of plan to picture, ms; NaN before the first clip is whole."""
    seen = avatar.stats()['stages_ms'].get('generation')
    return float(seen['p50']) if seen else float('nan')


def _probe(subject: Subject, seconds: float) -> dict[str, Any]:
    phase = play(subject, 'turns', seconds)
    return {
        'first_clip_ms': phase.stages.get('first_clip'),
        'latency_ms': phase.stages.get('whole'),
        'own_latency_ms': phase.stages.get('own'),
        'late_frames': phase.late,
    }
