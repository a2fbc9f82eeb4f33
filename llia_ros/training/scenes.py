"""What happens in a training scene: a little over a second of a face that speaks, listens, idles.

States change in the middle of half of the scenes, as they do in a dialogue: speech begins, ends
or is cut off in the middle of a word. While a face listens or idles, the sound it hears may well
be somebody's voice: the label, not the sound, decides whether lips move. In some scenes a face is
told where to look, as robots are; in others it is restless: blinks and far glances, rare in life,
are what a model learns last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from llia_ros.audio.features import log_mel, windows
from llia_ros.model.config import MOTION, MOUTH, STATES, AudioConfig
from llia_ros.runtime.motion import BLINKS, RANGES, MotionProcess
from llia_ros.training.augment import augment, non_speech
from llia_ros.training.faces import NEUTRAL_MOTION, Appearance, random_look
from llia_ros.training.pictures import random_expression, random_motion
from llia_ros.training.speech import (
    TRAIN_TEXTS,
    TRAIN_VOICES,
    UNSEEN_TEXTS,
    UNSEEN_VOICES,
    Utterance,
    random_utterance,
)

FRAMES = 32
SAMPLES = 640
GAZE = MOTION.index('gaze_x')
LEAD = 4  # frames of sound before the scene, so that it may start in the middle of a word
AFTER = 3  # frames of sound after it, for the last frame's look-ahead
RESTLESS_SHARE = 0.35
TOLD_SHARE = 0.3
# Shares of segments in which a voice is heard; the rest is silence or noise.
HEARD = {'speaking': 1.0, 'listening': 0.6, 'idle': 0.5}
# After a change of state the mouth goes from where it was to where it should be.
RAMP = (0.5, 0.78, 0.92, 0.98)


@dataclass(frozen=True)
class Scene:
    """One face over T frames; sound (LEAD + T + AFTER frames), labels and the renderer's truth."""

    appearance: Appearance
    expression: np.ndarray
    portrait_motion: np.ndarray
    samples: np.ndarray
    states: np.ndarray
    mouth: np.ndarray
    motion: np.ndarray

    def mel(self, cfg: AudioConfig) -> np.ndarray:
        """Return the log-mel window of each frame, (T, columns, bins)."""
        return windows(log_mel(self.samples), LEAD, len(self.states), cfg)


