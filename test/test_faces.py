"""Robot faces: every control moves what it names, smoothly and nothing else."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from llia_ros.model.config import EXPRESSIONS, MOTION, MOUTH
from llia_ros.training.face_family import luminance
from llia_ros.training.faces import (
    CHARACTERS,
    NEUTRAL_MOTION,
    REST_MOUTH,
    eyes_box,
    mouth_box,
    random_appearance,
    random_cartoon,
    render,
    sheet,
)

PLAIN = np.zeros(len(EXPRESSIONS))
ROBOT = CHARACTERS['robot']
TALKING = np.array((0.45, 0.1, 0, 0.5, 0.5))
ORDER = {name: place for place, name in enumerate(MOTION)}
EVERY = [np.zeros(len(EXPRESSIONS)), *np.eye(len(EXPRESSIONS))[1:]]


def moved(**values):
    motion = NEUTRAL_MOTION.copy()
    for name, value in values.items():
        motion[ORDER[name]] = value
    return motion


def change(first, second):
    return np.abs(first.astype(np.int16) - second.astype(np.int16)).max(2)


def outside(difference, box):
    rest = difference.copy()
    x0, y0, x1, y1 = box
    rest[y0:y1, x0:x1] = 0
    return int(rest.max())


def looks(count, seed=3):
    rng = np.random.default_rng(seed)
    return [(random_appearance, random_cartoon)[i % 2](rng) for i in range(count)]


def test_render_gives_the_same_rgb_picture_each_time():
    first = render(ROBOT, NEUTRAL_MOTION, TALKING, PLAIN)
    assert first.shape == (512, 512, 3)
    assert first.dtype == np.uint8
    other = render(CHARACTERS['rose'], NEUTRAL_MOTION, TALKING, PLAIN)
    assert change(first, other).max() > 60
    assert np.array_equal(first, render(ROBOT, NEUTRAL_MOTION, TALKING, PLAIN))
    ground = first[100, 8].astype(int)
    assert ground[2] > ground[0] + 40, 'the blue ground must be in the last channel'


def test_other_sizes_show_the_same_face():
    large = render(ROBOT, moved(x=0.03, yaw=0.5), TALKING, EVERY[1])
    small = render(ROBOT, moved(x=0.03, yaw=0.5), TALKING, EVERY[1], size=256)
    shrunk = cv2.resize(large, (256, 256), interpolation=cv2.INTER_AREA)
    assert change(small, shrunk).mean() < 1.5


@pytest.mark.parametrize('name', ['x', 'y'])
def test_a_quarter_pixel_moves_the_picture_evenly(name):
    quarter = 0.25 / 512
    pictures = [
        render(ROBOT, moved(**{name: step * quarter}), TALKING, PLAIN) for step in range(9)
    ]
    steps = np.array([change(a, b).sum() for a, b in itertools.pairwise(pictures)])
    assert steps.min() > 0
    assert steps.max() < 1.5 * steps.mean()
    assert steps.min() > 0.5 * steps.mean()
    whole = change(pictures[0], pictures[4]).sum()
    assert 2.5 < whole / steps.mean() < 5.5


def sweeps():
    for place, name in enumerate(MOUTH):
        yield (
            f'mouth {name}',
            lambda v, place=place: (
                NEUTRAL_MOTION,
                np.where(np.arange(5) == place, v, (0.4, 0, 0, 0, 0)),
                PLAIN,
            ),
        )
    for name in MOTION:
        low, high = {'x': (-0.05, 0.05), 'y': (-0.05, 0.05), 'roll': (-0.12, 0.12)}.get(
            name, (0, 1) if name.startswith('lid') else (-1, 1)
        )
        yield (
            name,
            lambda v, name=name, low=low, high=high: (
                moved(**{name: low + (high - low) * v}),
                TALKING,
                PLAIN,
            ),
        )
    for place, name in enumerate(EXPRESSIONS[1:], 1):
        yield name, lambda v, place=place: (NEUTRAL_MOTION, TALKING, v * EVERY[place])


SWEEPS = dict(sweeps())


@pytest.mark.parametrize('name', SWEEPS)
def test_a_sweep_has_no_jumps(name):
    count = 25
    pictures = [render(ROBOT, *SWEEPS[name](v), size=256) for v in np.linspace(0, 1, count)]
    steps = np.array([float(change(a, b).sum()) for a, b in itertools.pairwise(pictures)])
    assert steps.sum() > 0
    assert steps.max() < 3.5 * steps.mean(), 'one step changes far more than the others'


@pytest.mark.parametrize('mood', range(len(EXPRESSIONS)), ids=EXPRESSIONS)
def test_mouth_controls_change_only_the_mouth(mood):
    motion = moved(yaw=0.6, pitch=-0.5, roll=0.1, x=0.03, y=-0.02)
    for look in (ROBOT, CHARACTERS['night'], *looks(2)):
        box = mouth_box(look, motion, EVERY[mood])
        rest = render(look, motion, REST_MOUTH, EVERY[mood])
        for mouth in ((1, 0, 0, 0, 0), (1, 1, 0, 1, 1), (1, 0, 1, 1, 1), (0.3, 1, 1, 0, 0.5)):
            difference = change(rest, render(look, motion, mouth, EVERY[mood]))
            assert (difference > 40).sum() > 400
            assert outside(difference, box) == 0


@pytest.mark.parametrize('name', MOUTH)
def test_each_mouth_control_is_seen_while_the_mouth_is_open(name):
    half = np.array((0.5, 0, 0, 0, 0))
    full = half.copy()
    full[MOUTH.index(name)] = 1
    for mood in EVERY:
        for look in (ROBOT, CHARACTERS['rose']):
            difference = change(
                render(look, NEUTRAL_MOTION, half, mood), render(look, NEUTRAL_MOTION, full, mood)
            )
            assert (difference > 30).sum() > 350, f'{name} hardly shows'


def test_gaze_and_lids_change_only_the_eyes():
    pose = {'yaw': -0.7, 'pitch': 0.4, 'roll': -0.1, 'x': -0.02, 'y': 0.03}
    for mood in EVERY:
        for look in (ROBOT, *looks(2)):
            open_eyes = render(look, moved(**pose), TALKING, mood)
            box = eyes_box(look, moved(**pose), mood)
            for change_of in (
                {'gaze_x': 1.0},
                {'gaze_x': -1.0, 'gaze_y': 1.0},
                {'gaze_y': -1.0},
                {'lid_left': 1.0},
                {'lid_right': 0.5},
            ):
                difference = change(
                    open_eyes, render(look, moved(**pose, **change_of), TALKING, mood)
                )
                assert (difference > 40).sum() > 100
                assert outside(difference, box) == 0


def test_boxes_follow_the_head_and_stay_in_the_picture():
    x0, _, x1, _ = mouth_box(ROBOT, NEUTRAL_MOTION, PLAIN)
    right = mouth_box(ROBOT, moved(x=0.05), PLAIN)
    assert abs(right[0] - x0 - 0.05 * 512) <= 1
    assert abs(right[2] - x1 - 0.05 * 512) <= 1
    eyes, mouth = eyes_box(ROBOT, NEUTRAL_MOTION, PLAIN), mouth_box(ROBOT, NEUTRAL_MOTION, PLAIN)
    assert eyes[3] <= mouth[1]
    far = mouth_box(ROBOT, moved(x=0.3, y=0.3), PLAIN, size=200)
    assert 0 <= far[0] < far[2] <= 200
    assert 0 <= far[1] < far[3] <= 200


def test_eyes_look_where_gaze_points():
    def middle(**values):
        picture = render(ROBOT, moved(**values), REST_MOUTH, PLAIN)
        x0, y0, x1, y1 = eyes_box(ROBOT, moved(**values), PLAIN)
        part = picture[y0:y1, x0:x1].astype(int)
        iris = part[:, :, 2] - part[:, :, 0] > 70
        down, across = np.nonzero(iris)
        return across.mean(), down.mean()

    x, y = middle()
    assert middle(gaze_x=1.0)[0] > x + 6
    assert middle(gaze_x=-1.0)[0] < x - 6
    assert middle(gaze_y=1.0)[1] < y - 4
    assert middle(gaze_y=-1.0)[1] > y + 4


def test_a_shut_lid_hides_the_eye():
    for look in (ROBOT, *looks(4)):
        for mood in EVERY:
            shut = [
                render(look, moved(lid_left=1, lid_right=1, gaze_x=gaze), REST_MOUTH, mood)
                for gaze in (-1, 1)
            ]
            assert change(*shut).max() == 0


def test_the_ground_stays_still():
    still = render(ROBOT, NEUTRAL_MOTION, REST_MOUTH, PLAIN)
    other = render(ROBOT, moved(x=0.05, roll=0.12, yaw=1), TALKING, EVERY[3])
    difference = change(still, other)
    for corner in (difference[:20, :20], difference[-20:, -20:], difference[-20:, :20]):
        assert corner.max() == 0


def test_the_mouth_at_rest_is_closed():
    for look in (*CHARACTERS.values(), *looks(3)):
        rest = render(look, NEUTRAL_MOTION, REST_MOUTH, PLAIN)
        hidden = render(look, NEUTRAL_MOTION, (0, 0, 0, 1, 1), PLAIN)
        assert change(rest, hidden).max() == 0, 'closed lips must hide teeth and tongue'
        slight = render(look, NEUTRAL_MOTION, (0.01, 0, 0, 0, 0), PLAIN)
        wide_open = render(look, NEUTRAL_MOTION, (1, 0, 0, 0, 0), PLAIN)
        assert change(rest, slight).sum() < 0.04 * change(rest, wide_open).sum()


def test_every_expression_has_its_own_face():
    for look in CHARACTERS.values():
        faces = [render(look, NEUTRAL_MOTION, REST_MOUTH, mood, 256) for mood in EVERY]
        for place, first in enumerate(faces):
            for second in faces[place + 1 :]:
                assert (change(first, second) > 40).sum() > 175


def test_half_an_expression_lies_between():
    plain, half, full = (
        render(ROBOT, NEUTRAL_MOTION, REST_MOUTH, weight * EVERY[1]) for weight in (0, 0.5, 1)
    )
    whole = change(plain, full).sum()
    assert change(plain, half).sum() < whole
    assert change(half, full).sum() < whole


def test_random_faces_differ_and_show_eyes_and_mouth_clearly():
    faces = looks(200)
    assert len(set(faces)) == 200
    for look in faces:
        assert np.abs(np.subtract(look.lip, look.panel)).max() >= 60
        assert abs(luminance(look.brow) - luminance(look.panel)) >= 0.2
        assert luminance(look.sclera) - luminance(look.iris) >= 0.2
        if look.panel_width < 0.5:
            assert np.abs(np.subtract(look.ground, look.panel)).max() >= 30
        assert look.eye_gap - look.eye_width > 0.03, 'eyes must not touch'


def test_sheet_writes_the_family(tmp_path):
    path = tmp_path / 'family.png'
    sheet(path, size=48)
    picture = cv2.imread(str(path))
    assert picture.shape == (48 * (len(CHARACTERS) + 4), 48 * len(EXPRESSIONS), 3)
    with pytest.raises(OSError, match='missing'):
        sheet(tmp_path / 'missing' / 'family.png', size=48)


@pytest.mark.parametrize(
    ('motion', 'mouth', 'expression', 'size', 'named'),
    [
        (np.zeros(8), REST_MOUTH, PLAIN, 512, 'motion'),
        (NEUTRAL_MOTION, np.zeros(4), PLAIN, 512, 'mouth'),
        (NEUTRAL_MOTION, REST_MOUTH, np.zeros((1, 8)), 512, 'expression'),
        (NEUTRAL_MOTION + np.nan, REST_MOUTH, PLAIN, 512, 'motion'),
        (NEUTRAL_MOTION, REST_MOUTH, PLAIN, 8, 'size'),
    ],
)
def test_wrong_inputs_are_named_in_one_line(motion, mouth, expression, size, named):
    with pytest.raises(ValueError, match=named) as raised:
        render(ROBOT, motion, mouth, expression, size)
    assert '\n' not in str(raised.value)
