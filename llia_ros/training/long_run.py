"""What ten minutes of one stream do to a face, by strategy: which noise, and which past.

A window late in the stream is compared with the same window of a stream that was restarted
shortly before it: what differs is what the minutes before have done, whatever is drawn there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from llia_ros.audio.features import log_mel, windows
from llia_ros.model.config import EXPRESSIONS, STATES
from llia_ros.runtime.motion import MotionProcess
from llia_ros.training.cases import CLIP
from llia_ros.training.faces import neutral, random_appearance, render
from llia_ros.training.measures import psnr, seam_ratio
from llia_ros.training.speech import UNSEEN_TEXTS, UNSEEN_VOICES, random_utterance

STRATEGIES = ('fresh noise', 'noised past', 'FreeNoise', 'fixed field', 'anchored')
SHIPPED = 'fixed field'
WINDOW = 4  # clips that are looked at
RUN_UP = 4  # clips between a restart and the window
PAST_NOISE = 0.15  # angle
PULL = 0.2


class Stream:
    """Draws clip after clip under a strategy, as the engine does; clips must come in order."""

    def __init__(self, backend: Any, reference: Any, strategy: str, seed: int, steps: int):
        if strategy not in STRATEGIES:
            raise ValueError(f'unknown strategy {strategy!r}: one of {", ".join(STRATEGIES)}')
        self.backend, self.reference, self.strategy = backend, reference, strategy
        self.steps, self.seed = steps, seed
        shape = backend.config.latent_shape
        rng = np.random.default_rng(seed)
        self.field = rng.standard_normal(shape, np.float32)
        self.pool = rng.standard_normal((2 * CLIP, *shape), np.float32)
        self.past: np.ndarray | None = None
        self.anchor: tuple[np.ndarray, np.ndarray] | None = None

    def _noise(self, clip: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, clip))
        if self.strategy in ('fresh noise', 'noised past'):
            return rng.standard_normal((CLIP, *self.field.shape), np.float32)
        if self.strategy == 'FreeNoise':
            # The same frames of noise again and again, in another order in each window.
            return self.pool[rng.permutation(len(self.pool))[:CLIP]]
        return np.broadcast_to(self.field, (CLIP, *self.field.shape)).copy()

    def _keep(self, past: np.ndarray, clip: int) -> np.ndarray:
        if self.strategy == 'noised past':
            rng = np.random.default_rng((self.seed, clip, 1))
            noise = rng.standard_normal(past.shape, np.float32)
            return np.cos(PAST_NOISE) * past + np.sin(PAST_NOISE) * noise
        if self.strategy == 'anchored':
            mean, spread = past.mean((2, 3), keepdims=True), past.std((2, 3), keepdims=True)
            self.anchor = self.anchor or (mean, spread)
            to_mean = mean + PULL * (self.anchor[0] - mean)
            to_spread = spread + PULL * (self.anchor[1] - spread)
            return (past - mean) / np.maximum(spread, 1e-6) * to_spread + to_mean
        return past

    def draw(self, clip: int, mel: np.ndarray, motion: np.ndarray) -> np.ndarray:
        """Return the latents of clip number `clip`."""
        latents = self.backend.denoise(
            self._noise(clip),
            mel,
            motion,
            STATES.index('speaking'),
            self.reference,
            self.past,
            self.steps,
        )
        self.past = self._keep(latents[-2:], clip).astype(np.float32)
        return latents


def long_run(
    backend: Any,
    strategy: str = SHIPPED,
    minutes: float = 10,
    seed: int = 0,
    steps: int | None = None,
    windows_seen: int = 10,
) -> dict[str, float]:
    """Let an unseen face speak for `minutes`; return what it loses and how clips join.

    Keys: `drift_db` (PSNR lost against a stream restarted just before, median of the last third
    of `windows_seen` windows), `psnr_db` (against the rendered truth, same windows), `seam_ratio`.
    """
    rng = np.random.default_rng((seed, 600))
    cfg = backend.config
    clips = int(minutes * 60 * cfg.fps) // CLIP
    look, plain = random_appearance(rng), np.zeros(len(EXPRESSIONS))
    sounds, mouths, frames = [], [], 0
    while frames < clips * CLIP:
        said = random_utterance(rng, UNSEEN_VOICES, UNSEEN_TEXTS)
        mouth = said.mouth()
        sounds.append(
            np.pad(said.samples, (0, len(mouth) * cfg.samples_per_frame))[
                : len(mouth) * cfg.samples_per_frame
            ]
        )
        mouths.append(mouth)
        frames += len(mouth)
    samples, mouth = np.concatenate(sounds), np.concatenate(mouths)
    motion = MotionProcess(seed).clip(['speaking'] * (clips * CLIP))
    columns = log_mel(samples)
    portrait = neutral(look, cfg.size)
    reference = backend.reference(backend.encode(portrait))

    def inputs(clip: int) -> tuple[np.ndarray, np.ndarray]:
        first = clip * CLIP
        return windows(columns, first, CLIP, cfg.audio), motion[first : first + CLIP]

    def stream() -> Stream:
        return Stream(backend, reference, strategy, seed, steps or cfg.steps)

    def shown(stream: Stream, first: int) -> tuple[np.ndarray, np.ndarray]:
        """Return pictures of a window and the truth."""
        drawn = [backend.decode(stream.draw(k, *inputs(k))) for k in range(first, first + WINDOW)]
        at = range(first * CLIP, (first + WINDOW) * CLIP)
        truth = [render(look, motion[t], mouth[t], plain, cfg.size) for t in at]
        return np.concatenate(drawn), np.stack(truth)

    marks = np.linspace(RUN_UP, clips - WINDOW, windows_seen).astype(int)
    running, lost, against_truth, seams = stream(), [], [], []
    clip = 0
    for mark in track(marks, strategy, console=Console(stderr=True)):
        while clip < mark:
            running.draw(clip, *inputs(clip))
            clip += 1
        drawn, truth = shown(running, mark)
        clip = mark + WINDOW
        again = stream()
        for k in range(mark - RUN_UP, mark):
            again.draw(k, *inputs(k))
        restarted, _ = shown(again, mark)
        against_truth.append(psnr(drawn, truth))
        lost.append(psnr(restarted, truth) - against_truth[-1])
        error = drawn.astype(np.float32) - truth
        seams.append(
            seam_ratio(np.abs(np.diff(error, axis=0, prepend=error[:1])).mean((1, 2, 3)), CLIP)
        )
    late = slice(-max(1, windows_seen // 3), None)
    return {
        'drift_db': float(np.median(lost[late])),
        'psnr_db': float(np.mean(against_truth[late])),
        'seam_ratio': float(np.mean(seams)),
    }


def compare(
    backend: Any, minutes: float = 10, seed: int = 0, note: Callable[[str], None] = print
) -> dict[str, dict[str, float]]:
    """Return `long_run` of every strategy."""
    found = {}
    for strategy in STRATEGIES:
        found[strategy] = long_run(backend, strategy, minutes, seed)
        note(f'{strategy}: {found[strategy]}')
    return found
