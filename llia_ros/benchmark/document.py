"""The document of a sweep: sections between marks, so that each can be written anew by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAME = 'benchmarks.md'
PICTURES = 'pictures'

INTRODUCTION = """# Benchmarks

Written by `llia bench --sweep`, on the machine that each section names; compare within a table
rather than across machines. Each section is measured again by the command below its title.
"""


class Page:
    """One section as it is written: sentences, tables and plots, in order."""

    def __init__(self, name: str, title: str, folder: Path) -> None:
        """`folder`: where the document and its `pictures` are."""
        self.name, self._folder = name, folder
        self._parts = [f'## {title}']

    def say(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(text.strip())

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Add a table; ValueError for rows of another width than `columns`."""
        for row in rows:
            if len(row) != len(columns):
                raise ValueError(f'a row of {len(row)} cells in a table of {len(columns)}: {row}')
        lines = [columns, ['---'] * len(columns), *rows]
        self._parts.append('\n'.join(f'| {" | ".join(map(_cell, line))} |' for line in lines))

    @contextmanager
    def plot(
        self, what: str, text: str, panels: int = 1, width: float = 4.6
    ) -> Iterator[Sequence[Any]]:
        """Add a picture of `panels` side by side; yields their matplotlib axes.

        `what`: end of the file's name. `text`: what a reader who does not see it must know.
        """
        import matplotlib

        matplotlib.use('agg')
        from matplotlib import pyplot

        figure, axes = pyplot.subplots(1, panels, figsize=(width * panels, 3.2), squeeze=False)
        try:
            yield axes[0]
            (self._folder / PICTURES).mkdir(parents=True, exist_ok=True)
            path = f'{PICTURES}/bench-{what}.png'
            figure.tight_layout()
            figure.savefig(self._folder / path, dpi=110)
        finally:
            pyplot.close(figure)
        self._parts.append(f'![{text}]({path})')

    @property
    def text(self) -> str:
        """The section between its marks."""
        inside = '\n\n'.join(self._parts)
        return f'{_mark(self.name)}\n{inside}\n{_mark(self.name, end=True)}'


def replaced(document: str, sections: dict[str, str], order: Sequence[str]) -> str:
    """Return a document with some sections, name -> `Page.text`, written anew.

    Sections that it has, but that `sections` lacks, stay as they are; all stand in `order`, and
    those that are not in it come last.
    """
    kept = {
        match['name']: match[0]
        for match in re.finditer(
            r'<!-- section (?P<name>[\w-]+) -->.*?<!-- end (?P=name) -->', document, re.DOTALL
        )
    }
    kept.update(sections)
    names = [name for name in order if name in kept]
    names += [name for name in kept if name not in order]
    return '\n'.join([INTRODUCTION, *(f'{kept[name]}\n' for name in names)])


def _mark(name: str, end: bool = False) -> str:
    return f'<!-- {"end" if end else "section"} {name} -->'


def _cell(value: Any) -> str:
    if value is None:
        return ''
    if isinstance(value, float):
        return f'{value:.3g}' if abs(value) < 1000 else f'{value:.0f}'
    return str(value).replace('|', '\\|')
