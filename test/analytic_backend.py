"""A model made of sums: every input of a clip changes its numbers, which can be read back.

Its latents and pictures are small, so that tests of the engine run in milliseconds; the engine
takes all sizes from the configuration.
"""

import threading
from dataclasses import dataclass, replace

import numpy as np

from llia_ros.model.config import CodecConfig, ModelConfig, tiny
from llia_ros.runtime.course import Clock

SIZE = 64
CONFIG = replace(tiny(), codec=CodecConfig(size=SIZE, factor=32, latent_channels=4))
PORTRAIT = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)

# Where in a latent's 16 numbers what is written.
SERIAL, PLACE, STATE, STEPS, MEL, MOTION, NOISE, FACE, CLIP, PAST, BEFORE_LAST, LAST = range(12)


@dataclass(frozen=True)
class Drawn:
    """What a picture tells of how it was drawn."""

    numbers: np.ndarray

    def __getitem__(self, what: int) -> float:
        return float(self.numbers[what])


def read(image: np.ndarray) -> Drawn:
    """Return the numbers of the latent that a picture was decoded from."""
    return Drawn(np.frombuffer(image.tobytes()[:64], np.float32))


class Gate(threading.Event):
    """An open gate that a test may clear; it knows how many wait before it."""

    def __init__(self):
        super().__init__()
        self._before = 0
        self.set()

    @property
    def waiting(self):
        return 0 if self.is_set() else self._before

    def pass_through(self):
        self._before += 1
        assert self.wait(30), 'the gate stayed shut'
        self._before -= 1


class AnalyticBackend:
    """Numbers instead of faces. `serial` also numbers all frames drawn, in their order."""

    name = 'analytic'
    decodes_singly = True

    def __init__(self, config: ModelConfig = CONFIG, serial: bool = False):
        self.config = config
        self.serial = serial
        self.drawn = 0
        self.lengths: list[int] = []
        self.gate = Gate()  # denoise waits while it is not set
        self.decode_gate = Gate()
        self.fail_at: tuple[str, int] | None = None  # (method, calls that still succeed)
        self.calls = dict.fromkeys(('encode', 'animate', 'reference', 'denoise', 'decode'), 0)

    def _call(self, name: str) -> None:
        self.calls[name] += 1
        if self.fail_at and self.fail_at[0] == name:
            if self.fail_at[1] <= 0:
                raise ArithmeticError(f'{name} went wrong')
            self.fail_at = name, self.fail_at[1] - 1

    def encode(self, image):
        assert image.shape == (SIZE, SIZE, 3) and image.dtype == np.uint8
        self._call('encode')
        return np.full(self.config.latent_shape, image.mean(), np.float32)

    def animate(self, latent, expression):
        assert expression.shape == (8,) and expression.dtype == np.float32
        self._call('animate')
        return latent + np.float32(np.dot(expression, np.arange(8)))

    def reference(self, latent):
        self._call('reference')
        return float(latent.mean())

    def denoise(self, noise, heard, motion, state, reference, past, steps):
        self.gate.pass_through()
        frames = len(noise)
        assert frames in self.config.clip_lengths
        window = (self.config.audio.columns, self.config.audio.bins)
        assert noise.shape[1:] == self.config.latent_shape and heard.shape == (frames, *window)
        assert motion is None or motion.shape == (frames, 9)
        assert past is None or past.shape == (2, *self.config.latent_shape)
        self._call('denoise')
        self.lengths.append(frames)
        weights = np.sin(np.arange(window[0] * window[1])).reshape(window)
        out = np.zeros((frames, 16))
        out[:, PLACE] = np.arange(frames)
        out[:, STATE] = state
        out[:, STEPS] = steps
        out[:, MEL] = [float((columns * weights).sum()) for columns in heard]
        if motion is not None:
            out[:, MOTION] = [float((row * np.arange(1, 10)).sum()) for row in motion]
        out[:, NOISE] = [float(field.sum()) for field in noise]
        out[:, FACE] = reference
        if past is not None:
            flat = past.reshape(2, 16)
            out[:, PAST] = float(
                np.sin(0.3 * flat[0, MEL : PAST + 1] + flat[1, MEL : PAST + 1]).sum()
            )
            out[:, BEFORE_LAST], out[:, LAST] = flat[0, SERIAL], flat[1, SERIAL]
        # As attention over the frames of a clip: each depends on all.
        out[:, CLIP] = float(out[:, MEL:NOISE].sum()) * 0.01
        if self.serial:
            out[:, SERIAL] = self.drawn + np.arange(1, frames + 1)
            self.drawn += frames
        return out.astype(np.float32).reshape(frames, *self.config.latent_shape)

    def decode(self, latents):
        self.decode_gate.pass_through()
        self._call('decode')
        images = np.zeros((len(latents), SIZE, SIZE, 3), np.uint8)
        for image, latent in zip(images, latents, strict=True):
            image.reshape(-1)[:64] = np.frombuffer(latent.tobytes(), np.uint8)
        return images


class ManualClock(Clock):
    """A clock that moves when a test says so; whoever waits for it too long fails."""

    def __init__(self):
        self._now = 100.0
        self._conditions = set()

    def now(self):
        return self._now

    def wait(self, condition, until):
        if until is None or until > self._now:
            self._conditions.add(condition)
            assert condition.wait(30), 'nothing happened for half a minute'

    def advance(self, seconds):
        self._now = round(self._now + seconds, 6)
        for condition in list(self._conditions):
            with condition:
                condition.notify_all()


def voice(samples: int, seed: int = 1) -> np.ndarray:
    """Return loud noise, int16 (samples,): every sample differs, none is silence for long."""
    return np.random.default_rng(seed).integers(-9000, 9000, samples).astype(np.int16)
