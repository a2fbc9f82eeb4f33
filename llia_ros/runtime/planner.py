"""Decides what is drawn next: which frames, of what state, hearing what, in how long a clip.

Clips start short after silence, a change or an interrupt and grow while the output is ahead.
Paced, frames of silence are drawn just ahead of their time and taken back as soon as speech or a
change should be seen; unpaced, every frame follows from the order of what was pushed alone.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from math import ceil
from typing import NamedTuple

from llia_ros.runtime.course import Course
from llia_ros.runtime.ears import followed_by_silence
from llia_ros.runtime.engine_config import EngineConfig
from llia_ros.runtime.keys import Keys, choose
from llia_ros.runtime.meter import Meter, Pace
from llia_ros.runtime.notice import Notice
from llia_ros.runtime.pipeline import Channel, Clip
from llia_ros.runtime.plan import Plan, Planned
from llia_ros.runtime.portraits import Look
from llia_ros.runtime.requests import Change, End, Event, Options, Sound, Wish
from llia_ros.runtime.track import Track


class Run(NamedTuple):
    """What to draw next: frames to show, frames to draw, and which if not all of those shown."""

    keep: int
    length: int
    keys: Keys | None = None


# The most that is reserved for making a clip: a slower machine is late.
_LONGEST_RESERVE = 25
_INSTANT = 1e-6  # frames; sums of periods are rounded


class Planner:
    """Turns what was pushed into clips; `inbox` is filled, `next` called by one thread."""

    def __init__(
        self,
        course: Course,
        config: EngineConfig,
        look: Look,
        pace: Pace,
        notice: Notice,
        meter: Meter,
        options: Options,
    ) -> None:
        """Start with the face `look`, idle."""
        self.inbox: deque[Event] = deque()  # under course.changed
        self._course, self._config, self._options = course, config, options
        self._pace, self._notice, self._meter = pace, notice, meter
        self._lengths = sorted(options.clip_lengths or config.clip_lengths)
        self._steps = options.steps or config.steps
        # The most frames a silent clip may show.
        self._span = self._lengths[0] * options.mix if options.led else self._lengths[0]
        self._reach = max(self._span, self._lengths[-1])
        self._hangover = round(options.hangover * config.fps)
        self._period = config.samples_per_frame / config.audio.rate
        self._free = 0.0  # when another clip is expected to be begun at once
        self._track = Track(config, options.quiet, self._hangover)
        self._plan = Plan(course, options.seed)
        self._stream: deque[Event] = deque()  # what was pushed and is not on the track
        self._changes: deque[tuple[int, Change]] = deque()  # unpaced: from which frame on
        self._prepare: deque[Look] = deque()
        self._wish = Wish(look)
        self._epoch = 0
        self._level = 0  # of clip length
        self._glance = 0  # when a new target may be looked at at once
        self._steady = 0  # from which frame on the target has stood still for a while
        self._final = False

    def run(self, sink: Channel[Clip | Look | None]) -> None:
        """Plan until the end of the stream."""
        while (item := self.next(sink.room)) is not None:
            sink.put(item)
        sink.put(None)

    def next(self, room: Callable[[], bool]) -> Clip | Look | None:
        """Wait for room and for something to draw; a Look is to be made ready, None is the end.

        May raise Closed.
        """
        course = self._course
        with course.changed:
            while True:
                self._receive()
                if room():
                    if self._prepare:
                        return self._prepare.popleft()
                    run = self._paced_run() if self._options.paced else self._pushed_run()
                    if run is not None:
                        break
                    if self._final and not self._stream and self._plan.next >= self._sound_end:
                        return None
                course.wait(self._stall_time())
            keep, length, keys = run
            last = self._plan.last
            fresh = last is not None and last.wish.look.portrait is not self._wish.look.portrait
            planned = self._plan.add(keep, length, self._label(self._plan.next), self._wish)
            self._track.forget(max(0, min(self._plan.next, course.shown) - 2))
            epoch, plan = course.epoch, course.plan
        return self._clip(planned, keys, fresh, epoch, plan)

    # What was pushed

    def _receive(self) -> None:
        course = self._course
        if self._epoch != course.epoch:
            self._interrupt()
        while self.inbox:
            event = self.inbox.popleft()
            if isinstance(event, Change):
                if self._options.paced:
                    self._change(event)
                else:
                    self._stream.append(event)
                continue
            self._final |= isinstance(event, End) and event.final
            if event.epoch == course.epoch:
                self._stream.append(event)
            elif isinstance(event, Sound):
                self._meter.count('dropped_samples', len(event.samples))

    def _interrupt(self) -> None:
        """Drop all speech that was not shown; silent frames that come before it stay."""
        self._epoch = self._course.epoch
        voice = self._plan.find(True, self._course.shown)
        first = self._plan.next if voice is None else voice
        unplayed = sum(len(event.samples) for event in self._stream if isinstance(event, Sound))
        unplayed += max(0, self._track.end - first * self._track.frame)
        self._meter.count('dropped_samples', unplayed)
        self._stream = deque(event for event in self._stream if isinstance(event, Change))
        self._changes = deque((min(frame, first), change) for frame, change in self._changes)
        self._rewind(first)
        self._track.cut(first)
        self._level = 0

    def _change(self, change: Change) -> None:
        """Apply a change now, and see to it that it is seen soon."""
        look = change.fields.get('look')
        if look is not None and not look.ready:
            self._prepare.append(look)
            return
        before, self._wish = self._wish, replace(self._wish, **change.fields)
        after = self._wish
        if after.override != before.override:
            self._rewind(self._soon())
        elif after.looks_new(before):
            self._redraw_silence()
        elif after.glances(before) and self._course.shown >= self._glance:
            # One glance at a time: targets may come faster than frames can be drawn anew.
            self._redraw_silence()
            self._glance = self._plan.next + 1
        elif after.target != before.target:
            # Seen a few frames later, which a smooth pursuit is anyway.
            self._rewind(self._soon() + self._lengths[0])
        if after.target != before.target:
            self._steady = self._plan.next + self._config.fps

    def _redraw_silence(self) -> None:
        """Take back silent frames; speech is left to be seen, and changes with its next clip."""
        silent = self._plan.find(False, self._soon())
        if silent is not None:
            self._rewind(silent)

    def _lay(self) -> None:
        """Lay what was pushed on the track, as far as the longest clip could need it."""
        track = self._track
        goal = (self._plan.next + self._reach) * track.frame + self._config.lookahead
        while self._stream and track.end < goal:
            event = self._stream[0]
            if isinstance(event, Sound):
                if track.open is None:
                    if self._options.paced:
                        return
                    track.begin(max(track.free, self._plan.next))
                take = max(goal - track.end, track.frame)
                track.lay(event.samples[:take], event.arrived)
                if len(event.samples) > take:
                    self._stream[0] = replace(event, samples=event.samples[take:])
                    continue
            elif isinstance(event, Change):
                self._changes.append((self._sound_end, event))
            elif track.open is not None:
                track.finish(event.arrived)
            self._stream.popleft()

    def _end_hangover(self) -> None:
        """Speech that had stopped without a word turns out to be over."""
        last = self._track.last
        if last is not None and last.end is not None and last.hang:
            first = max(last.end, self._soon())
            last.hang = max(0, min(last.hang, first - last.end))
            self._rewind(first)

    # What to draw

    @property
    def _sound_end(self) -> int:
        return ceil(self._track.end / self._track.frame)

    def _reserve(self, queue: float = 0.0) -> int:
        """Frames shown until a short clip that is planned now, behind a `queue`, is there."""
        now, due = self._course.clock.now(), self._course.due
        seconds = self._notice.seconds + queue - (0.0 if due is None else due - now)
        return max(0, min(_LONGEST_RESERVE, ceil(seconds / self._period - _INSTANT)))

    def _queue(self) -> float:
        """Seconds that a clip has to wait behind those on their way."""
        most = sum(map(self._pace.turn, self._plan.unmade))
        return max(0.0, min(most, self._free - self._course.clock.now()))

    def _busy(self, length: int) -> int:
        """Frames that pass until one more clip is drawn, after those on their way."""
        seconds = sum(map(self._pace.seconds, [*self._plan.unmade, length]))
        return ceil(seconds * self._config.fps)

    def _soon(self) -> int:
        """Return the first frame that can still be drawn anew without being late."""
        return min(self._plan.next, self._course.shown + self._reserve(self._queue()))

    def _pushed_run(self) -> Run | None:
        """Unpaced: return what to draw next, if that is certain."""
        track = self._track
        self._lay()
        while self._changes and self._changes[0][0] <= self._plan.next:
            self._wish = replace(self._wish, **self._changes.popleft()[1].fields)
            self._level = 0
        edges = [frame for frame, _ in list(self._changes)[:1]]
        edges += [edge for edge in (track.boundary(self._plan.next),) if edge is not None]
        drawable = track.drawable
        if drawable is None:
            drawable = self._sound_end
            edges.append(drawable)
        run, closed = self._run(drawable, min(edges, default=None))
        if not run:
            return None
        if self._mixable():
            return self._mix(run) if run >= self._span or closed else None
        return self._fit(run, closed, self._grown())

    def _paced_run(self) -> Run | None:
        """Paced: the same, if it is time for it."""
        track = self._track
        self._begin_speech()
        self._lay()
        self._end_stalled_speech()
        lead = self._plan.next - self._course.shown
        edge = track.boundary(self._plan.next)
        if track.speech(self._plan.next) is None and edge is None:
            if lead > max(1, self._reserve()):
                return None
            run, closed = self._run(self._plan.next + self._span, None)
            return self._mix(run) if self._mixable() else self._fit(run, closed, 0)
        if lead >= self._options.lead:
            return None
        drawable = track.drawable
        run, closed = self._run(
            self._plan.next + self._reach if drawable is None else drawable, edge
        )
        if not run:
            return None
        if run >= self._lengths[0] and self._mixable():
            return self._mix(run)
        level = self._grown()
        while level and lead <= self._busy(self._lengths[level]):
            level -= 1
        while level and run < self._lengths[level] and not closed:
            level -= 1
        return self._fit(run, closed, level)

    def _run(self, drawable: int, edge: int | None) -> tuple[int, bool]:
        """Return how many frames from the next one on are of one kind, and whether no more are."""
        stop = min(drawable, self._plan.next + self._reach)
        kind = self._track.speaking(self._plan.next)
        at = self._plan.next
        while at < stop and at != edge and self._track.speaking(at) == kind:
            at += 1
        return at - self._plan.next, at == edge or at < stop

    def _grown(self) -> int:
        """Return the level of clip length, back at the shortest where something begins."""
        last = self._plan.last
        if last is None or self._level == 0:
            return 0
        voice, _, state = self._label(self._plan.next)
        if voice != last.voice or state != last.state or self._wish.look is not last.wish.look:
            self._level = 0
        return self._level

    def _mixable(self) -> bool:
        """Return whether the next frame goes on with a silent face that was seen already."""
        last, look = self._plan.last, self._wish.look
        _, playing, state = label = self._label(self._plan.next)
        if last is None or self._span == self._lengths[0] or playing or state == 'speaking':
            return False
        if self._plan.next < self._steady:
            return False
        return label[1:] == (last.playing, last.state) and look is last.wish.look

    def _mix(self, run: int) -> Run:
        """Return as many of `run` silent frames as the shortest clip can stand for."""
        frames, drawn, wish = min(run, self._span), self._lengths[0], self._wish
        if frames <= drawn:
            return Run(frames, drawn)
        motion = self._plan.foresee(self._label(self._plan.next)[2], wish.target, frames)
        keys = choose(motion, self._plan.before, drawn)
        return Run(len(keys.mixes), drawn, keys)

    def _fit(self, run: int, closed: bool, level: int) -> Run | None:
        wanted = self._lengths[level]
        if run < wanted and not closed:
            return None
        self._level = min(level + 1, len(self._lengths) - 1)
        keep = min(run, wanted)
        return Run(keep, next(length for length in self._lengths if length >= keep))

    def _begin_speech(self) -> None:
        """Lay the first sound of an utterance as early as it can be drawn."""
        track, stream = self._track, self._stream
        if track.open is not None:
            return
        while stream and not isinstance(stream[0], Sound):
            self._end_hangover()
            stream.popleft()
        if not stream:
            return
        needed = self._lengths[0] * track.frame + self._config.lookahead
        there = 0
        for event in stream:
            if not isinstance(event, Sound):
                there = needed
            else:
                there += len(event.samples)
            if there >= needed:
                break
        if there < needed and self._course.clock.now() < self._latest + self._options.stall:
            return
        first = max(track.free, self._soon())
        self._rewind(first)
        track.begin(first)

    @property
    def _latest(self) -> float:
        """When sound last came."""
        if self._stream and isinstance(self._stream[-1], Sound | End):
            return self._stream[-1].arrived
        region = self._track.open
        return region.times[-1] if region is not None and region.times else 0.0

    def _end_stalled_speech(self) -> None:
        track = self._track
        if track.open is None or self._stream:
            return
        drawable = track.drawable or 0
        now = self._course.clock.now()
        if drawable - self._plan.next < self._lengths[0] and now >= (
            self._latest + self._options.stall
        ):
            track.finish(now, self._hangover)

    def _stall_time(self) -> float | None:
        """Return when to look again although nothing has come."""
        if not self._options.paced or (self._track.open is None and not self._stream):
            return None
        time = self._latest + self._options.stall
        return time if time > self._course.clock.now() else None

    def _label(self, frame: int) -> tuple[bool, bool, str]:
        """Return of a frame whether it carries speech, whether that is heard, and its state."""
        playing = self._track.speaking(frame)
        voice = playing or self._track.speech(frame) is not None
        return voice, playing, self._wish.override or ('speaking' if playing else self._wish.state)

    def _rewind(self, first: int) -> None:
        dropped = self._plan.rewind(first)
        if dropped:
            self._meter.count('dropped_frames', dropped)
            self._level = 0

    def _clip(
        self, planned: Planned, keys: Keys | None, fresh: bool, epoch: int, plan: int
    ) -> Clip:
        track, first, keep = self._track, planned.first, planned.keep
        steps, now = self._steps, self._course.clock.now()
        self._free = max(now, self._free) + self._pace.turn(planned.length)
        arrived, onset = [track.arrived(first + at) for at in range(keep)], track.onset(first)
        moments = [moment for moment in arrived if moment is not None]
        # The last sound waits for the word that it is the last, however late that comes.
        if moments and track.open is not None:
            self._notice.sounded(first, max(moments), onset is not None)
        if not planned.playing and self._options.idle_steps:
            steps = self._options.idle_steps
        motion = self._plan.lead(planned) if self._options.led else None
        heard = followed_by_silence(self._config, track.hear(first, keep), planned.length)
        if keys and motion is not None:
            heard, motion = heard[list(keys.drawn)], motion[list(keys.drawn)]
        return Clip(
            plan,
            epoch,
            first,
            keep,
            planned.length,
            planned.state,
            planned.voice,
            planned.playing,
            planned.wish.look,
            fresh,
            steps,
            heard,
            motion,
            track.sound(first, keep),
            arrived,
            onset,
            now,
            keys=keys,
        )
