"""A trained model as a folder: model.json (sizes, checksums) and one safetensors file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from llia_ros.model.codec import Codec
from llia_ros.model.config import from_dict, to_dict
from llia_ros.model.face import FaceModel

FORMAT = 1


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save_model(
    folder: Path, face: Any, codec: nn.Module, notes: dict[str, Any] | None = None
) -> None:
    """Write weights in half precision and model.json; `notes` are kept beside the sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        f'{part}.{key}': value.half().contiguous() if value.is_floating_point() else value
        for part, module in (('face', face), ('codec', codec))
        for key, value in module.state_dict().items()
    }
    name = f'{face.cfg.name}.safetensors'
    save_file(tensors, folder / name)
    write_manifest(folder, face.cfg, notes or {})


def write_manifest(folder: Path, cfg: Any, notes: dict[str, Any]) -> None:
    """Write model.json: format, preset, sizes, notes, and the checksum of every other file."""
    files = {
        str(path.relative_to(folder)): checksum(path)
        for path in sorted(folder.rglob('*'))
        if path.is_file() and path.name not in ('model.json', 'README.md')
    }
    manifest = {
        'format': FORMAT,
        'preset': cfg.name,
        'config': to_dict(cfg),
        'notes': notes,
        'files': files,
    }
    (folder / 'model.json').write_text(json.dumps(manifest, indent=1) + '\n')


def load_model(folder: Path) -> tuple[FaceModel, Codec]:
    """Return the model of a folder, on the CPU, in single precision, ready for use.

    Raises ValueError where the weights are broken or do not fit the sizes in model.json.
    """
    cfg = from_dict(json.loads((folder / 'model.json').read_text())['config'])
    face, codec = FaceModel(cfg), Codec(cfg.codec)
    fill(folder / f'{cfg.name}.safetensors', face, codec)
    return face.float(), codec.float()


def fill(path: Path, face: nn.Module, codec: nn.Module) -> None:
    """Load the weights of a file into networks, in the file's precision, ready for use.

    Raises ValueError where they are broken or do not fit.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f'cannot read the weights {path}: {error}; fetch them again') from error
    for part, module in (('face', face), ('codec', codec)):
        own = {
            key[len(part) + 1 :]: value
            for key, value in tensors.items()
            if key.startswith(part + '.')
        }
        wanted = module.state_dict()
        wrong = sorted(set(own) ^ set(wanted)) or sorted(
            key for key in wanted if own[key].shape != wanted[key].shape
        )
        if wrong:
            raise ValueError(
                f'{path} does not fit model.json: {len(wrong)} tensors differ, the '
                f'first is {part}.{wrong[0]}; they belong to another version'
            )
        module.load_state_dict(own, assign=True)
        module.eval().requires_grad_(False)
