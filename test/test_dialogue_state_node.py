"""The real dialogue_state process: who it takes for speaking, and what it takes no harm from."""

import numpy as np
import pytest
from conftest import Probe, Start
from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import Bool, Int16MultiArray, String

from llia_ros.audio.stream import RATE, SECOND
from llia_ros.nodes import messages
from llia_ros.nodes.messages import AUDIO_QOS, LATCHED_QOS, Audio

CHUNK = 320


class Stage:
    """The process and everything it says."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.states = probe.hear(String, 'dialogue/state', LATCHED_QOS)
        self.user = probe.hear(Bool, 'user/is_speaking', LATCHED_QOS)
        self.robot = probe.hear(Bool, 'robot/is_speaking', LATCHED_QOS)
        self.diagnostics = probe.hear(DiagnosticArray, '/diagnostics')
        probe.until(lambda: self.states and self.user and self.robot)

    def course(self) -> list[str]:
        """The states so far."""
        return [message.data for _, message in self.states]

    def play(self, topic: str, samples: np.ndarray, pace: float = 0.002) -> None:
        """Send sound, faster than real time."""
        for start in range(0, len(samples), CHUNK):
            stamp = 10 * SECOND + start * SECOND // RATE
            message = messages.audio_message(Audio(samples[start : start + CHUNK], RATE, stamp))
            self.probe.say(topic, message, AUDIO_QOS)
            self.probe.spin(pace)

    def status(self) -> messages.Status:
        """The next diagnostics."""
        self.diagnostics.clear()
        self.probe.until(lambda: self.diagnostics)
        return messages.read_diagnostics(self.diagnostics[-1][1])[0]

    def until(self, *course: str) -> None:
        """Wait for the states to have been these."""
        self.probe.until(lambda: self.course() == list(course), 15)


@pytest.fixture
def stage(start: Start, probe: Probe) -> Stage:
    start('dialogue_state', listening_hold=0.5)
    return Stage(probe)


def test_a_user_is_listened_to_until_shortly_after_the_end(stage: Stage, sentence) -> None:
    stage.until('idle')
    stage.play('user/audio', sentence)
    stage.play('user/audio', np.zeros(RATE, np.int16))
    stage.until('idle', 'listening', 'idle')
    assert [message.data for _, message in stage.user] == [False, True, False]
    assert [message.data for _, message in stage.robot] == [False]
    ended, back = stage.user[-1][0], stage.states[-1][0]
    assert 0.4 < back - ended < 1.0


def test_a_user_whose_sound_stops_in_the_middle_is_not_listened_to_for_ever(
    stage: Stage, sentence
) -> None:
    stage.play('user/audio', sentence[:RATE])
    stage.until('idle', 'listening', 'idle')


def test_the_robot_speaks_while_its_face_plays_and_by_its_voice_before_any_face_is_there(
    stage: Stage, sentence
) -> None:
    stage.play('robot/audio', sentence)
    stage.until('idle', 'speaking', 'idle')
    stage.states.clear()
    stage.probe.say('playing', Bool(data=False), LATCHED_QOS)
    stage.probe.spin(0.2)
    stage.play('robot/audio', sentence)
    stage.probe.say('playing', Bool(data=True), LATCHED_QOS)
    stage.until('speaking')
    assert stage.status().values['source'] == 'playing'
    stage.probe.say('playing', Bool(data=False), LATCHED_QOS)
    stage.until('speaking', 'idle')


def test_an_override_holds_until_it_is_given_back(stage: Stage) -> None:
    stage.probe.say('dialogue/override', String(data='listening'))
    stage.until('idle', 'listening')
    stage.probe.say('playing', Bool(data=True), LATCHED_QOS)
    assert stage.status().values['source'] == 'override'
    assert stage.course() == ['idle', 'listening']
    stage.probe.say('dialogue/override', String(data=''))
    stage.until('idle', 'listening', 'speaking')


def test_whoever_comes_later_learns_the_state(stage: Stage) -> None:
    stage.probe.say('dialogue/override', String(data='speaking'))
    stage.until('idle', 'speaking')
    late = Probe()
    try:
        heard = late.hear(String, 'dialogue/state', LATCHED_QOS)
        late.until(lambda: heard)
        assert heard[0][1].data == 'speaking'
    finally:
        late.close()


def test_voices_of_ros4hri_are_followed(start: Start, probe: Probe, sentence) -> None:
    start('dialogue_state', voices='anna, ben', listening_hold=0.0)
    stage = Stage(probe)
    stage.play('user/audio', sentence[:RATE])
    probe.say('humans/voices/ben/is_speaking', Bool(data=True))
    stage.until('idle', 'listening')
    assert stage.status().values['source'] == 'humans/voices/ben'
    probe.say('humans/voices/ben/is_speaking', Bool(data=False))
    stage.until('idle', 'listening', 'idle')


def test_its_own_voice_is_not_taken_for_a_users(stage: Stage, speak) -> None:
    from llia_ros.audio import files

    robot = files.read(speak('I say something rather long, and I hear myself saying it, too.'))
    echo = np.concatenate([np.zeros(1600, np.int16), robot // 4])[: len(robot)]
    stage.probe.say('playing', Bool(data=True), LATCHED_QOS)
    for start in range(0, len(robot) - 640, 640):
        stamp = 10 * SECOND + start * SECOND // RATE
        played = Audio(robot[start : start + 640], RATE, stamp)
        stage.probe.say('audio', messages.audio_message(played), AUDIO_QOS)
        for part in (start, start + CHUNK):
            stamp = 10 * SECOND + part * SECOND // RATE
            heard = Audio(echo[part : part + CHUNK], RATE, stamp)
            stage.probe.say('user/audio', messages.audio_message(heard), AUDIO_QOS)
        stage.probe.spin(0.004)
    stage.probe.spin(0.5)
    assert [message.data for _, message in stage.user] == [False]
    assert float(stage.status().values['echo gain dB']) == pytest.approx(-12, abs=4)


def test_no_message_kills_it_and_each_is_counted(stage: Stage) -> None:
    broken = messages.audio_message(Audio(np.zeros(CHUNK, np.int16), RATE, 1))
    broken.layout.dim[0].label = 'rate=16000'
    for topic, message, qos in [
        ('user/audio', broken, AUDIO_QOS),
        ('robot/audio', Int16MultiArray(), AUDIO_QOS),
        ('audio', broken, AUDIO_QOS),
        ('dialogue/override', String(data='dancing'), 10),
    ]:
        stage.probe.say(topic, message, qos)
    dropped = {'user/audio', 'robot/audio', 'audio', 'dialogue/override'}
    stage.probe.until(
        lambda: all(stage.status().values.get(f'dropped {topic}') == '1' for topic in dropped)
    )
    assert stage.status().values['lifecycle'] == 'active'
    stage.probe.say('dialogue/override', String(data='speaking'))
    stage.until('idle', 'speaking')


def test_what_cannot_be_judged_fails_with_one_line(start: Start) -> None:
    for parameters, said in [
        ({'voices': 'anna, b-c'}, "'b-c' is no REP-155 id"),
        ({'audio_type': 'foxglove_msgs/msg/RawAudio'}, 'install foxglove_msgs'),
    ]:
        process = start('dialogue_state', **parameters)
        assert process.wait() == 1
        (line,) = process.output.strip().splitlines()
        assert said in line
