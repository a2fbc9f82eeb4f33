"""Counts what a frame costs and writes docs/gpu.md: python docs/make_gpu.py.

Nothing is run: the networks have shapes and no numbers (torch's meta device), and operations and
bytes are counted as their layers are called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from llia_ros.model.autoencoder import Autoencoder
from llia_ros.model.codec import Codec
from llia_ros.model.config import MOTION, tiny
from llia_ros.model.face import FaceModel
from llia_ros.model.full_scale import FullScaleModel, region_masks
from llia_ros.model.sd15 import FullScaleConfig, echomimic, hallo, sd15

HERE = Path(__file__).parent
FRAMES = 8
HALF = 2  # bytes a figure


@dataclass(frozen=True)
class Cost:
    """Of one call: multiply-accumulates, and bytes that its layers read and write in f16."""

    macs: float
    bytes: float
    parameters: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.macs + other.macs,
            self.bytes + other.bytes,
            self.parameters + other.parameters,
        )

    def times(self, count: float) -> Cost:
        """Return the cost of so many calls."""
        return Cost(self.macs * count, self.bytes * count, self.parameters)


@dataclass(frozen=True)
class Card:
    """A GPU by its data sheet: dense tera-operations a second, and gigabytes a second."""

    name: str
    half: float
    eight: float
    bandwidth: float


# NVIDIA: Ada architecture whitepaper, scaled from 16384 to the 4090D's 14592 cores (f16 with f32
# sums); Jetson AGX Orin technical brief (GPU alone, 64 GB module); H200 data sheet.
CARDS = (
    Card('RTX 4090D', 147, 588, 1008),
    Card('Jetson AGX Orin', 42.5, 85, 205),
    Card('H200', 989, 1979, 4800),
)


class Traffic(TorchDispatchMode):
    """Counts elements that convolutions, products and attention read and write.

    All else is counted as if it were fused into them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if function.overloadpacket in flop_registry:
            tensors = [v for v in tree_leaves((args, result)) if isinstance(v, torch.Tensor)]
            self.elements += sum(tensor.numel() for tensor in tensors)
        return result


class FusedAttention(TorchFunctionMode):
    """Counts attention as what goes in and comes out, also where it is taken apart."""

    def __init__(self, traffic: Traffic):
        super().__init__()
        self.traffic = traffic

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        before = self.traffic.elements
        result = function(*args, **(kwargs or {}))
        if function is F.scaled_dot_product_attention:
            ends = [v for v in tree_leaves((args, kwargs, result)) if isinstance(v, torch.Tensor)]
            self.traffic.elements = before + sum(tensor.numel() for tensor in ends)
        return result


def count(call: Callable[[], Any], *modules: nn.Module) -> Cost:
    """Return what a call costs, and the parameters of the modules behind it."""
    traffic = Traffic()
    flops, fused = FlopCounterMode(display=False), FusedAttention(traffic)
    with torch.no_grad(), flops, traffic, fused:
        call()
    parameters = sum(p.numel() for module in modules for p in module.parameters())
    return Cost(flops.get_total_flops() / 2, traffic.elements * HALF, parameters)


def tiny_costs() -> dict[str, Cost]:
    """Return the cost of each part of tiny, of a clip of FRAMES frames."""
    cfg = tiny()
    with torch.device('meta'):
        face, codec = FaceModel(cfg).eval(), Codec(cfg.codec).eval()
        latents = torch.zeros(FRAMES, *cfg.latent_shape)
        mel = torch.zeros(FRAMES, cfg.audio.columns, cfg.audio.bins)
        condition = face.condition(mel, torch.zeros(FRAMES, len(MOTION)), torch.ones(FRAMES, 1))
        reads = face.read(latents[:1])
        past = [read[None].repeat(1, cfg.past_frames, 1, 1) for read in reads]
        state = torch.zeros(FRAMES, dtype=torch.int64)
        angle = torch.zeros(FRAMES)
        return {
            'denoiser': count(
                lambda: face.velocity(latents, angle, state, condition, latents[:1], reads, past),
                face.denoiser,
            ),
            'past': count(lambda: face.read(latents[: cfg.past_frames]), face.reference_net),
            'decoder': count(lambda: codec.decoder(latents), codec.decoder),
        }


def full_costs(cfg: FullScaleConfig, size: int) -> dict[str, Cost]:
    """Return the cost of each part of a full-scale layout, of a clip of FRAMES frames.

    `decoder`: SD 1.5's own (KL); `small decoder`: TAESD's.
    """
    cfg = replace(cfg, codec=replace(cfg.codec, size=size))
    with torch.device('meta'):
        model = FullScaleModel(cfg).eval()
        latents = torch.zeros(FRAMES, *cfg.latent_shape)
        mask = torch.zeros(1, cfg.locator_channels, size, size)
        regions: Any = ()
        if cfg.denoiser.audio_dim:
            levels = len(cfg.denoiser.channels)
            regions = region_masks(torch.zeros(1, 3, size, size), levels, cfg.latent_shape[1])
        condition = model.condition(torch.zeros(FRAMES, *cfg.heard_shape), mask, regions)
        reads = model.read(latents[:1])
        keys = model.keys_values(reads)
        past = [read[None].repeat(1, cfg.past_frames, 1, 1) for read in reads]
        level, state = torch.zeros(FRAMES), torch.zeros(FRAMES, dtype=torch.int64)
        costs = {
            'denoiser': count(
                lambda: model.velocity(latents, level, state, condition, keys, past),
                model.denoiser,
            ),
            'past': count(lambda: model.read(latents[: cfg.past_frames]), model.reference_net),
        }
        for name, kind in (('decoder', 'kl'), ('small decoder', 'tiny')):
            codec = Autoencoder(replace(cfg.codec, kind=kind)).eval()
            decoder = codec.autoencoder.decoder
            costs[name] = count(lambda codec=codec: codec.decoder(latents), decoder)
    return costs


