"""How close what a model draws is to the rendered truth."""

from __future__ import annotations

import numpy as np

from llia_ros.runtime.motion import MotionProcess
from llia_ros.training.cases import CLIP, Case
from llia_ros.training.faces import eyes_box, mouth_box, render
from llia_ros.training.measures import seam_ratio


def likeness(
    case: Case, pictures: np.ndarray, mouth: np.ndarray, mood: np.ndarray
) -> tuple[dict[str, float], np.ndarray]:
    """Compare a speaking face (T, S, S, 3) with the renderer's, led by the same motion.

    Returns squared errors of pictures (`whole`), outside mouth and eyes (`kept`), of mouths and of
    the ground, the mean difference of the average pictures (`lasting`), how clips join (`seam`),
    and the truth (T, S, S, 3). `mouth` (T, 5), `mood` (8,): what the truth shows.
    """
    size = pictures.shape[1]
    motion = MotionProcess(case.seed).clip(['speaking'] * len(pictures))
    sums, counts = np.zeros(4), np.zeros(4)
    total = np.zeros((2, size, size, 3), np.float32)
    seen = np.zeros((size, size, 1), np.float32)
    changes, before = np.zeros(len(pictures)), None
    shown = np.empty((len(pictures), size, size, 3), np.uint8)
    for t, picture in enumerate(pictures):
        truth = render(case.look, motion[t], mouth[t], mood, size)
        shown[t] = truth
        error = picture.astype(np.float32) - truth
        squares = np.square(error).mean(axis=2)
        keep = np.ones((size, size), bool)
        boxes = [box(case.look, motion[t], mood, size) for box in (mouth_box, eyes_box)]
        for x0, y0, x1, y1 in boxes:
            keep[max(0, y0) : y1, max(0, x0) : x1] = False
        x0, y0, x1, y1 = boxes[0]
        parts = (
            squares,
            squares[keep],
            squares[max(0, y0) : y1, max(0, x0) : x1],
            squares[:16],
        )
        sums += [part.sum() for part in parts]
        counts += [part.size for part in parts]
        total[0] += picture * keep[..., None]
        total[1] += truth * keep[..., None]
        seen += keep[..., None]
        if before is not None:
            changes[t] = np.abs(error - before).mean()
        before = error
    lasting = np.abs(total[0] - total[1]) / np.maximum(seen, 1)
    whole, kept, lips, ground = sums / np.maximum(counts, 1)
    figures = {
        'whole': whole,
        'kept': kept,
        'mouth': lips,
        'ground': ground,
        'lasting': float(lasting.mean() / 255),
        'seam': seam_ratio(changes, CLIP),
    }
    return figures, shown
