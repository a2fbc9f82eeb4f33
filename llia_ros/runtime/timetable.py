"""Hands out one picture with its sound every 1/fps seconds, always, and keeps the two together.

A frame that is late is replaced by the last picture without sound; its own sound waits with it,
so that nothing of it is lost and lips stay true: the clock slips by one frame.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from llia_ros.runtime.course import Closed, Course
from llia_ros.runtime.meter import Meter
from llia_ros.runtime.pipeline import Clip

# A consumer that is this much behind is not caught up with: the schedule starts anew, seconds.
_INSTANT = 1e-6  # seconds; a sum of periods may differ from their product by a rounding
_TOO_FAR_BEHIND = 0.5


@dataclass(frozen=True)
class Frame:
    """One picture and the sound that belongs to it."""

    image: np.ndarray  # uint8 (height, width, 3) RGB, not to be written to
    audio: np.ndarray  # int16 (samples a frame,), zeros where nobody speaks
    index: int  # 0, 1, 2, ... one every 1/fps seconds
    stamp: float  # when it is to be seen, seconds of the engine's clock
    state: str  # the label it was drawn under
    epoch: int  # interrupts before it
    latency: float | None  # arrival of the last sample it needed to picture, seconds
    playing: bool  # belongs to an utterance
    repeated: bool = False  # the picture before again: this one's own is not ready
    # Of the first frame of a clip of speech, seconds before its stamp: when the last sample that
    # the clip needed had arrived, and when its pictures were ready.
    way: tuple[float, float] | None = None


class Timetable:
    """The last stage: takes clips from the decoder and is read by the engine's user."""

    def __init__(
        self,
        course: Course,
        meter: Meter,
        fps: float,
        samples: int,
        paced: bool,
        stamps: Callable[[], float] = time.time,
        idle_state: Callable[[], str] = lambda: 'idle',
    ) -> None:
        """`stamps`: the clock of Frame.stamp; `idle_state`: label of a face that was silenced."""
        self._course, self._meter = course, meter
        self._period, self._samples, self._paced = 1 / fps, samples, paced
        self._stamps, self._idle_state = stamps, idle_state
        self._clips: deque[Clip] = deque()
        self._complete = False
        self._index = 0
        self._start: float | None = None
        self._last: Frame | None = None
        self._last_voice = self._held = False
        self._silence = np.zeros(samples, np.int16)
        self._silence.setflags(write=False)

    @property
    def ready(self) -> int:
        """Finished frames that wait for their time."""
        with self._course.changed:
            shown = self._course.shown
            return sum(
                max(
                    0,
                    clip.first
                    + min(self._course.kept(clip), len(clip.images))
                    - max(clip.first, shown),
                )
                for clip in self._clips
            )

    def put(self, clip: Clip | None) -> None:
        """Take a clip whose pictures come meanwhile, or None at the end.

        Waits while three that are wanted are here.
        """
        with self._course.changed:
            if clip is None:
                self._complete = True
            else:
                while self._full():
                    self._course.wait()
                self._clips.append(clip)
            self._course.changed.notify_all()

    def next(self) -> Frame | None:
        """Return the next frame, at its time if paced; None at the end.

        RuntimeError, with its cause, if a stage has failed.
        """
        course = self._course
        try:
            with course.changed:
                if course.closed:
                    raise Closed
                if self._start is None or not self._paced:
                    while self._head() is None and not self._complete:
                        course.wait()
                if self._complete and self._head() is None:
                    return None
                due = self._wait_until_due() if self._paced else course.clock.now()
                # What is shown is decided now, not before: an interrupt may have come.
                return self._show(due)
        except Closed:
            if course.failure:
                name, error = course.failure
                raise RuntimeError(f'the engine stopped, {name} failed: {error}') from error
            return None

    def _full(self) -> bool:
        self._head()
        return sum(self._course.kept(clip) > 0 for clip in self._clips) >= 3

    def _head(self) -> tuple[Clip, int] | None:
        """Return the clip with the frame to show and that frame's place in it, if it is here."""
        course = self._course
        while self._clips:
            clip = self._clips[0]
            at = course.shown - clip.first
            kept = course.kept(clip)
            if kept and at < kept:
                # An older plan's tail may lie ahead of what a newer one has still to fill in.
                return (clip, at) if 0 <= at < len(clip.images) else None
            self._clips.popleft()
            course.changed.notify_all()
        return None

    def _wait_until_due(self) -> float:
        course = self._course
        now = course.clock.now()
        if self._start is None:
            self._start = now
        due = self._start + self._index * self._period
        if now - due > _TOO_FAR_BEHIND:
            self._meter.count('restarts')
            self._start += now - due
            due = now
        while due - course.clock.now() > _INSTANT:
            course.wait(due)
        return due

    def _show(self, due: float) -> Frame | None:
        course, index = self._course, self._index
        now = course.clock.now()
        head = self._head()
        stamp = self._stamps() + due - now if self._paced else index * self._period
        if head is None:
            if self._complete or self._last is None:
                return None
            frame = self._repeat(index, stamp, now)
        else:
            clip, at = head
            arrived, done = clip.arrived[at], clip.done[at]
            way = None
            # An utterance's last, cut short, has its sound early and waits for those before it.
            if at == 0 and clip.voice and arrived is not None and clip.keep == clip.length:
                complete = max(moment for moment in clip.arrived if moment is not None)
                way = due - complete, due - done
            frame = Frame(
                clip.images[at],
                clip.sound[at],
                index,
                stamp,
                clip.state,
                course.epoch,
                None if arrived is None else done - arrived,
                clip.playing,
                way=way,
            )
            course.shown += 1
            self._last_voice, self._held = clip.voice, False
            self._meter.shown(clip, at, now)
        self._index += 1
        self._last = frame
        if self._start is not None and self._paced:
            course.due = self._start + self._index * self._period
        course.changed.notify_all()
        return frame

    def _repeat(self, index: int, stamp: float, now: float) -> Frame:
        last, epoch = self._last, self._course.epoch
        assert last is not None
        # Speech was cut off: the face waits for its first silent frame, as it should.
        self._held = self._held or (self._last_voice and last.epoch < epoch)
        self._meter.repeated(now, 'held_frames' if self._held else 'late_frames')
        if self._last_voice and not self._held:
            self._meter.count('slips')
        playing = last.playing and last.epoch == epoch
        return replace(
            last,
            audio=self._silence,
            index=index,
            stamp=stamp,
            epoch=epoch,
            latency=None,
            way=None,
            state=last.state if playing or not last.playing else self._idle_state(),
            playing=playing,
            repeated=True,
        )
