"""Draws the pictures of the documents with the model that ships: python docs/make_pictures.py."""

from pathlib import Path

import cv2
import numpy as np

from llia_ros.model.config import EXPRESSIONS, STATES
from llia_ros.runtime.avatar import Avatar, Frame
from llia_ros.runtime.backends import load_backend, model_folder
from llia_ros.runtime.portraits import load_portrait, portrait_names
from llia_ros.training.faces import neutral, random_appearance
from llia_ros.training.speech import speak

HERE = Path(__file__).parent / 'pictures'
SIDE = 176


def write(name: str, rows: list[list[np.ndarray]], side: int = SIDE) -> None:
    """Write a sheet of rows of pictures, each `side` pixels wide."""

    def small(image: np.ndarray) -> np.ndarray:
        return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)

    HERE.mkdir(exist_ok=True)
    sheet = np.concatenate([np.concatenate([small(p) for p in row], axis=1) for row in rows])
    cv2.imwrite(str(HERE / name), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])


def frames_of(
    backend: object, portrait: np.ndarray, samples: np.ndarray, state: str, mood: str = 'neutral'
) -> list[Frame]:
    """Return what a fresh avatar draws while it hears samples under a label."""
    with Avatar(backend, portrait, paced=False, seed=4) as avatar:
        if mood != 'neutral':
            avatar.set_expression(mood)
        avatar.set_state(state, override=True)
        avatar.push_audio(samples)
        avatar.finish()
        return list(avatar)


def main() -> None:
    """Write every picture."""
    folder = model_folder('tiny')
    backend = load_backend('tiny')
    said = speak('Hello! We are open from nine to five. What do you want?', 'en-us+f1')
    mouth = said.mouth()
    # A wide open mouth, a spread one, a rounded one, a closed one in the middle of speech.
    inside = slice(4, len(mouth) - 6)
    moments = [4 + int(track[inside].argmax()) for track in mouth.T[:3]]
    moments.append(4 + int((mouth[inside, 0] + np.linspace(0.5, 0, len(mouth) - 10)).argmin()))
    quiet = np.zeros(640 * 32, np.int16)

    def row(portrait: np.ndarray) -> list[np.ndarray]:
        speaking = frames_of(backend, portrait, said.samples, 'speaking')
        listening = frames_of(backend, portrait, said.samples[: len(quiet)], 'listening')
        idle = frames_of(backend, portrait, quiet, 'idle')
        return [speaking[k].image for k in moments] + [listening[25].image, idle[25].image]

    def heard(state: int) -> tuple[np.ndarray, str]:
        return (said.samples if state == 0 else quiet), STATES[state]

    def moment(state: int) -> int:
        return moments[0] if state == 0 else 25

    known = [load_portrait(name, folder, 512) for name in portrait_names(folder)]
    write('characters.jpg', [row(portrait) for portrait in known[:6]])

    rng = np.random.default_rng(2026)
    unseen = [neutral(random_appearance(rng)) for _ in range(6)]
    write('unseen.jpg', [[portrait, *row(portrait)] for portrait in unseen])
    # Three blocks of six characters: speaking, listening, idle; a column for each expression.
    shown = [frames_of(backend, known[k % 6], *heard(k // 6), mood)[moment(k // 6)].image
             for k in range(18) for mood in EXPRESSIONS]  # fmt: skip
    write('contact.jpg', [shown[i : i + 8] for i in range(0, len(shown), 8)], 128)


if __name__ == '__main__':
    main()
