"""Others on the same machine: measured by hand once, and kept as text."""

from __future__ import annotations

from typing import Any

from llia_ros.benchmark.document import Page

TITLE = 'Beside the others'
BY_HAND = True  # no command makes it
NAME = 'beside_others.md'


def measure(sweep: Any) -> dict[str, Any]:
    """Return the text; RuntimeError where it is not beside the document."""
    path = sweep.target / NAME
    if not path.is_file():
        raise RuntimeError(f'{NAME} is not beside the document: it is written by hand')
    return {'text': path.read_text()}


def write(figures: dict[str, Any], page: Page, machine: dict[str, Any]) -> None:
    """Include the text, without its own title."""
    lines = [line for line in figures['text'].splitlines() if not line.startswith('# ')]
    page.say('\n'.join(lines))
