"""Which model a folder holds, by its model.json: readable without torch."""

from __future__ import annotations

import json
from pathlib import Path

from llia_ros.model import sd15
from llia_ros.model.config import ModelConfig, from_dict


def is_full_scale(folder: Path) -> bool:
    """Return whether a model folder holds a model of SD 1.5 size."""
    return json.loads((folder / 'model.json').read_text()).get('preset') in sd15.PRESETS


def read_config(folder: Path) -> ModelConfig | sd15.FullScaleConfig:
    """Return the configuration of a model folder, of either scale.

    ValueError for settings that this version does not know.
    """
    values = json.loads((folder / 'model.json').read_text())['config']
    return sd15.from_dict(values) if is_full_scale(folder) else from_dict(values)
