"""How a full-scale model is cut into graphs: as tiny is (`export.graphs`), with two differences.

What the denoiser reads of the portrait enters as keys and values, projected once a portrait
(`reference`), and the noise level as a training timestep. Of the ears nothing is exported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from llia_ros.model.autoencoder import Autoencoder
from llia_ros.model.codec import to_pixels, to_unit
from llia_ros.model.config import EXPRESSIONS
from llia_ros.model.full_face import FullScaleFace
from llia_ros.model.full_scale import Condition
from llia_ros.runtime.export import Graph

Cut = tuple[Graph, dict[str, torch.Tensor], tuple[str, ...]]


def full_scale_graphs(face: FullScaleFace, codec: Autoencoder, frames: int) -> dict[str, Cut]:
    """Return per graph the module, example inputs by name, and the names of its outputs.

    `frames`: of a clip; where past frames are drawn with it, with them. ValueError for a model
    that is drawn with guidance.
    """
    cfg = face.cfg
    if cfg.guidance != 1:
        raise ValueError(
            f'{cfg.name} is drawn with guidance {cfg.guidance}: graphs are exported of models '
            'that do without, such as sd15 and echomimic-acc'
        )
    size, shape = cfg.size, cfg.latent_shape
    latents = torch.zeros(frames, *shape)
    tokens = torch.zeros(frames, *cfg.heard_shape)
    told = [value for value in face.told(tokens)[:3] if value is not None]
    names = ('context', 'pose', 'audio')[: len(told)]
    reads = face.read(latents[:1])
    kept = [value for pair in face.reference(latents[:1]) for value in pair]
    keys = tuple(f'read{i}' for i in range(len(kept)))
    past = {}
    if cfg.past_frames and cfg.past_reads:
        past = {f'past{i}': r.repeat(cfg.past_frames, 1, 1) for i, r in enumerate(reads)}
    _, regions = face.masks(latents.device)

    def velocity(x: torch.Tensor, timestep: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        state, given, rest = rest[0], rest[1 : 1 + len(told)], rest[1 + len(told) :]
        masks = [[mask.expand(frames, -1) for mask in region] for region in regions]
        audio = given[2] if len(given) > 2 else None
        condition = Condition(given[0], given[1], audio, masks)
        pairs = list(zip(rest[0 : len(kept) : 2], rest[1 : len(kept) : 2]))
        before = [read[None] for read in rest[len(kept) :]] or None
        level = timestep.expand(frames)
        return face.networks.velocity(
            x, level, state.expand(frames), condition, pairs, before, frames
        )

    cuts: dict[str, tuple[Callable[..., Any], dict[str, torch.Tensor], tuple[str, ...]]] = {
        'encoder': (
            lambda image: codec.encoder(to_unit(image)),
            {'image': torch.zeros(1, size, size, 3, dtype=torch.uint8)},
            ('latent',),
        ),
        'animator': (
            face.animator,
            {'latent': latents[:1], 'weights': torch.zeros(1, len(EXPRESSIONS))},
            ('animated',),
        ),
        'reference': (
            lambda portrait: tuple(v for pair in face.reference(portrait) for v in pair),
            {'latents': latents[:1]},
            keys,
        ),
        'reads': (
            lambda before: tuple(face.read(before)),
            {'latents': torch.zeros(max(cfg.past_frames, 1), *shape)},
            tuple(f'read{i}' for i in range(len(reads))),
        ),
        'condition': (
            lambda heard: tuple(v for v in face.told(heard)[:3] if v is not None),
            {'tokens': tokens},
            names,
        ),
        'velocity': (
            velocity,
            {
                'x': latents,
                'timestep': torch.full((1,), 999.0),
                'state': torch.zeros(1, dtype=torch.int64),
                **dict(zip(names, told)),
                **dict(zip(keys, kept)),
                **past,
            },
            ('v',),
        ),
        'decoder': (
            lambda clip: to_pixels(codec.decoder(clip)),
            {'latents': latents},
            ('pictures',),
        ),
    }
    return {
        name: (Graph(function, face, codec), inputs, outputs)
        for name, (function, inputs, outputs) in cuts.items()
    }
