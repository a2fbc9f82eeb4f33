"""The robot hears itself: its own voice taken out of what the microphone hears.

Three ways with the same three calls. `played` gets the robot's voice with the time at which it
is played, `heard` what the microphone recorded, and `counts` says whether a block of the latter
may be a user.
"""

from typing import Any, Protocol

import numpy as np

from llia_ros.audio.stream import RATE, SECOND, Chunk

SLOT = RATE // 100  # 10 ms, the grid on which both voices are compared
SLOT_NS = SECOND // 100
SILENCE_DB = -70.0
LOUD_DB = -45.0


class Echo(Protocol):
    """What keeps the robot's own voice apart."""

    def played(self, chunk: Chunk) -> None:
        """The robot plays this sound at its stamp."""

    def heard(self, chunk: Chunk) -> Chunk:
        """The microphone recorded this at its stamp; returns what is left to be judged."""

    def counts(self, block: Chunk) -> bool:
        """Whether this part of what was heard may be somebody else than the robot."""


class NoEcho:
    """For headsets: everything that is heard counts."""

    def played(self, chunk: Chunk) -> None:
        """Nothing to do."""

    def heard(self, chunk: Chunk) -> Chunk:
        """As it is."""
        return chunk

    def counts(self, block: Chunk) -> bool:
        """Always."""
        return True


