"""A trained model as a folder: model.json (sizes, checksums) and one safetensors file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from llia_ros.model.codec import Codec
from llia_ros.model.config import FORMAT, ModelConfig, from_dict
from llia_ros.model.face import FaceModel
from llia_ros.model.full_scale import FullScaleModel
from llia_ros.model.sd15 import FullScaleConfig
from llia_ros.model.sd15 import from_dict as full_scale_from_dict


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while part := file.read(1 << 24):
            digest.update(part)
    return digest.hexdigest()


def unread(face: FaceModel) -> set[str]:
    """Return the names of the ReferenceNet's weights that no read depends on."""
    twin = deepcopy(face).float().requires_grad_(True)
    with torch.enable_grad():
        reads = twin.read(torch.zeros(1, *face.cfg.latent_shape))
        torch.stack([read.sum() for read in reads]).sum().backward()
    parameters = twin.named_parameters()
    return {key for key, p in parameters if key.startswith('reference_net.') and p.grad is None}


def save_model(
    folder: Path, face: FaceModel, codec: Codec, notes: dict[str, Any] | None = None
) -> None:
    """Write weights in half precision and model.json; `notes` are kept beside the sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    idle = unread(face)
    tensors = {
        f'{part}.{key}': value.half().contiguous() if value.is_floating_point() else value
        for part, module in (('face', face), ('codec', codec))
        for key, value in module.state_dict().items()
        if key not in idle
    }
    name = f'{face.cfg.name}.safetensors'
    save_file(tensors, folder / name)
    write_manifest(folder, face.cfg, notes or {})


def write_manifest(
    folder: Path, cfg: ModelConfig | FullScaleConfig, notes: dict[str, Any]
) -> None:
    """Write model.json: format, preset, sizes, notes, and the checksum of every other file."""
    files = {
        str(path.relative_to(folder)): checksum(path)
        for path in sorted(folder.rglob('*'))
        if path.is_file() and path.name not in ('model.json', 'README.md')
    }
    manifest = {
        'format': FORMAT,
        'preset': cfg.name,
        'config': asdict(cfg),
        'notes': notes,
        'files': files,
    }
    (folder / 'model.json').write_text(json.dumps(manifest, indent=1) + '\n')


def load_model(folder: Path) -> tuple[FaceModel, Codec]:
    """Return the model of a folder, on the CPU, in single precision, ready for use.

    Raises ValueError where the weights are broken or do not fit the sizes in model.json.
    """
    manifest = json.loads((folder / 'model.json').read_text())
    cfg = from_dict(manifest['config'])
    path = folder / f'{cfg.name}.safetensors'
    tensors = read_tensors(path)
    face, codec = FaceModel(cfg), Codec(cfg.codec)
    for part, module in (('face', face), ('codec', codec)):
        own = {
            key[len(part) + 1 :]: value
            for key, value in tensors.items()
            if key.startswith(part + '.')
        }
        wanted = module.state_dict()
        if module is face:
            own.update({key: torch.zeros_like(wanted[key]) for key in unread(face) - set(own)})
        check_fit(path, f'{part}.', own, wanted)
        module.load_state_dict(own)
    return face.eval().requires_grad_(False), codec.eval().requires_grad_(False)


def save_full_scale(
    folder: Path,
    cfg: FullScaleConfig,
    tensors: dict[str, torch.Tensor],
    notes: dict[str, Any],
) -> None:
    """Write the state of a `FullScaleModel`, in the precisions it has, and model.json."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / f'{cfg.name}.safetensors')
    write_manifest(folder, cfg, notes)


def load_full_scale(folder: Path) -> FullScaleModel:
    """Return the full-scale model of a folder, on the CPU, in the precision of its file.

    Raises ValueError where the weights are broken or do not fit the sizes in model.json.
    """
    cfg = full_scale_from_dict(json.loads((folder / 'model.json').read_text())['config'])
    path = folder / f'{cfg.name}.safetensors'
    tensors = read_tensors(path)
    # Nothing is drawn at random only to be replaced: that would take longer than to read.
    with torch.device('meta'):
        model = FullScaleModel(cfg)
    check_fit(path, '', tensors, model.state_dict())
    model.load_state_dict(tensors, assign=True)
    return model.eval().requires_grad_(False)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file; ValueError for one that cannot be read."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f'cannot read the weights {path}: {error}; fetch them again') from error


def check_fit(
    path: Path,
    part: str,
    own: Mapping[str, torch.Tensor],
    wanted: Mapping[str, torch.Tensor],
) -> None:
    """Raise ValueError where tensors of a file do not have the names and shapes wanted."""
    wrong = sorted(set(own) ^ set(wanted)) or sorted(
        key for key in wanted if own[key].shape != wanted[key].shape
    )
    if wrong:
        raise ValueError(
            f'{path} does not fit model.json: {len(wrong)} tensors differ, the '
            f'first is {part}{wrong[0]}; they belong to another version'
        )
