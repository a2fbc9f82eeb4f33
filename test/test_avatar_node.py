"""The avatar node's own part: what it makes of messages, and that no message harms it."""

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import analytic_backend
import numpy as np
import pytest
from conftest import Probe
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Bool, Int16MultiArray, String
from std_srvs.srv import Trigger

from llia_ros.nodes import avatar as module
from llia_ros.nodes import messages
from llia_ros.nodes.avatar import AvatarNode
from llia_ros.nodes.messages import AUDIO_QOS, FRAME_QOS, LATCHED_QOS, Audio

SUCCESS = TransitionCallbackReturn.SUCCESS
LOUD = np.full(320, 5000, np.int16)


def sound(samples: np.ndarray = LOUD, label: str | None = None) -> Int16MultiArray:
    message = messages.audio_message(Audio(samples, 16000, 1))
    if label is not None:
        message.layout.dim[0].label = label
    return message


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, probe: Probe) -> Iterator[Any]:
    """Makes an avatar node in this process, on a model of which pictures can be read back."""
    monkeypatch.setattr(
        'llia_ros.runtime.avatar.load_backend', lambda *_: analytic_backend.AnalyticBackend()
    )
    monkeypatch.setattr(
        'llia_ros.runtime.avatar.load_portrait', lambda *_: analytic_backend.PORTRAIT
    )
    made = []

    def make(**parameters: Any) -> AvatarNode:
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = AvatarNode(context=probe.context, parameter_overrides=overrides)
        made.append(node)
        probe.add(node)
        return node

    yield make
    for node in made:
        node.close()
        node.destroy_node()


@pytest.fixture
def running(make) -> AvatarNode:
    node = make()
    assert node.start()
    return node


def labels(heard: list[tuple[float, Any]]) -> list[Audio]:
    return [messages.read_audio(message) for _, message in heard]


def test_it_walks_the_whole_lifecycle(make, probe: Probe) -> None:
    node = make()
    states: list[str] = []

    def change(label: str) -> bool:
        request = ChangeState.Request()
        request.transition.label = label
        return probe.call(ChangeState, '/avatar/change_state', request).success

    def state() -> str:
        return probe.call(GetState, '/avatar/get_state').current_state.label

    pictures = probe.hear(CompressedImage, 'image_raw/compressed', FRAME_QOS)
    for label in ('configure', 'activate', 'deactivate', 'activate', 'deactivate', 'cleanup'):
        assert change(label)
        states.append(state())
        count = len(pictures)
        if states[-1] == 'active':
            probe.until(lambda count=count: len(pictures) > count + 5, 10)
        else:
            probe.spin(0.2)
            count = len(pictures)
            probe.spin(0.3)
            assert len(pictures) == count
    assert states == ['inactive', 'active', 'inactive', 'active', 'inactive', 'unconfigured']
    assert change('configure') and change('shutdown')
    assert state() == 'finalized'
    assert node.failure == ''


def test_a_model_that_is_not_there_fails_configuration_with_its_reason(
    make, monkeypatch, probe: Probe
) -> None:
    monkeypatch.undo()
    heard = probe.hear(DiagnosticArray, '/diagnostics')
    for parameters, said in [
        ({'model': 'nothing'}, "unknown model 'nothing'"),
        ({'expression': 'glad'}, "'glad'"),
        ({'audio_type': 'foxglove_msgs/msg/RawAudio'}, 'foxglove_msgs'),
    ]:
        node = AvatarNode(
            context=probe.context,
            parameter_overrides=[Parameter(k, value=v) for k, v in parameters.items()],
        )
        probe.add(node)
        try:
            assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
            assert said in node.failure and '\n' not in node.failure
            heard.clear()
            probe.until(lambda: heard)
            (status,) = messages.read_diagnostics(heard[0][1])
            assert status.level == 'error' and said in status.summary
        finally:
            node.destroy_node()


@pytest.mark.alone
def test_every_picture_has_its_sound_under_the_same_stamp(running, probe: Probe) -> None:
    sounds = probe.hear(Int16MultiArray, 'audio', AUDIO_QOS)
    jpegs = probe.hear(CompressedImage, 'image_raw/compressed', FRAME_QOS)
    images = probe.hear(Image, 'image_raw', FRAME_QOS)
    probe.until(lambda: len(images) > 25)
    stamps = {audio.stamp: audio for audio in labels(sounds)}
    seen = [messages.nanoseconds(message.header.stamp) for _, message in images][1:-1]
    assert all(stamp in stamps for stamp in seen)
    assert np.all(np.diff(seen) > 0)
    indices = [stamps[stamp].index for stamp in seen]
    assert np.all(np.diff(indices) == 1)
    picture = messages.read_image(images[-1][1])
    assert picture.shape == (analytic_backend.SIZE, analytic_backend.SIZE, 3)
    assert images[-1][1].header.frame_id == jpegs[-1][1].header.frame_id == 'face'
    assert messages.decode_jpeg(messages.read_jpeg(jpegs[-1][1])).shape == picture.shape