class EchoMask:
    """Only what is clearly louder than the expected echo counts, `margin` dB at least.

    Both voices are compared by their loudness in slots of 10 ms: the delay at which they
    resemble each other most, and at that delay the gain from loudspeaker to microphone, are
    estimated anew four times a second while the robot speaks. Until it has spoken for a while,
    its echo is expected at any time and louder than itself.
    """

    WINDOW = 300  # slots to learn from
    LONGEST_DELAY = 50
    REVERBERATION = 30
    EARLY = 3
    DECAY_DB = 1.0  # a slot; a room with 0.6 s of reverberation time
    LEARN_EVERY = 25
    ENOUGH = 60
    UNKNOWN_GAIN = 10.0
    ALIKE = 0.7

    def __init__(self, margin: float = 5.0) -> None:
        self.margin = margin
        self.gain: float | None = None
        self.delay = 0
        self.likeness = 0.0
        self._robot: dict[int, float] = {}
        self._microphone: dict[int, float] = {}
        self._unlearned = 0

    def played(self, chunk: Chunk) -> None:
        """Remember how loud the robot is, slot by slot."""
        first = round(chunk.stamp / SLOT_NS)
        for index, level in enumerate(_levels(chunk.samples)):
            self._robot[first + index] = level
        self._forget(self._robot, first)

    def heard(self, chunk: Chunk) -> Chunk:
        """Remember how loud the microphone is, and learn."""
        first = round(chunk.stamp / SLOT_NS)
        levels = _levels(chunk.samples)
        for index, level in enumerate(levels):
            self._microphone[first + index] = level
        self._unlearned += len(levels)
        if self._unlearned >= self.LEARN_EVERY:
            self._unlearned = 0
            self._forget(self._microphone, first)
            self._learn(first + len(levels))
        return chunk

    def counts(self, block: Chunk) -> bool:
        """Whether the block is louder than the echo it may hold."""
        first = round(block.stamp / SLOT_NS)
        slots = range(first, first + max(1, len(block.samples) // SLOT))
        expected = max(self.expected(slot) for slot in slots)
        return expected <= SILENCE_DB or _level(block.samples) > expected + self.margin

    def expected(self, slot: int) -> float:
        """How loud the robot's echo is expected to be, in dB of full scale."""
        if self.gain is None:
            # Not yet known when and how loudly it comes back: at once and in full.
            earlier = range(-self.EARLY, self.LONGEST_DELAY + self.REVERBERATION)
            level = max(self._robot.get(slot - back, SILENCE_DB) for back in earlier)
            return level + self.UNKNOWN_GAIN if level > SILENCE_DB else level
        loudest = SILENCE_DB
        for back in range(-self.EARLY, self.REVERBERATION):
            level = self._robot.get(slot - self.delay - back, SILENCE_DB)
            if level > SILENCE_DB:
                loudest = max(loudest, level + self.gain - self.DECAY_DB * max(0, back))
        return loudest

    def _learn(self, end: int) -> None:
        slots = range(end - self.WINDOW, end)
        microphone = np.array([self._microphone.get(slot, SILENCE_DB) for slot in slots])
        before = range(end - self.WINDOW - self.LONGEST_DELAY, end)
        robot = np.array([self._robot.get(slot, SILENCE_DB) for slot in before])
        loud = robot > LOUD_DB
        # Only while it speaks, pauses between words included: that both are silent before and
        # after says nothing.
        speaking = np.convolve(loud, np.ones(2 * self.LEARN_EVERY + 1), 'same') > 0
        candidates, loud, speaking = (
            np.lib.stride_tricks.sliding_window_view(each, self.WINDOW)
            for each in (robot, loud, speaking)
        )
        if loud.sum(axis=1).min() < self.ENOUGH:
            return
        likeness = _correlations(candidates, microphone, speaking)
        best = int(np.argmax(likeness))
        self.delay = self.LONGEST_DELAY - best
        self.likeness = float(likeness[best])
        ratios = (microphone - candidates[best])[loud[best]]
        # Where the two resemble each other, what is heard is the echo. Where they do not,
        # somebody else is heard: the echo is what is left in that one's pauses, or less.
        self.gain = float(np.quantile(ratios, 0.5 if self.likeness > self.ALIKE else 0.2))

    @staticmethod
    def _forget(levels: dict[int, float], now: int) -> None:
        oldest = now - 1000
        while levels and (first := next(iter(levels))) < oldest:
            del levels[first]


class EchoCanceller:
    """WebRTC's echo cancellation, as `livekit` packs it: what is left is the user's voice.

    While it has heard the robot for less than three seconds it has not converged: what it leaves
    over during the robot's speech does not count. Raises ValueError where livekit is not
    installed.
    """

    CONVERGED = 300
    ECHO_LASTS = 60

    def __init__(self) -> None:
        try:
            from livekit.rtc import AudioFrame
            from livekit.rtc.apm import AudioProcessingModule
        except ImportError:
            raise ValueError(
                'echo cancellation (echo: aec) needs livekit: pip install "llia_ros[echo]", '
                'or take echo: mask'
            ) from None
        self._frame: Any = AudioFrame
        self._apm = AudioProcessingModule(echo_cancellation=True, high_pass_filter=True)
        self._robot: dict[int, np.ndarray] = {}
        self._robot_rest = np.zeros(0, np.int16)
        self._robot_end: int | None = None
        self._rest = np.zeros(0, np.int16)
        self._learned = 0
        self._last_loud = -self.ECHO_LASTS

    def played(self, chunk: Chunk) -> None:
        """Remember the robot's voice in frames of 10 ms, by their time."""
        position = round(chunk.stamp * RATE / SECOND)
        # A stamp that is off by less than a frame continues what came before.
        if self._robot_end is None or abs(position - self._robot_end) > SLOT:
            self._robot_rest = np.zeros(position % SLOT, np.int16)
            self._robot_end = position
        joined = np.concatenate([self._robot_rest, chunk.samples])
        first = (self._robot_end - len(self._robot_rest)) // SLOT
        whole = len(joined) // SLOT
        for index in range(whole):
            self._robot[first + index] = joined[index * SLOT : (index + 1) * SLOT]
        self._robot_rest = joined[whole * SLOT :]
        self._robot_end += len(chunk.samples)
        while self._robot and (oldest := next(iter(self._robot))) < first - 1000:
            del self._robot[oldest]

    def heard(self, chunk: Chunk) -> Chunk:
        """What is left without the robot's voice; it may be up to 10 ms shorter or longer."""
        stamp = chunk.stamp - len(self._rest) * SECOND // RATE
        joined = np.concatenate([self._rest, chunk.samples])
        whole = len(joined) // SLOT
        first = round(stamp / SLOT_NS)
        silence = np.zeros(SLOT, np.int16)
        cleaned = [silence[:0]]
        for index in range(whole):
            robot = self._robot.get(first + index, silence)
            if _level(robot) > LOUD_DB:
                self._learned += 1
                self._last_loud = first + index
            self._apm.process_reverse_stream(self._as_frame(robot))
            frame = self._as_frame(joined[index * SLOT : (index + 1) * SLOT])
            self._apm.process_stream(frame)
            cleaned.append(np.frombuffer(frame.data, dtype=np.int16).copy())
        self._rest = joined[whole * SLOT :]
        return Chunk(np.concatenate(cleaned), stamp)

    def counts(self, block: Chunk) -> bool:
        """Yes, as the robot has been taken out, if there was time to learn its echo."""
        since_robot = block.stamp // SLOT_NS - self._last_loud
        return self._learned >= self.CONVERGED or since_robot > self.ECHO_LASTS

    def _as_frame(self, samples: np.ndarray) -> Any:
        return self._frame(samples.tobytes(), RATE, 1, SLOT)


def make_echo(kind: str, margin: float) -> Echo:
    """`off`, `mask` or `aec`."""
    if kind == 'aec':
        return EchoCanceller()
    return EchoMask(margin) if kind == 'mask' else NoEcho()


def _level(samples: np.ndarray) -> float:
    if not len(samples):
        return SILENCE_DB
    power = float(np.mean(np.square(samples, dtype=np.float64))) / 32768.0**2
    return max(SILENCE_DB, 10 * float(np.log10(power + 1e-12)))


def _levels(samples: np.ndarray) -> list[float]:
    return [_level(samples[start : start + SLOT]) for start in range(0, len(samples), SLOT)]


def _correlations(candidates: np.ndarray, target: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Pearson's r of each row with the target, over each row's own `where`; 0 where constant."""
    count = np.maximum(1, where.sum(axis=1, keepdims=True))
    rows = np.where(where, candidates, 0.0)
    rows = np.where(where, candidates - rows.sum(axis=1, keepdims=True) / count, 0.0)
    lines = np.where(where, target, 0.0)
    lines = np.where(where, target - lines.sum(axis=1, keepdims=True) / count, 0.0)
    size = np.linalg.norm(rows, axis=1) * np.linalg.norm(lines, axis=1)
    return np.divide((rows * lines).sum(axis=1), size, out=np.zeros(len(rows)), where=size > 1e-6)
