"""What a control page may ask for, and whether it asked rightly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llia_ros.audio.espeak import MOST_LETTERS, VARIANTS
from llia_ros.model.config import EXPRESSIONS, STATES

MOST_NAME = 64
# `look_at` is told in metres; farther than a hall is a mistake.
FARTHEST = 50.0


class CommandError(ValueError):
    """A message that asks for nothing we know, or wrongly."""


@dataclass(frozen=True)
class Number:
    """A finite number of low .. high."""

    low: float
    high: float

    def read(self, value: Any) -> float:
        """Return the value as a float; ValueError says what was expected."""
        kind_is_right = isinstance(value, int | float) and not isinstance(value, bool)
        # False for NaN, too.
        if not kind_is_right or not self.low <= value <= self.high:
            raise ValueError(f'a number of {self.low:g} .. {self.high:g}')
        return float(value)


@dataclass(frozen=True)
class Choice:
    """One of some words."""

    words: tuple[str, ...]

    def read(self, value: Any) -> str:
        """Return the word; ValueError says what was expected."""
        if not isinstance(value, str) or value not in self.words:
            raise ValueError(f'one of {", ".join(word or "(empty)" for word in self.words)}')
        return value


@dataclass(frozen=True)
class Text:
    """A text of 1 .. most letters, all of them printable."""

    most: int

    def read(self, value: Any) -> str:
        """Return the text on one line; ValueError says what was expected."""
        line = ' '.join(value.split()) if isinstance(value, str) else ''
        if not 1 <= len(line) <= self.most or not line.isprintable():
            raise ValueError(f'a text of 1 .. {self.most} letters')
        return line


# Of each command: its fields, all of which must be given.
COMMANDS: dict[str, dict[str, Number | Choice | Text]] = {
    'expression': {'name': Choice(EXPRESSIONS), 'intensity': Number(0.0, 1.0)},
    'override': {'state': Choice(('', *STATES))},
    'interrupt': {},
    'look_at': {
        'x': Number(0.05, FARTHEST),
        'y': Number(-FARTHEST, FARTHEST),
        'z': Number(-FARTHEST, FARTHEST),
    },
    'look_freely': {},
    'portrait': {'name': Text(MOST_NAME)},
    'speak': {
        'text': Text(MOST_LETTERS),
        'voice': Text(MOST_NAME),
        'variant': Choice(VARIANTS),
    },
}


@dataclass(frozen=True)
class Command:
    """A checked command; `ticket` is the page's own number for the answer."""

    name: str
    values: Mapping[str, Any]
    ticket: int = 0


def read_command(message: str) -> Command:
    """Read a page's message, JSON such as {"do": "override", "state": "idle", "ticket": 7}.

    Raises CommandError, one clear line, for everything else.
    """
    try:
        given = json.loads(message)
    except (ValueError, RecursionError):
        raise CommandError('a message that is no JSON') from None
    if not isinstance(given, dict):
        raise CommandError('a message that is no JSON object')
    name, ticket = given.pop('do', None), given.pop('ticket', 0)
    if not isinstance(name, str) or name not in COMMANDS:
        raise CommandError(f'unknown command: expected one of {", ".join(COMMANDS)}')
    if type(ticket) is not int or not 0 <= ticket < 1 << 31:
        raise CommandError(f'{name}: ticket must be a whole number')
    wanted = COMMANDS[name]
    if set(given) != set(wanted):
        raise CommandError(f'{name}: expected the fields {", ".join(wanted) or "(none)"}')
    values = {}
    for key, kind in wanted.items():
        try:
            values[key] = kind.read(given[key])
        except ValueError as expected:
            raise CommandError(f'{name}: {key} must be {expected}') from None
    return Command(name, values, ticket)