def test_the_robots_voice_comes_back_cut_to_the_pictures(running, probe: Probe) -> None:
    sounds = probe.hear(Int16MultiArray, 'audio', AUDIO_QOS)
    playing = probe.hear(Bool, 'playing', LATCHED_QOS)
    voice = np.random.default_rng(0).integers(-9000, 9000, 16000).astype(np.int16)
    probe.until(lambda: sounds and playing)
    for start in range(0, len(voice), 320):
        probe.say('robot/audio', sound(voice[start : start + 320]), AUDIO_QOS)
        probe.spin(0.001)
    probe.say('robot/audio', sound(voice[:0]), AUDIO_QOS)
    probe.until(lambda: [message.data for _, message in playing] == [False, True, False])
    heard = labels(sounds)
    assert {len(audio.samples) for audio in heard} == {640}
    spoken = np.concatenate([a.samples[:, 0] for a in heard if np.any(a.samples)])
    assert np.array_equal(spoken[: len(voice)], voice)
    speaking = [audio for audio in heard if audio.state == 'speaking']
    assert all(audio.state == 'speaking' for audio in heard if np.any(audio.samples))
    assert len(speaking) >= 25


def test_a_voice_of_another_rate_is_converted(running, probe: Probe) -> None:
    sounds = probe.hear(Int16MultiArray, 'audio', AUDIO_QOS)
    time = np.arange(44100) / 44100
    tone = (8000 * np.sin(2 * np.pi * 500 * time)).astype(np.int16)
    stereo = np.stack([tone, tone], 1)
    probe.until(lambda: sounds)
    for start in range(0, len(stereo), 882):
        message = messages.audio_message(Audio(stereo[start : start + 882], 44100, start))
        probe.say('robot/audio', message, AUDIO_QOS)
        probe.spin(0.001)
    probe.say('robot/audio', sound(LOUD[:0]), AUDIO_QOS)
    probe.until(lambda: labels(sounds) and labels(sounds)[-1].state == 'speaking')
    probe.until(lambda: labels(sounds[-1:])[0].state != 'speaking')
    spoken = np.concatenate([a.samples[:, 0] for a in labels(sounds) if np.any(a.samples)])
    spectrum = np.abs(np.fft.rfft(spoken[:16000].astype(float)))
    assert abs(np.argmax(spectrum) - 500) <= 2
    assert 15800 <= np.flatnonzero(spoken)[-1] - np.flatnonzero(spoken)[0] <= 16100


def speak_until_playing(probe: Probe, playing: list) -> None:
    def playing_now() -> bool:
        probe.say('robot/audio', sound(), AUDIO_QOS)
        return bool(playing) and playing[-1][1].data

    probe.until(playing_now)


def test_an_interrupt_ends_speech_and_the_rest_of_the_utterance_is_not_said(
    running, probe: Probe
) -> None:
    sounds = probe.hear(Int16MultiArray, 'audio', AUDIO_QOS)
    playing = probe.hear(Bool, 'playing', LATCHED_QOS)
    speak_until_playing(probe, playing)
    response = probe.call(Trigger, 'interrupt')
    assert response.success and response.message == 'epoch 1'
    probe.until(lambda: any(audio.cuts for audio in labels(sounds)))
    # At once: at most the frame that was just due is ahead of it.
    [cut] = [k for k, audio in enumerate(a for a in labels(sounds) if a.epoch) if audio.cuts]
    assert cut <= 1
    probe.until(lambda: not playing[-1][1].data, 1.0)
    sounds.clear()
    for _ in range(20):  # the TTS has not noticed yet
        probe.say('robot/audio', sound(), AUDIO_QOS)
        probe.spin(0.02)
    probe.spin(0.3)
    heard = labels(sounds)
    assert heard and not any(np.any(audio.samples) for audio in heard)
    assert {audio.epoch for audio in heard} == {1}
    assert running.diagnostics.counted('messages after an interrupt') >= 20
    probe.say('robot/audio', sound(LOUD[:0]), AUDIO_QOS)
    speak_until_playing(probe, playing)  # the next utterance is


