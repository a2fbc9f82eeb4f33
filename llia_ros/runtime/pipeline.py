"""The stages between plan and picture, one thread each, joined by queues of two clips.

The denoiser works on clip n + 1 while the codec decodes clip n.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from llia_ros.model.config import STATES
from llia_ros.runtime.backends import Backend
from llia_ros.runtime.course import Closed, Course
from llia_ros.runtime.keys import Keys, fill
from llia_ros.runtime.meter import Meter, Pace
from llia_ros.runtime.notice import Notice
from llia_ros.runtime.portraits import Look

Item = TypeVar('Item')

# Frames whose latents are kept: more than can be on their way or taken back at once.
_LATENTS_KEPT = 256


@dataclass
class Clip:
    """`keep` frames on their way to be shown, and the `length` ones, F, that are drawn for them.

    Without `keys` the first `keep` of F are shown; with them F are those drawn of the `keep`.
    """

    plan: int
    epoch: int
    first: int
    keep: int
    length: int
    state: str
    voice: bool  # carries an utterance, or the hang-over of one
    playing: bool  # voiced
    look: Look
    fresh: bool  # a new portrait: nothing came before
    steps: int
    heard: np.ndarray  # (F, ...), as the model's ears have it
    motion: np.ndarray | None  # (F, 9)
    sound: np.ndarray  # int16 (keep, samples a frame)
    arrived: list[float | None]  # when the sound of each frame was there
    onset: float | None  # when that of an utterance it opens began
    planned: float
    denoise: tuple[float, float] = (0.0, 0.0)
    decode: tuple[float, float] = (0.0, 0.0)
    latents: np.ndarray | None = field(default=None, repr=False)
    # Pictures that are done, from the first on, and when each was; grow under the course's lock.
    images: list[np.ndarray] = field(default_factory=list, repr=False)
    done: list[float] = field(default_factory=list)
    keys: Keys | None = None


class Channel(Generic[Item]):
    """A blocking queue of bounded length between two stages; ends with the course."""

    def __init__(self, course: Course, size: int = 2) -> None:
        """Start empty."""
        self._course, self._size = course, size
        self._items: deque[Item] = deque()

    def room(self) -> bool:
        """Return whether `put` would not wait now."""
        return len(self._items) < self._size

    def put(self, item: Item) -> None:
        """Add an item, waiting for room; may raise Closed."""
        with self._course.changed:
            while not self.room():
                self._course.wait()
            self._items.append(item)
            self._course.changed.notify_all()

    def get(self) -> Item:
        """Return the oldest item, waiting for one; may raise Closed."""
        with self._course.changed:
            while not self._items:
                self._course.wait()
            self._course.changed.notify_all()
            return self._items.popleft()


def stage(course: Course, name: str, work: Callable[[], None]) -> threading.Thread:
    """Return a started thread that works until the course is closed, and reports a failure."""

    def run() -> None:
        try:
            work()
        except Closed:
            pass
        except BaseException as error:  # whatever it is, the caller must learn of it
            course.fail(name, error)

    thread = threading.Thread(target=run, name=f'llia {name}', daemon=True)
    thread.start()
    return thread


class Sampler:
    """Draws the latents of clips: one fixed noise, and the frames before each as its past."""

    def __init__(
        self,
        course: Course,
        backend: Backend,
        seed: int,
        source: Channel[Clip | Look | None],
        sink: Channel[Clip | None],
        prepared: Callable[[Look], None],
        turn: AbstractContextManager[object] | None,
    ) -> None:
        """`prepared` is told of each Look that came instead of a clip, once it is ready.

        A clip is drawn within `turn`, where denoiser and decoder are to take turns.
        """
        self._course, self._backend = course, backend
        self._source, self._sink, self._prepared = source, sink, prepared
        self._turn = turn or nullcontext()
        field = np.random.default_rng(seed).standard_normal(
            backend.config.latent_shape, np.float32
        )
        longest = max(backend.config.clip_lengths)
        self._noise = np.ascontiguousarray(np.broadcast_to(field, (longest, *field.shape)))
        self._latents: dict[int, np.ndarray] = {}

    def run(self) -> None:
        """Work until the end of the stream."""
        while (item := self._source.get()) is not None:
            if isinstance(item, Look):
                item.reference(self._backend)
                self._prepared(item)
            elif self._wanted(item):
                with self._turn:
                    self._sample(item)
                self._sink.put(item)
        self._sink.put(None)

    def _wanted(self, clip: Clip) -> bool:
        with self._course.changed:
            return self._course.kept(clip) > 0

    def _sample(self, clip: Clip) -> None:
        start = self._course.clock.now()
        latents = self._backend.denoise(
            self._noise[: clip.length],
            clip.heard,
            clip.motion,
            STATES.index(clip.state),
            clip.look.reference(self._backend),
            None if clip.fresh else self._past(clip.first),
            clip.steps,
        )
        clip.latents = latents
        clip.denoise = start, self._course.clock.now()
        shown = list(latents)
        if clip.keys:
            shown = fill(clip.keys, shown, self._latents.get(clip.first - 1))
        for at in range(clip.keep):
            self._latents[clip.first + at] = shown[at]
            self._latents.pop(clip.first + at - _LATENTS_KEPT, None)

    def _past(self, first: int) -> np.ndarray | None:
        """Return the latents of the frames before `first`, (P, ...), None at the start."""
        found: list[np.ndarray] = []
        for before in range(1, self._backend.config.past_frames + 1):
            latent = self._latents.get(first - before)
            if latent is None and not found:
                return None
            found.insert(0, found[0] if latent is None else latent)
        return np.stack(found) if found else None


def decoded(backend: Backend, latents: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the pictures of a clip, in as small pieces as cost nothing."""
    step = 1 if backend.decodes_singly else len(latents)
    for at in range(0, len(latents), step):
        yield backend.decode(latents[at : at + step])


