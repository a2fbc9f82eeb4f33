"""Follows each frame from the arrival of its sound to its picture, and counts what went wrong."""

import threading
from collections import deque
from typing import Any, Protocol

import numpy as np

# What a latency is made of, in the order of a frame's life. `transport`: from the stamp of a sound
# to its arrival. `audio`: a frame waits for the sound of the rest of its clip. `ahead`: all sound
# is there, but the output is far enough ahead. `queue`: between stages. `denoise`, `decode`.
# `hold`: the finished picture waits for its time.
# Sums: `generation`, plan to picture; `latency`, arrival of a frame's last sample to its picture;
# `first_clip`, the same for the first clip of an utterance and the last sample of all its frames;
# `onset`, from the first sample of an utterance to its first picture seen; `whole`, arrival of a
# frame's last sample to the moment its picture goes out; `own`, the same without `audio`.
STAGES = (
    'transport',
    'audio',
    'ahead',
    'queue',
    'denoise',
    'decode',
    'hold',
    'generation',
    'latency',
    'first_clip',
    'onset',
    'whole',
    'own',
)
COUNTS = (
    'frames',
    'speech_frames',
    'clips',
    'late_frames',
    'slips',
    'held_frames',
    'dropped_frames',
    'dropped_samples',
    'interrupts',
    'restarts',
)


class Timed(Protocol):
    """The moments of a clip's life, seconds."""

    voice: bool
    onset: float | None
    arrived: list[float | None]
    planned: float
    denoise: tuple[float, float]
    decode: tuple[float, float]
    done: list[float]  # each picture


class Meter:
    """Latencies over the last `window` frames and counters since the start; thread-safe."""

    def __init__(self, window: int = 750) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._seconds: dict[str, deque[float]] = {s: deque(maxlen=window) for s in STAGES}
        self._counts = dict.fromkeys(COUNTS, 0)
        self._shown: deque[float] = deque(maxlen=min(window, 126))

    def count(self, what: str, by: int = 1) -> None:
        """Add to one of COUNTS."""
        with self._lock:
            self._counts[what] += by

    def add(self, stage: str, seconds: float) -> None:
        """Note one duration of one of STAGES."""
        with self._lock:
            self._seconds[stage].append(seconds)

    def made(self, clip: Timed) -> None:
        """Note how long a clip's stages took."""
        (denoise, denoised), (decode, decoded) = clip.denoise, clip.decode
        with self._lock:
            self._counts['clips'] += 1
            add = self._seconds
            add['queue'].append(denoise - clip.planned + decode - denoised)
            add['denoise'].append(denoised - denoise)
            add['decode'].append(decoded - decode)
            add['generation'].append(decoded - clip.planned)

    def shown(self, clip: Timed, at: int, now: float) -> None:
        """Note that frame `at` of a clip goes out."""
        arrived, add = clip.arrived[at], self._seconds
        drawn = clip.done[at]
        with self._lock:
            self._counts['frames'] += 1
            self._counts['speech_frames'] += clip.voice
            self._shown.append(now)
            add['hold'].append(now - drawn)
            if arrived is None:
                return
            complete = max(moment for moment in clip.arrived if moment is not None)
            add['audio'].append(complete - arrived)
            add['ahead'].append(max(0.0, clip.planned - complete))
            add['latency'].append(drawn - arrived)
            add['whole'].append(now - arrived)
            add['own'].append(now - complete)
            if at == 0 and clip.onset is not None:
                add['first_clip'].append(drawn - complete)
                add['onset'].append(now - clip.onset)

    def repeated(self, now: float, why: str) -> None:
        """Note that the last picture goes out again: `late_frames` or `held_frames`."""
        with self._lock:
            self._counts['frames'] += 1
            self._counts[why] += 1
            self._shown.append(now)

    def stats(self) -> dict[str, Any]:
        """Return counters, `fps` over the last five seconds and `stages_ms`: {p50, p95, max}.

        `latency_ms` repeats the stage `latency`. A stage without a measurement is left out.
        """
        with self._lock:
            counts = dict(self._counts)
            seconds = {stage: np.array(values) for stage, values in self._seconds.items()}
            shown = list(self._shown)
        stages = {
            stage: summary(1000 * values) for stage, values in seconds.items() if len(values)
        }
        span = shown[-1] - shown[0] if shown else 0.0
        fps = (len(shown) - 1) / span if span > 0 else 0.0
        return {
            'fps': round(fps, 2),
            **counts,
            'latency_ms': stages.get('latency'),
            'stages_ms': stages,
        }


def summary(values: np.ndarray) -> dict[str, float]:
    """Return p50, p95 and max of some values, rounded to tenths."""
    middle, most = np.percentile(values, (50, 95))
    return {
        'p50': round(float(middle), 1),
        'p95': round(float(most), 1),
        'max': round(float(values.max()), 1),
    }


class Pace:
    """Foretells how long a clip of some length takes, from the last ones of that length."""

    def __init__(self, guess: float = 0.03, recent: int = 9) -> None:
        """Start with a guess, seconds a frame."""
        self._guess, self._recent = guess, recent
        self._seconds: dict[int, deque[tuple[float, float]]] = {}

    def observe(self, frames: int, seconds: float, turn: float | None = None) -> None:
        """Note what one clip took, and after how much of it another one could begin: all."""
        taken = seconds, seconds if turn is None else turn
        self._seconds.setdefault(frames, deque(maxlen=self._recent)).append(taken)

    def seconds(self, frames: int) -> float:
        """Return what the next clip of this length will hardly exceed."""
        return self._hardly_more(frames, 0)

    def turn(self, frames: int) -> float:
        """Return the same of the time that one behind it has to wait."""
        return self._hardly_more(frames, 1)

    def _hardly_more(self, frames: int, kind: int) -> float:
        seen = {
            length: sorted(each[kind] for each in tuple(taken))
            for length, taken in self._seconds.copy().items()
        }
        if not seen:
            return self._guess * frames
        nearest = min(seen, key=lambda length: abs(length - frames))
        times = seen[nearest]
        return times[int(0.8 * len(times))] * frames / nearest
