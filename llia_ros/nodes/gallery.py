"""The portraits that ship with a model, as pictures and as thumbnails."""

import cv2
import numpy as np

from llia_ros.nodes.messages import encode_jpeg
from llia_ros.runtime.backends import model_folder
from llia_ros.runtime.portraits import load_portrait, portrait_names

THUMBNAIL = 160
PICTURE = 512


class Gallery:
    """The portraits of a model, all of them kept; without a model there are none.

    `model`: a name that ships with the package or a folder; ValueError where it is not on this
    machine.
    """

    def __init__(self, model: str = '') -> None:
        self._pictures: dict[str, np.ndarray] = {}
        if model:
            folder = model_folder(model)
            self._pictures = {
                name: load_portrait(name, folder, PICTURE, force=True)
                for name in portrait_names(folder)
            }

    @property
    def names(self) -> list[str]:
        """Their names, sorted."""
        return list(self._pictures)

    def picture(self, name: str) -> np.ndarray:
        """A portrait as uint8 (PICTURE, PICTURE, 3) RGB."""
        return self._pictures[name]

    def thumbnails(self) -> dict[str, bytes]:
        """Every portrait as a JPEG of THUMBNAIL pixels, by name."""
        return {
            name: encode_jpeg(
                cv2.resize(picture, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA), 85
            )
            for name, picture in self._pictures.items()
        }
