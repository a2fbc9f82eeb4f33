"""Where a drawn face looks, told by the renderer instead of the judge.

The judge is a network that reads edges, and takes soft ones for another turn of the head; a fit
weighs where things are.
"""

from __future__ import annotations

import cv2
import numpy as np

from llia_ros.model.config import MOTION
from llia_ros.training.faces import PLAIN, REST_MOUTH, Appearance, mouth_box, render

SIZE = 128  # pixels that are compared
FITTED = [MOTION.index(name) for name in ('yaw', 'gaze_x')]
GRID = np.linspace(-1.0, 1.0, 6)
EDGE = 2  # pixels around a mouth
STEP, TURNS, LONGEST = 0.04, 5, 0.3


def fit_look(picture: np.ndarray, look: Appearance, motion: np.ndarray) -> np.ndarray:
    """Return yaw and gaze_x (2,) under which the rendered face comes nearest to a picture.

    `picture` (S, S, 3): the face in no mood; its mouth is left out of the comparison. `motion`
    (9,): what is known of its pose besides. The best of a grid over both ranges, then
    Gauss-Newton.
    """
    seen = cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.float32)
    weight = np.ones((SIZE, SIZE, 1), np.float32)

    def turned(point: np.ndarray) -> np.ndarray:
        pose = motion.copy()
        pose[FITTED] = point
        return pose

    for yaw in GRID:
        x0, y0, x1, y1 = mouth_box(look, turned(np.array((yaw, 0))), PLAIN, SIZE)
        weight[max(0, y0 - EDGE) : y1 + EDGE, max(0, x0 - EDGE) : x1 + EDGE] = 0

    def missed(point: np.ndarray) -> np.ndarray:
        drawn = render(look, turned(point), REST_MOUTH, PLAIN, 2 * SIZE)
        small = cv2.resize(drawn, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        return ((small - seen) * weight).ravel()

    points = [np.array((yaw, gaze)) for yaw in GRID for gaze in GRID]
    best = min(points, key=lambda point: float(np.square(missed(point)).sum()))
    for _ in range(TURNS):
        slopes = [(missed(best + e) - missed(best - e)) / (2 * STEP) for e in STEP * np.eye(2)]
        move, *_ = np.linalg.lstsq(np.stack(slopes, axis=1), -missed(best), rcond=None)
        best = np.clip(best + move.clip(-LONGEST, LONGEST), -1, 1)
    return best
