"""Hallo and EchoMimic at full depth and narrow widths: weights and inputs drawn by their names.

Whoever runs the original code (golden/make_golden.py) and whoever runs ours draw the same
numbers, so that only outputs need to be kept. RandomState's streams are frozen for good.
"""

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from llia_ros.model.sd15 import FullScaleConfig, echomimic, hallo, narrow, sd15

GOLDEN = Path(__file__).parent / 'golden'
CHANNELS = (32, 64, 96, 96)
SIZE = 128
FRAMES, PAST = 3, 2
TIMESTEP = 759
KEPT = 256  # figures kept of each large output


def config(layout: str, channels: tuple[int, ...] = CHANNELS, size: int = SIZE) -> FullScaleConfig:
    """A layout, as wide as the golden figures were made with, or otherwise."""
    public = {'hallo': hallo, 'echomimic': echomimic, 'sd15': sd15}[layout]()
    return replace(narrow(public, channels, size), audio_hidden=16)


def small(layout: str) -> FullScaleConfig:
    """A layout so narrow that reading and writing it takes no time."""
    return config(layout, (32, 32, 32, 32))


def draw(name: str, *shape: int) -> np.ndarray:
    """Normal float32 figures that depend on nothing but name and shape."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    return random.standard_normal(shape).astype(np.float32)


def weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """A weight of a size that keeps a signal about as large as it came."""
    figures = draw(key, *shape)
    if len(shape) > 1:
        return figures / np.float32(np.sqrt(np.prod(shape[1:])))
    return 0.1 * figures + np.float32('norm' in key and key.endswith('weight'))


def inputs(cfg: FullScaleConfig) -> dict[str, np.ndarray]:
    """What a clip is drawn from, by the names of our model's arguments."""
    C, side, _ = cfg.latent_shape
    drawn = {
        'x': draw('x', FRAMES, C, side, side),
        'portrait': draw('portrait', 1, C, side, side),
        'past': draw('past', PAST, C, side, side),
        'heard': draw('heard', FRAMES, *cfg.heard_shape),
        'mask': np.abs(draw('mask', 1, cfg.locator_channels, cfg.size, cfg.size)),
    }
    for region in ('full', 'face', 'lip'):
        for level in range(len(cfg.denoiser.channels)):
            size = (side // 2**level) ** 2
            drawn[f'{region}_{level}'] = np.abs(draw(f'{region}_{level}', 1, size))
    return drawn


def sample(output: np.ndarray) -> np.ndarray:
    """Figures spread evenly over an output too large to keep."""
    flat = np.asarray(output).reshape(-1)
    return flat[:: max(1, -(-flat.size // KEPT))]
