"""The demo on one page: faces, states, voices, lips and latency over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from llia_ros.demo.figures import interruptions, mouth_motion
from llia_ros.demo.log import Log, Picture
from llia_ros.model.config import STATES

COLOURS = {'speaking': '#e4572e', 'listening': '#2e86ab', 'idle': '#b8c4cc'}
USER, ROBOT, INK = '#2e86ab', '#e4572e', '#33404a'
FACES = 12


def draw(log: Log, began: float, path: Path) -> None:
    """Write the timeline as a picture file; `began` is the ROS time (s) that becomes zero."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    end = max([picture.arrival for picture in log.pictures] + [began + 1]) - began
    with pyplot.rc_context({'font.size': 9, 'axes.edgecolor': INK, 'axes.linewidth': 0.6}):
        figure, axes = pyplot.subplots(
            5,
            1,
            figsize=(14, 9),
            sharex=True,
            height_ratios=(1.7, 1, 2, 1.5, 1.6),
            layout='constrained',
        )
        _faces(axes[0], log, began, end)
        _states(axes[1], log, began, end)
        _voices(axes[2], log, began)
        _mouth(axes[3], log, began)
        _latency(axes[4], log, began)
        stops = interruptions(log)
        for axis in axes[1:]:
            axis.spines[['top', 'right']].set_visible(False)
            for stop in stops:
                axis.axvline(stop.onset - began, color=INK, linewidth=0.8, linestyle=':')
                axis.axvline(stop.last_old - began, color='#d00000', linewidth=1)
        for stop in stops:
            axes[2].annotate(
                f'interrupted: silent {1000 * stop.silent_after:.0f} ms after noticed',
                (stop.last_old - began, 1),
                (4, -24),
                xycoords=('data', 'axes fraction'),
                textcoords='offset points',
                color='#d00000',
            )
        axes[-1].set_xlim(0, end)
        axes[-1].set_xlabel('seconds')
        figure.savefig(path, dpi=110)
        pyplot.close(figure)


def _faces(axis: Any, log: Log, began: float, end: float) -> None:
    """Pictures as they were shown, each in the middle of its stretch of time."""
    axis.set_axis_off()
    axis.set_xlim(0, end)
    axis.set_ylim(0, 1)
    arrivals = np.array([picture.arrival - began for picture in log.pictures])
    for k in range(FACES):
        centre = (k + 0.5) * end / FACES
        nearest = log.pictures[int(np.abs(arrivals - centre).argmin())]
        image = _decoded(nearest, cv2.IMREAD_REDUCED_COLOR_2)
        inset = axis.inset_axes(((k + 0.02) / FACES, 0, 0.96 / FACES, 1))
        inset.imshow(image[..., ::-1])
        inset.set_axis_off()
        inset.set_title(f'{centre:.0f} s', fontsize=8, pad=2, color=INK)


def _decoded(picture: Picture, how: int) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(picture.data, np.uint8), how))


def _states(axis: Any, log: Log, began: float, end: float) -> None:
    rows = (
        ('topic dialogue/state', log.states),
        ('drawn under', _changes([(sound.stamp, sound.state) for sound in log.sounds])),
    )
    for row, (_, changes) in enumerate(rows):
        times = [at - began for at, _ in changes] + [end]
        for (_, state), start, stop in zip(changes, times, times[1:], strict=False):
            left = max(0.0, start)
            axis.barh(row, stop - left, 0.8, left, color=COLOURS.get(state, INK))
    axis.set_yticks(range(len(rows)), [name for name, _ in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    patches = [axis.barh(-9, 0, color=COLOURS[state], label=state) for state in STATES]
    _legend(axis, handles=patches, ncols=3)


def _voices(axis: Any, log: Log, began: float) -> None:
    user = np.array(log.user or [(began, 0.0)])
    axis.fill_between(user[:, 0] - began, user[:, 1], color=USER, linewidth=0, label='user')
    stamps = [sound.stamp - began for sound in log.sounds]
    levels = [-sound.level for sound in log.sounds]
    axis.fill_between(stamps, levels, color=ROBOT, linewidth=0, label='robot, as heard')
    for line in log.spoken:
        side, colour = (0.94, USER) if line.speaker == 'user' else (0.03, ROBOT)
        axis.annotate(
            line.name,
            (line.start - began, side),
            xycoords=('data', 'axes fraction'),
            fontsize=8,
            color=colour,
        )
    limit = 1.4 * max(0.05, user[:, 1].max(), -min(levels, default=0.0))
    axis.set_ylim(-limit, limit)
    axis.axhline(0, color=INK, linewidth=0.5)
    axis.set_ylabel('voice (RMS)')
    _legend(axis, ncols=2)


def _mouth(axis: Any, log: Log, began: float) -> None:
    small = [_decoded(picture, cv2.IMREAD_REDUCED_GRAYSCALE_8) for picture in log.pictures]
    stamps = [picture.stamp - began for picture in log.pictures]
    axis.plot(stamps, 100 * mouth_motion(small), color=INK, linewidth=0.8)
    axis.set_ylabel('change around\nthe mouth, %')
    axis.set_ylim(bottom=0)


def _latency(axis: Any, log: Log, began: float) -> None:
    arrivals = np.array([picture.arrival - began for picture in log.pictures])
    lateness = [1000 * (picture.arrival - picture.stamp) for picture in log.pictures]
    gaps = 1000 * np.diff(arrivals)
    axis.plot(
        arrivals[1:], gaps, '.', markersize=2, color='#8d99a6', label='from picture to picture'
    )
    axis.plot(arrivals, lateness, '.', markersize=2, color=ROBOT, label='due to shown')
    axis.axhline(40, color=INK, linewidth=0.5, linestyle='--')
    axis.set_ylabel('ms')
    axis.set_ylim(0, max(80.0, 1.1 * float(np.percentile(gaps, 99.5))))
    _legend(axis, ncols=2, markerscale=4)


def _legend(axis: Any, **options: Any) -> None:
    """Above the axis, where no curve can be hidden by it."""
    axis.legend(
        loc='lower right',
        bbox_to_anchor=(1, 1),
        borderaxespad=0.1,
        fontsize=8,
        frameon=False,
        **options,
    )


def _changes(labels: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Only the entries of a series at which its label changes."""
    return [entry for k, entry in enumerate(labels) if k == 0 or labels[k - 1][1] != entry[1]]
