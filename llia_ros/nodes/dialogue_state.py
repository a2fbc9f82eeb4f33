"""ROS 2 node: who has the floor, from voice activity on both sides, REP-155 and overrides."""

import queue
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from std_msgs.msg import Bool, Int16MultiArray, String

from llia_ros.audio.echo import Echo, EchoMask, make_echo
from llia_ros.audio.stream import RATE, SECOND, Chunk, Converter
from llia_ros.audio.voice_activity import VoiceActivity
from llia_ros.dialogue.state import Dialogue, Inputs, step
from llia_ros.nodes.declaration import ParameterError
from llia_ros.nodes.messages import (
    AUDIO_IN_QOS,
    LATCHED_QOS,
    Audio,
    flag,
    read_audio,
    read_state,
    text,
)
from llia_ros.nodes.optional_messages import AudioCarrier, audio_carrier
from llia_ros.nodes.parameters import DialogueStateParameters
from llia_ros.nodes.running import FaceNode, run

# Work that waits for the judging thread; ten seconds of both sides' sound.
QUEUE = 1000
# A stream without messages for so long has ended, seconds.
GONE = 0.5
TICK = 0.05


class Ear:
    """One side's sound: made 16 kHz mono, judged, and silent when its messages stop."""

    def __init__(self, parameters: DialogueStateParameters) -> None:
        self.converter = Converter()
        self.activity = VoiceActivity(parameters.threshold, parameters.attack, parameters.release)
        self._last = 0.0

    def tune(self, parameters: DialogueStateParameters) -> None:
        """Take over parameters that were changed."""
        hysteresis = self.activity.hysteresis
        hysteresis.threshold = parameters.threshold
        hysteresis.attack, hysteresis.release = parameters.attack, parameters.release

    def convert(self, audio: Audio) -> Chunk:
        """A message as a chunk; one without samples ends the utterance."""
        self._last = time.monotonic()
        if not len(audio.samples):
            self.activity.end()
            return self.converter.flush()
        return self.converter.push(audio.samples, audio.rate, audio.stamp)

    def hear(self, chunk: Chunk, counts: Callable[[Chunk], bool]) -> None:
        """Judge a chunk, block by block; `counts` may refuse one."""
        end = self.activity.position + len(chunk.samples)

        def gate(position: int, block: np.ndarray) -> bool:
            return counts(Chunk(block, chunk.end - (end - position) * SECOND // RATE))

        self.activity.push(chunk.samples, gate)

    def fall_silent(self) -> None:
        """End speech if nothing has come for a while."""
        if self.activity.speaking and time.monotonic() - self._last > GONE:
            self.activity.end()


class DialogueState(FaceNode[DialogueStateParameters]):
    """Publishes `dialogue/state`, `user/is_speaking` and `robot/is_speaking`."""

    def __init__(self, **options: Any) -> None:
        super().__init__('dialogue_state', DialogueStateParameters, **options)
        self._carrier: AudioCarrier
        self._echo: Echo
        self._user: Ear
        self._robot: Ear
        self._voices: list[str] = []
        self._inputs = Inputs()
        self._dialogue = Dialogue()
        self._said: dict[Any, Any] = {}
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(QUEUE)
        self._thread: threading.Thread | None = None

    def configure(self) -> None:
        """Make what judges the sound."""
        wanted = self.parameters.current
        self._carrier = audio_carrier(wanted.audio_type, wanted.audio_rate, wanted.audio_channels)
        self._voices = [voice.strip() for voice in wanted.voices.split(',') if voice.strip()]
        for voice in self._voices:
            if not re.fullmatch(r'\w+', voice, re.ASCII):
                raise ParameterError(
                    f'parameter voices: {voice!r} is no REP-155 id, expected letters, digits and _'
                )
        self._echo = make_echo(wanted.echo, wanted.echo_margin)
        self._user, self._robot = Ear(wanted), Ear(wanted)

    def activate(self) -> None:
        """Begin to judge."""
        self._inputs = Inputs(voices=dict.fromkeys(self._voices, False))
        self._dialogue = Dialogue()
        self._said = {}
        self.diagnostics.begin('state changes', 'queue drops')
        self._state_publisher = self.offer(String, 'dialogue/state', LATCHED_QOS)
        self._user_publisher = self.offer(Bool, 'user/is_speaking', LATCHED_QOS)
        self._robot_publisher = self.offer(Bool, 'robot/is_speaking', LATCHED_QOS)
        self._queue = queue.Queue(QUEUE)
        self._thread = threading.Thread(target=self._work, name='dialogue_state', daemon=True)
        self._thread.start()

        kind, read = self._carrier.message_type, self._carrier.read
        self.listen(kind, 'user/audio', self._then(self._on_user, read), AUDIO_IN_QOS)
        self.listen(kind, 'robot/audio', self._then(self._on_robot, read), AUDIO_IN_QOS)
        self.listen(
            Int16MultiArray, 'audio', self._then(self._on_played, read_audio), AUDIO_IN_QOS
        )
        self.listen(Bool, 'playing', self._then(self._on_playing, _flag), LATCHED_QOS)
        self.listen(String, 'dialogue/override', self._then(self._on_override, _override), 10)
        for voice in self._voices:
            topic = f'humans/voices/{voice}/is_speaking'
            self.listen(Bool, topic, self._then(self._on_voice(voice), _flag), 10)
        self.every(TICK, lambda: self._enqueue(self._on_tick))

    def deactivate(self) -> None:
        """Stop judging."""
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def report(self) -> tuple[str, str, dict[str, Any]]:
        """The state, where it came from, and what both sides sound like."""
        dialogue = self._dialogue
        values = {
            'state': dialogue.state,
            'source': dialogue.source,
            'user is speaking': self._inputs.user_is_speaking,
            'user probability': self._user.activity.probability,
            'robot is speaking': self._inputs.robot_is_speaking,
            'queue': self._queue.qsize(),
            'echo': self.parameters.current.echo,
        }
        if isinstance(self._echo, EchoMask):
            known = self._echo.gain is not None
            values['echo gain dB'] = self._echo.gain if known else 'unknown'
            values['echo delay ms'] = self._echo.delay * 10 if known else 'unknown'
        return 'ok', f'{dialogue.state} ({dialogue.source})', values

    # ---- callbacks: read, store, return

    def _then(
        self, work: Callable[[Any], None], read: Callable[[Any], Any]
    ) -> Callable[[Any], None]:
        def callback(message: Any) -> None:
            value = read(message)
            self._enqueue(lambda: work(value))

        return callback

    def _enqueue(self, work: Callable[[], None]) -> None:
        try:
            self._queue.put_nowait(work)
        except queue.Full:
            self.diagnostics.count('queue drops')
            self.diagnostics.warn('queue', 'sound comes in faster than it can be judged')

    # ---- the judging thread

    def _work(self) -> None:
        self._judge()
        while (work := self._queue.get()) is not None:
            work()
            self._judge()

    def _on_user(self, audio: Audio) -> None:
        self._user.tune(self.parameters.current)
        chunk = self._echo.heard(self._user.convert(audio))
        self._user.hear(chunk, self._echo.counts)

    def _on_robot(self, audio: Audio) -> None:
        if self._inputs.playing is None:
            self._robot.tune(self.parameters.current)
            self._robot.hear(self._robot.convert(audio), lambda block: True)

    def _on_played(self, audio: Audio) -> None:
        if len(audio.samples) and audio.rate == RATE and audio.samples.shape[1] == 1:
            self._echo.played(Chunk(audio.samples[:, 0], audio.stamp))

    def _on_playing(self, playing: bool) -> None:
        self._inputs = replace(self._inputs, playing=playing)

    def _on_override(self, state: str) -> None:
        self._inputs = replace(self._inputs, override=state)

    def _on_voice(self, voice: str) -> Callable[[bool], None]:
        def on_voice(speaks: bool) -> None:
            self._inputs = replace(self._inputs, voices={**self._inputs.voices, voice: speaks})

        return on_voice

    def _on_tick(self) -> None:
        self._user.fall_silent()
        self._robot.fall_silent()

    def _judge(self) -> None:
        self._inputs = inputs = replace(
            self._inputs,
            user_voice=self._user.activity.speaking,
            robot_voice=self._robot.activity.speaking,
        )
        hold = self.parameters.current.listening_hold
        before = self._dialogue.state
        self._dialogue = step(self._dialogue, inputs, self.now() / SECOND, hold)
        if self._dialogue.state != before:
            self.diagnostics.count('state changes')
        self._say(self._user_publisher, flag(inputs.user_is_speaking))
        self._say(self._robot_publisher, flag(inputs.robot_is_speaking))
        self._say(self._state_publisher, text(self._dialogue.state))

    def _say(self, publisher: Any, message: Any) -> None:
        if self._said.get(publisher) != message.data:
            self._said[publisher] = message.data
            self.send(publisher, message)


def _flag(message: Any) -> bool:
    return bool(message.data)


def _override(message: Any) -> str:
    state = message.data.strip()
    return read_state(state) if state else ''


def main(args: Sequence[str] | None = None) -> int:
    """Console script `dialogue_state`."""
    return run(DialogueState, args=args)
