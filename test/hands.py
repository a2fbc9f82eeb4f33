"""A person at the browser: mouse, finger and keyboard, as real input to the page."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from llia_ros.demo.headless import Browser

ELEMENT = 'element-6066-11e4-a52e-4f735466cecf'
# Of WebDriver's keys, those that have no letter.
KEYS = {
    'Enter': '\ue007', 'Escape': '\ue00c', 'Home': '\ue011', 'ArrowLeft': '\ue012',
    'ArrowUp': '\ue013', 'ArrowRight': '\ue014', 'ArrowDown': '\ue015', 'Tab': '\ue004',
}  # fmt: skip


class Hands(Browser):
    """A browser that is operated; elements are named by CSS selectors."""

    def find(self, selector: str) -> dict[str, str]:
        """The element, scrolled to the middle of the window."""
        wanted = {'using': 'css selector', 'value': selector}
        element: dict[str, str] = self._call('POST', '/element', wanted)
        self.run(
            f'document.querySelector({selector!r}).scrollIntoView({{block: "center"}}); '
            'return new Promise((done) => requestAnimationFrame(done))'
        )
        return element

    def press_at(
        self, selector: str, *path: tuple[int, int], kind: str = 'mouse', hold: int = 0
    ) -> None:
        """Press at the element's middle plus path[0] (px), move along the path, let go.

        `hold`: ms for which the end of the path is held.
        """
        element = self.find(selector)
        moves = [
            {'type': 'pointerMove', 'duration': 0, 'origin': element, 'x': x, 'y': y}
            for x, y in path or ((0, 0),)
        ]
        down, up = {'type': 'pointerDown', 'button': 0}, {'type': 'pointerUp', 'button': 0}
        self._act(
            {
                'type': 'pointer',
                'id': kind,
                'parameters': {'pointerType': kind},
                'actions': [moves[0], down, *moves[1:], {'type': 'pause', 'duration': hold}, up],
            }
        )

    def type(self, *keys: str) -> None:
        """Type keys, by letter or as named in KEYS, or whole words."""
        letters = [KEYS[key] if key in KEYS else letter for key in keys for letter in _spelt(key)]
        actions = [
            {'type': kind, 'value': letter} for letter in letters for kind in ('keyDown', 'keyUp')
        ]
        self._act({'type': 'key', 'id': 'keyboard', 'actions': actions})

    def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file in a file input, as its dialog would."""
        wanted = {'using': 'css selector', 'value': selector}
        element = self._call('POST', '/element', wanted)
        self._call('POST', f'/element/{element[ELEMENT]}/value', {'text': str(path)})

    def drop_file(self, selector: str, path: Path) -> None:
        """Drag a file from outside onto an element."""
        self.find(selector)
        box = self.run(
            f'const b = document.querySelector({selector!r}).getBoundingClientRect(); '
            'return [b.left + b.width / 2, b.top + b.height / 2]'
        )
        data = {'items': [], 'files': [str(path)], 'dragOperationsMask': 1}
        for kind in ('dragEnter', 'dragOver', 'drop'):
            parameters = {'type': kind, 'x': box[0], 'y': box[1], 'data': data}
            self.send_command('Input.dispatchDragEvent', parameters)

    def text(self, selector: str) -> str:
        """What an element shows."""
        return str(self.run(f'return document.querySelector({selector!r}).innerText'))

    def complaints(self) -> list[str]:
        """What the browser complained of since the last call: scripts, policies, files."""
        return [entry['message'] for entry in self._call('POST', '/se/log', {'type': 'browser'})]

    def _act(self, source: dict[str, Any]) -> None:
        self._call('POST', '/actions', {'actions': [source]})
        time.sleep(0.02)


def _spelt(key: str) -> list[str]:
    return [key] if key in KEYS else list(key)
