"""The model in other precisions, exported for a sweep: 16 bit weights, and 8 bits throughout."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

from llia_ros.benchmark.probe import Probe
from llia_ros.benchmark.setting import Setting
from llia_ros.runtime.backends import Backend, model_folder
from llia_ros.runtime.portraits import load_portrait, portrait_names

# Clips of the calibration: so many of each length for each portrait.
CALIBRATED = 6
PORTRAITS = 4


def exported(setting: dict[str, Any], scratch: str, precision: str) -> str:
    """Return a copy of the model's folder in `scratch`, made at the first call.

    `precision`: f16 for weights of 16 bits, or int8 for weights and activations of 8, calibrated
    by the speech of the benchmark. Needs torch and nncf.
    """
    source, target = model_folder(Setting(**setting).model), Path(scratch) / precision
    if (target / 'ready').is_file():
        return str(target)
    from llia_ros.runtime.export import export_openvino

    if target.is_dir():
        shutil.rmtree(target)
    shutil.copytree(source, target)
    export_openvino(target)
    if precision == 'int8':
        from llia_ros.runtime.quantize import quantize_openvino

        quantize_openvino(target, partial(draw_speech, folder=source), every=3)
    (target / 'ready').touch()
    return str(target)


def draw_speech(backend: Backend, folder: Path) -> None:
    """Let the portraits of a folder speak, in clips of every length and by one and two steps."""
    for index, name in enumerate(portrait_names(folder)[:PORTRAITS]):
        portrait = load_portrait(name, folder, backend.config.size)
        for frames in backend.config.clip_lengths:
            probe = Probe(backend, portrait, 1 + index % 2, frames)
            for clip in range(CALIBRATED):
                probe.latents = probe.denoise(clip)
                probe.decode()
