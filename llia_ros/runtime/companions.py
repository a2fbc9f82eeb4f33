"""What public weights need beside them: a speech encoder and a picture codec."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from safetensors.torch import save_file

from llia_ros.model.full_weights import SOURCES
from llia_ros.model.sd15 import FullScaleConfig
from llia_ros.runtime.tensor_files import SUFFIXES, read_tensors

# Where publishers lay them beside their own weights, without suffix. EchoMimic's copy of whisper
# is in the layout of its first makers, which nobody reads here.
PLACES = {
    'echomimic': {'codec': 'sd-vae-ft-mse/diffusion_pytorch_model'},
    'hallo': {
        'ears': 'wav2vec/wav2vec2-base-960h/model',
        'codec': 'sd-vae-ft-mse/diffusion_pytorch_model',
    },
    'sd15': {'codec': 'vae/diffusion_pytorch_model'},
}
# A key that only TAESD has.
TINY_CODEC = 'decoder.layers.0.weight'


def find_companions(
    kind: str, source: Path, ears: Path | None = None, codec: Path | None = None
) -> dict[str, Path]:
    """Return the files of ears and codec: those given, or those that lie in the source folder.

    ValueError for one that is given and not there.
    """
    found = {}
    for name, given in (('ears', ears), ('codec', codec)):
        if given is not None:
            if not given.is_file():
                raise ValueError(f'no such file: {given} (--{name})')
            found[name] = given
        elif place := PLACES[kind].get(name):
            candidates = (source / f'{place}{suffix}' for suffix in SUFFIXES)
            if path := next((path for path in candidates if path.is_file()), None):
                found[name] = path
    return found


def with_codec(cfg: FullScaleConfig, companions: dict[str, Path]) -> FullScaleConfig:
    """Return the configuration with the kind of codec that was found."""
    if 'codec' not in companions:
        return cfg
    kind = 'tiny' if TINY_CODEC in read_tensors(companions['codec']) else 'kl'
    return replace(cfg, codec=replace(cfg.codec, kind=kind))


def missing(cfg: FullScaleConfig, companions: dict[str, Path]) -> dict[str, str]:
    """Return which of the two are to be fetched yet, and what they are."""
    kinds = {'ears': cfg.audio.encoder, 'codec': cfg.codec.kind}
    return {name: SOURCES[kind] for name, kind in kinds.items() if name not in companions}


def put(folder: Path, companions: dict[str, Path]) -> None:
    """Write them into a model folder, safetensors whatever they were."""
    for name, path in companions.items():
        tensors = {key: value.contiguous() for key, value in read_tensors(path).items()}
        save_file(tensors, folder / f'{name}.safetensors')
