"""A portrait is taken if the model knows its like, and refused with the distance if not."""

import cv2
import numpy as np
import pytest
from matplotlib import cbook

from llia_ros import cli
from llia_ros.runtime.backends import model_folder
from llia_ros.runtime.family import LIMIT, Families, Family
from llia_ros.runtime.portraits import load_portrait, portrait_names
from llia_ros.training.faces import FAMILIES, random_look
from llia_ros.training.pictures import likenesses

FOLDER = model_folder('tiny')


@pytest.fixture(scope='module')
def family():
    found = Families.load(FOLDER)
    assert found is not None
    return found


def photograph() -> np.ndarray:
    path = cbook.get_sample_data('grace_hopper.jpg', asfileobj=False)
    picture = cv2.imread(str(path))[..., ::-1]
    side = min(picture.shape[:2])
    return np.ascontiguousarray(picture[:side, :side])


def text() -> np.ndarray:
    page = np.full((512, 512, 3), 255, np.uint8)
    for line in range(20):
        where = (10, 25 * line + 20)
        cv2.putText(page, 'the quick brown fox', where, cv2.FONT_HERSHEY_SIMPLEX, 1, (0, 0, 0), 2)
    return page


STRANGERS = {
    'photograph': photograph,
    'text': text,
    'wall': lambda: np.full((100, 100, 3), 90, np.uint8),
    'noise': lambda: np.random.default_rng(0).integers(0, 255, (300, 300, 3)).astype(np.uint8),
    'head over heels': lambda: np.ascontiguousarray(load_portrait('robot', FOLDER, 512)[::-1]),
}


def test_every_face_of_the_family_is_taken(family):
    for kind in FAMILIES.values():
        unseen = [family.distance(picture) for picture in likenesses(100, 4242, kind)]
        assert max(unseen) < LIMIT
        assert np.median(unseen) < 0.8
    for name in portrait_names(FOLDER):
        load_portrait(name, FOLDER, 512)


@pytest.mark.parametrize('name', STRANGERS)
def test_what_is_no_such_face_is_refused_with_its_distance(family, name):
    picture = STRANGERS[name]()
    distance = family.distance(picture)
    assert distance > LIMIT
    with pytest.raises(ValueError, match=rf'distance {family.distance(picture):.2f}, at most'):
        family.check(picture)


def test_a_stranger_is_taken_when_forced():
    picture = photograph()
    with pytest.raises(ValueError, match='or force it'):
        load_portrait(picture, FOLDER, 512)
    assert load_portrait(picture, FOLDER, 512, force=True).shape == (512, 512, 3)


def test_a_family_stored_measures_the_same(tmp_path):
    family = Family.fit(likenesses(120, 1, random_look))
    family.save(tmp_path, 'all')
    again = Families.load(tmp_path)
    for picture in likenesses(5, 2, random_look):
        assert again.distance(picture) == pytest.approx(family.distance(picture), rel=1e-6)
    assert Families.load(tmp_path / 'elsewhere') is None


def test_random_faces_are_faces_and_differ_by_seed(tmp_path, family):
    faces = []
    for options in (['--seed', '1'], ['--seed', '1'], ['--seed', '2'], ['--family', 'cartoon']):
        path = tmp_path / 'face.png'
        assert cli.main(['portrait', str(path), '--size', '128', *options]) == 0
        faces.append(cv2.imread(str(path))[..., ::-1])
        family.check(faces[-1])
    assert np.array_equal(faces[0], faces[1])
    assert np.abs(faces[0].astype(int) - faces[2]).mean() > 2
    assert np.abs(faces[0].astype(int) - faces[3]).mean() > 2


def test_a_picture_that_cannot_be_written_is_an_error(tmp_path, capsys):
    assert cli.main(['portrait', str(tmp_path / 'no' / 'face.png')]) == 2
    assert 'cannot write' in capsys.readouterr().err
