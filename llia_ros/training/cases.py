"""What an evaluation shows a model: faces from the renderer by seed, held-out voices and texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from llia_ros.training.faces import Appearance, neutral, random_appearance
from llia_ros.training.speech import UNSEEN_TEXTS, UNSEEN_VOICES, Utterance, random_utterance

CLIP = 8  # length of all clips, so that it is known where they join


@dataclass(frozen=True)
class Case:
    """One unseen face and what it says."""

    seed: int
    look: Appearance
    said: Utterance
    portrait: np.ndarray

    @property
    def silence(self) -> np.ndarray:
        """As long as the utterance."""
        return np.zeros_like(self.said.samples)


def draw_cases(
    seed: int,
    count: int,
    size: int,
    family: Callable[[np.random.Generator], Appearance] = random_appearance,
) -> list[Case]:
    """Return unseen faces of a family with unseen voices and texts."""
    rng, cases = np.random.default_rng((seed, 2026)), []
    for index in range(count):
        look = family(rng)
        said = random_utterance(rng, UNSEEN_VOICES, UNSEEN_TEXTS)
        portrait = neutral(look, size)
        cases.append(Case(seed + index, look, said, portrait))
    return cases
