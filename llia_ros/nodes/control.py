"""The control page's ROS side: what a page asks for becomes topics, services and parameters."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped
from rcl_interfaces.msg import Parameter, ParameterEvent, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy._rclpy_pybind11 import InvalidHandle
from rclpy.qos import qos_profile_parameter_events
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

from llia_ros.audio.espeak import MOST_LETTERS, VARIANTS, Espeak
from llia_ros.display.by_hand import MAPPING
from llia_ros.display.commands import Command
from llia_ros.display.control import Control
from llia_ros.model.config import EXPRESSIONS, STATES
from llia_ros.nodes.gallery import Gallery
from llia_ros.nodes.latency_chart import figures, stages
from llia_ros.nodes.messages import (
    AUDIO_QOS,
    LATCHED_QOS,
    image_message,
    read_diagnostics,
    read_state,
    text,
    time_message,
)
from llia_ros.nodes.optional_messages import audio_carrier
from llia_ros.nodes.parameters import DisplayParameters
from llia_ros.nodes.running import FaceNode
from llia_ros.nodes.voice import Voice

TICK = 0.5
# A microphone without a message for so long is gone, seconds.
GONE = 1.0
QUIETEST = -60.0
# Parameters of the avatar that the page shows.
FOLLOWED = ('model', 'portrait', 'expression')
# Uploaded portraits are made that small before they go over a topic, pixels.
LARGEST = 1024


class ControlDesk:
    """Serves the control page of a display node, `web`, and does what the page asks for.

    `open` and `close` follow the node's activation. A page's commands come on the server's
    thread; they only publish or call, and what takes time is left to the voice's thread.
    """

    def __init__(self, node: FaceNode[DisplayParameters]) -> None:
        wanted = node.parameters.current
        self._node = node
        self._carrier = audio_carrier(wanted.audio_type, wanted.audio_rate, wanted.audio_channels)
        self._espeak = Espeak()
        self._avatar = node.resolve_service_name('avatar')
        self._is_open = False
        self._gallery = Gallery()
        self._asked: Any = None
        self._ear: Any = None
        self._heard = 0.0
        self._uploaded = False
        self._display: dict[str, list[float]] = {}
        # Names of the portraits that are worn now and were before; empty for an upload.
        self._worn = self._before = ''
        self.web = Control(self, self._welcome())

    def _welcome(self) -> dict[str, Any]:
        resolve = self._node.resolve_topic_name
        return {
            'expressions': EXPRESSIONS,
            'states': STATES,
            'voices': [[voice.name, voice.title] for voice in self._espeak.voices],
            'variants': VARIANTS,
            'speech missing': self._espeak.missing,
            'most letters': MOST_LETTERS,
            'mapping': [[entry.control, entry.command(resolve)] for entry in MAPPING],
        }

    def open(self) -> None:
        """Make publishers, clients and subscriptions."""
        node = self._node
        self._expression = node.offer(String, 'robot_face/expression', 10)
        self._override = node.offer(String, 'dialogue/override', 10)
        self._look_at = node.offer(PointStamped, 'look_at', 10)
        self._portrait = node.offer(Image, 'portrait', LATCHED_QOS)
        self._audio = node.offer(self._carrier.message_type, 'robot/audio', AUDIO_QOS)
        self._interrupt = node.ask(Trigger, 'interrupt')
        self._set = node.ask(SetParameters, f'{self._avatar}/set_parameters')
        self._get = node.ask(GetParameters, f'{self._avatar}/get_parameters')
        self._pool = ThreadPoolExecutor(1, thread_name_prefix='gallery')
        self._voice = Voice(self._espeak, node.parameters.current, self._say)

        node.listen(String, 'robot_face/expression', self._on_expression, 10)
        node.listen(String, 'dialogue/override', self._on_override, 10)
        node.listen(String, 'dialogue/state', self._on_state, LATCHED_QOS)
        for topic, fact in (
            ('playing', 'playing'),
            ('user/is_speaking', 'user'),
            ('robot/is_speaking', 'robot'),
        ):
            node.listen(Bool, topic, self._teller(fact), LATCHED_QOS)
        node.listen(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        node.listen(
            ParameterEvent, '/parameter_events', self._on_parameters, qos_profile_parameter_events
        )
        node.every(TICK, self._on_tick)
        self._is_open = True
        self.web.tell(override='')

    def close(self) -> None:
        """Do nothing more; the topics go with the node's activation."""
        self._is_open = False
        self._ear = self._asked = None
        self._uploaded = False
        self._voice.close()
        self._pool.shutdown(cancel_futures=True)
        self.web.tell(avatar=False)

    # ---- what a page asks for

    def do(self, command: Command) -> Future[str]:
        """Carry out a command of the page."""
        if not self._is_open:
            raise ValueError('the display node is not active')
        try:
            future: Future[str] = getattr(self, f'_do_{command.name}')(**command.values)
        except InvalidHandle:
            raise ValueError('the display node has just been deactivated') from None
        return future

    def wear(self, image: np.ndarray) -> Future[str]:
        """Publish an uploaded portrait."""
        if not self._is_open:
            raise ValueError('the display node is not active')
        return self._pool.submit(self._wear, image)

    def _wear(self, image: np.ndarray) -> str:
        shrink = LARGEST / max(image.shape[:2])
        if shrink < 1:
            image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        message = image_message(image, self._node.now(), 'face')
        line = self._publish(self._portrait, message, 'the portrait was sent').result()
        self._uploaded = True
        self._wears('')
        return line

    def _do_expression(self, name: str, intensity: float) -> Future[str]:
        line = f'{name}:{intensity:.3g}'
        return self._publish(self._expression, text(line), line)

    def _do_override(self, state: str) -> Future[str]:
        return self._publish(self._override, text(state), state or 'automatic')

    def _do_look_at(self, x: float, y: float, z: float) -> Future[str]:
        message = PointStamped()
        message.header.stamp = time_message(self._node.now())
        message.point.x, message.point.y, message.point.z = x, y, z
        return self._publish(self._look_at, message, f'looking at ({x:.2f}, {y:.2f}, {z:.2f})')

    def _do_look_freely(self) -> Future[str]:
        return self._publish(self._look_at, PointStamped(), 'looking around')

    def _do_interrupt(self) -> Future[str]:
        self._voice.stop()
        return self._call(self._interrupt, Trigger.Request(), lambda response: response.message)

    def _do_portrait(self, name: str) -> Future[str]:
        if name not in self._gallery.names:
            raise ValueError(f'no portrait {name!r} in the gallery')
        if self._uploaded:
            # The parameter may have that name already, and the picture on the topic is kept for
            # an avatar that starts later.
            image = self._gallery.picture(name)
            self._portrait.publish(image_message(image, self._node.now(), 'face'))
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=name)
        request = SetParameters.Request(parameters=[Parameter(name='portrait', value=value)])

        def read(response: Any) -> str:
            [result] = response.results
            if not result.successful:
                raise ValueError(result.reason)
            self._uploaded = False
            if name != self._worn:
                self._wears(name)
            return f'portrait {name}'

        return self._call(self._set, request, read)

    def _do_speak(self, text: str, voice: str, variant: str) -> Future[str]:
        if not self._interrupt.service_is_ready():
            raise ValueError('the avatar is not there yet, or not active')
        return self._voice.speak(text, voice, variant)

    def _publish(self, publisher: Any, message: Any, line: str) -> Future[str]:
        if not publisher.get_subscription_count():
            raise ValueError(f'nobody listens to {publisher.topic_name}: is avatar running?')
        self._node.send(publisher, message)
        done: Future[str] = Future()
        done.set_result(line)
        return done

    def _call(self, client: Any, request: Any, read: Any) -> Future[str]:
        if not client.service_is_ready():
            raise ValueError(f'{client.srv_name} is not there: is avatar running?')
        done: Future[str] = Future()

        def finish(answered: Any) -> None:
            # Nobody waits any longer where the page has given up.
            if not done.set_running_or_notify_cancel():
                return
            try:
                done.set_result(read(answered.result()))
            except Exception as error:
                done.set_exception(error)

        client.call_async(request).add_done_callback(finish)
        return done

    def _say(self, audio: Any) -> None:
        self._node.send(self._audio, self._carrier.write(audio))

    # ---- callbacks: store and return

    def _teller(self, fact: str) -> Any:
        return lambda message: self.web.tell(**{fact: bool(message.data)})

    def _on_state(self, message: Any) -> None:
        self.web.tell(state=read_state(message.data))

    def _on_expression(self, message: Any) -> None:
        self.web.tell(expression=str(message.data)[:40])

    def _on_override(self, message: Any) -> None:
        state = message.data.strip()
        self.web.tell(override=read_state(state) if state else '')

    def _on_ear(self, message: Any) -> None:
        samples = self._carrier.read(message).samples
        self._heard = time.monotonic()
        if len(samples):
            power = float(np.mean(np.square(samples, dtype=np.float32))) / 32768**2
            self.web.tell(level=round(max(QUIETEST, 10 * np.log10(power + 1e-9))))

    def _on_diagnostics(self, message: Any) -> None:
        ours = self._node.get_fully_qualified_name()
        for status in read_diagnostics(message):
            if status.name == self._avatar:
                self.web.measure(figures(status, self._display, message.header.stamp))
                trouble = status.summary if status.level in ('warn', 'error') else ''
                self.web.tell(trouble=trouble)
                if line := status.values.get('last drop'):
                    self._on_drop(message.header.stamp.sec, line)
            elif status.name == ours:
                self._display = stages(status, 'display: ')

    def _on_drop(self, second: int, line: str) -> None:
        self.web.tell(dropped=[second, line])
        if line.startswith('portrait:'):
            # What was uploaded has been refused: the face is the one before.
            self._wears(self._before)

    def _wears(self, name: str) -> None:
        self._before, self._worn = self._worn, name
        self.web.tell(portrait=name)

    def _on_parameters(self, event: Any) -> None:
        if event.node == self._avatar:
            changed = (*event.new_parameters, *event.changed_parameters)
            self._meet({item.name: item.value.string_value for item in changed})

    def _on_tick(self) -> None:
        self.web.tell(avatar=self._interrupt.service_is_ready())
        if not self._get.service_is_ready():
            self._asked = None
        elif self._asked is None:
            self._asked = self._get.call_async(GetParameters.Request(names=list(FOLLOWED)))
            self._asked.add_done_callback(self._on_answer)
        if self.web.pages and self._ear is None:
            kind = self._carrier.message_type
            self._ear = self._node.listen(kind, 'user/audio', self._on_ear, AUDIO_QOS)
        elif not self.web.pages and self._ear is not None:
            ear, self._ear = self._ear, None
            self._node.stop_listening(ear)
        if time.monotonic() - self._heard > GONE:
            self.web.tell(level=None)

    def _on_answer(self, answered: Any) -> None:
        values = [value.string_value for value in answered.result().values]
        if len(values) == len(FOLLOWED):
            self._meet(dict(zip(FOLLOWED, values)))

    def _meet(self, parameters: dict[str, str]) -> None:
        """Follow the avatar: which face it wears, and the gallery of its model."""
        if parameters.get('portrait', self._worn) != self._worn:
            self._wears(parameters['portrait'])
        if 'expression' in parameters:
            self.web.tell(expression=parameters['expression'])
        if 'model' in parameters:
            self._pool.submit(self._hang, parameters['model'])

    def _hang(self, model: str) -> None:
        try:
            self._gallery = Gallery(model)
            self.web.hang(self._gallery.thumbnails())
            self.web.tell(gallery_missing='')
        except ValueError as error:
            self._gallery = Gallery()
            self.web.hang({})
            self.web.tell(gallery_missing=' '.join(str(error).split()))
