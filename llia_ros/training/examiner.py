"""One model watched by the judge: unseen faces that speak, listen, idle, look and feel.

Faces come from the renderer by seed; voices and texts from the held-out lists.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from math import tan
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from llia_ros.model.config import EXPRESSIONS, MOTION, MOUTH, STATES
from llia_ros.runtime.avatar import Avatar
from llia_ros.runtime.backends import Backend
from llia_ros.runtime.motion import EYE_RANGE, MotionProcess
from llia_ros.training import judge as judging
from llia_ros.training.cases import CLIP, Case
from llia_ros.training.faces import PLAIN, REST_MOUTH, render
from llia_ros.training.likeness import likeness
from llia_ros.training.looking import fit_look
from llia_ros.training.measures import (
    best_lag,
    correlation,
    decibel,
    frames_to_rest,
    mouth_motion,
    phone_errors,
)

SETTLE = 10  # frames after a change of state, before stillness is measured
EXPRESSION_FRAMES = 8
LOOK_FRAMES = 5  # 200 ms
LOOK_FAR = 0.5
LOOK_EVERY = 5  # frames: a fit takes its time
OPEN_LID = 0.3  # eyes that are shut further look nowhere
NEAR = 0.1  # of the eye's range
MOVES = 0.02  # a mouth that hardly rounds or spreads in an utterance has no r
LIDS = [MOTION.index(name) for name in ('lid_left', 'lid_right')]
GAZE_X, YAW = (len(MOUTH) + MOTION.index(name) for name in ('gaze_x', 'yaw'))
# How much heads turn, eyes and lids move: controls whose spread over a clip is told.
SPREADS = {
    name: [len(MOUTH) + MOTION.index(part) for part in parts]
    for name, parts in (
        ('head', ('yaw', 'pitch')),
        ('gaze', ('gaze_x', 'gaze_y')),
        ('lids', ('lid_left', 'lid_right')),
    )
}

Figures = dict[str, Any]
# What is done to an avatar, and the speech (n,) that it then hears.
Piece = tuple[Callable[[Avatar], None], np.ndarray]


def label(state: str) -> Callable[[Avatar], None]:
    """Return what puts every frame from here on under a state."""
    return lambda avatar: avatar.set_state(state, override=True)


class Examiner:
    """One model at so many steps, watched by the judge."""

    def __init__(
        self,
        drawer: Backend,
        judge: judging.Judge,
        steps: int | None = None,
        led: bool = True,
    ):
        self.drawer, self.judge, self.steps, self.led = drawer, judge, steps, led
        self.size = drawer.config.size

    def drive(
        self, case: Case, pieces: Sequence[Piece], mood: tuple[str, float] | None = None
    ) -> np.ndarray:
        """Return the pictures (T, S, S, 3) of a fresh avatar."""
        options = {
            'paced': False,
            'seed': case.seed,
            'steps': self.steps,
            'led': self.led,
            'clip_lengths': (CLIP,),
        }
        with Avatar(self.drawer, case.portrait, **options) as avatar:
            if mood:
                avatar.set_expression(*mood)
            for act, samples in pieces:
                act(avatar)
                avatar.push_audio(samples)
            avatar.end_of_speech()
            avatar.finish()
            return np.stack([frame.image for frame in avatar])

    def tell(self, case: Case, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return controls (T, 14) and expressions (T,) that the judge sees."""
        shown, known = judging.small(pictures), judging.small(case.portrait[None])
        return judging.tell(self.judge, shown, np.broadcast_to(known, shown.shape))

    def mouth(self, case: Case, pieces: Sequence[Piece]) -> np.ndarray:
        """Return the mouth (T, 5) that the judge sees."""
        return self.tell(case, self.drive(case, pieces))[0][:, : len(MOUTH)]

    def core(self, cases: Sequence[Case], mood: tuple[str, float] | None = None) -> Figures:
        """Return figures of faces that speak and, in no particular mood, listen and idle.

        `lip`: Pearson r of opening, spreading and rounding against the renderer's truth, over the
        utterances that open, spread and round at all; best lag in frames, r against another
        utterance (`chance_r`: of the truths of both), mean error by class of sound (`ceiling`: r
        of what the judge sees in the rendered truth). `silence`: mouth motion in silence, as a
        face idles and listens in a dialogue, over that while speaking (`floor`: what the judge
        sees of it in rendered faces whose mouths are shut). `label`: the same while a voice is
        heard that only the label says is not the face's own. `identity`: PSNR against the rendered
        truth outside mouth and eyes, and of the ground; mean difference of the clips' average
        pictures there, of 1. `picture`: PSNR of all, and of mouths. `time`: change of the error
        across clips over that within. `motion`: spread over a clip of what the judge sees.
        """
        lips, moved, rows = defaultdict(list), defaultdict(list), defaultdict(list)
        by_class: dict[str, list[np.ndarray]] = defaultdict(list)
        other: np.ndarray | None = None
        weights = PLAIN.copy()
        if mood:
            weights[EXPRESSIONS.index(mood[0])] = mood[1]
        for case in track(cases, 'faces', console=Console(stderr=True)):
            truth = case.said.mouth()
            pictures = self.drive(case, [(label('speaking'), case.said.samples)], mood)
            controls = self.tell(case, pictures)[0]
            for name, columns in SPREADS.items():
                rows[name].append(float(controls[:, columns].std(axis=0).mean()))
            told = controls[:, : len(MOUTH)]
            n = min(len(told), len(truth))
            moving = [i for i in range(3) if truth[:n, i].std() > MOVES]
            for i in moving:
                lips[MOUTH[i]].append(correlation(told[:n, i], truth[:n, i]))
            lips['lag'].append(best_lag(told[:n, 0], truth[:n, 0]))
            if other is not None:
                k = min(n, len(other))
                lips['shuffled'].append(correlation(told[:k, 0], other[:k, 0]))
                lips['chance'].append(correlation(truth[:k, 0], other[:k, 0]))
            other = truth
            for kind, missed in phone_errors(told, case.said).items():
                by_class[kind] += missed
            errors, shown = likeness(case, pictures[:n], truth, weights)
            for key, value in errors.items():
                rows[key].append(value)
            seen = self.tell(case, shown)[0]
            for i in moving:
                lips[f'{MOUTH[i]} seen'].append(correlation(seen[:, i], truth[:n, i]))
            moved['speaking'].append(mouth_motion(told[SETTLE:]))
            if mood:
                continue
            for state in STATES[1:]:
                for kind, sound in (('silence', case.silence), ('label', case.said.samples)):
                    mouth = self.mouth(case, [(label(state), sound)])
                    moved[f'{kind} {state}'].append(mouth_motion(mouth[SETTLE:]))
            still = MotionProcess(case.seed).clip(['idle'] * n)
            shut = [render(case.look, m, REST_MOUTH, PLAIN, self.size) for m in still]
            floor = self.tell(case, np.stack(shut))[0][SETTLE:, : len(MOUTH)]
            moved['floor'].append(mouth_motion(floor))
        figures: Figures = {
            'lip': {
                **{f'{name}_r': mean(lips[name]) for name in MOUTH[:3]},
                'ceiling': {f'{name}_r': mean(lips[f'{name} seen']) for name in MOUTH[:3]},
                'open_r_worst': float(min(lips['open'])),
                'lag_frames': float(np.median(lips['lag'])),
                'lag_worst': int(max(lips['lag'], key=abs)),
                'shuffled_r': float(np.mean(lips['shuffled'])),
                'chance_r': float(np.mean(lips['chance'])),
                'by_phone_class': {
                    kind: dict(zip(MOUTH, map(float, np.mean(errors, axis=0))))
                    for kind, errors in sorted(by_class.items())
                },
            },
            'identity': {
                'psnr_db': decibel(float(np.mean(rows['kept']))),
                'ground_psnr_db': decibel(float(np.mean(rows['ground']))),
                'error': float(np.mean(rows['lasting'])),
            },
            'picture': {
                'psnr_db': decibel(float(np.mean(rows['whole']))),
                'mouth_psnr_db': decibel(float(np.mean(rows['mouth']))),
            },
            'time': {'seam_ratio': float(np.mean(rows['seam']))},
            'motion': {name: float(np.mean(rows[name])) for name in SPREADS},
        }
        if not mood:
            share = {
                kind: float(np.mean(m) / np.mean(moved['speaking'])) for kind, m in moved.items()
            }
            figures['silence'] = {f'{s}_ratio': share[f'silence {s}'] for s in STATES[1:]}
            figures['silence']['floor'] = share['floor']
            figures['label'] = {f'{s}_ratio': share[f'label {s}'] for s in STATES[1:]}
        return figures

    def switches(self, cases: Sequence[Case]) -> Figures:
        """Return how long mouths take to rest when speech is cut off by a change of state."""
        taken = []
        for case in cases:
            # Cut where the mouth is open, or there is nothing to see.
            opening = case.said.mouth()[:, 0]
            middle = len(opening) // 3
            cut = middle + int(opening[middle : 2 * middle].argmax())
            at = cut * self.drawer.config.samples_per_frame
            for state in STATES[1:]:
                pieces = [
                    (label('speaking'), case.said.samples[:at]),
                    (label(state), case.said.samples[at:]),
                ]
                mouth = self.mouth(case, pieces)
                taken.append(frames_to_rest(mouth[cut:, 0]) * 1000 / self.drawer.config.fps)
        return {
            'switch_ms_p50': float(np.median(taken)),
            'switch_ms_p95': float(np.percentile(taken, 95)),
        }

    def expressions(self, cases: Sequence[Case]) -> Figures:
        """Return how many expressions the judge names rightly, a second after they were set."""
        named: dict[str, list[bool]] = defaultdict(list)
        for case in cases:
            sound = case.silence[: EXPRESSION_FRAMES * self.drawer.config.samples_per_frame]
            for index, name in enumerate(EXPRESSIONS):
                pictures = self.drive(case, [(label('idle'), sound)], (name, 1.0))
                _, moods = self.tell(case, pictures)
                named[name] += list(moods[EXPRESSION_FRAMES // 2 :] == index)
        right = {name: float(np.mean(r)) for name, r in named.items()}
        return {'recognised': float(np.mean(list(right.values()))), **right}

    def looks(self, cases: Sequence[Case]) -> Figures:
        """Return where eyes and head look, while speaking, after `look_at`.

        `error`: as the judge sees it; `floor`: what it makes of rendered faces that look there;
        `fitted_error`: as the renderer that comes nearest to the picture has it.
        """
        errors, late, lips, floors, fitted = [], [], [], [], []
        for number, case in enumerate(cases):
            side = LOOK_FAR if number % 2 else -LOOK_FAR
            truth = case.said.mouth()[:, 0]
            cut = len(truth) // 3
            at = cut * self.drawer.config.samples_per_frame

            def look(avatar: Avatar, side: float = side) -> None:
                avatar.look_at(1.0, tan(side * EYE_RANGE), 0.0)

            pieces = [
                (label('speaking'), case.said.samples[:at]),
                (look, case.said.samples[at:]),
            ]
            pictures = self.drive(case, pieces)
            told = self.tell(case, pictures)[0]
            error = np.abs(told[cut:, GAZE_X] + told[cut:, YAW] - side)
            errors.append(error[LOOK_FRAMES:].mean())
            late.append(frames_to_reach(error) * 1000 / self.drawer.config.fps)
            n = min(len(told), len(truth))
            lips.append(correlation(told[cut:n, 0], truth[cut:n]))
            process = MotionProcess(case.seed)
            process.clip(['speaking'] * cut)
            led = process.clip(['speaking'] * (n - cut), (side, 0.0))
            shown = [render(case.look, m, REST_MOUTH, PLAIN, self.size) for m in led[LOOK_FRAMES:]]
            known = self.tell(case, np.stack(shown))[0]
            floors.append(np.abs(known[:, GAZE_X] + known[:, YAW] - side).mean())
            for at in range(LOOK_FRAMES, n - cut, LOOK_EVERY):
                if led[at][LIDS].max() < OPEN_LID:
                    found = fit_look(pictures[cut + at], case.look, led[at])
                    fitted.append(abs(float(found.sum()) - side))
        return {
            'error': float(np.mean(errors)),
            'fitted_error': mean(fitted),
            'floor': float(np.mean(floors)),
            'ms': float(np.median(late)),
            'open_r': float(np.mean(lips)),
        }


def mean(values: Sequence[float]) -> float:
    """Return the mean, 0 of nothing."""
    return float(np.mean(values)) if values else 0.0


def frames_to_reach(error_T: np.ndarray) -> int:
    """Return after how many frames an error is first within NEAR."""
    near = np.flatnonzero(error_T < NEAR)
    return int(near[0]) if len(near) else len(error_T)
