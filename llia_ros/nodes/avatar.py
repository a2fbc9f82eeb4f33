"""ROS 2 node: the robot's voice in, its face and its voice cut to the pictures out."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import PointStamped
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Bool, Int16MultiArray, String
from std_srvs.srv import Trigger

from llia_ros.audio.stream import RATE, SECOND, Converter
from llia_ros.nodes.declaration import ParameterError
from llia_ros.nodes.messages import (
    AUDIO_IN_QOS,
    AUDIO_QOS,
    FRAME_QOS,
    LATCHED_QOS,
    Audio,
    MessageError,
    audio_message,
    encode_jpeg,
    flag,
    image_message,
    jpeg_message,
    read_expression,
    read_image,
    read_state,
)
from llia_ros.nodes.optional_messages import (
    AudioCarrier,
    ExpressionCarrier,
    audio_carrier,
    expression_carrier,
)
from llia_ros.nodes.parameters import AvatarParameters
from llia_ros.nodes.running import FaceNode, run
from llia_ros.runtime.avatar import Avatar, Frame
from llia_ros.runtime.backends import model_folder
from llia_ros.runtime.portraits import load_portrait

# A pause after which sound belongs to a new utterance, although nobody ended the last, seconds.
PAUSE = 0.5
NOTHING = np.zeros(0, np.int16)


class AvatarNode(FaceNode[AvatarParameters]):
    """Publishes `image_raw/compressed`, `image_raw`, `audio` and `playing`."""

    def __init__(self, **options: Any) -> None:
        super().__init__('avatar', AvatarParameters, **options)
        self._avatar: Avatar
        self._carrier: AudioCarrier
        self._expressions: ExpressionCarrier
        self._converter = Converter()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._playing = False
        self._user_is_speaking = False
        self._last_sound = 0.0
        self._utterance_open = False
        self._rest_unwanted = False
        self._late = 0
        self._encoding: deque[float] = deque(maxlen=750)

    def configure(self) -> None:
        """Load the model and the portrait."""
        wanted = self.parameters.current
        self._carrier = audio_carrier(wanted.audio_type, wanted.audio_rate, wanted.audio_channels)
        self._expressions = expression_carrier(wanted.expression_type)
        expression = _expression(wanted.expression)
        began = time.monotonic()
        self._avatar = Avatar.load(
            wanted.model,
            wanted.portrait,
            wanted.backend,
            clock=lambda: self.now() / SECOND,
            steps=wanted.steps or None,
            force=wanted.any_portrait,
        )
        self._avatar.set_expression(*expression)
        self.parameters.on_change = self._on_change
        self.tell(
            f'model {self._avatar.config.name} on {self._avatar.backend.name} with the portrait '
            f'{wanted.portrait}, loaded in {time.monotonic() - began:.1f} s'
        )

    def activate(self) -> None:
        """Begin to show a face."""
        self._converter = Converter()
        self._playing = self._user_is_speaking = False
        self._utterance_open = self._rest_unwanted = False
        self._stopped = threading.Event()
        self.diagnostics.begin('messages after an interrupt')
        self._audio = self.offer(Int16MultiArray, 'audio', AUDIO_QOS)
        self._jpeg = self.offer(CompressedImage, 'image_raw/compressed', FRAME_QOS)
        self._image = self.offer(Image, 'image_raw', FRAME_QOS)
        self._playing_publisher = self.offer(Bool, 'playing', LATCHED_QOS)
        self.send(self._playing_publisher, flag(False))

        self.listen(self._carrier.message_type, 'robot/audio', self._on_audio, AUDIO_IN_QOS)
        self.listen(String, 'dialogue/state', self._on_state, LATCHED_QOS)
        self.listen(String, 'dialogue/override', self._on_override, 10)
        self.listen(Bool, 'user/is_speaking', self._on_user, LATCHED_QOS)
        kind = self._expressions.message_type
        self.listen(kind, 'robot_face/expression', self._on_expression, 10)
        self.listen(Image, 'portrait', self._on_portrait, LATCHED_QOS)
        self.listen(PointStamped, 'look_at', self._on_look_at, 10)
        self.serve(Trigger, 'interrupt', self._on_interrupt)
        self._thread = threading.Thread(target=self._show, name='avatar', daemon=True)
        self._thread.start()

    def deactivate(self) -> None:
        """Fall silent and show nothing more."""
        self._stopped.set()
        self._avatar.interrupt()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def cleanup(self) -> None:
        """Let go of the model."""
        self.parameters.on_change = None
        self._avatar.close()
        del self._avatar

    def report(self) -> tuple[str, str, dict[str, Any]]:
        """What the engine has measured."""
        stats = self._avatar.stats()
        values = {key: value for key, value in stats.items() if not isinstance(value, dict)}
        values.pop('latency_ms', None)
        for stage, summary in stats['stages_ms'].items():
            for figure, milliseconds in summary.items():
                values[f'{stage} {figure} ms'] = milliseconds
        values['playing'] = self._playing
        if encoding := list(self._encoding):
            p50, p95 = np.percentile(encoding, (50, 95))
            values |= {'encoding p50 ms': 1000 * float(p50), 'encoding p95 ms': 1000 * float(p95)}
        late, self._late = stats['late_frames'] - self._late, stats['late_frames']
        if late > 0:
            return 'warn', f'{late} frames were late in the last second', values
        return 'ok', 'playing' if self._playing else str(stats['state']), values

    # ---- callbacks: hand on and return

    def _on_audio(self, message: Any) -> None:
        audio = self._carrier.read(message)
        now = time.monotonic()
        pause, self._last_sound = now - self._last_sound, now
        if not len(audio.samples):
            rest = self._converter.flush()
            if not self._rest_unwanted:
                self._avatar.push_audio(rest.samples)
            self._avatar.end_of_speech()
            self._utterance_open = self._rest_unwanted = False
            return
        if self._rest_unwanted and pause < PAUSE:
            self.diagnostics.count('messages after an interrupt')
            return
        if self._rest_unwanted or pause >= PAUSE:
            self._converter = Converter()
        self._rest_unwanted, self._utterance_open = False, True
        chunk = self._converter.push(audio.samples, audio.rate, audio.stamp)
        self._avatar.push_audio(chunk.samples, chunk.stamp / SECOND)

    def _on_state(self, message: Any) -> None:
        self._avatar.set_state(read_state(message.data))

    def _on_override(self, message: Any) -> None:
        state = message.data.strip()
        self._avatar.set_state(read_state(state) if state else None, override=True)

    def _on_user(self, message: Any) -> None:
        rises = message.data and not self._user_is_speaking
        self._user_is_speaking = message.data
        if rises and self._playing and self.parameters.current.barge_in:
            self.tell('the user interrupts')
            self._interrupt()

    def _on_expression(self, message: Any) -> None:
        self._avatar.set_expression(*self._expressions.read(message))

    def _on_portrait(self, message: Any) -> None:
        self._avatar.set_portrait(read_image(message))

    def _on_look_at(self, message: Any) -> None:
        ours = self.parameters.current.frame
        if message.header.frame_id not in ('', ours):
            raise MessageError(
                f'point in frame {message.header.frame_id!r}: expected {ours}, transform it first'
            )
        point = message.point
        if point.x == point.y == point.z == 0.0:
            self._avatar.look_freely()
        else:
            self._avatar.look_at(point.x, point.y, point.z)

    def _on_interrupt(self, request: Any, response: Any) -> Any:
        response.message = f'epoch {self._interrupt()}'
        response.success = True
        return response

    def _interrupt(self) -> int:
        # A voice that is still being delivered goes on for a while: nobody wants the rest.
        recently = time.monotonic() - self._last_sound < PAUSE
        self._rest_unwanted = self._utterance_open and recently
        epoch = self._avatar.interrupt()
        # Told at once: the epoch's first frame waits for its turn.
        cut = Audio(NOTHING, RATE, self.now(), self.parameters.current.frame, epoch)
        self.send(self._audio, audio_message(cut))
        return epoch

    def _on_change(self, old: AvatarParameters, new: AvatarParameters) -> None:
        if new.portrait != old.portrait:
            folder, config = model_folder(new.model), self._avatar.config
            portrait = load_portrait(
                new.portrait, folder, config.size, new.any_portrait, config.face
            )
            self._avatar.set_portrait(portrait)
        if new.expression != old.expression:
            self._avatar.set_expression(*_expression(new.expression))

    # ---- the showing thread

    def _show(self) -> None:
        try:
            for frame in self._avatar:
                if self._stopped.is_set():
                    return
                self._publish(frame)
        except RuntimeError as error:
            self.fail(str(error))

    def _publish(self, frame: Frame) -> None:
        wanted = self.parameters.current
        stamp = round(frame.stamp * SECOND)
        if frame.playing != self._playing:
            self._playing = frame.playing
            self.send(self._playing_publisher, flag(frame.playing))
        audio = Audio(
            frame.audio,
            RATE,
            stamp,
            wanted.frame,
            frame.epoch,
            frame.index,
            frame.state,
            frame.way,
        )
        self.send(self._audio, audio_message(audio))
        if self._jpeg.get_subscription_count():
            began = time.monotonic()
            jpeg = encode_jpeg(frame.image, wanted.jpeg_quality)
            self._encoding.append(time.monotonic() - began)
            self.send(self._jpeg, jpeg_message(jpeg, stamp, wanted.frame))
        if self._image.get_subscription_count():
            self.send(self._image, image_message(frame.image, stamp, wanted.frame))


def _expression(value: str) -> tuple[str, float]:
    try:
        return read_expression(value)
    except MessageError as error:
        raise ParameterError(f'parameter {error}') from None


def main(args: Sequence[str] | None = None) -> int:
    """Console script `avatar`."""
    return run(AvatarNode, args=args)
