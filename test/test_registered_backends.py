"""Another package's backend is found by its entry point; ours keep their names."""

from pathlib import Path

import pytest

from llia_ros.runtime.backends import BACKENDS, backend_names, load_backend
from llia_ros.runtime.backends.openvino import OpenVINORunner

MODULE = """
class Theirs:
    name = 'theirs'

    def __init__(self, folder, **options):
        if options.get('broken'):
            raise RuntimeError('no such accelerator')
        self.folder, self.options = folder, options
"""


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As pip leaves an installed package behind."""
    (tmp_path / 'their_backend.py').write_text(MODULE)
    about = tmp_path / 'theirs-1.0.dist-info'
    about.mkdir()
    (about / 'METADATA').write_text('Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n')
    (about / 'entry_points.txt').write_text(
        '[llia_ros.backends]\n'
        'theirs = their_backend:Theirs\n'
        'mistyped = their_backend:Thiers\n'
        'missing = their_other_backend:Theirs\n'
        'openvino = their_backend:Theirs\n'
    )
    monkeypatch.syspath_prepend(tmp_path)


def test_a_registered_backend_gets_folder_and_options(registered: None) -> None:
    backend = load_backend('tiny', 'theirs', threads=3)
    assert backend.folder.name == 'tiny' and backend.options == {'threads': 3}


def test_names_are_ours_first_and_ours_stay_ours(registered: None) -> None:
    assert backend_names() == [*BACKENDS, 'missing', 'mistyped', 'theirs']
    assert isinstance(load_backend('tiny', 'openvino').runner, OpenVINORunner)


@pytest.mark.parametrize(
    ('name', 'options', 'said'),
    [
        ('their', {}, "unknown backend 'their': one of auto, openvino, .*theirs"),
        ('mistyped', {}, "mistyped: its entry point in llia_ros.backends: .*'Thiers'"),
        ('missing', {}, "missing: No module named 'their_other_backend'"),
        ('theirs', {'broken': True}, 'theirs: no such accelerator'),
    ],
)
def test_what_cannot_be_loaded_is_told_in_one_line(
    registered: None, name: str, options: dict[str, bool], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        load_backend('tiny', name, **options)
