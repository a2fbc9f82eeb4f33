"""Who has the floor: the dialogue state as a pure function of what is known and the time.

No thread, no clock, no ROS: `step(before, inputs, now, hold)` gives what comes after, and the
whole memory is the `Dialogue` it returns.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

SPEAKING, LISTENING, IDLE = 'speaking', 'listening', 'idle'


@dataclass(frozen=True)
class Inputs:
    """What is known at one moment.

    `override` is a state that somebody set, or empty. `playing` is whether the face is speaking,
    None while nothing has told so; `robot_voice` is voice activity on the robot's audio, which
    counts only then. `voices` are REP-155 voices and whether each speaks; where there are any,
    they replace `user_voice`, the node's own judgement.
    """

    user_voice: bool = False
    robot_voice: bool = False
    playing: bool | None = None
    voices: Mapping[str, bool] = field(default_factory=dict)
    override: str = ''

    @property
    def robot_is_speaking(self) -> bool:
        """The robot speaks until its face has ended, however early its voice was delivered."""
        return self.robot_voice if self.playing is None else self.playing

    @property
    def user_is_speaking(self) -> bool:
        """Any of the voices that are followed, or the user's voice by own judgement."""
        return any(self.voices.values()) if self.voices else self.user_voice


@dataclass(frozen=True)
class Dialogue:
    """A state, where it came from, and until when (s) the face goes on listening."""

    state: str = IDLE
    source: str = 'start'
    listening_until: float = float('-inf')


def step(before: Dialogue, inputs: Inputs, now: float, hold: float) -> Dialogue:
    """The dialogue at `now` (s).

    An override decides everything. Else the robot's speech makes it speaking; a user makes it
    listening, and for `hold` seconds longer, so that a breath between two sentences does not
    turn the face away; else it is idle.
    """
    until = before.listening_until
    if inputs.user_is_speaking:
        until = now + hold
    elif until > now + hold:
        until = now + hold  # the clock was set back, or the hold was shortened
    if inputs.override:
        return Dialogue(inputs.override, 'override', until)
    if inputs.robot_is_speaking:
        source = 'robot/audio' if inputs.playing is None else 'playing'
        return Dialogue(SPEAKING, source, until)
    if inputs.user_is_speaking:
        talking = sorted(voice for voice, speaks in inputs.voices.items() if speaks)
        source = f'humans/voices/{talking[0]}' if talking else 'user/audio'
        return Dialogue(LISTENING, source, until)
    if now < until:
        return Dialogue(LISTENING, 'hold', until)
    return Dialogue(IDLE, 'silence', until)
