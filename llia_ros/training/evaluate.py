"""Measures a model, through the engine that users run, on what no training saw.

Faces come from the renderer by seed; voices and texts from the held-out lists. The judge reads
the pictures back; its own error on rendered truth is reported first, and lips are compared with
another utterance's, too (`shuffled`), to show what chance is.
"""

from __future__ import annotations

from collections import defaultdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from llia_ros.model.config import EXPRESSIONS, MOUTH, STATES
from llia_ros.runtime.avatar import Avatar
from llia_ros.runtime.backends import load_backend
from llia_ros.runtime.motion import MotionProcess
from llia_ros.training import judge as judging
from llia_ros.training.faces import (
    NEUTRAL_MOTION,
    REST_MOUTH,
    mouth_box,
    random_appearance,
    render,
)
from llia_ros.training.pictures import random_motion, random_mouth
from llia_ros.training.speech import UNSEEN_TEXTS, UNSEEN_VOICES, random_utterance

MAX_LAG = 5
REST = slice(0, 3)  # open, wide and round: what moves when a mouth moves
SETTLE = 10  # frames after a change of state, before stillness is measured


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Pearson's r, 0 where one side does not move."""
    if a.std() < 1e-6 or b.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def best_lag(drawn: np.ndarray, truth: np.ndarray) -> int:
    """Return by how many frames `drawn` comes after `truth` where they agree best."""
    n = len(truth)
    scores = {
        lag: correlation(
            drawn[max(0, lag) : n + min(0, lag)], truth[max(0, -lag) : n - max(0, lag)]
        )
        for lag in range(-MAX_LAG, MAX_LAG + 1)
    }
    return max(scores, key=lambda lag: scores[lag])


