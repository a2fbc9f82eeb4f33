"""Full-scale models as folders, each network in a file of its own, or with random weights.

`NAME.safetensors`: denoiser, ReferenceNet, locator, projections, as `llia import-weights` writes
it. `ears.safetensors`, `codec.safetensors`: as their makers publish them. `animator.safetensors`:
ours, where one was trained.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from llia_ros.model.attention import TemporalAttention, position_table
from llia_ros.model.autoencoder import Autoencoder
from llia_ros.model.codec import Codec
from llia_ros.model.face import FaceModel
from llia_ros.model.folder import is_full_scale
from llia_ros.model.full_face import FullScaleFace
from llia_ros.model.full_scale import FullScaleModel
from llia_ros.model.sd15 import FullScaleConfig, from_dict
from llia_ros.model.weights import (
    check_fit,
    load_full_scale,
    load_model,
    read_tensors,
    write_manifest,
)

# What may serve as a part, and how its names become ours.
SOURCES = {
    'whisper': 'model.safetensors of openai/whisper-tiny',
    'wav2vec': 'model.safetensors of facebook/wav2vec2-base-960h',
    'kl': 'diffusion_pytorch_model.safetensors of stabilityai/sd-vae-ft-mse',
    'tiny': 'diffusion_pytorch_model.safetensors of madebyollin/taesd',
}
RENAMED = (
    ('model.encoder.', 'encoder.'),
    ('wav2vec2.', 'wav2vec.'),
    ('conv.weight_g', 'conv.parametrizations.weight.original0'),
    ('conv.weight_v', 'conv.parametrizations.weight.original1'),
    # Of diffusers before 0.18.
    ('attentions.0.query.', 'attentions.0.to_q.'),
    ('attentions.0.key.', 'attentions.0.to_k.'),
    ('attentions.0.value.', 'attentions.0.to_v.'),
    ('attentions.0.proj_attn.', 'attentions.0.to_out.0.'),
)
# Parts of published encoders that nobody hears with.
LEFT_OUT = (
    'model.decoder.',
    'proj_out.',
    'lm_head.',
    'wav2vec.masked_spec_embed',
    'encoder.layer_norm.',
)

# Random figures drawn once and repeated: drawing two billion takes longer than the clip.
_DRAWN = 1 << 20


def load_any(folder: Path) -> tuple[FaceModel | FullScaleFace, Codec | Autoencoder]:
    """Return the model of a folder, of either scale, on the CPU, ready for use.

    Raises ValueError where the weights are missing, broken or do not fit those of model.json.
    """
    if not is_full_scale(folder):
        return load_model(folder)
    cfg = from_dict(json.loads((folder / 'model.json').read_text())['config'])
    for name, kind in (('ears', cfg.audio.encoder), ('codec', cfg.codec.kind)):
        if not (folder / f'{name}.safetensors').is_file():
            raise ValueError(
                f'{name}.safetensors is missing in {folder}: copy {SOURCES[kind]} there, under '
                'that name'
            )
    face, codec = FullScaleFace(cfg, load_full_scale(folder)), Autoencoder(cfg.codec)
    _fill(face.ears, folder / 'ears.safetensors')
    _fill(codec.autoencoder, folder / 'codec.safetensors')
    if (folder / 'animator.safetensors').is_file():
        _fill(face.animator, folder / 'animator.safetensors')
    return face.eval().requires_grad_(False), codec.eval().requires_grad_(False)


def load_hearing(folder: Path) -> FullScaleFace:
    """Return a face of a folder that can hear and nothing else: its networks hold no numbers."""
    cfg = from_dict(json.loads((folder / 'model.json').read_text())['config'])
    with torch.device('meta'):
        networks = FullScaleModel(cfg)
    face = FullScaleFace(cfg, networks)
    _fill(face.ears, folder / 'ears.safetensors')
    return face.eval().requires_grad_(False)


def save_full_face(folder: Path, face: FullScaleFace, codec: Autoencoder) -> None:
    """Write the files of a model, in the precisions that it has, and model.json."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {
        face.cfg.name: face.networks,
        'ears': face.ears,
        'codec': codec.autoencoder,
        'animator': face.animator,
    }
    for name, module in parts.items():
        state = {key: value.contiguous() for key, value in module.state_dict().items()}
        save_file(state, folder / f'{name}.safetensors')
    write_manifest(folder, face.cfg, {})


def random_model(
    cfg: FullScaleConfig, dtype: torch.dtype = torch.bfloat16, seed: int = 0
) -> tuple[FullScaleFace, Autoencoder]:
    """Return a model with weights that mean nothing: its speed is that of a trained one.

    Networks are of `dtype` from the start, so that two billion numbers take two bytes each.
    """
    torch.manual_seed(seed)
    with torch.device('meta'):
        networks = FullScaleModel(cfg).to(dtype)
    networks.to_empty(device='cpu')
    pool = torch.randn(_DRAWN).to(dtype)
    for module in networks.modules():
        if isinstance(module, TemporalAttention):
            table = module.pos_encoder.pe
            table.copy_(position_table(*table.shape[1:]))
        for name, weight in module.named_parameters(recurse=False):
            if weight.dim() < 2:
                nn.init.constant_(weight, float(name == 'weight'))
            else:
                count = weight.numel()
                drawn = pool.repeat(-(-count // _DRAWN))[:count].view_as(weight)
                weight.data.copy_(drawn).mul_(0.5 / weight[0].numel() ** 0.5)
    nn.init.zeros_(networks.denoiser.class_embedding.weight)
    face, codec = FullScaleFace(cfg, networks), Autoencoder(cfg.codec).to(dtype)
    return face.eval().requires_grad_(False), codec.eval().requires_grad_(False)


def _fill(module: nn.Module, path: Path) -> None:
    """Load a published file into a network."""
    own = {}
    for key, value in read_tensors(path).items():
        for theirs, ours in RENAMED:
            key = key.replace(theirs, ours)
        if not key.startswith(LEFT_OUT):
            own[key] = value
    check_fit(path, '', own, module.state_dict())
    module.load_state_dict(own)
