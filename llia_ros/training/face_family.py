"""The family of robot faces: what one looks like, random ones, and named characters."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from llia_ros.training.cartoon import Cartoon
from llia_ros.training.drawing import Colour


@dataclass(frozen=True)
class Appearance:
    """Looks of one face. Lengths are fractions of the picture's width, colours RGB 0 .. 255."""

    ground: Colour = (70, 120, 190)  # top of the picture
    ground_low: Colour = (40, 70, 140)  # bottom of the picture
    panel: Colour = (226, 236, 244)  # the face itself
    panel_width: float = 0.385  # half of it; above 0.5 the face fills the picture
    panel_height: float = 0.375
    panel_power: float = 4.0  # 2 ellipse .. 7 rounded box
    ears: float = 1.0  # 0 none .. 1 large
    antenna: float = 1.0
    accent: Colour = (255, 150, 60)  # ears and antenna
    eye_width: float = 0.088  # half of it
    eye_height: float = 0.098
    eye_gap: float = 0.155  # from the middle of the face to an eye's middle
    eye_y: float = -0.075  # from the middle of the picture, downwards
    eye_power: float = 2.3
    sclera: Colour = (255, 255, 255)
    iris: Colour = (50, 130, 210)
    iris_size: float = 0.66  # of the eye's smaller half
    pupil_size: float = 0.52  # of the iris
    brow: Colour = (52, 60, 84)  # brows and lashes
    brow_thickness: float = 0.024
    brow_length: float = 0.078  # half of it
    brow_gap: float = 0.052  # from the eye's top to the brow's middle
    brow_arch: float = 0.018
    nose: float = 0.0  # radius
    lip: Colour = (206, 74, 92)
    lip_thickness: float = 0.019
    mouth_width: float = 0.115  # half of it
    mouth_y: float = 0.178
    smile: float = 0.024  # rise of the corners at rest
    cheek: Colour = (255, 140, 140)
    cheek_size: float = 0.075
    cheek_strength: float = 0.5
    cartoon: Cartoon | None = None  # a head with hair and neck in place of panel and antenna


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Return a colour; hue in turns, saturation and value held to 0 .. 1."""
    red, green, blue = colorsys.hsv_to_rgb(
        hue % 1.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0)
    )
    return round(red * 255), round(green * 255), round(blue * 255)


def luminance(colour: Colour) -> float:
    """How bright a colour looks, 0 .. 1."""
    return (0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]) / 255


def random_appearance(rng: np.random.Generator) -> Appearance:
    """Draw a face of the family with colours that go together."""

    def draw(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    hue = draw(0, 1)
    style = rng.choice(('light', 'skin', 'bright', 'dark'), p=(0.32, 0.22, 0.26, 0.2))
    if style == 'light':
        panel = hsv(hue, draw(0.06, 0.22), draw(0.86, 0.96))
    elif style == 'skin':
        panel = hsv(draw(0.045, 0.095), draw(0.22, 0.55), draw(0.62, 0.97))
    elif style == 'bright':
        panel = hsv(hue, draw(0.35, 0.6), draw(0.78, 0.95))
    else:
        hue = draw(0.46, 0.86)
        panel = hsv(hue, draw(0.3, 0.6), draw(0.19, 0.32))
    dark = luminance(panel) < 0.42

    away = hue + rng.choice((0.0, 0.08, -0.08, 0.42, 0.5, 0.58)) + draw(-0.03, 0.03)
    pale = dark or (style != 'light' and rng.random() < 0.5)
    value = draw(0.8, 0.98) if pale else draw(0.45, 0.78)
    ground_saturation = draw(0.22, 0.5) if pale else draw(0.4, 0.72)
    if 0.08 < away % 1 < 0.24 and not pale:
        away += 0.3  # a dim yellow looks muddy; green and teal do not
    ground = hsv(away, ground_saturation, value)
    if abs(luminance(ground) - luminance(panel)) < 0.14:
        value *= 0.66
        ground = hsv(away, ground_saturation, value)
    ground_low = hsv(away + draw(-0.07, 0.07), ground_saturation + 0.1, value * draw(0.72, 0.97))

    ink_hue = draw(0, 1) if rng.random() < 0.3 else draw(0.02, 0.1)
    brow = (
        hsv(hue, draw(0.1, 0.4), draw(0.85, 1))
        if dark
        else hsv(ink_hue, draw(0.3, 0.7), draw(0.12, 0.32))
    )
    lip_hue = draw(0.93, 1.03) if rng.random() < 0.85 else draw(0.8, 0.93)
    lip_value = draw(0.88, 1.0) if dark else draw(0.62, 0.9)
    lip = hsv(lip_hue, draw(0.4, 0.65) if dark else draw(0.5, 0.75), lip_value)
    while not dark and luminance(panel) - luminance(lip) < 0.2:
        lip_value *= 0.9
        lip = hsv(lip_hue, 0.7, lip_value)
    full = rng.random() < 0.2
    eye_width = draw(0.068, 0.108)
    eye_height = eye_width * draw(0.9, 1.22)
    return Appearance(
        ground=ground,
        ground_low=ground_low,
        panel=panel,
        panel_width=0.66 if full else draw(0.355, 0.415),
        panel_height=0.66 if full else draw(0.36, 0.395),
        panel_power=draw(2.7, 6.5),
        ears=draw(0.5, 1) if rng.random() < 0.6 else 0.0,
        antenna=draw(0.6, 1) if rng.random() < 0.55 else 0.0,
        accent=hsv(away + draw(0.35, 0.65), draw(0.45, 0.72), draw(0.85, 1.0)),
        eye_width=eye_width,
        eye_height=eye_height,
        eye_gap=max(draw(0.13, 0.175), eye_width + 0.045),
        eye_y=draw(-0.095, -0.055),
        eye_power=draw(2.0, 3.6),
        sclera=hsv(hue, draw(0, 0.07), draw(0.97, 1)),
        iris=hsv(
            draw(0, 1) if rng.random() < 0.7 else draw(0.05, 0.1),
            draw(0.45, 0.85),
            draw(0.45, 0.85),
        ),
        iris_size=draw(0.54, 0.78),
        pupil_size=draw(0.44, 0.62),
        brow=brow,
        brow_thickness=draw(0.016, 0.034),
        brow_length=draw(0.055, 0.092),
        brow_gap=draw(0.042, 0.06),
        brow_arch=draw(0.006, 0.028),
        nose=draw(0.016, 0.028) if rng.random() < 0.45 else 0.0,
        lip=lip,
        lip_thickness=draw(0.014, 0.026),
        mouth_width=draw(0.09, 0.135),
        mouth_y=draw(0.165, 0.19),
        smile=draw(0.015, 0.032),
        cheek=hsv(draw(0.95, 1.04), draw(0.4, 0.6), draw(0.9, 1.0)),
        cheek_size=draw(0.055, 0.085),
        cheek_strength=draw(0.0, 0.7),
    )


ROBOTS: dict[str, Appearance] = {
    'robot': Appearance(),
    'mint': Appearance(
        ground=(255, 214, 150),
        ground_low=(248, 170, 120),
        panel=(142, 214, 190),
        panel_power=3.0,
        ears=0.0,
        antenna=1.0,
        accent=(238, 96, 98),
        eye_width=0.1,
        eye_height=0.112,
        eye_gap=0.152,
        eye_power=2.0,
        iris=(96, 62, 50),
        iris_size=0.68,
        brow=(34, 80, 82),
        brow_thickness=0.02,
        brow_length=0.06,
        lip=(200, 66, 84),
        lip_thickness=0.016,
        mouth_width=0.108,
        cheek=(255, 150, 130),
        cheek_strength=0.65,
    ),
    'night': Appearance(
        ground=(120, 170, 226),
        ground_low=(110, 120, 210),
        panel=(36, 42, 72),
        panel_power=5.2,
        ears=0.9,
        antenna=0.0,
        accent=(110, 236, 220),
        eye_width=0.086,
        eye_height=0.1,
        eye_power=3.2,
        sclera=(240, 252, 255),
        iris=(30, 160, 190),
        brow=(176, 240, 240),
        brow_thickness=0.02,
        brow_length=0.07,
        lip=(250, 130, 150),
        lip_thickness=0.017,
        cheek=(240, 90, 150),
        cheek_strength=0.4,
    ),
    'sunny': Appearance(
        ground=(120, 200, 240),
        ground_low=(80, 150, 220),
        panel=(255, 212, 96),
        panel_power=2.5,
        panel_width=0.4,
        panel_height=0.39,
        ears=0.0,
        antenna=0.0,
        eye_width=0.084,
        eye_height=0.104,
        eye_gap=0.14,
        eye_power=2.0,
        iris=(70, 130, 60),
        brow=(122, 66, 30),
        brow_thickness=0.026,
        brow_length=0.07,
        lip=(206, 70, 60),
        mouth_width=0.13,
        smile=0.034,
        cheek=(255, 140, 90),
        cheek_strength=0.75,
    ),
    'rose': Appearance(
        ground=(126, 92, 160),
        ground_low=(84, 64, 130),
        panel=(250, 206, 196),
        panel_power=3.4,
        ears=0.7,
        antenna=0.0,
        accent=(255, 196, 90),
        eye_width=0.096,
        eye_height=0.098,
        eye_power=2.2,
        iris=(120, 84, 176),
        iris_size=0.7,
        pupil_size=0.5,
        brow=(100, 54, 66),
        brow_thickness=0.019,
        brow_length=0.074,
        brow_arch=0.024,
        nose=0.02,
        lip=(214, 62, 96),
        lip_thickness=0.025,
        mouth_width=0.102,
        cheek=(255, 130, 140),
        cheek_strength=0.7,
    ),
    'cocoa': Appearance(
        ground=(250, 222, 180),
        ground_low=(236, 178, 130),
        panel=(172, 112, 80),
        panel_power=3.0,
        panel_width=0.37,
        ears=0.6,
        antenna=0.0,
        accent=(60, 150, 150),
        eye_width=0.09,
        eye_height=0.086,
        eye_gap=0.15,
        eye_power=2.2,
        sclera=(255, 252, 244),
        iris=(78, 46, 30),
        iris_size=0.7,
        brow=(54, 30, 22),
        brow_thickness=0.028,
        brow_length=0.08,
        nose=0.026,
        lip=(142, 46, 56),
        lip_thickness=0.025,
        mouth_width=0.12,
        cheek=(226, 104, 84),
        cheek_strength=0.5,
    ),
    'sky': Appearance(
        panel=(150, 206, 246),
        panel_width=0.66,
        panel_height=0.66,
        ears=0.0,
        antenna=0.0,
        eye_width=0.104,
        eye_height=0.116,
        eye_gap=0.165,
        eye_power=2.6,
        iris=(24, 84, 160),
        brow=(28, 60, 110),
        brow_thickness=0.026,
        brow_length=0.072,
        lip=(196, 62, 98),
        lip_thickness=0.018,
        mouth_width=0.125,
        cheek=(255, 150, 180),
        cheek_strength=0.7,
    ),
}
