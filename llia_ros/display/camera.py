"""The face as a webcam, for programs that know nothing of ROS: an output by a loopback device."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

import cv2
import numpy as np

from llia_ros.display.fit import DARK, Fit
from llia_ros.display.output import Output
from llia_ros.display.pairing import Frame

# Pictures that wait for their turn: the face's clock and the camera's are not the same one.
QUEUE = 2


class CameraError(ValueError):
    """There is no virtual camera, or it cannot be used."""


class Camera(Output):
    """Sends the face to a virtual camera at a constant rate; a missing picture is repeated.

    `device` such as /dev/video10, empty for the first one; `size` (width, height) to which
    pictures are fitted; `fit` and `rotate` are Fit's. Sound is not a camera's business.
    Raises CameraError where there is no loopback device or the library is missing.
    """

    def __init__(
        self,
        device: str = '',
        size: tuple[int, int] = (1280, 720),
        fit: str = 'contain',
        rotate: int = 0,
        fps: int = 25,
    ) -> None:
        # Loopback devices hold colour at half the size, which needs even sides.
        size = (size[0] - size[0] % 2, size[1] - size[1] % 2)
        self.sent = self.repeated = self.skipped = self.unusable = 0
        self._fit = Fit(size, fit, rotate)
        self._period = 1 / fps
        self._waiting: deque[Frame] = deque()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._screen = np.full((size[1], size[0], 3), DARK, np.uint8)
        self._camera = _camera(device, size, fps)
        self.opened = f'the face is a webcam: {self._camera.device}, {size[0]}x{size[1]}'

    def begin(self) -> None:
        """Begin to send."""
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, name='camera', daemon=True)
        self._thread.start()

    def put(self, frame: Frame) -> None:
        """Leave a picture for the camera's next turn."""
        if frame.picture is None:
            return
        self.cut(frame.epoch)
        with self._lock:
            if len(self._waiting) >= QUEUE:
                self._waiting.popleft()
                self.skipped += 1
            self._waiting.append(frame)

    def cut(self, epoch: int) -> None:
        """Send nothing older than an epoch."""
        with self._lock:
            while self._waiting and self._waiting[0].epoch < epoch:
                self._waiting.popleft()
                self.skipped += 1

    def end(self) -> None:
        """Send no more."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def report(self) -> dict[str, Any]:
        """What was sent, and what was repeated or left out to keep the rate."""
        return {
            'camera': self._camera.device,
            'camera frames': self.sent,
            'camera repeated': self.repeated,
            'camera skipped': self.skipped,
            'camera pictures unusable': self.unusable,
        }

    def close(self) -> str:
        """Give the device back."""
        self.end()
        self._camera.close()
        return ''

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            try:
                self._camera.send(self._next())
            except (RuntimeError, OSError) as error:
                self.failure = f'the camera takes no more pictures: {" ".join(str(error).split())}'
                return
            self.sent += 1
            # After a pause the rate goes on from here: nobody wants the missing frames at once.
            due = max(due + self._period, time.monotonic() - self._period)

    def _next(self) -> np.ndarray:
        with self._lock:
            frame = self._waiting.popleft() if self._waiting else None
        if frame is None or frame.picture is None:
            self.repeated += 1
            return self._screen
        picture = cv2.imdecode(np.frombuffer(frame.picture, np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            self.unusable += 1
            return self._screen
        self._screen = self._fit.whole(picture)
        return self._screen


def _camera(device: str, size: tuple[int, int], fps: int) -> Any:
    try:
        import pyvirtualcam
    except ImportError:
        raise CameraError(
            "output camera needs pyvirtualcam: pip install 'llia_ros[camera]' (or pyvirtualcam)"
        ) from None
    try:
        return pyvirtualcam.Camera(
            *size, fps, fmt=pyvirtualcam.PixelFormat.BGR, device=device or None
        )
    except (RuntimeError, ValueError) as error:
        reason = ' '.join(str(error).split()).rstrip('.')
        number = device.removeprefix('/dev/video') if device else '10'
        raise CameraError(
            f'no virtual camera ({reason}): make one by `sudo modprobe v4l2loopback '
            f'video_nr={number if number.isdigit() else 10} card_label=face exclusive_caps=1` '
            '(Debian package v4l2loopback-dkms)'
        ) from None
