"""An mp4 file with sound, written frame by frame while the face speaks.

Frame k of the file shows picture k and plays its samples: there is one clock, the frame's
index, so sound and picture cannot drift apart however long the recording runs.
"""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import cv2
import numpy as np

# AAC works in blocks of 1024 samples. At 48 kHz a block is 21 ms, shorter than a frame, so the
# end of the sound falls within the last picture; at 16 kHz it would be 64 ms.
AAC_RATE = 48000


class RecordingError(ValueError):
    """A file that cannot be written, or a frame that cannot be part of it."""


def decode_jpeg(data: bytes) -> np.ndarray:
    """Turn an encoded picture into uint8 RGB (height, width, 3).

    Raises RecordingError for bytes that are no picture.
    """
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        raise RecordingError(f'{len(data)} bytes are no picture: send JPEG or PNG')
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


class Recorder:
    """Writes pictures and their sound to an mp4 (H.264 and AAC) of constant frame rate.

    `rate` is the sample rate of the sound handed to `write`; each frame carries `rate // fps`
    samples, or as many as `carry` says. A frame that is missing is filled by its predecessor and
    silence, up to `longest_gap` seconds; after a longer one the recording goes on without it.
    Raises RecordingError when `path` cannot be written. Not thread-safe.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        fps: int = 25,
        rate: int = 16000,
        longest_gap: float = 10.0,
    ) -> None:
        self.path = Path(path)
        self.rate = rate
        self.frames = 0
        self.repeated = 0
        self.late = 0
        self._longest = longest_gap
        self.carry(rate // fps)
        self._first: int | None = None
        self._picture: np.ndarray | None = None
        self._video: Any = None
        self._audio: Any = None
        self._resampler = av.AudioResampler('fltp', 'mono', AAC_RATE)
        try:
            # PyAV opens the file with the first frame: too late to tell a user of a wrong path.
            self.path.open('wb').close()
        except OSError as error:
            raise RecordingError(
                f"cannot write '{self.path}': {error.strerror}; choose a file in a folder that "
                'exists and may be written'
            ) from error
        self._container: Any = av.open(
            str(self.path), 'w', format='mp4', options={'movflags': '+faststart'}
        )

    def carry(self, samples_per_frame: int) -> None:
        """Set how many samples each frame carries, which sets the rate of frames, too.

        To be called before the first frame; later it is too late, and nothing changes.
        """
        if not self.frames:
            self.samples_per_frame = samples_per_frame
            self.fps = Fraction(self.rate, samples_per_frame)

    @property
    def seconds(self) -> float:
        """Length of the recording so far."""
        return float(self.frames / self.fps)

    @property
    def is_open(self) -> bool:
        """False once it was closed or the disk has refused it."""
        return self._container is not None

    def write(
        self,
        image: np.ndarray | bytes | None,
        audio: np.ndarray | None = None,
        index: int | None = None,
    ) -> None:
        """Append one frame.

        `image` is uint8 RGB (height, width, 3), an encoded picture, or None for the last one
        again (before the first picture nothing is recorded); `audio` int16 with at most
        `samples_per_frame` samples (None and what is missing: silence); `index` the frame's
        place on the sender's clock (None: the next). A frame of a place already written is
        counted in `late` and left out. Raises RecordingError for an unusable frame or a full
        disk.
        """
        if self._container is None:
            raise RecordingError(f"'{self.path}' is no longer open: start a new recording")
        picture = self._picture if image is None else self._checked(image)
        if picture is None:
            return
        sound = np.zeros(self.samples_per_frame, np.int16)
        if audio is not None:
            if audio.dtype != np.int16 or audio.ndim != 1 or len(audio) > len(sound):
                raise RecordingError(
                    f'sound of a frame must be at most {len(sound)} samples of int16, not '
                    f'{audio.dtype} {audio.shape}'
                )
            sound[: len(audio)] = audio
        if index is not None and not self._fill_up_to(index):
            return
        self.repeated += image is None
        self._picture = picture
        self._append(picture, sound)

    def close(self) -> None:
        """Finish the file; one that got no frame is removed. May be called twice."""
        container, self._container = self._container, None
        if container is None:
            return
        try:
            if self._video is not None:
                container.mux(self._video.encode(None))
                for block in self._resampler.resample(None):
                    container.mux(self._audio.encode(block))
                container.mux(self._audio.encode(None))
            container.close()
        except av.error.FFmpegError as error:
            raise RecordingError(f"cannot finish '{self.path}': {error.strerror}") from error
        if self._video is None:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Recorder:
        """Return the recorder itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the file, after an error, too."""
        self.close()

    def _checked(self, image: np.ndarray | bytes) -> np.ndarray:
        picture = decode_jpeg(image) if isinstance(image, (bytes, bytearray)) else image
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise RecordingError(
                f'a picture must be uint8 (height, width, 3), not {picture.dtype} {picture.shape}'
            )
        return picture

    def _fill_up_to(self, index: int) -> bool:
        """Repeat the last picture until `index` is next; False if that place is taken."""
        if self._first is None:
            self._first = index - self.frames
        missing = index - self._first - self.frames
        if missing < 0:
            self.late += 1
            return False
        if missing > self._longest * self.fps or self._picture is None:
            self._first = index - self.frames
            return True
        for _ in range(missing):
            self._append(self._picture, np.zeros(self.samples_per_frame, np.int16))
            self.repeated += 1
        return True

    def _append(self, picture: np.ndarray, sound: np.ndarray) -> None:
        if self._video is None:
            self._start(picture)
        image = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format='rgb24')
        image = image.reformat(self._video.width, self._video.height, format='yuv420p')
        image.pts, image.time_base = self.frames, 1 / self.fps
        block = av.AudioFrame.from_ndarray(sound[None], format='s16', layout='mono')
        block.sample_rate = self.rate
        block.pts = self.frames * self.samples_per_frame
        block.time_base = Fraction(1, self.rate)
        try:
            self._container.mux(self._video.encode(image))
            for part in self._resampler.resample(block):
                self._container.mux(self._audio.encode(part))
        except av.error.FFmpegError as error:
            # A container that failed must not be fed again, not even to finish it: FFmpeg may
            # crash.
            self._container = None
            raise RecordingError(
                f"cannot go on writing '{self.path}': {error.strerror}"
            ) from error
        self.frames += 1

    def _start(self, picture: np.ndarray) -> None:
        height, width = picture.shape[:2]
        # A third of the time that 'veryfast' takes, for a file somewhat larger: the recording
        # shares a small machine with the model.
        video = self._container.add_stream(
            'libx264', rate=self.fps, options={'preset': 'ultrafast', 'crf': '18'}
        )
        # Colour is stored at half the size, which needs even sides.
        video.width, video.height = width - width % 2, height - height % 2
        video.pix_fmt = 'yuv420p'
        video.codec_context.time_base = 1 / self.fps
        video.codec_context.thread_count = 1
        audio = self._container.add_stream('aac', rate=AAC_RATE, layout='mono')
        audio.bit_rate = 96000
        self._video, self._audio = video, audio
