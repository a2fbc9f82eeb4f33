"""The engine: speech in, pictures with their sound out, with three verbs: push, drop, iterate."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import atan2, hypot, isfinite
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from llia_ros.model.config import MOTION, STATES
from llia_ros.runtime.backends import Backend, load_backend, model_folder
from llia_ros.runtime.course import Clock, Course
from llia_ros.runtime.ears import silence
from llia_ros.runtime.family import Families
from llia_ros.runtime.meter import Meter, Pace
from llia_ros.runtime.motion import EYE_RANGE
from llia_ros.runtime.notice import Notice
from llia_ros.runtime.photo import Face, cut_portrait
from llia_ros.runtime.pipeline import Channel, Clip, Decoder, Sampler, decoded, stage
from llia_ros.runtime.planner import Planner
from llia_ros.runtime.portraits import (
    Look,
    Portrait,
    checked,
    expression_weights,
    fit,
    load_portrait,
)
from llia_ros.runtime.requests import Change, End, Event, Options, Sound
from llia_ros.runtime.timetable import Frame, Timetable

__all__ = ['Avatar', 'Frame', 'Options']

# Faces kept ready to switch to: one portrait under its expressions.
_LOOKS_KEPT = 12
# How long `close` waits for a stage to finish what it is drawing, seconds.
_PATIENCE = 10.0


class Avatar:
    """A face that speaks, listens and idles; every method may be called by any thread.

    Paced, iteration yields a frame every 1/fps seconds for ever, on schedule. Unpaced, it yields
    the frames of what was pushed as fast as they can be drawn, the same however it was cut into
    pushes; changes take effect where they were made in the stream of sound.
    """

    def __init__(
        self,
        backend: Backend,
        portrait: np.ndarray,
        options: Options | None = None,
        *,
        clock: Callable[[], float] = time.time,
        timer: Clock | None = None,
        **changes: Any,
    ) -> None:
        """Start drawing `portrait`, uint8 HxWx3 RGB, with a loaded backend.

        `clock`: time of Frame.stamp and of stamps pushed, seconds. `timer`: what the schedule
        follows. `changes`: fields of Options. ValueError for a portrait or options that cannot be.
        """
        options = replace(options or Options(), **changes)
        config = backend.config
        if not config.led:
            options = replace(options, led=False)
        if options.steps is not None and options.steps < 1:
            raise ValueError(f'sampling needs at least one step, not {options.steps}')
        if options.mix < 1:
            raise ValueError(f'each frame drawn shows at least one, not {options.mix}')
        for length in options.clip_lengths or ():
            if length not in config.clip_lengths:
                raise ValueError(
                    f'no clips of {length} frames: the model has '
                    f'{", ".join(map(str, config.clip_lengths))}'
                )
        self.backend, self.config, self.options = backend, config, options
        self.meter = Meter()
        self._clock = clock
        self._course = course = Course(timer)
        self._pace = Pace()
        lengths = sorted(options.clip_lengths or config.clip_lengths)
        period = config.samples_per_frame / config.audio.rate
        self._notice = Notice(lengths[0], period, options.margin)
        self._portrait = Portrait(fit(portrait, config.size))
        self._families: Families | None = None
        self._face: Face | None = None
        self._looks: OrderedDict[tuple[str, float] | None, Look] = OrderedDict()
        self._expression: tuple[str, float] | None = None
        self._state = 'idle'
        self._override: str | None = None
        self._ended = False
        look = self._look()
        look.reference(backend)
        if options.paced:
            self._warm_up(look)

        self._planner = Planner(
            course, config, look, self._pace, self._notice, self.meter, options
        )
        self._timetable = Timetable(
            course,
            self.meter,
            1 / period,
            config.samples_per_frame,
            options.paced,
            clock,
            lambda: self._override or self._state,
        )
        planned: Channel[Clip | Look | None] = Channel(course)
        sampled: Channel[Clip | None] = Channel(course)
        turn = None if options.overlapped else Lock()
        sampler = Sampler(course, backend, options.seed, planned, sampled, self._prepared, turn)
        decoder = Decoder(
            course,
            backend,
            sampled,
            self._timetable.put,
            self._pace,
            self._notice,
            self.meter,
            turn,
        )
        self._threads = [
            stage(course, 'planner', lambda: self._planner.run(planned)),
            stage(course, 'denoiser', sampler.run),
            stage(course, 'decoder', decoder.run),
        ]

    @classmethod
    def load(
        cls,
        model: str | Path = 'tiny',
        portrait: str | Path | np.ndarray = 'robot',
        backend: str = 'auto',
        *,
        clock: Callable[[], float] = time.time,
        options: Options | None = None,
        force: bool = False,
        **changes: Any,
    ) -> 'Avatar':
        """Load a model, by name or folder, and start drawing a portrait with it.

        `portrait`: a name that ships with the model, a picture file or uint8 HxWx3 RGB.
        `force`: take a portrait unlike the faces that the model knows, now and later. `changes`:
        fields of Options, say `paced=False`. ValueError, one clear line, for a model, portrait or
        backend that cannot be had.
        """
        folder = model_folder(model)
        loaded = load_backend(folder, backend)
        config = loaded.config
        image = load_portrait(portrait, folder, config.size, force, config.face)
        avatar = cls(loaded, image, options, clock=clock, **changes)
        avatar._face = None if force else config.face
        avatar._families = None if force else Families.load(folder)
        return avatar

    # Push

    def push_audio(self, samples: np.ndarray, stamp: float | None = None) -> None:
        """Let the face say `samples`, int16 (n,) at 16 kHz, after what was pushed before.

        `stamp`: time of the first sample by the engine's clock, for the meter alone. ValueError
        for another type or shape.
        """
        samples = np.asarray(samples)
        if samples.dtype != np.int16 or samples.ndim != 1:
            raise ValueError(
                f'samples must be int16 of shape (n,), not {samples.dtype} {samples.shape}: '
                'convert to 16 kHz mono first'
            )
        if not len(samples):
            return
        if stamp is not None:
            self.meter.add('transport', self._clock() - stamp)
        copy = samples.copy()
        self._post(lambda: Sound(copy, self._course.clock.now(), self._course.epoch))

    def end_of_speech(self) -> None:
        """Mark the end of an utterance: its last frames need wait for nothing more."""
        self._post(lambda: End(self._course.clock.now(), self._course.epoch))

    def finish(self) -> None:
        """Take no more: iteration ends after all that was pushed."""
        if not self._ended:
            self._post(lambda: End(self._course.clock.now(), self._course.epoch, final=True))
            self._ended = True

    def interrupt(self) -> int:
        """Drop all speech that was not shown, and return the number of the new epoch."""
        with self._course.changed:
            self._course.epoch += 1
            self.meter.count('interrupts')
            self._course.changed.notify_all()
            return self._course.epoch

    # Change

    def set_state(self, state: str | None, override: bool = False) -> None:
        """Set what the face does where it does not speak: `listening` or `idle`.

        Frames with speech are `speaking` whatever is set here, and no others: that state alone
        is ignored. An `override` decides every frame, until it is set to None or ''. ValueError
        for an unknown state.
        """
        if state not in STATES and not (override and not state):
            raise ValueError(f'unknown state {state!r}: one of {", ".join(STATES)}')
        if override:
            self._override = state or None
            self._post(lambda: Change({'override': state or None}))
        elif state != 'speaking' and state is not None:
            self._state = state
            self._post(lambda: Change({'state': state}))

    def set_expression(self, name: str, intensity: float = 1.0) -> None:
        """Give the portrait an expression, one of EXPRESSIONS, at 0 .. 1 of its strength.

        ValueError for another name or intensity.
        """
        expression_weights(name, intensity)
        with self._course.changed:
            self._expression = name, float(intensity)
            look = self._look()
        self._post(lambda: Change({'look': look}))

    def set_portrait(self, image: np.ndarray) -> None:
        """Show another face, uint8 HxWx3 RGB; its middle square is used, or a photo's face cut.

        ValueError for another type or shape, too small a picture or, where `load` was not told
        to force it, one far from the faces that the model knows or without a face.
        """
        if self._face is not None:
            fitted = cut_portrait(checked(image), self._face, self.config.size)
        else:
            fitted = fit(image, self.config.size)
        if self._families:
            self._families.check(fitted)
        portrait = Portrait(fitted)
        with self._course.changed:
            self._portrait = portrait
            self._looks.clear()
            look = self._look()
        self._post(lambda: Change({'look': look}))

    def look_at(self, x: float, y: float, z: float) -> None:
        """Look at a point, metres: x out of the screen, y to the face's left, z up.

        ValueError for a point that is not finite or is the origin.
        """
        if not all(map(isfinite, (x, y, z))) or not (x or y or z):
            raise ValueError(f'cannot look at ({x}, {y}, {z}): give a point in front of the face')
        # The face's left is the viewer's right, where gaze_x grows.
        aside, up = atan2(y, x) / EYE_RANGE, atan2(z, hypot(x, y)) / EYE_RANGE
        target = max(-1.0, min(1.0, aside)), max(-1.0, min(1.0, up))
        self._post(lambda: Change({'target': target}))

    def look_freely(self) -> None:
        """Look around by itself again."""
        self._post(lambda: Change({'target': None}))

    # Iterate

    def __iter__(self) -> Iterator[Frame]:
        """Return itself: one caller iterates."""
        return self

    def __next__(self) -> Frame:
        """Return the next frame; RuntimeError, with its cause, if a stage has failed."""
        frame = self._timetable.next()
        if frame is None:
            raise StopIteration
        return frame

    @property
    def ready(self) -> int:
        """Finished frames that wait for their time."""
        return self._timetable.ready

    @property
    def epoch(self) -> int:
        """Interrupts so far."""
        return self._course.epoch

    def stats(self) -> dict[str, Any]:
        """Return what the meter has measured (see Meter.stats), and what runs."""
        return {
            'backend': self.backend.name,
            'model': self.config.name,
            'ready': self.ready,
            'epoch': self.epoch,
            'state': self._override or self._state,
            **self.meter.stats(),
        }

    def close(self) -> None:
        """Stop at once; iteration ends. A stage ends with the clip it is drawing."""
        self._course.close()
        until = time.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def __enter__(self) -> 'Avatar':
        """Return itself, to be closed at the end of the block."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close."""
        self.close()

    def _post(self, event: Callable[[], Event]) -> None:
        with self._course.changed:
            if self._course.failure:
                return  # the one who iterates is told of it
            if self._course.closed or self._ended:
                raise RuntimeError('the avatar is closed or has been told to finish: load another')
            self._planner.inbox.append(event())
            self._course.changed.notify_all()

    def _look(self) -> Look:
        """Return the face under its expression, from those kept ready if it is there."""
        key = self._expression
        look = self._looks.get(key)
        if look is None:
            look = Look(self._portrait, None if key is None else expression_weights(*key))
            self._looks[key] = look
            if len(self._looks) > _LOOKS_KEPT:
                self._looks.popitem(last=False)
        self._looks.move_to_end(key)
        return look

    def _prepared(self, look: Look) -> None:
        with self._course.changed:
            self._planner.inbox.append(Change({'look': look}))
            self._course.changed.notify_all()

    def _warm_up(self, look: Look) -> None:
        """Draw a clip of each length, so that the first to be seen are not late, and time them."""
        now = self._course.clock.now
        lengths = sorted(self.options.clip_lengths or self.config.clip_lengths)
        for again, length in enumerate([lengths[0], *lengths]):
            noise = np.zeros((length, *self.config.latent_shape), np.float32)
            motion = np.zeros((length, len(MOTION)), np.float32) if self.options.led else None
            start = now()
            latents = self.backend.denoise(
                noise,
                silence(self.config, length),
                motion,
                STATES.index('idle'),
                look.reference(self.backend),
                None,
                self.options.steps or self.config.steps,
            )
            done: list[float] = []
            for pictures in decoded(self.backend, latents):
                done += [now()] * len(pictures)
            # The first of all also pays for what is done only once.
            if again:
                self._pace.observe(length, now() - start)
                self._notice.made(length, start, done, now())
