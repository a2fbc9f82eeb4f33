"""The demo's own ROS 2 node: leads the robot's side of the conversation and notes everything.

It stands where a robot's dialogue manager and TTS would be: it hears that the user has ended,
and publishes an answer on `robot/audio` in bursts that are faster than real time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Bool, Int16MultiArray, String

from llia_ros.audio.stream import RATE
from llia_ros.demo.conversation import Conversation, Cue
from llia_ros.demo.log import Log, Picture, Sound, Spoken, level
from llia_ros.display.page_meter import read_cuts
from llia_ros.nodes.messages import (
    AUDIO_QOS,
    FRAME_QOS,
    LATCHED_QOS,
    Audio,
    MessageError,
    audio_message,
    nanoseconds,
    read_audio,
    read_diagnostics,
    read_jpeg,
)

SECOND = 1_000_000_000
# A TTS that is five times faster than real time: half a second of voice every tenth of one.
BURST = RATE // 2
TICK = 0.1
# A voice as it comes from a microphone or over the network, in real time.
LIVE_BURST = RATE // 50
LIVE_TICK = 0.02
# Seconds of the conversation whose pictures are kept: ten minutes would take half a GB.
KEPT_SECONDS = 60.0


class Conductor(Node):
    """Plays a conversation; `log` grows while it runs.

    The script's clock is the user's sound: it stands still until the first sample of the user's
    track has come. `say` is called with a line's speaker and text when it begins. With `live`
    the robot's voice comes at the pace at which it is spoken.
    """

    def __init__(
        self,
        conversation: Conversation,
        say: Callable[[Cue], None],
        context: Context,
        live: bool = False,
    ) -> None:
        super().__init__('conductor', context=context)
        self.log = Log()
        self._say = say
        self._burst = LIVE_BURST if live else BURST
        self._user_cues = list(conversation.of('user'))
        self._robot_cues = list(conversation.of('robot'))
        self._unsent = np.zeros(0, np.int16)
        self._sending = False
        self._user_began: float | None = None
        self._user_samples = 0
        self._playing = False
        self._robot_audio = self.create_publisher(Int16MultiArray, 'robot/audio', AUDIO_QOS)
        self.create_subscription(
            CompressedImage, 'image_raw/compressed', self._guard(self._on_picture), FRAME_QOS
        )
        self.create_subscription(Int16MultiArray, 'audio', self._guard(self._on_sound), AUDIO_QOS)
        self.create_subscription(
            Int16MultiArray, 'user/audio', self._guard(self._on_user), AUDIO_QOS
        )
        self.create_subscription(String, 'dialogue/state', self._on_state, LATCHED_QOS)
        self.create_subscription(Bool, 'playing', self._on_playing, LATCHED_QOS)
        self.create_subscription(Bool, 'user/is_speaking', self._on_user_speaks, LATCHED_QOS)
        self.create_subscription(
            DiagnosticArray, '/diagnostics', self._guard(self._on_diagnostics), 10
        )
        self.create_timer(LIVE_TICK if live else TICK, self._send_burst)

    @property
    def position(self) -> float:
        """How far the conversation is, seconds."""
        return self._user_samples / RATE

    @property
    def began(self) -> float | None:
        """ROS time of the conversation's beginning, seconds."""
        return self._user_began

    def _now(self) -> float:
        return self.get_clock().now().nanoseconds / SECOND

    def _guard(self, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        def guarded(message: Any) -> None:
            try:
                callback(message)
            except MessageError:
                self.log.unusable += 1

        return guarded

    # ---- what comes in

    def _on_picture(self, message: Any) -> None:
        stamp = nanoseconds(message.header.stamp) / SECOND
        jpeg = read_jpeg(message)
        kept = jpeg if self.position <= KEPT_SECONDS else b''
        self.log.pictures.append(Picture(self._now(), stamp, kept))

    def _on_sound(self, message: Any) -> None:
        audio = read_audio(message)
        if audio.cuts:
            return
        if audio.index is None or audio.epoch is None or audio.state is None:
            raise MessageError('sound without the names of its frame')
        stamp = audio.stamp / SECOND
        sound = Sound(
            self._now(), stamp, audio.index, audio.epoch, audio.state, level(audio.samples)
        )
        self.log.sounds.append(sound)

    def _on_user(self, message: Any) -> None:
        audio = read_audio(message)
        if self._user_began is None:
            self._user_began = audio.stamp / SECOND
        self.log.user.append((audio.stamp / SECOND, level(audio.samples)))
        self._user_samples += len(audio.samples)
        while self._user_cues and self._user_cues[0].start <= self.position:
            self._begin(self._user_cues.pop(0), self._user_began)
        while self._robot_cues and self._robot_cues[0].start <= self.position:
            cue = self._robot_cues.pop(0)
            self._unsent, self._sending = cue.line.samples, True
            self._begin(cue, self._now() - cue.start)

    def _on_state(self, message: Any) -> None:
        self.log.states.append((self._now(), message.data))

    def _on_playing(self, message: Any) -> None:
        self._playing = message.data
        self.log.playing.append((self._now(), message.data))

    def _on_user_speaks(self, message: Any) -> None:
        self.log.user_speaks.append((self._now(), message.data))
        if message.data and self._playing:
            self._unsent = self._unsent[:0]

    def _on_diagnostics(self, message: Any) -> None:
        for status in read_diagnostics(message):
            values = {'level': status.level, 'summary': status.summary, **status.values}
            self.log.diagnostics[status.name.rsplit('/', 1)[-1]] = values
            for cut in read_cuts(values.get('page cuts', '')):
                self.log.cuts[cut.epoch] = cut

    # ---- what goes out

    def _begin(self, cue: Cue, zero: float) -> None:
        line = cue.line
        self.log.spoken.append(Spoken(line.name, line.speaker, zero + cue.start, zero + cue.end))
        self._say(cue)
        if line.speaker == 'robot':
            self._send_burst()

    def _send_burst(self) -> None:
        if not self._sending:
            return
        part, self._unsent = self._unsent[: self._burst], self._unsent[self._burst :]
        stamp = self.get_clock().now().nanoseconds
        self._robot_audio.publish(audio_message(Audio(part, RATE, stamp, 'tts')))
        # The message without samples, after the last burst, ends the utterance.
        self._sending = len(part) > 0


class Graph:
    """A conductor spinning in a thread of its own, on a ROS 2 domain of its own."""

    def __init__(
        self,
        conversation: Conversation,
        say: Callable[[Cue], None],
        domain: int,
        live: bool = False,
    ) -> None:
        self._context = Context()
        rclpy.init(args=[], context=self._context, domain_id=domain)
        self.conductor = Conductor(conversation, say, self._context, live)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.conductor)
        self._thread = threading.Thread(target=self._spin, name='conductor', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._context.try_shutdown()
        self._thread.join()
        self.conductor.destroy_node()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass
