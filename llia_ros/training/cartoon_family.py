"""The family of cartoon portraits: random ones, and named characters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llia_ros.training.cartoon import Cartoon
from llia_ros.training.drawing import mix
from llia_ros.training.face_family import (
    ROBOTS,
    Appearance,
    hsv,
    luminance,
    random_appearance,
)

CARTOON_SHARE = 0.25


def random_cartoon(rng: np.random.Generator) -> Appearance:
    """Draw a cartoon portrait: natural skin, hair of any colour, a shirt that suits the ground."""

    def draw(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    base = random_appearance(rng)
    depth = draw(0, 1)
    skin = hsv(draw(0.035, 0.075), 0.24 + 0.36 * depth, 0.99 - 0.46 * depth)
    kind = rng.choice(('dark', 'brown', 'fair', 'grey', 'bright'), p=(0.3, 0.3, 0.15, 0.1, 0.15))
    hair = {
        'dark': lambda: hsv(draw(0, 1), draw(0.1, 0.4), draw(0.1, 0.22)),
        'brown': lambda: hsv(draw(0.02, 0.08), draw(0.5, 0.75), draw(0.25, 0.5)),
        'fair': lambda: hsv(draw(0.09, 0.13), draw(0.4, 0.65), draw(0.75, 0.92)),
        'grey': lambda: hsv(draw(0, 1), draw(0.0, 0.08), draw(0.6, 0.88)),
        'bright': lambda: hsv(draw(0, 1), draw(0.45, 0.75), draw(0.6, 0.9)),
    }[kind]()
    ground, ground_low = base.ground, base.ground_low
    if min(abs(luminance(ground) - luminance(part)) for part in (hair, skin)) < 0.12:
        towards = (255, 255, 255) if luminance(hair) + luminance(skin) < 1 else (24, 20, 30)
        ground, ground_low = mix(ground, towards, 0.5), mix(ground_low, towards, 0.5)
    brow = mix(hair, (40, 28, 24), 0.5)
    if abs(luminance(brow) - luminance(skin)) < 0.25:
        brow = hsv(0.05, 0.5, 0.08 if luminance(skin) > 0.42 else 0.9)
    lip_hue, lip_value = draw(0.95, 1.02), 0.85 - 0.4 * depth + draw(0, 0.1)
    lip = hsv(lip_hue, draw(0.45, 0.65), lip_value)
    while np.abs(np.subtract(lip, skin)).max() < 64:
        lip_value *= 0.92
        lip = hsv(lip_hue, 0.68, lip_value)
    eye_width = draw(0.058, 0.082)
    return replace(
        base,
        ground=ground,
        ground_low=ground_low,
        panel=skin,
        panel_width=draw(0.285, 0.325),
        panel_height=draw(0.32, 0.35),
        ears=draw(0.4, 1.0),
        antenna=0.0,
        eye_width=eye_width,
        eye_height=eye_width * draw(0.9, 1.2),
        eye_gap=draw(0.115, 0.135),
        eye_power=draw(1.9, 2.4),
        sclera=hsv(0.1, draw(0, 0.04), 1.0),
        iris=hsv(rng.choice((0.07, 0.09, 0.3, 0.56, 0.6)), draw(0.25, 0.75), draw(0.35, 0.75)),
        brow=brow,
        brow_length=draw(0.05, 0.066),
        nose=draw(0.016, 0.026),
        lip=lip,
        mouth_width=draw(0.078, 0.105),
        mouth_y=draw(0.165, 0.18),
        cheek_size=draw(0.05, 0.07),
        cheek_strength=draw(0.0, 0.5),
        cartoon=Cartoon(
            hair=hair,
            volume=draw(0.035, 0.095),
            length=draw(0.3, 1.0) if rng.random() < 0.5 else draw(-0.1, 0.1),
            fringe=draw(0.0, 1.0),
            parting=draw(-0.8, 0.8),
            curl=draw(0.2, 1.0) if rng.random() < 0.4 else 0.0,
            chin=draw(0.1, 0.26),
            shirt=hsv(draw(0, 1), draw(0.25, 0.7), draw(0.35, 0.9)),
        ),
    )


def random_look(rng: np.random.Generator) -> Appearance:
    """Draw what trainings see: a robot face, in CARTOON_SHARE a cartoon portrait."""
    return random_cartoon(rng) if rng.random() < CARTOON_SHARE else random_appearance(rng)


CHARACTERS: dict[str, Appearance] = {
    **ROBOTS,
    'ada': Appearance(
        ground=(150, 205, 200),
        ground_low=(104, 168, 176),
        panel=(236, 188, 158),
        panel_width=0.305,
        panel_height=0.335,
        ears=0.6,
        eye_width=0.072,
        eye_height=0.08,
        eye_gap=0.124,
        eye_power=2.1,
        iris=(92, 120, 70),
        brow=(74, 42, 30),
        brow_thickness=0.02,
        brow_length=0.056,
        nose=0.02,
        lip=(196, 76, 84),
        lip_thickness=0.02,
        mouth_width=0.094,
        mouth_y=0.17,
        cheek=(240, 120, 110),
        cheek_size=0.06,
        cheek_strength=0.35,
        cartoon=Cartoon(
            hair=(112, 58, 34), volume=0.07, length=0.8, fringe=0.8, shirt=(220, 116, 76)
        ),
    ),
    'ben': Appearance(
        ground=(250, 214, 150),
        ground_low=(240, 180, 120),
        panel=(150, 96, 66),
        panel_width=0.3,
        panel_height=0.335,
        ears=0.8,
        eye_width=0.068,
        eye_height=0.068,
        eye_gap=0.12,
        eye_power=2.1,
        iris=(80, 48, 30),
        iris_size=0.7,
        brow=(34, 24, 22),
        brow_thickness=0.028,
        brow_length=0.06,
        nose=0.024,
        lip=(140, 62, 60),
        lip_thickness=0.022,
        mouth_width=0.1,
        mouth_y=0.17,
        cheek=(200, 90, 70),
        cheek_size=0.055,
        cheek_strength=0.3,
        cartoon=Cartoon(
            hair=(30, 24, 28), volume=0.08, fringe=0.3, parting=0.0, curl=0.9, shirt=(60, 110, 150)
        ),
    ),
}
