"""Measures a model, through the engine that users run, on what no training saw.

The judge reads the pictures back; its own error on rendered truth is reported first, and lips are
compared with another utterance's, too (`shuffled`), to show what chance is.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np

from llia_ros.runtime.backends import Backend, load_backend
from llia_ros.training import judge as judging
from llia_ros.training.cases import draw_cases
from llia_ros.training.examiner import Examiner, Figures
from llia_ros.training.faces import PLAIN, mouth_box, random_appearance, random_cartoon, render
from llia_ros.training.long_run import long_run
from llia_ros.training.measures import psnr
from llia_ros.training.pictures import random_motion, random_mouth

EXPRESSION_FACES = 6
STEPS = (16, 4, 2, 1)


def codec_figures(
    backend: Backend, size: int, rng: np.random.Generator, count: int = 12
) -> dict[str, float]:
    """Return how well pictures of unseen faces survive the codec alone."""
    whole, mouths = [], []
    for _ in range(count):
        look, motion = random_appearance(rng), random_motion(rng)
        picture = render(look, motion, random_mouth(rng), PLAIN, size)
        again = backend.decode(np.stack([backend.encode(picture)] * 4))[0]
        x0, y0, x1, y1 = mouth_box(look, motion, PLAIN, size)
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
    quick: bool = False,
) -> Figures:
    """Return the figures of a model; `seed` draws other faces, texts and voices.

    Keys: `judge` (R^2 of the judge itself), those of `Examiner.core`, `time.drift_db_10min` (see
    `long_run`), `state` (until lips rest after a cut), `expression`, `look_at` (error in units of
    the eye's range), `codec`. Without `quick` also `happy`, `sad`, `by_steps`, `cartoon` (the
    other family), `free` (not led) and `f32`, the torch model in single precision beside the
    graphs that ship (`int8`).
    ValueError for an unknown model or a missing judge.
    """
    if faces < 2:
        raise ValueError(f'an evaluation needs at least two faces, got {faces}')
    teller = judging.load(
        judge or Path(str(files('llia_ros'))) / 'weights' / 'judge' / 'judge.safetensors'
    )
    drawer = load_backend(model, backend)
    size = drawer.config.size
    cases = draw_cases(seed, faces, size)
    few = cases[: max(2, faces // 3)]
    examiner = Examiner(drawer, teller, steps)
    figures = {
        'model': model,
        'backend': drawer.name,
        'steps': steps or drawer.config.steps,
        'seed': seed,
        'faces': faces,
        'judge': judging.own_error(teller),
        **examiner.core(cases),
        'state': examiner.switches(few if quick else cases),
        'expression': examiner.expressions(cases[:1] if quick else cases[:EXPRESSION_FACES]),
        'look_at': examiner.looks(few if quick else cases),
        'codec': codec_figures(drawer, size, np.random.default_rng((seed, 2027))),
    }
    if quick:
        return figures
    figures['time']['drift_db_10min'] = long_run(drawer, seed=seed, steps=steps)['drift_db']
    for mood in ('happy', 'sad'):
        figures[mood] = examiner.core(few, (mood, 1.0))
    figures['by_steps'] = {
        str(count): Examiner(drawer, teller, count).core(few) for count in STEPS
    }
    cartoons = draw_cases(seed, len(few), size, random_cartoon)
    figures['cartoon'] = examiner.core(cartoons)
    figures['free'] = Examiner(drawer, teller, steps, led=False).core(few)
    figures['int8'] = examiner.core(few)
    figures['f32'] = Examiner(load_backend(model, 'torch'), teller, steps).core(few)
    return figures
