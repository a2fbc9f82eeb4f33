"""What the evaluation computes of numbers and pictures once they are there."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from llia_ros.training.speech import Utterance
from llia_ros.training.visemes import phone_class

MAX_LAG = 5
REST = slice(0, 3)  # open, wide and round: what moves when a mouth moves
SHUT = 0.15  # a mouth that opens less than this is at rest


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
    error = np.square(a.astype(np.float32) - b).mean()
    return decibel(float(error))


def decibel(error: float) -> float:
    """Return the peak signal to noise ratio of a mean squared error of uint8 pictures, in dB."""
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def phone_errors(
    drawn_T5: np.ndarray, said: Utterance, fps: float = 25
) -> dict[str, list[np.ndarray]]:
    """Return, by class of speech sound, |drawn - truth| (3,) of opening, spreading, rounding."""
    truth, errors = said.mouth(fps), defaultdict(list)
    for t in range(min(len(drawn_T5), len(truth))):
        middle = (t + 0.5) / fps
        phone = next((p for p in said.phones if p.start <= middle < p.end), None)
        kind = phone_class(phone.symbol) if phone else 'silence'
        errors[kind].append(np.abs(drawn_T5[t, REST] - truth[t, REST]))
    return dict(errors)


def seam_ratio(error_T: np.ndarray, length: int) -> float:
    """Return how much more the error changes from clip to clip than within clips of `length`.

    error_T: mean absolute change of (drawn - truth) into each frame, the first one unused.
    """
    frames = np.arange(1, len(error_T))
    seam = frames % length == 0
    return float(error_T[frames[seam]].mean() / max(error_T[frames[~seam]].mean(), 1e-9))


def frames_to_rest(open_T: np.ndarray) -> int:
    """Return after how many frames a mouth comes to rest and stays there for three frames."""
    calm = open_T < SHUT
    for t in range(len(calm) - 2):
        if calm[t : t + 3].all():
            return t
    return len(calm)
