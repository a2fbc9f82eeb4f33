"""Which frames of a silent face are drawn, and of which two each of the others is mixed.

Spends the model where the picture changes (the idea of AdaDiff, 2312.04696): while nobody speaks
all that moves is what leads the face, so how much a picture differs from its neighbours is known
before it is drawn. A frame close to one neighbour, or on the short way between two, is a mix of
their pictures; blinks and jumps of the eyes are neither and are drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

# How far the fastest part of the face goes when a control goes from 0 to 1, in widths of the
# picture; order of MOTION.
REACH = np.array([1, 1, 0.3, 0.06, 0.06, 0.06, 0.06, 0.15, 0.15], np.float32)
# A mixed frame's face may be off its true place by so much, and be mixed of two that lie so far
# apart where both have the same weight; widths of the picture.
OFF = 0.6 / 512
APART = 1.6 / 512
SEEN = 0.04
# Frames from one drawn to the next; also a face that does not move drifts a little.
LONGEST_GAP = 8


@dataclass(frozen=True)
class Keys:
    """Frames drawn, their places rising, and how all frames up to the last of them follow."""

    drawn: tuple[int, ...]
    # Per frame the places of its two neighbours among those drawn, -1 for the frame before the
    # first, and the weight of the second.
    mixes: tuple[tuple[int, int, float], ...]


def choose(motion: np.ndarray, before: np.ndarray | None, count: int) -> Keys:
    """Return how to show as many frames as `count` drawn ones reach.

    motion (n, 9): of the frames to come; before (9,): of the frame before the first, whose
    picture is there, None if it is not. Depends on nothing else. n >= count.
    """
    n = len(motion)
    assert n >= count
    path = (motion if before is None else np.concatenate([before[None], motion])) * REACH
    keys = _choose(path, n, count, LONGEST_GAP)
    if len(keys.mixes) < n:
        return keys
    # More frames are drawn than must be: at even distances they serve best.
    narrower = (_choose(path, n, count, gap) for gap in range(-(-n // count), LONGEST_GAP))
    return next((even for even in narrower if len(even.mixes) == n), keys)


def _choose(path: np.ndarray, n: int, count: int, longest: int) -> Keys:
    shift = len(path) - n
    drawn = [] if shift else [0]
    mixes = [] if shift else [(0, 0, 1.0)]
    while len(drawn) < count and len(mixes) < n:
        left = len(mixes) - 1
        # As many frames must be left as are still to be drawn.
        last = min(left + longest, n - (count - len(drawn)))
        weights: list[float] = []
        right = left + 1
        for end in range(last, left + 1, -1):
            found = _weights(path[left + shift : end + shift + 1])
            if found is not None:
                right, weights = end, found
                break
        place = len(drawn)
        mixes += [(place - 1, place, weight) for weight in [*weights, 1.0]]
        drawn.append(right)
    return Keys(tuple(drawn), tuple(mixes))


def fill(
    keys: Keys, drawn: Sequence[np.ndarray], before: np.ndarray | None, start: int = 0
) -> list[np.ndarray]:
    """Return the frames, pictures or latents, from `start` on that follow of those drawn so far.

    before: the frame before the first. A frame all of whose weight is on one neighbour is that
    neighbour, not a copy.
    """
    frames = []
    for left, right, weight in keys.mixes[start:]:
        if right >= len(drawn):
            break
        one, other = before if left < 0 else drawn[left], drawn[right]
        if one is None or weight == 1:
            frames.append(other)
        elif weight == 0:
            frames.append(one)
        else:
            frames.append(cv2.addWeighted(one, 1 - weight, other, weight, 0))
    return frames


def _weights(path: np.ndarray) -> list[float] | None:
    """Return the last one's weight for each frame between the ends of a path, None if too far."""
    way = path[-1] - path[0]
    length = float(way @ way)
    inner = path[1:-1] - path[0]
    time = np.arange(1, len(path) - 1) / (len(path) - 1)
    weights = np.clip(inner @ way / length, 0, 1) if length > 1e-10 else time
    off = inner - weights[:, None] * way
    close = (off * off).sum(1) <= OFF**2
    near = 4 * weights * (1 - weights) * length <= APART**2
    if not bool((close & near).all()):
        return None
    # Weights too small to see are none.
    return [float(round(w)) if abs(w - round(w)) < SEEN else float(w) for w in weights]