def test_after_a_pause_an_interrupted_voice_may_speak_again(running, probe: Probe) -> None:
    playing = probe.hear(Bool, 'playing', LATCHED_QOS)
    speak_until_playing(probe, playing)
    probe.call(Trigger, 'interrupt')
    probe.until(lambda: not playing[-1][1].data)
    probe.spin(module.PAUSE + 0.1)
    speak_until_playing(probe, playing)


def test_an_utterance_that_was_delivered_whole_leaves_the_next_one_alone(
    running, probe: Probe
) -> None:
    playing = probe.hear(Bool, 'playing', LATCHED_QOS)
    probe.say('robot/audio', sound(np.tile(LOUD, 100)), AUDIO_QOS)
    probe.say('robot/audio', sound(LOUD[:0]), AUDIO_QOS)
    probe.until(lambda: playing and playing[-1][1].data)
    probe.call(Trigger, 'interrupt')
    speak_until_playing(probe, playing)
    assert running.diagnostics.counted('messages after an interrupt') == 0


@pytest.mark.parametrize('barge_in', [True, False])
def test_a_user_who_starts_to_speak_interrupts_if_wanted(make, probe: Probe, barge_in) -> None:
    node = make(barge_in=barge_in)
    assert node.start()
    playing = probe.hear(Bool, 'playing', LATCHED_QOS)
    sounds = probe.hear(Int16MultiArray, 'audio', AUDIO_QOS)
    probe.say('user/is_speaking', Bool(data=True), LATCHED_QOS)
    probe.say('user/is_speaking', Bool(data=False), LATCHED_QOS)
    speak_until_playing(probe, playing)
    probe.until(lambda: sounds)
    assert labels(sounds)[-1].epoch == 0
    probe.say('user/is_speaking', Bool(data=True), LATCHED_QOS)
    for _ in range(15):
        probe.say('robot/audio', sound(), AUDIO_QOS)
        probe.spin(0.02)
    assert labels(sounds)[-1].epoch == int(barge_in)
    assert playing[-1][1].data is not barge_in


def test_state_and_override_are_drawn(running, probe: Probe) -> None:
    sounds = probe.hear(Int16MultiArray, 'audio', AUDIO_QOS)

    def seen(state: str) -> None:
        probe.until(lambda: sounds and labels(sounds[-1:])[0].state == state, 5)

    probe.say('dialogue/state', String(data='listening'), LATCHED_QOS)
    seen('listening')
    probe.say('dialogue/override', String(data='speaking'))
    seen('speaking')
    probe.say('dialogue/override', String(data=''))
    seen('listening')
    probe.say('dialogue/state', String(data='idle'), LATCHED_QOS)
    seen('idle')


def test_expression_portrait_and_gaze_reach_the_pictures(make, probe: Probe) -> None:
    running = make(any_portrait=True)
    assert running.start()
    images = probe.hear(Image, 'image_raw', FRAME_QOS)

    def face(index: int) -> float:
        return analytic_backend.read(messages.read_image(images[index][1]))[analytic_backend.FACE]

    def changes(act) -> float:
        probe.until(lambda: images)
        probe.spin(0.3)
        before = face(-1)
        act()
        probe.until(lambda: abs(face(-1) - before) > 1e-3, 5)
        return face(-1) - before

    change = changes(lambda: probe.say('robot_face/expression', String(data='sad')))
    assert change == pytest.approx(2.0, abs=0.01)  # the analytic model adds the index
    change = changes(lambda: probe.say('robot_face/expression', String(data='neutral')))
    assert change == pytest.approx(-2.0, abs=0.01)
    bright = np.full((100, 80, 3), 250, np.uint8)
    change = changes(
        lambda: probe.say('portrait', messages.image_message(bright, 0, ''), LATCHED_QOS)
    )
    assert face(-1) == pytest.approx(250, abs=0.01)
    point = PointStamped()
    point.point.x, point.point.y = 1.0, 0.3
    probe.say('look_at', point)
    probe.say('look_at', PointStamped())
    probe.spin(0.2)
    assert running.diagnostics.counted('dropped look_at') == 0


def nan_point() -> PointStamped:
    point = PointStamped()
    point.point.x = float('nan')
    return point


def point_elsewhere() -> PointStamped:
    point = PointStamped()
    point.header.frame_id = 'map'
    point.point.x = 1.0
    return point


