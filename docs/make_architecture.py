"""Draws docs/pictures/architecture.svg: python docs/make_architecture.py."""

from __future__ import annotations

from html import escape
from pathlib import Path

SVG = Path(__file__).parent / 'pictures' / 'architecture.svg'
WIDTH, HEIGHT = 1000, 640
# A browser tells a picture which ground its reader has chosen; both are drawn for.
STYLE = """
  .ground { fill: #ffffff } text { fill: #1f2328; font: 15px sans-serif }
  .box { fill: #eaf2ff; stroke: #3b6fb5 } .part { fill: #fff4e0; stroke: #a86b12 }
  .group { fill: none; stroke: #8a929c; stroke-dasharray: 5 4 }
  .way { fill: none; stroke: #1f2328; stroke-width: 1.6 } .tip { fill: #1f2328 }
  .small { font-size: 12.5px; fill: #57606a } .bold { font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } text { fill: #e6edf3 }
    .box { fill: #152a47; stroke: #6ea8fe } .part { fill: #3a2a0c; stroke: #e0a84a }
    .group { stroke: #7d8590 } .way { stroke: #e6edf3 } .tip { fill: #e6edf3 }
    .small { fill: #9aa4af }
  }
"""


class Drawing:
    """Shapes of an SVG picture, in the order they are drawn."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def box(
        self, x: int, y: int, wide: int, tall: int, title: str, *lines: str, kind: str = 'box'
    ) -> None:
        """Draw a box with a title and smaller lines in its middle."""
        self.parts.append(
            f'<rect class="{kind}" x="{x}" y="{y}" width="{wide}" height="{tall}" rx="7"/>'
        )
        top = y + tall / 2 - 8.5 * len(lines) + 5
        self.text(x + wide / 2, top, title, 'bold')
        for number, line in enumerate(lines, 1):
            self.text(x + wide / 2, top + 17 * number, line, 'small')

    def group(self, x: int, y: int, wide: int, tall: int, title: str) -> None:
        """Draw a dashed frame with its title above the top left corner."""
        self.parts.append(
            f'<rect class="group" x="{x}" y="{y}" width="{wide}" height="{tall}" rx="10"/>'
        )
        self.text(x + 10, y - 7, title, 'small', 'start')

    def text(
        self, x: float, y: float, words: str, kind: str = 'small', anchor: str = 'middle'
    ) -> None:
        """Write a line."""
        self.parts.append(
            f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">'
            f'{escape(words)}</text>'
        )

    def way(self, *points: tuple[int, int]) -> None:
        """Draw an arrow through points."""
        path = ' L '.join(f'{x} {y}' for x, y in points)
        self.parts.append(f'<path class="way" d="M {path}" marker-end="url(#tip)"/>')

    def svg(self) -> str:
        """Return the file's text."""
        tip = (
            '<marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" '
            'markerHeight="8" orient="auto"><path class="tip" d="M 0 0 L 10 5 L 0 10 z"/></marker>'
        )
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            'aria-label="The way of sound and pictures through llia_ros">'
        )
        ground = f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}"/>'
        body = '\n'.join(self.parts)
        return f'{head}\n<style>{STYLE}</style>\n<defs>{tip}</defs>\n{ground}\n{body}\n</svg>\n'


def draw() -> str:
    """Return the picture of the data's way."""
    d = Drawing()
    d.text(20, 28, 'Nodes: one process each, or all in one', 'bold', 'start')
    d.box(20, 70, 150, 56, 'audio_capture', 'microphone, file')
    d.box(20, 190, 150, 56, "robot's TTS", 'yours', kind='part')
    d.box(390, 70, 170, 56, 'dialogue_state', 'voice activity, echo')
    d.box(390, 190, 170, 76, 'avatar', 'speech to face,', '25 frames a second')
    d.box(790, 190, 190, 76, 'display', 'page, file, ...', 'pairs picture and sound')
    d.way((170, 98), (389, 98))
    d.text(280, 90, 'user/audio')
    d.way((170, 218), (389, 218))
    d.text(272, 210, 'robot/audio')
    d.way((340, 218), (340, 112), (389, 112))
    d.way((450, 126), (450, 189))
    d.text(442, 152, 'dialogue/state', anchor='end')
    d.text(442, 169, 'user/is_speaking', anchor='end')
    d.way((500, 189), (500, 127))
    d.text(508, 152, 'playing, audio (the echo)', anchor='start')
    d.way((560, 215), (789, 215))
    d.text(675, 207, 'image_raw/compressed')
    d.way((560, 240), (789, 240))
    d.text(675, 258, 'audio, cut to the frames')
    d.text(20, 300, 'expression, portrait, look_at, interrupt', anchor='start')
    d.way((262, 296), (420, 296), (420, 267))

    d.text(20, 350, 'Inside avatar: one thread a stage, queues of two clips', 'bold', 'start')
    d.group(20, 385, 960, 128, 'every item carries its epoch; a stage drops what is older')
    top, tall = 410, 76
    d.box(35, top, 120, tall, 'track', 'sound by its', 'sample count')
    d.box(195, top, 140, tall, 'planner', 'clips of 4, 8, 16;', 'ears: log-mel')
    d.box(395, top, 160, tall, 'denoiser', 'UNet, 1 step; past', 'frames stay latents')
    d.box(615, top, 130, tall, 'decoder', '16x16 latents', 'to 512x512')
    d.box(805, top, 160, tall, 'timetable', 'one frame every', '40 ms, always')
    for start, end in ((155, 194), (335, 394), (555, 614), (745, 804)):
        d.way((start, top + tall // 2), (end, top + tall // 2))
    d.box(395, 545, 160, 62, 'reference', 'ReferenceNet, once a', 'portrait, kept')
    d.way((475, 545), (475, top + tall + 1))
    d.box(195, 545, 140, 62, 'motion', 'pose, gaze, blinks,', 'look_at')
    d.way((265, 545), (265, top + tall + 1))
    for x, words in ((175, 'audio'), (365, 'queue'), (585, 'queue'), (775, 'hold')):
        d.text(x, 403, words)
    d.text(605, 572, 'Stages of latency as /diagnostics names them:', anchor='start')
    d.text(605, 591, 'audio, ahead, queue, denoise, decode, hold', anchor='start')
    return d.svg()


if __name__ == '__main__':
    SVG.write_text(draw())