class Decoder:
    """Turns latents into pictures, and mixes those that are not drawn.

    Where the backend decodes them singly the first is seen before the last is begun, and those
    that meanwhile nobody wants any more are left out.
    """

    def __init__(
        self,
        course: Course,
        backend: Backend,
        source: Channel[Clip | None],
        sink: Callable[[Clip | None], None],
        pace: Pace,
        notice: Notice,
        meter: Meter,
        turn: AbstractContextManager[object] | None,
    ) -> None:
        """`sink` takes each clip, whose pictures follow, and None at the end.

        One is decoded within `turn`, as it was drawn.
        """
        self._course, self._backend = course, backend
        self._source, self._sink = source, sink
        self._pace, self._notice, self._meter = pace, notice, meter
        self._turn = turn or nullcontext()
        self._overlapped = turn is None
        self._last: tuple[int, np.ndarray] | None = None  # number and picture of a frame

    def run(self) -> None:
        """Work until the end of the stream."""
        clock = self._course.clock
        while (clip := self._source.get()) is not None:
            with self._course.changed:
                if not self._course.kept(clip):
                    continue
            self._sink(clip)
            with self._turn:
                start = clock.now()
                whole = self._decode(clip)
                clip.decode = start, clock.now()
            with self._course.changed:
                if whole:
                    denoise, decode = (end - begin for begin, end in (clip.denoise, clip.decode))
                    # Side by side with this stage the denoiser is at the next clip already.
                    turn = denoise if self._overlapped else None
                    self._pace.observe(clip.length, denoise + decode, turn)
                self._notice.made(clip.length, clip.planned, clip.done, clip.decode[1])
            self._meter.made(clip)
        self._sink(None)

    def _decode(self, clip: Clip) -> bool:
        """Add a clip's pictures one after the other; return whether all were wanted."""
        course = self._course
        for pictures in self._pictures(clip):
            with course.changed:
                clip.images += pictures
                clip.done += [course.clock.now()] * len(pictures)
                kept, done = course.kept(clip), len(clip.images)
                if kept:
                    course.made = clip.first + min(kept, done)
                course.changed.notify_all()
            self._last = clip.first + done - 1, clip.images[-1]
            if done >= kept:
                return done == clip.keep
        return True

    def _pictures(self, clip: Clip) -> Iterator[list[np.ndarray]]:
        latents, clip.latents = clip.latents, None
        assert latents is not None
        number, last = self._last or (None, None)
        before = last if number == clip.first - 1 else None
        drawn: list[np.ndarray] = []
        for pictures in decoded(self._backend, latents):
            drawn.extend(pictures)
            shown = len(clip.images)
            if clip.keys:
                yield fill(clip.keys, drawn, before, shown)
            else:
                yield drawn[shown : clip.keep]