BROKEN = [
    ('robot/audio', sound(label='rate=fast'), AUDIO_QOS),
    ('robot/audio', sound(label=''), AUDIO_QOS),
    ('robot/audio', Int16MultiArray(), AUDIO_QOS),
    ('robot/audio', Int16MultiArray(data=array('h', [1, 2, 3])), AUDIO_QOS),
    ('dialogue/state', String(data='asleep'), LATCHED_QOS),
    ('dialogue/override', String(data='x' * 10000), 10),
    ('robot_face/expression', String(data='glad'), 10),
    ('robot_face/expression', String(data='happy:9'), 10),
    ('portrait', Image(), LATCHED_QOS),
    ('portrait', Image(height=9, width=9, encoding='rgb8', step=27), LATCHED_QOS),
    ('portrait', messages.image_message(np.zeros((9, 9, 3), np.uint8), 0, ''), LATCHED_QOS),
    ('portrait', Image(height=1, width=1, encoding='16UC1', step=2), LATCHED_QOS),
    ('look_at', nan_point(), 10),
    ('look_at', point_elsewhere(), 10),
]


def test_no_message_kills_it_and_each_is_counted(running, probe: Probe) -> None:
    status = probe.hear(DiagnosticArray, '/diagnostics')
    sounds = probe.hear(Int16MultiArray, 'audio', AUDIO_QOS)
    expected: dict[str, int] = {}
    for topic, message, qos in BROKEN:
        probe.say(topic, message, qos)
        expected[topic] = expected.get(topic, 0) + 1
        probe.until(
            lambda topic=topic: running.diagnostics.counted(f'dropped {topic}') == expected[topic],
            5,
        )
    told = messages.read_diagnostics(status[-1][1])[0] if status else None
    probe.until(
        lambda: any(messages.read_diagnostics(message)[0].level == 'warn' for _, message in status)
    )
    status.clear()
    probe.until(lambda: status)
    told = messages.read_diagnostics(status[-1][1])[0]
    for topic, count in expected.items():
        assert told.values[f'dropped {topic}'] == str(count)
    sounds.clear()
    probe.until(lambda: len(sounds) > 20, 5)
    assert running.failure == ''


def test_diagnostics_tell_of_speed_latency_model_and_state(running, probe: Probe) -> None:
    status = probe.hear(DiagnosticArray, '/diagnostics')
    probe.say('robot/audio', sound(np.tile(LOUD, 50)), AUDIO_QOS)
    probe.until(lambda: len(status) >= 3)
    told = messages.read_diagnostics(status[-1][1])[0]
    assert told.name == '/avatar'
    assert float(told.values['fps']) > 15
    for key in ('backend', 'model', 'state', 'late_frames', 'latency p50 ms', 'latency p95 ms'):
        assert key in told.values


def test_a_portrait_that_is_no_face_is_refused_however_it_comes(
    running, probe: Probe, tmp_path: Path
) -> None:
    import cv2

    wall = np.full((128, 128, 3), 200, np.uint8)
    cv2.imwrite(str(tmp_path / 'wall.png'), wall)
    wish = Parameter('portrait', value=str(tmp_path / 'wall.png'))
    refused = running.set_parameters([wish])[0]
    assert not refused.successful and 'not like the faces' in refused.reason
    probe.say('portrait', messages.image_message(wall, 0, ''), LATCHED_QOS)
    probe.until(lambda: running.diagnostics.counted('dropped portrait') == 1)


def test_portrait_and_expression_can_be_changed_as_parameters(
    make, monkeypatch, tmp_path: Path
) -> None:
    import cv2

    running = make(any_portrait=True)
    assert running.start()
    monkeypatch.setattr(module, 'model_folder', lambda _: tmp_path)
    cv2.imwrite(str(tmp_path / 'face.png'), np.full((128, 128, 3), 200, np.uint8))
    (tmp_path / 'text.png').write_text('no picture')

    def set_(name: str, value: Any) -> Any:
        return running.set_parameters([Parameter(name, value=value)])[0]

    assert set_('portrait', str(tmp_path / 'face.png')).successful
    refused = set_('portrait', str(tmp_path / 'text.png'))
    assert not refused.successful and 'not a picture' in refused.reason
    assert running.parameters.current.portrait == str(tmp_path / 'face.png')
    assert set_('expression', 'happy:0.5').successful
    assert not set_('expression', 'happy:5').successful


def test_an_engine_that_fails_is_told_of_and_ends_the_process(
    make, monkeypatch, probe: Probe
) -> None:
    backend = analytic_backend.AnalyticBackend()
    monkeypatch.setattr('llia_ros.runtime.avatar.load_backend', lambda *_: backend)
    node = make()
    assert node.start()
    backend.fail_at = 'decode', 3
    with pytest.raises(ExternalShutdownException):
        probe.spin(20)
    assert 'decode went wrong' in node.failure
    assert not probe.context.ok()