class Voices:
    """Utterances drawn at random, each used for a few scenes."""

    def __init__(self, rng: np.random.Generator, unseen: bool = False):
        self.rng = rng
        self.voices = UNSEEN_VOICES if unseen else TRAIN_VOICES
        self.texts = UNSEEN_TEXTS if unseen else TRAIN_TEXTS
        self.kept: list[Utterance] = []

    def draw(self, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """Return samples (frames * SAMPLES,) and mouth (frames, 5) from a random place."""
        rng = self.rng
        if len(self.kept) < 8 or rng.random() < 0.5:
            self.kept.append(random_utterance(rng, self.voices, self.texts))
            self.kept = self.kept[-32:]
        said = self.kept[rng.integers(len(self.kept))]
        mouth = said.mouth()
        start = int(rng.integers(-6, max(-5, len(mouth) - frames // 2)))
        sound = np.zeros(frames * SAMPLES, np.int16)
        track = np.zeros((frames, len(MOUTH)), np.float32)
        first, last = max(start, 0), min(start + frames, len(mouth))
        if last > first:
            piece = said.samples[first * SAMPLES : last * SAMPLES]
            at = (first - start) * SAMPLES
            sound[at : at + len(piece)] = piece
            track[first - start : last - start] = mouth[first:last]
        return sound, track


def _cuts(rng: np.random.Generator, frames: int) -> list[int]:
    """Return where the state changes: every second scene at one or two frames."""
    count = int(rng.choice([0, 1, 2], p=[0.5, 0.35, 0.15]))
    return [0, *sorted(rng.choice(np.arange(6, frames - 6), count, replace=False)), frames]


def told(process: MotionProcess, states: list[str], rng: np.random.Generator) -> np.ndarray:
    """Return the motion (T, 9) of a face that, in TOLD_SHARE of calls, is told where to look.

    It is told anywhere in the scene, and in every second of these a second time.
    """
    if rng.random() >= TOLD_SHARE:
        return process.clip(states)
    cuts = sorted(rng.integers(len(states), size=int(rng.integers(1, 3))))
    pieces, target = [], None
    for first, last in zip([0, *cuts], [*cuts, len(states)]):
        pieces.append(process.clip(states[first:last], target))
        target = (float(rng.uniform(-0.8, 0.8)), float(rng.uniform(-0.5, 0.5)))
    return np.concatenate(pieces)


def restless(motion_T9: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a motion with glances over the eyes' whole range, and blinks one after another."""
    motion = motion_T9.copy()
    eyes, lids = slice(GAZE, GAZE + 2), slice(GAZE + 2, GAZE + 4)
    frames, k = len(motion), 0
    while k < frames:
        motion[k:, eyes] = rng.uniform(-1, 1, 2) * RANGES[eyes]
        k += int(rng.integers(3, 12))
    k = int(rng.integers(8))
    while k < frames:
        blink = BLINKS[rng.integers(len(BLINKS))][: frames - k]
        for i, shut in enumerate(blink):
            motion[k + i, lids] += (1 - motion[k + i, lids]) * shut
        k += len(blink) + int(rng.integers(1, 12))
    if rng.random() < 0.3:
        motion[:, lids] = np.maximum(motion[:, lids], rng.uniform(0, 1))
    return motion


def make_scene(rng: np.random.Generator, voices: Voices, frames: int = FRAMES) -> Scene:
    """Return a random scene; the same generator state gives the same scene."""
    states = np.zeros(frames, np.int64)
    target = np.zeros((frames, len(MOUTH)), np.float32)
    sound = np.zeros((LEAD + frames + AFTER) * SAMPLES, np.int16)
    cuts, before = _cuts(rng, frames), -1
    for first, last in zip(cuts, cuts[1:]):
        odds = np.array([0.6, 0.2, 0.2])
        if before >= 0:
            odds[before] = 0
        state = before = int(rng.choice(3, p=odds / odds.sum()))
        states[first:last] = state
        # The scene's first and last segments reach into the sound around it.
        begin = first + LEAD if first else 0
        end = last + LEAD if last < frames else LEAD + frames + AFTER
        kind = rng.random()
        if kind < HEARD[STATES[state]]:
            heard, track = voices.draw(end - begin)
            if state == STATES.index('speaking'):
                lead = LEAD if first == 0 else 0
                target[first:last] = track[lead : lead + last - first]
        elif kind < 0.85:
            heard = np.zeros((end - begin) * SAMPLES, np.int16)
        else:
            heard = non_speech(rng, (end - begin) / 25)[: (end - begin) * SAMPLES]
        sound[begin * SAMPLES : begin * SAMPLES + len(heard)] = heard
    mouth = target.copy()
    for cut in cuts[1:-1]:
        held = mouth[cut - 1].copy()
        for i, share in enumerate(RAMP[: frames - cut]):
            mouth[cut + i] = held + share * (target[cut + i] - held)
    if rng.random() < 0.8:
        sound = augment(sound, rng)
    process = MotionProcess(int(rng.integers(1 << 31)))
    for _ in range(int(rng.integers(50))):
        process.step(STATES[states[0]])
    motion = told(process, [STATES[s] for s in states], rng)
    if rng.random() < RESTLESS_SHARE:
        motion = restless(motion, rng)
    portrait_motion: np.ndarray = NEUTRAL_MOTION
    if rng.random() < 0.2:
        portrait_motion = random_motion(rng) * 0.4
        portrait_motion[7:] = 0
    return Scene(
        random_look(rng),
        random_expression(rng),
        portrait_motion,
        sound,
        states,
        mouth,
        motion,
    )
