"""A photo becomes a portrait, or it is said clearly why not."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from llia_ros.runtime.photo import Box, cut, cut_portrait, find_face, place
from llia_ros.runtime.portraits import load_portrait

FILE = Path(__file__).parent / 'data' / 'astronaut.jpg'
FACE = (0.25, 0.25, 0.75, 0.75)


@pytest.fixture(scope='module')
def photo():
    return cv2.cvtColor(cv2.imread(str(FILE)), cv2.COLOR_BGR2RGB)


def resized(photo, scale):
    return cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize('face', [FACE, (0.3, 0.35, 0.7, 0.75)])
def test_the_face_comes_to_lie_where_the_model_wants_it(photo, face):
    portrait = cut_portrait(photo, face, 320)
    assert portrait.shape == (320, 320, 3) and portrait.dtype == np.uint8
    box = find_face(portrait)
    middle = np.array([box.left, box.top]) + box.side / 2
    wanted = 320 * np.array([face[0] + face[2], face[1] + face[3]]) / 2
    assert np.abs(middle - wanted).max() < 0.04 * 320
    assert box.side == pytest.approx(320 * (face[2] - face[0]), rel=0.15)


def test_a_larger_photo_gives_the_same_portrait(photo):
    large, square = cv2.resize(photo, None, fx=3, fy=3), place(photo, FACE)
    found = place(large, FACE)
    # The detector goes over a photo in steps that grow with the face.
    offs = found.left / 3 - square.left, found.top / 3 - square.top, found.side / 3 - square.side
    assert np.abs(offs).max() < 0.06 * square.side
    thrice = Box(3 * square.left, 3 * square.top, 3 * square.side)
    plain, same = cut(photo, square, 128).astype(float), cut(large, thrice, 128).astype(float)
    assert np.abs(plain - same).mean() < 2


def test_a_photo_file_is_cut_unless_forced(photo, tmp_path):
    cut = load_portrait(FILE, tmp_path, 128, face=FACE)
    assert np.array_equal(cut, cut_portrait(photo, FACE, 128))
    forced = load_portrait(FILE, tmp_path, 128, force=True, face=FACE)
    assert np.array_equal(forced, load_portrait(FILE, tmp_path, 128))
    assert not np.array_equal(forced, cut)


def test_photos_without_one_good_face_are_refused(photo):
    wall = np.random.default_rng(0).integers(90, 160, (300, 300, 3), np.uint8)
    with pytest.raises(ValueError, match='no face found in wall.jpg'):
        cut_portrait(wall, FACE, 128, 'wall.jpg')
    with pytest.raises(ValueError, match='2 faces found'):
        cut_portrait(np.concatenate([photo, photo[:, ::-1]], axis=1), FACE, 128)
    with pytest.raises(ValueError, match=r'too small: \d+ pixels wide, at least 64'):
        cut_portrait(resized(photo, 0.6), FACE, 128)
    with pytest.raises(ValueError, match='too near the edge'):
        cut_portrait(photo[60:180, 92:208], (0.35, 0.35, 0.65, 0.65), 128)


def test_somebody_in_the_background_is_no_rival(photo):
    crowd = np.full((900, 1400, 3), 128, np.uint8)
    crowd[:900, :900] = cv2.resize(photo, (900, 900), interpolation=cv2.INTER_CUBIC)
    crowd[:240, 1000:1240] = resized(photo, 0.8)
    assert find_face(crowd).side == pytest.approx(3 * find_face(photo).side, rel=0.1)


def test_a_missing_detector_is_told_with_its_remedy(photo, monkeypatch):
    monkeypatch.setitem(sys.modules, 'dlib', None)
    with pytest.raises(ValueError, match=r"pip install 'llia_ros\[photo\]'"):
        cut_portrait(photo, FACE, 128)