def seconds(cost: Cost, card: Card, eight: bool) -> float:
    """Return the least time of a call: by operations or by bytes, whichever is more."""
    rate = card.eight if eight else card.half
    moved = cost.bytes / (2 if eight else 1)
    return max(2 * cost.macs / (rate * 1e12), moved / (card.bandwidth * 1e9))


def ceiling(
    costs: dict[str, Cost], card: Card, decoder: str, steps: int, eight: bool
) -> tuple[float, str]:
    """Return the frames a second that nothing can exceed, and the stage that takes longest.

    `eight`: denoiser and ReferenceNet in 8 bits. The decoder runs in half precision.
    """
    stages = {
        'denoiser': steps * seconds(costs['denoiser'], card, eight),
        'past frames': seconds(costs['past'], card, eight),
        decoder: seconds(costs[decoder], card, False),
    }
    longest = max(stages, key=lambda name: stages[name])
    share = stages[longest] / sum(stages.values())
    return FRAMES / sum(stages.values()), f'{longest} {share:.0%}'


def cost_table(sized: dict[str, dict[str, Cost]]) -> list[str]:
    """Return a table of what a frame costs, one row a part and model."""
    rows = [
        '| model | part | GMAC a frame | MB a frame | MAC a byte | parameters |',
        '|---|---|---|---|---|---|',
    ]
    for name, costs in sized.items():
        for part, cost in costs.items():
            rows.append(
                f'| {name} | {part} | {cost.macs / FRAMES / 1e9:.1f} '
                f'| {cost.bytes / FRAMES / 1e6:.0f} | {cost.macs / cost.bytes:.0f} '
                f'| {cost.parameters / 1e6:.1f} M |'
            )
    return rows


def ceiling_table(sized: dict[int, dict[str, Cost]], steps: int) -> list[str]:
    """Return a table of ceilings with both decoders, of sd15."""
    rows = [
        '| card | side | decoder | f16: fps | longest | INT8 denoiser: fps | longest | LLIA |',
        '|---|---|---|---|---|---|---|---|',
    ]
    published = {384: 78, 512: 45}
    for card in CARDS:
        for size, costs in sized.items():
            for decoder in ('decoder', 'small decoder'):
                cells = []
                for eight in (False, True):
                    fps, longest = ceiling(costs, card, decoder, steps, eight)
                    cells += [f'{fps:.0f}', longest]
                what = 'KL' if decoder == 'decoder' else 'TAESD'
                rows.append(
                    f'| {card.name} | {size} | {what} | {" | ".join(cells)} | {published[size]} |'
                )
    return rows


def tiny_table(costs: dict[str, Cost]) -> list[str]:
    """Return a table of tiny's ceilings."""
    rows = ['| card | f16: fps | longest |', '|---|---|---|']
    for card in CARDS:
        fps, longest = ceiling(costs, card, 'decoder', tiny().steps, False)
        rows.append(f'| {card.name} | {fps:.0f} | {longest} |')
    return rows


def page() -> str:
    """Return the page."""
    small = tiny_costs()
    sizes = {size: full_costs(sd15(), size) for size in (384, 512)}
    others = {
        'echomimic, 512': full_costs(replace(echomimic(), past_reads=True), 512),
        'hallo, 512': full_costs(hallo(), 512),
    }
    costs = {
        'tiny, 512': small,
        **{f'sd15, {size}': cost for size, cost in sizes.items()},
        **{name: {'denoiser': cost['denoiser']} for name, cost in others.items()},
    }
    kl, taesd = (sizes[512][part].macs / FRAMES / 1e9 for part in ('decoder', 'small decoder'))
    step = sizes[512]['denoiser'].macs / FRAMES / 1e9
    text = (HERE / 'make_gpu.md.in').read_text()
    tables = {
        'costs': '\n'.join(cost_table(costs)),
        'two_steps': '\n'.join(ceiling_table(sizes, 2)),
        'one_step': '\n'.join(ceiling_table(sizes, 1)),
        'tiny': '\n'.join(tiny_table(small)),
        'kl': f'{kl:.0f}',
        'taesd': f'{taesd:.0f}',
        'step': f'{step:.0f}',
        'frames': str(FRAMES),
    }
    for name, value in tables.items():
        text = text.replace('{' + name + '}', value)
    return text


def main() -> None:
    """Write the page."""
    (HERE / 'gpu.md').write_text(page())


if __name__ == '__main__':
    main()
