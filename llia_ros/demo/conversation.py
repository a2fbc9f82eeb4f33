"""What is said in the demo, by whom and when; the user's side of it as one track of sound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from importlib import resources
from itertools import count

import numpy as np

from llia_ros.audio import files
from llia_ros.audio.stream import RATE

# The user's voice and the robot's: espeak-ng voices that no training heard.
VOICES = {'user': 'en-gb-x-rp+Alicia', 'robot': 'en-us+m6'}


@dataclass(frozen=True)
class Line:
    """One line of the script.

    `after` is the pause (s) from the end of the line before it, or with `interrupts` from its
    beginning: then the speaker talks into it.
    """

    name: str
    speaker: str
    text: str
    after: float
    interrupts: bool = False

    @cached_property
    def samples(self) -> np.ndarray:
        """The line spoken, int16 (n,) at 16 kHz, from the file that ships with the package."""
        folder = resources.files('llia_ros.demo').joinpath('speech')
        with resources.as_file(folder.joinpath(f'{self.name}.ogg')) as path:
            return files.read(path)

    @property
    def seconds(self) -> float:
        """How long the line takes."""
        return len(self.samples) / RATE


LINES = (
    Line('greeting', 'user', 'Hello there! Who are you?', 2.5),
    Line(
        'introduction',
        'robot',
        'Hi! I am a face that is drawn while you watch. I speak, I listen, '
        'and when nobody talks, I just look around.',
        0.8,
    ),
    Line('request', 'user', 'Nice to meet you. Would you tell me a long story?', 7.0),
    Line(
        'story',
        'robot',
        'With pleasure. Once upon a time a little robot lived in a lighthouse by the sea. '
        'Every evening it climbed the stairs, lit the lamp, and counted all the ships. '
        'One ship with red sails, two ships with white sails, three fishing boats, '
        'and one very small paper boat.',
        0.8,
    ),
    Line('interruption', 'user', 'Stop, please! That was lovely, but I have to go.', 5.0, True),
    Line('farewell', 'robot', 'Of course. Come back soon!', 0.8),
)
SILENCE_AT_END = 6.0


def prolonged(seconds: float) -> tuple[Line, ...]:
    """LINES, and then the story again and again, interrupted now here, now there.

    At least `seconds` long.
    """
    users = [line for line in LINES if line.speaker == 'user']
    [story] = [line for line in LINES if line.name == 'story']
    lines = [*LINES, replace(users[1], after=3.0)]
    total = schedule(tuple(lines)).seconds
    for k in count():
        if total >= seconds:
            break
        # The golden ratio spreads them over the story without a pattern.
        after, user = 2.0 + 4.0 * (k * 0.618 % 1), users[k % len(users)]
        lines += [replace(story, after=0.8), replace(user, after=after, interrupts=True)]
        total += 0.8 + after + user.seconds
    return tuple(lines)


@dataclass(frozen=True)
class Cue:
    """A line and when it begins, seconds on the user's clock."""

    line: Line
    start: float

    @property
    def end(self) -> float:
        """When the line would end if nobody interrupted it."""
        return self.start + self.line.seconds


@dataclass(frozen=True)
class Conversation:
    """Cues in their order, and how long the whole takes (s)."""

    cues: tuple[Cue, ...]
    seconds: float

    def of(self, speaker: str) -> tuple[Cue, ...]:
        """The cues of one speaker."""
        return tuple(cue for cue in self.cues if cue.line.speaker == speaker)

    @property
    def interruption(self) -> Cue | None:
        """The cue that talks into another, if the conversation gets that far."""
        return next((cue for cue in self.cues if cue.line.interrupts), None)

    def user_track(self) -> np.ndarray:
        """All that the user says, with the silence between, int16 (n,) at 16 kHz."""
        track = np.zeros(round(self.seconds * RATE), np.int16)
        for cue in self.of('user'):
            first = round(cue.start * RATE)
            part = cue.line.samples[: len(track) - first]
            track[first : first + len(part)] = part
        return track


def schedule(lines: tuple[Line, ...] = LINES, seconds: float | None = None) -> Conversation:
    """Give every line its time; `seconds` ends the conversation there, in the midst if need be.

    Raises ValueError if so little time is left that nobody says anything.
    """
    cues: list[Cue] = []
    end = 0.0
    for line in lines:
        start = (cues[-1].start if line.interrupts else end) + line.after
        cues.append(Cue(line, start))
        end = cues[-1].end
    length = end + SILENCE_AT_END
    if seconds is not None:
        length = min(seconds, length)
        cues = [cue for cue in cues if cue.start < length]
    if not cues:
        raise ValueError(
            f'{length:g} s are too short: nobody speaks before {lines[0].after:g} s, '
            'give --seconds more'
        )
    return Conversation(tuple(cues), length)
