"""Full-scale models small enough for tests: full depth, narrow, random."""

from dataclasses import replace
from functools import cache

import torch

from llia_ros.model.autoencoder import Autoencoder
from llia_ros.model.full_face import FullScaleFace
from llia_ros.model.pretrained import AutoencoderConfig, small
from llia_ros.model.sd15 import PRESETS, FullScaleConfig, narrow

SIZE = 64
CODEC = AutoencoderConfig('kl', SIZE, channels=(8, 8, 16, 16), layers=1)
EARS = small


def config(preset: str, **changes) -> FullScaleConfig:
    """A preset at full depth with other widths."""
    cfg = narrow(PRESETS[preset](), (32, 32, 64, 64), SIZE)
    audio = small(cfg.audio)
    networks = {
        'denoiser': replace(cfg.denoiser, context_dim=audio.width)
        if cfg.denoiser.audio_dim is None
        else cfg.denoiser,
        'locator_widths': (4, 4, 8, 8),
        'audio_hidden': 16,
    }
    return replace(cfg, audio=audio, codec=CODEC, clip_lengths=(4, 8), **networks, **changes)


@cache
def model(preset: str, seed: int = 0, **changes) -> tuple[FullScaleFace, Autoencoder]:
    """A preset with random weights that let everything through: nothing starts at zero."""
    torch.manual_seed(seed)
    cfg = config(preset, **changes)
    face, codec = FullScaleFace(cfg), Autoencoder(cfg.codec)
    with torch.no_grad():
        for name, weight in face.named_parameters():
            if 'class_embedding' not in name and float(weight.abs().max()) == 0:
                weight.normal_(0, 0.1)
    return face.eval().requires_grad_(False), codec.eval().requires_grad_(False)
