"""The full scale measured once: a stream of two clips, with weights that mean nothing if need be.

Speed does not depend on what the weights say, so a preset's name is enough to learn how fast it
would be here. The engine is the same as for tiny.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from llia_ros.benchmark.setting import Setting
from llia_ros.benchmark.usage import peak_rss_mb
from llia_ros.model.sd15 import PRESETS, FullScaleConfig, narrow

CLIPS = 2
# How torch runs the networks, and the options of its backend for it.
RUNS: dict[str, dict[str, Any]] = {
    'eager': {},
    'graphs': {'graphs': True},
    'compiled': {'compile': True},
}


def is_preset(model: str) -> bool:
    """Return whether a model is one of full scale, given by its name."""
    return model in PRESETS


def sized(setting: Setting, decoder: str, widths: tuple[int, ...] | None) -> FullScaleConfig:
    """Return the preset at the size asked for, with another decoder or narrower where asked."""
    cfg = PRESETS[setting.model]()
    cfg = narrow(cfg, widths or cfg.denoiser.channels, setting.size)
    return replace(cfg, codec=replace(cfg.codec, kind=decoder))


def once(
    setting: Setting,
    decoder: str = 'kl',
    widths: tuple[int, ...] | None = None,
    run: str = 'eager',
) -> dict[str, Any]:
    """Return the figures of CLIPS clips of the shortest length, drawn one after the other.

    `run`: one of RUNS; all but the first need a GPU. Times in seconds,
    memory in MB. ValueError for settings that cannot be.
    """
    import numpy as np
    import torch

    from llia_ros.model.full_weights import random_model
    from llia_ros.runtime.avatar import Avatar
    from llia_ros.runtime.backends.torch import TorchBackend

    dtype = torch.float32 if setting.precision == 'f32' else torch.bfloat16
    cfg = sized(setting, decoder, widths)
    if run != 'eager':
        # Only what will be drawn is captured or compiled.
        cfg = replace(cfg, clip_lengths=(setting.clip or min(cfg.clip_lengths),))
    start = time.perf_counter()
    face, codec = random_model(cfg, dtype)
    backend = TorchBackend.of(face, codec, precision=setting.precision, **RUNS[run])
    built = time.perf_counter() - start
    length = setting.clip or min(cfg.clip_lengths)
    portrait = np.random.default_rng(0).integers(0, 256, (cfg.size, cfg.size, 3), np.uint8)
    sound = np.random.default_rng(1).integers(
        -9000, 9000, CLIPS * length * cfg.samples_per_frame, np.int16
    )
    start = time.perf_counter()
    with Avatar(
        backend, portrait, paced=False, steps=setting.steps, clip_lengths=(length,)
    ) as avatar:
        prepared = time.perf_counter() - start
        avatar.push_audio(sound)
        avatar.finish()
        frames = list(avatar)
        stages = avatar.stats()['stages_ms']
    whole = time.perf_counter() - start - prepared
    return {
        'model': cfg.name,
        'weights': 'random',
        'backend': f'torch {backend.device}',
        'precision': str(dtype).removeprefix('torch.'),
        'run': run,
        'size': cfg.size,
        'decoder': decoder,
        'channels': list(cfg.denoiser.channels),
        'parameters': sum(weight.numel() for weight in face.networks.parameters()),
        'steps': setting.steps or cfg.steps,
        'clip': length,
        'past_frames': cfg.past_frames,
        'frames': len(frames),
        'build_s': built,
        'portrait_s': prepared,
        'stream_s': whole,
        'fps': len(frames) / whole,
        'denoise_clip_ms': stages['denoise'],
        'decode_clip_ms': stages['decode'],
        'peak_rss_mb': peak_rss_mb(),
        'gpu_peak_mb': torch.cuda.max_memory_allocated() / 2**20
        if torch.cuda.is_available()
        else 0.0,
    }
