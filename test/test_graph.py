"""The whole graph: four real processes, a page, and a fifth process that is plain rclpy."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from conftest import Probe, Start, write_sound
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Bool, Int16MultiArray, String
from std_srvs.srv import Trigger

from llia_ros.audio import files
from llia_ros.display.mailbox import ALIVE, SOUND, Item, unpack
from llia_ros.nodes import messages
from llia_ros.nodes.messages import AUDIO_QOS, FRAME_QOS, LATCHED_QOS
from llia_ros.runtime.backends import model_names

pytestmark = pytest.mark.skipif('tiny' not in model_names(), reason='the model is not there')

SLOW = 90.0  # a model that loads on a busy machine
AN_INTERRUPT = 0.4


class Page:
    """What a browser would get from the display."""

    def __init__(self, port: int) -> None:
        self.items: list[tuple[float, Item]] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch(port)))
        self._thread.start()

    async def _watch(self, port: int) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f'http://127.0.0.1:{port}/stream') as stream,
        ):
            while not self._end.is_set():
                try:
                    message = await stream.receive(timeout=0.2)
                except asyncio.TimeoutError:
                    continue
                if message.type != aiohttp.WSMsgType.BINARY:
                    return
                if (item := unpack(message.data)).kind != ALIVE:
                    self.items.append((time.monotonic(), item))

    def sounds(self) -> list[tuple[float, Item]]:
        """The sound it got."""
        return [(arrived, item) for arrived, item in self.items if item.kind == SOUND]

    def close(self) -> None:
        """Leave."""
        self._end.set()
        self._thread.join()


@dataclass
class Graph:
    """Everything that the fifth process and a page see."""

    probe: Probe
    start: Start
    folder: Path
    page: Page = field(init=False)

    def __post_init__(self) -> None:
        probe = self.probe
        self.pictures = probe.hear(CompressedImage, 'image_raw/compressed', FRAME_QOS)
        self.sounds = probe.hear(Int16MultiArray, 'audio', AUDIO_QOS)
        self.states = probe.hear(String, 'dialogue/state', LATCHED_QOS)
        self.playing = probe.hear(Bool, 'playing', LATCHED_QOS)
        with socket.create_server(('127.0.0.1', 0)) as free:
            port = free.getsockname()[1]
        for script, parameters in [
            ('dialogue_state', {'listening_hold': 0.5}),
            ('avatar', {}),
            ('display', {'port': port}),
        ]:
            self.start(script, **parameters)
        probe.until(lambda: self.states and len(self.pictures) > 10, SLOW)
        self.page = Page(port)
        probe.until(lambda: self.page.items, SLOW)

    def say(self, samples: np.ndarray, topic: str) -> None:
        """Let the real audio_capture play a sound on a topic, as robot's or user's voice."""
        path = write_sound(self.folder / f'{topic.replace("/", "_")}.wav', samples)
        self.start(
            'audio_capture',
            source='file',
            file=str(path),
            end_of_utterance=True,
            wait_for_subscribers=1 if topic == 'user/audio' else 2,
            remap={'user/audio': topic, '__node': topic.replace('/', '_')},
        )

    def course(self) -> list[str]:
        """The dialogue's states so far."""
        return [message.data for _, message in self.states]

    def until_state(self, state: str) -> None:
        """Wait for the dialogue to be in a state."""
        self.probe.until(lambda: self.course()[-1] == state, SLOW)


@pytest.fixture
def graph(start: Start, probe: Probe, tmp_path: Path) -> Iterator[Graph]:
    graph = Graph(probe, start, tmp_path)
    yield graph
    graph.page.close()


def test_a_face_speaks_listens_and_idles_for_a_plain_node_and_a_page(
    graph: Graph, sentence: np.ndarray
) -> None:
    assert graph.course() == ['idle']
    graph.say(sentence, 'robot/audio')
    graph.until_state('speaking')
    graph.until_state('idle')
    # The face may have fallen silent a message later than the dialogue.
    graph.probe.until(
        lambda: [message.data for _, message in graph.playing][-2:] == [True, False], SLOW
    )

    # The voice comes back whole, in order, cut to the pictures.
    heard = [messages.read_audio(message) for _, message in graph.sounds]
    assert {len(audio.samples) for audio in heard} == {640}
    spoken = [audio.samples[:, 0] for audio in heard if np.any(audio.samples)]
    padded = np.concatenate([sentence, np.zeros(-len(sentence) % 640, np.int16)])
    expected = [frame for frame in padded.reshape(-1, 640) if np.any(frame)]
    assert np.array_equal(spoken, expected)
    assert all(audio.state == 'speaking' for audio in heard if np.any(audio.samples))
    on_page = [item for _, item in graph.page.sounds() if any(item.data)]
    assert np.array_equal(
        [np.frombuffer(item.data, np.int16) for item in on_page], expected[-len(on_page) :]
    )

    # Every picture is a face of the size that is promised, with a sound under its stamp.
    stamps = {audio.stamp: audio for audio in heard}
    seen = [messages.nanoseconds(message.header.stamp) for _, message in graph.pictures]
    assert len(set(seen) & set(stamps)) > 0.8 * len(seen)
    picture = messages.decode_jpeg(messages.read_jpeg(graph.pictures[-1][1]))
    assert picture.shape == (512, 512, 3)
    assert picture.std() > 10

    graph.say(sentence, 'user/audio')
    graph.until_state('listening')
    graph.probe.until(lambda: messages.read_audio(graph.sounds[-1][1]).state == 'listening', SLOW)
    graph.until_state('idle')
    assert graph.course() == ['idle', 'speaking', 'idle', 'listening', 'idle']


@pytest.mark.alone
def test_an_interrupt_ends_the_old_speech_at_the_display(graph: Graph, speak) -> None:
    text = 'This is a rather long story, of which only the beginning will be heard. ' * 2
    graph.say(files.read(speak(text)), 'robot/audio')
    graph.until_state('speaking')
    graph.probe.until(lambda: sum(any(item.data) for _, item in graph.page.sounds()) > 10, SLOW)

    interrupted = time.monotonic()
    epoch = int(graph.probe.call(Trigger, 'interrupt').message.removeprefix('epoch '))
    graph.probe.until(lambda: not graph.playing[-1][1].data)
    graph.until_state('idle')
    graph.probe.spin(1.0)

    old = [arrived for arrived, item in graph.page.items if item.epoch < epoch]
    new = [item for _, item in graph.page.items if item.epoch >= epoch]
    assert old and new
    assert old[-1] - interrupted < AN_INTERRUPT
    assert not any(any(item.data) for item in new if item.kind == SOUND)
    # The rest of the story, which is still being delivered, is not told.
    assert graph.course() == ['idle', 'speaking', 'idle']


def test_a_user_who_speaks_up_interrupts_the_robot(
    graph: Graph, speak, sentence: np.ndarray
) -> None:
    text = 'This is a rather long story, of which only the beginning will be heard. ' * 3
    graph.say(files.read(speak(text)), 'robot/audio')
    graph.until_state('speaking')
    graph.probe.until(lambda: sum(any(item.data) for _, item in graph.page.sounds()) > 40, SLOW)
    graph.say(sentence, 'user/audio')
    graph.until_state('listening')
    graph.until_state('idle')
    assert graph.course() == ['idle', 'speaking', 'listening', 'idle']
    assert {item.epoch for _, item in graph.page.items} == {0, 1}
