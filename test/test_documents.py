"""Documents lead somewhere, drawings are as their command draws them, and units can be loaded."""

import configparser
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LISTED = subprocess.run(
    ['git', 'ls-files', '--cached', '--others', '--exclude-standard', '*.md'],
    cwd=ROOT,
    check=True,
    capture_output=True,
    text=True,
)
PAGES = sorted(ROOT / name for name in LISTED.stdout.split() if (ROOT / name).exists())
UNITS = sorted((ROOT / 'deploy').glob('*.service'))
LINK = re.compile(r'\]\(([^)\s]+)\)')
CODE = re.compile(r'^```.*?^```$|`[^`\n]*`', re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    text = re.sub(
        r'^```.*?^```$', '', page.read_text(encoding='utf-8'), flags=re.MULTILINE | re.DOTALL
    )
    found = set()
    for heading in re.findall(r'^#+ +(.*)$', text, re.MULTILINE):
        words = re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', heading).lower()
        found.add(re.sub(r'[^\w\- ]', '', words).strip().replace(' ', '-'))
    return found


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_relative_link_is_dead(page: Path) -> None:
    for link in LINK.findall(CODE.sub('', page.read_text(encoding='utf-8'))):
        if link.startswith(('http://', 'https://', 'mailto:')):
            continue
        name, _, anchor = link.partition('#')
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f'{page.name} links to {link}'
        if anchor:
            assert anchor in anchors(target), f'{page.name} links to {link}'


def test_every_document_is_in_the_index() -> None:
    index = (ROOT / 'docs' / 'README.md').read_text(encoding='utf-8')
    for page in PAGES:
        if page.is_relative_to(ROOT / 'docs') and page.name != 'README.md':
            assert f']({page.relative_to(ROOT / "docs")})' in index, f'{page} is not in the index'


def test_the_drawing_is_the_one_that_its_command_draws() -> None:
    path = ROOT / 'docs' / 'make_architecture.py'
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.SVG.read_text(encoding='utf-8') == module.draw(), (
        'run python docs/make_architecture.py'
    )


@pytest.mark.parametrize('unit', UNITS, ids=lambda unit: unit.name)
def test_a_unit_restarts_for_ever_and_its_command_is_a_path(unit: Path) -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str
    parser.read(unit)
    assert parser['Service']['Restart'] == 'always'
    assert parser['Unit']['StartLimitIntervalSec'] == '0'
    assert parser['Service']['ExecStart'].startswith(('/', '%h/'))
    assert parser['Install']['WantedBy']


@pytest.mark.skipif(not shutil.which('systemd-analyze'), reason='there is no systemd')
def test_systemd_finds_nothing_wrong_but_programs_that_are_not_installed(tmp_path: Path) -> None:
    done = subprocess.run(
        ['systemd-analyze', '--user', 'verify', *UNITS],
        env={**os.environ, 'XDG_RUNTIME_DIR': str(tmp_path)},
        capture_output=True,
        text=True,
    )
    complaints = (done.stdout + done.stderr).strip().splitlines()
    assert [line for line in complaints if 'is not executable' not in line] == []
