"""Text made speech by the program espeak-ng, where it is installed."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MOST_LETTERS = 500
TIMEOUT = 10.0
# What changes a voice's timbre, as espeak-ng names its variants: men and women.
VARIANTS = ('', 'f1', 'f2', 'f3', 'f4', 'm1', 'm3', 'm5', 'm7')
GET_IT = 'install it on the machine of the display node: sudo apt install espeak-ng'
# Voices of this folder need a second program and its data.
_OTHERS = 'mb/'
_HEADER = 44


class SpeechError(ValueError):
    """A text cannot be spoken."""


@dataclass(frozen=True)
class Voice:
    """A language of espeak-ng: what it is called by the program (`en-us`) and by people."""

    name: str
    title: str


class Espeak:
    """The installed espeak-ng and its voices, which are asked for once.

    `find` gives the program's path, or None. Where there is none, `missing` says how to get it
    and there are no voices.
    """

    def __init__(self, find: Callable[[str], str | None] = shutil.which) -> None:
        self._program = find('espeak-ng')
        self.missing = '' if self._program else f'espeak-ng is not installed: {GET_IT}'
        self.voices: list[Voice] = []
        try:
            self.voices = self._ask()
        except SpeechError as error:
            self.missing = self.missing or str(error)

    def speak(self, text: str, voice: str = 'en', variant: str = '') -> tuple[np.ndarray, int]:
        """Return a text as speech, int16 (n,), and its rate in Hz.

        Raises SpeechError where espeak-ng, the voice or the variant is missing, for an empty
        text, one of more than MOST_LETTERS letters, and one that takes longer than TIMEOUT.
        """
        if self._program is None:
            raise SpeechError(self.missing)
        text = ' '.join(text.split())
        if not 1 <= len(text) <= MOST_LETTERS:
            raise SpeechError(f'a text of {len(text)} letters: expected 1 .. {MOST_LETTERS}')
        if voice not in {known.name for known in self.voices}:
            raise SpeechError(f'espeak-ng has no voice {voice[:40]!r}')
        if variant not in VARIANTS:
            raise SpeechError(f'no variant {variant[:40]!r}: expected one of {VARIANTS[1:]}')
        name = f'{voice}+{variant}' if variant else voice
        wave = _run([self._program, '-v', name, '--stdin', '--stdout'], text.encode())
        # Into a pipe the header is written before the length is known, which it therefore lacks.
        if wave[:4] != b'RIFF' or wave[36:40] != b'data':
            raise SpeechError('espeak-ng gave no sound: try its voice in a terminal')
        end = _HEADER + (len(wave) - _HEADER) // 2 * 2
        samples = np.frombuffer(wave[_HEADER:end], '<i2')
        if not samples.any():
            raise SpeechError(f'espeak-ng has no sound for {text[:40]!r}')
        return samples, int.from_bytes(wave[24:28], 'little')

    def _ask(self) -> list[Voice]:
        """The program's languages, each once, English ones first."""
        if self._program is None:
            return []
        found: dict[str, Voice] = {}
        table = _run([self._program, '--voices'], b'').decode(errors='replace')
        for line in table.splitlines()[1:]:
            columns = line.split()
            if len(columns) >= 5 and not columns[4].startswith(_OTHERS):
                title = columns[3].replace('_', ' ')
                found.setdefault(columns[1], Voice(columns[1], title))
        return sorted(found.values(), key=lambda v: (not v.name.startswith('en'), v.title))


def _run(command: list[str], given: bytes) -> bytes:
    try:
        return subprocess.run(
            command, input=given, capture_output=True, timeout=TIMEOUT, check=True
        ).stdout
    except subprocess.TimeoutExpired:
        raise SpeechError(
            f'espeak-ng took longer than {TIMEOUT:.0f} s: give a shorter text'
        ) from None
    except (subprocess.CalledProcessError, OSError) as error:
        raise SpeechError(f'espeak-ng failed: {error}') from None
