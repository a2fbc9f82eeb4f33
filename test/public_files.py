"""Public checkpoints as their publishers lay them out, at narrow widths, weights by name."""

from dataclasses import replace
from pathlib import Path

import torch
from public_layouts import small, weight
from safetensors.torch import save_file

from llia_ros.model.attention import position_table
from llia_ros.model.full_scale import FullScaleModel
from llia_ros.model.key_map import LAYOUTS
from llia_ros.model.sd15 import FullScaleConfig

Tensors = dict[str, torch.Tensor]


def tensor(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """A public parameter."""
    if key.endswith('.pos_encoder.pe'):
        return position_table(shape[1], shape[2])
    return torch.from_numpy(weight(key, shape))


def published(layout: str, cfg: FullScaleConfig | None = None) -> Tensors:
    """All of a checkpoint; of Hallo also the motion modules that we leave out."""
    cfg = cfg or small(layout)
    if layout == 'sd15':
        parts = replace(cfg.denoiser, motion=False, context_dim=768, states=1)
    else:
        parts = replace(cfg.denoiser, temporal=(True,) * 4)
    with torch.device('meta'):
        state = FullScaleModel(replace(cfg, denoiser=parts)).state_dict()
    rules = LAYOUTS[layout]
    sources = {
        rules.source(key): tuple(value.shape)
        for key, value in state.items()
        if 'class_embedding' not in key and not (layout == 'sd15' and key.startswith('face'))
    }
    return {key: tensor(key, shape) for key, shape in sources.items()}


def part(tensors: Tensors, prefix: str) -> Tensors:
    """The tensors under a prefix, without it."""
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}


def lay_out(layout: str, folder: Path, tensors: Tensors, acc: str = '') -> Path:
    """Write the files of a checkpoint; return their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if layout == 'hallo':
        (folder / 'hallo').mkdir(exist_ok=True)
        torch.save(tensors, folder / 'hallo' / 'net.pth')
    elif layout == 'sd15':
        (folder / 'unet').mkdir(exist_ok=True)
        path = folder / 'unet' / 'diffusion_pytorch_model.safetensors'
        save_file(part(tensors, 'unet.'), path)
    else:
        denoiser = part(tensors, 'denoising_unet.')
        motion = {key: value for key, value in denoiser.items() if 'motion_modules' in key}
        still = {key: value for key, value in denoiser.items() if key not in motion}
        torch.save(still, folder / f'denoising_unet{acc}.pth')
        torch.save(motion, folder / f'motion_module{acc}.pth')
        for name in ('reference_unet', 'face_locator'):
            torch.save(part(tensors, f'{name}.'), folder / f'{name}.pth')
    return folder
