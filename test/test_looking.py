"""Where a face looks is found from its picture alone, soft or sharp, whatever its mouth does."""

import cv2
import numpy as np
import pytest

from llia_ros.model.config import EXPRESSIONS, MOTION, MOUTH
from llia_ros.training.faces import random_appearance, render
from llia_ros.training.looking import FITTED, fit_look


@pytest.mark.parametrize(('blur', 'most'), [(0.0, 0.01), (2.5, 0.05)])
def test_a_look_is_found(blur: float, most: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(3):
        look, motion = random_appearance(rng), rng.normal(0, 0.03, len(MOTION)).astype(np.float32)
        motion[FITTED] = rng.uniform(-0.5, 0.5, 2)
        motion[-2:] = 0.05
        mouth = rng.uniform(0, 1, len(MOUTH))
        picture = render(look, motion, mouth, np.zeros(len(EXPRESSIONS)), 512)
        if blur:
            picture = cv2.GaussianBlur(picture, (0, 0), blur)
        known = motion.copy()
        known[FITTED] = np.nan
        found = fit_look(picture, look, known)
        assert abs(found.sum() - motion[FITTED].sum()) < most
        assert np.abs(found - motion[FITTED]).max() < 3 * most
