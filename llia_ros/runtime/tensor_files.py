"""Files of tensors from strangers: read without running what they hold, refused in one line."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

SUFFIXES = ('.safetensors', '.pth', '.pt', '.ckpt', '.bin')


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the named tensors of a safetensors or torch file, mapped from disk where possible.

    ValueError, in one line that names the file, for one that is missing, damaged, cut short,
    holds code, or holds anything but tensors by name.
    """
    if not path.is_file():
        raise ValueError(f'no such file: {path}')
    if path.suffix not in SUFFIXES:
        raise ValueError(f'{path} is no file of weights: its name should end in {SUFFIXES}')
    with path.open('rb') as file:
        head = file.read(64)
    if head.startswith(b'version https://git-lfs'):
        raise ValueError(f'{path} is only a pointer of Git LFS: fetch the weights by git lfs pull')
    if head.lstrip().startswith((b'<!', b'<html')):
        raise ValueError(f'{path} is a web page, not weights: fetch the file itself')
    if path.suffix == '.safetensors':
        try:
            tensors = load_file(path)
        except (OSError, SafetensorError) as error:
            raise _damaged(path, error) from error
    else:
        tensors = _read_torch(path)
    if not tensors:
        raise ValueError(f'{path} holds no tensors')
    return tensors


def _load(path: Path) -> object:
    with warnings.catch_warnings():
        # Advice on old and new formats, for whoever made the file.
        warnings.simplefilter('ignore')
        try:
            return torch.load(path, map_location='cpu', weights_only=True, mmap=True)
        except RuntimeError as error:
            if 'mmap can only be used' not in str(error):
                raise
            return torch.load(path, map_location='cpu', weights_only=True)


def _read_torch(path: Path) -> dict[str, torch.Tensor]:
    try:
        found = _load(path)
    # Whatever a damaged or hostile pickle makes the reader raise.
    except Exception as error:
        called = re.search(r'GLOBAL ([\w.]+)', str(error))
        if called:
            raise ValueError(
                f'{path} is refused: it would run code when opened ({called[1]}); take weights '
                'from their publisher, as safetensors if you can'
            ) from error
        raise _damaged(path, error) from error
    if not isinstance(found, dict):
        raise ValueError(f'{path} holds a {type(found).__name__}, not tensors by name')
    for key, value in found.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise ValueError(
                f'{path} holds more than tensors by name: {key!r} is a {type(value).__name__}'
            )
    return found


def _damaged(path: Path, error: Exception) -> ValueError:
    # What torch says of a pickle that it cannot read is advice for programmers.
    said = str(error).strip() if isinstance(error, SafetensorError | OSError) else ''
    why = f' ({said.splitlines()[0][:120]})' if said else ''
    return ValueError(
        f'cannot read {path}: damaged, cut short or no file of weights{why}; fetch it again'
    )
