"""The demo's last words: a table of figures, or the same as JSON."""

from __future__ import annotations

from pathlib import Path

import av
from rich.console import Console
from rich.table import Table

from llia_ros.demo import page_figures
from llia_ros.demo.figures import Figures


def video_lengths(path: Path) -> tuple[int, float, float]:
    """Frames, seconds of picture and seconds of sound of an mp4.

    Raises ValueError for a file that is none.
    """
    try:
        with av.open(str(path)) as file:
            video, audio = file.streams.video[0], file.streams.audio[0]
            lengths = [float((track.duration or 0) * track.time_base) for track in (video, audio)]
            return int(video.frames), lengths[0], lengths[1]
    except (av.error.FFmpegError, IndexError) as error:
        raise ValueError(f"the recording '{path}' is broken: {error}") from error


def table(figures: Figures) -> Table:
    """The summary."""
    grid = Table('what', 'figure', title='llia_ros demo', title_style='bold')
    grid.columns[1].justify = 'right'

    def row(name: str, value: float | None, unit: str = '', digits: int = 0) -> None:
        grid.add_row(name, '-' if value is None else f'{value:.{digits}f} {unit}'.strip())

    row('conversation', figures.seconds, 's', 1)
    row('frames', figures.frames)
    row('frames per second', figures.fps, digits=2)
    row('late frames (last picture repeated)', figures.late_frames)
    row('pictures lost on the way', figures.frames_lost)
    row('longest gap between pictures', figures.longest_gap_ms, 'ms')
    grid.add_section()
    row('first answer: voice published to first picture', figures.first_picture_ms, 'ms')
    row('generation of a clip, p50', figures.generation_p50_ms, 'ms')
    row('generation of a clip, p95', figures.generation_p95_ms, 'ms')
    row('picture due to shown, p50', figures.display_latency_p50_ms, 'ms', 1)
    row('picture due to shown, p95', figures.display_latency_p95_ms, 'ms', 1)
    grid.add_section()
    row('state changes', figures.state_changes)
    row("user's voice to listening", figures.reaction_to_user_ms, 'ms')
    row('interruptions', figures.interruptions)
    row("interruption: user's voice to last old frame", figures.interruption_ms, 'ms')
    row('interruption: noticed to last old frame', figures.interruption_after_detection_ms, 'ms')
    row('interruption: noticed to new face', figures.new_face_after_detection_ms, 'ms')
    row('old frames after a newer one', figures.old_frames_after_interruption)
    if figures.page is not None:
        page_figures.add_rows(grid, figures.page)
    grid.add_section()
    row('video, pictures', figures.video_seconds, 's', 2)
    row('video, sound', figures.video_sound_seconds, 's', 2)
    return grid


def show(figures: Figures, console: Console) -> None:
    """Print the table."""
    console.print(table(figures))
