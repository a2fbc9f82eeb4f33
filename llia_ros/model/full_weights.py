"""Full-scale models as folders, like tiny's, or with random weights where there are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from llia_ros.model.attention import TemporalAttention
from llia_ros.model.autoencoder import Autoencoder
from llia_ros.model.codec import Codec
from llia_ros.model.face import FaceModel
from llia_ros.model.full_face import FullScaleFace
from llia_ros.model.full_scale import FullScaleModel
from llia_ros.model.sd15 import FullScaleConfig, from_dict
from llia_ros.model.weights import fill, load_model

# Random figures drawn once and repeated: drawing two billion takes longer than the clip.
_DRAWN = 1 << 20


def is_full_scale(values: dict[str, Any]) -> bool:
    """Return whether a configuration, as model.json holds it, is of this scale."""
    return 'locator_channels' in values


def load_any(folder: Path) -> tuple[FaceModel | FullScaleFace, Codec | Autoencoder]:
    """Return the model of a folder, of either scale, on the CPU, ready for use.

    Raises ValueError where the weights are broken or do not fit the sizes in model.json.
    """
    values = json.loads((folder / 'model.json').read_text())['config']
    if not is_full_scale(values):
        return load_model(folder)
    cfg = from_dict(values)
    face, codec = _hollow(cfg), Autoencoder(cfg.codec)
    fill(folder / f'{cfg.name}.safetensors', face, codec)
    return face, codec


def random_model(
    cfg: FullScaleConfig, dtype: torch.dtype = torch.bfloat16, seed: int = 0
) -> tuple[FullScaleFace, Autoencoder]:
    """Return a model with weights that mean nothing: its speed is that of a trained one.

    Networks are of `dtype` from the start, so that two billion numbers take two bytes each.
    """
    torch.manual_seed(seed)
    face, codec = _hollow(cfg), Autoencoder(cfg.codec).to(dtype)
    face.networks.to(dtype).to_empty(device='cpu')
    pool = torch.randn(_DRAWN, dtype=torch.float32).to(dtype)
    for module in face.networks.modules():
        if isinstance(module, TemporalAttention):
            module.place_frames()
        for name, weight in module.named_parameters(recurse=False):
            if weight.dim() < 2:
                nn.init.constant_(weight, float(name == 'weight'))  # norms, biases
            else:
                count = weight.numel()
                drawn = pool.repeat(-(-count // _DRAWN))[:count].view_as(weight)
                weight.data.copy_(drawn).mul_(0.5 / weight[0].numel() ** 0.5)
    nn.init.zeros_(face.networks.denoiser.class_embedding.weight)
    return face.eval().requires_grad_(False), codec.eval().requires_grad_(False)


def _hollow(cfg: FullScaleConfig) -> FullScaleFace:
    """Return a face whose largest networks have shapes and no numbers yet."""
    with torch.device('meta'):
        networks = FullScaleModel(cfg)
    return FullScaleFace(cfg, networks)
