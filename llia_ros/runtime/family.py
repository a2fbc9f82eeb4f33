"""How far a picture is from the faces that a model knows.

Pictures of a family, shrunk to SIDE x SIDE, are described by a mean, their first principal
components and the variance left over (probabilistic PCA, Tipping and Bishop 1999). The distance is
the Mahalanobis distance of that description, in units of the 99.9th percentile of the family: 1
is the rim, and a portrait beyond `LIMIT` of every family is refused. A wall is no face, either:
the distance is also how many times less detail a picture has than the plainest faces, where that
is more.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

FILES = 'family-*.npz'
SIDE = 24
COMPONENTS = 64
LIMIT = 1.5


@dataclass(frozen=True)
class Family:
    """mean (D,), components (K, D), variance (K,) of them and `rest` of each other direction.

    `unit`: the rim's Mahalanobis distance; `plain`: the least detail of the family.
    """

    mean: np.ndarray
    components: np.ndarray
    variance: np.ndarray
    rest: float
    unit: float = 1.0
    plain: float = 0.0

    @classmethod
    def fit(cls, pictures: np.ndarray) -> Family:
        """Return the description of pictures, uint8 (N, S, S, 3), N > COMPONENTS."""
        rows = np.stack([_row(picture) for picture in pictures])
        mean = rows.mean(axis=0)
        centred = (rows - mean).astype(np.float64)
        values, vectors = np.linalg.eigh(centred.T @ centred / len(rows))
        values, vectors = values[::-1], vectors[:, ::-1]
        rest = float(values[COMPONENTS:].mean())
        # Stored in half precision: measured with what is stored.
        components = vectors[:, :COMPONENTS].T.astype(np.float16)
        found = cls(mean, components, values[:COMPONENTS].astype(np.float32), rest)
        unit = float(np.percentile([found.distance(picture) for picture in pictures], 99.9))
        plain = float(np.percentile([_detail(row) for row in rows], 0.1))
        return cls(found.mean, found.components, found.variance, rest, unit, plain)

    @classmethod
    def load(cls, path: Path) -> Family:
        """Return a family from its file."""
        with np.load(path) as stored:
            return cls(
                stored['mean'],
                stored['components'],
                stored['variance'],
                float(stored['rest']),
                float(stored['unit']),
                float(stored['plain']),
            )

    def save(self, folder: Path, name: str) -> None:
        """Write into a model folder, under the name of the family."""
        np.savez(folder / FILES.replace('*', name), **vars(self))

    def distance(self, picture: np.ndarray) -> float:
        """Return how far a square picture, uint8 (S, S, 3), lies from the family."""
        row = _row(picture)
        centred = row - self.mean
        along = self.components.astype(np.float32) @ centred
        left = max(float(centred @ centred - along @ along), 0.0)
        square = float((along**2 / self.variance).sum()) + left / self.rest
        return max(float(np.sqrt(square)) / self.unit, self.plain / max(_detail(row), 1e-6))


@dataclass(frozen=True)
class Families:
    """All families of a model."""

    known: tuple[Family, ...]

    @classmethod
    def load(cls, folder: Path) -> Families | None:
        """Return the families of a model folder, None where it describes none."""
        known = tuple(Family.load(path) for path in sorted(folder.glob(FILES)))
        return cls(known) if known else None

    def distance(self, picture: np.ndarray) -> float:
        """Return how far a square picture, uint8 (S, S, 3), lies from the nearest family."""
        return min(family.distance(picture) for family in self.known)

    def check(self, picture: np.ndarray, name: str = 'the portrait') -> None:
        """Raise ValueError for a picture that is no face of any family."""
        distance = self.distance(picture)
        if distance > LIMIT:
            raise ValueError(
                f'{name} is not like the faces that this model knows: distance {distance:.2f}, '
                f'at most {LIMIT} is taken (1 is the rim of the family, by colours and shapes at '
                f'{SIDE}x{SIDE}); choose another picture, or force it'
            )


def _row(picture: np.ndarray) -> np.ndarray:
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return small.reshape(-1).astype(np.float32) / 127.5 - 1


def _detail(row: np.ndarray) -> float:
    """Return the standard deviation of what a blur takes away."""
    small = row.reshape(SIDE, SIDE, 3)
    return float((small - cv2.blur(small, (7, 7))).std())