def mouth_motion(mouth_T5: np.ndarray) -> float:
    """Return how much a mouth moves: mean change per frame of what opens, spreads and rounds."""
    return float(np.abs(np.diff(mouth_T5[:, REST], axis=0)).mean())


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Return the peak signal to noise ratio of uint8 pictures, in dB."""
    error = np.square(a.astype(np.float64) - b).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def drive(avatar: Avatar, samples: np.ndarray, state: str) -> np.ndarray:
    """Return the pictures (T, S, S, 3) of a fresh avatar that hears samples under a label."""
    avatar.set_state(state, override=True)
    avatar.push_audio(samples)
    avatar.end_of_speech()
    avatar.finish()
    return np.stack([frame.image for frame in avatar])


def codec_figures(
    backend: Any, size: int, rng: np.random.Generator, count: int = 12
) -> dict[str, float]:
    """Return how well pictures of unseen faces survive the codec alone."""
    mood = np.zeros(len(EXPRESSIONS))
    whole, mouths = [], []
    for _ in range(count):
        look, motion = random_appearance(rng), random_motion(rng)
        picture = render(look, motion, random_mouth(rng), mood, size)
        again = backend.decode(np.stack([backend.encode(picture)] * 4))[0]
        x0, y0, x1, y1 = mouth_box(look, motion, mood, size)
        whole.append(psnr(picture, again))
        mouths.append(psnr(picture[y0:y1, x0:x1], again[y0:y1, x0:x1]))
    return {'psnr_db': float(np.mean(whole)), 'mouth_psnr_db': float(np.mean(mouths))}


def evaluate(
    model: str = 'tiny',
    backend: str = 'auto',
    seed: int = 0,
    faces: int = 12,
    steps: int | None = None,
    judge: Path | None = None,
) -> dict[str, Any]:
    """Return the figures of a model; `seed` draws other faces, texts and voices.

    Keys: `judge` (R^2 of the judge itself), `lip` (Pearson r of opening, spreading and rounding
    against the renderer's truth, best lag in frames, r against another utterance), `silence`
    (mouth motion in silence, as a face idles and listens in a dialogue, over that while speaking;
    `floor`: what the judge sees of it in rendered faces whose mouths are shut), `label` (the same
    while a voice is heard that only the label says is not the face's own), `identity` (PSNR of
    the ground, in dB), `codec`. ValueError for an unknown model or a missing judge.
    """
    if faces < 2:
        raise ValueError(f'an evaluation needs at least two faces, got {faces}')
    teller = judging.load(
        judge or Path(str(files('llia_ros'))) / 'weights' / 'judge' / 'judge.safetensors'
    )
    rng = np.random.default_rng((seed, 2026))
    drawer = load_backend(model, backend)
    size = drawer.config.codec.size
    plain = np.zeros(len(EXPRESSIONS))
    lips: dict[str, list[float]] = {name: [] for name in MOUTH[:3]}
    lags, shuffled, edges = [], [], []
    moved: dict[str, list[float]] = defaultdict(list)
    other: np.ndarray | None = None
    for index in track(range(faces), 'faces', console=Console(stderr=True)):
        look = random_appearance(rng)
        said = random_utterance(rng, UNSEEN_VOICES, UNSEEN_TEXTS)
        samples, truth = said.samples, said.mouth()
        portrait = render(look, NEUTRAL_MOTION, REST_MOUTH, plain, size)
        small_portrait = judging.small(portrait[None])

        def mouths(pictures: np.ndarray, known: np.ndarray = small_portrait) -> np.ndarray:
            shown = judging.small(pictures)
            told, _ = judging.tell(teller, shown, np.broadcast_to(known, shown.shape))
            return told[:, : len(MOUTH)]

        for state in STATES:
            for heard, sound in (('voice', samples), ('silence', np.zeros_like(samples))):
                if (state, heard) == ('speaking', 'silence'):
                    continue
                with Avatar(
                    drawer, portrait, paced=False, seed=seed + index, steps=steps
                ) as avatar:
                    pictures = drive(avatar, sound, state)
                mouth = mouths(pictures)
                moved[f'{state} {heard}'].append(mouth_motion(mouth[SETTLE:]))
                if state == 'speaking':
                    spoken, edge = mouth, pictures[:, :16]
        edges.append(psnr(edge, portrait[None, :16]))
        still = MotionProcess(seed + index).clip(['idle'] * len(truth))
        shut = np.stack([render(look, motion, REST_MOUTH, plain, size) for motion in still])
        moved['floor'].append(mouth_motion(mouths(shut)[SETTLE:]))
        n = min(len(spoken), len(truth))
        for i, name in enumerate(MOUTH[:3]):
            lips[name].append(correlation(spoken[:n, i], truth[:n, i]))
        lags.append(best_lag(spoken[:n, 0], truth[:n, 0]))
        if other is not None:
            k = min(n, len(other))
            shuffled.append(correlation(spoken[:k, 0], other[:k, 0]))
        other = truth

    speaking = float(np.mean(moved['speaking voice']))

    def ratio(kind: str) -> float:
        return float(np.mean(moved[kind])) / speaking

    return {
        'model': model,
        'backend': drawer.name,
        'steps': steps or drawer.config.steps,
        'seed': seed,
        'faces': faces,
        'judge': judging.own_error(teller),
        'lip': {
            'open_r': float(np.mean(lips['open'])),
            'open_r_worst': float(min(lips['open'])),
            'wide_r': float(np.mean(lips['wide'])),
            'round_r': float(np.mean(lips['round'])),
            'lag_frames': float(np.median(lags)),
            'lag_worst': int(max(lags, key=abs)),
            'shuffled_r': float(np.mean(shuffled)),
        },
        'silence': {
            'idle_ratio': ratio('idle silence'),
            'listening_ratio': ratio('listening silence'),
            'floor': ratio('floor'),
        },
        'label': {
            'idle_ratio': ratio('idle voice'),
            'listening_ratio': ratio('listening voice'),
        },
        'identity': {'ground_psnr_db': float(np.mean(edges))},
        'codec': codec_figures(drawer, size, rng),
    }
