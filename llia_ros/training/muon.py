"""Muon: momentum whose matrices are made orthogonal, with AdamW for all that is no matrix.

Steps of equal size in all directions (Jordan et al., 2024) at the root mean square of AdamW's
(Liu et al., 2502.16982), so one learning rate serves both. Convolutions are matrices from all
their inputs to each output.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ADAMW_RMS = 0.2
VECTOR_RATE = 1e-3


def orthogonal(x_NRC: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Return matrices (N, R, C) with their singular values pushed to about 1."""
    a, b, c = NEWTON_SCHULZ
    tall = x_NRC.shape[1] > x_NRC.shape[2]
    x = x_NRC.transpose(1, 2) if tall else x_NRC
    x = (x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)).bfloat16()
    for _ in range(steps):
        square = x @ x.transpose(1, 2)
        x = a * x + (b * square + c * square @ square) @ x
    return (x.transpose(1, 2) if tall else x).to(x_NRC.dtype)


def split(modules: nn.Module) -> list[dict[str, Any]]:
    """Return parameter groups: hidden matrices; vectors, embeddings, first and last layers."""
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in modules.named_parameters():
        hidden = parameter.ndim in (2, 4) and not any(
            part in name for part in ('conv_in', 'conv_out', 'embedding', 'position')
        )
        (matrices if hidden else rest).append(parameter)
    return [
        {'params': matrices, 'orthogonal': True},
        {'params': rest, 'orthogonal': False, 'lr': VECTOR_RATE},
    ]


class Muon(torch.optim.Optimizer):
    """Takes the groups of `split`; `lr` and `weight_decay` mean for both what they do in AdamW."""

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.98),
    ):
        super().__init__(
            groups,
            {
                'lr': lr,
                'weight_decay': weight_decay,
                'momentum': momentum,
                'betas': betas,
                'orthogonal': True,
            },
        )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Make one step."""
        for group in self.param_groups:
            used = [p for p in group['params'] if p.grad is not None]
            if group['weight_decay']:
                torch._foreach_mul_(used, 1 - group['lr'] * group['weight_decay'])
            (self._matrices if group['orthogonal'] else self._vectors)(used, group)

    def _matrices(self, used: list[nn.Parameter], group: dict[str, Any]) -> None:
        alike = defaultdict(list)
        for p in used:
            state = self.state[p]
            if 'momentum' not in state:
                state['momentum'] = torch.zeros_like(p)
            kept = state['momentum'].lerp_(p.grad, 1 - group['momentum'])
            alike[tuple(p.shape)].append((p, p.grad.lerp(kept, group['momentum'])))
        for shape, pairs in alike.items():
            stacked = torch.stack([update.flatten(1) for _, update in pairs])
            size = ADAMW_RMS * max(stacked.shape[1:]) ** 0.5
            for (p, _), update in zip(pairs, orthogonal(stacked)):
                p.add_(update.reshape(shape), alpha=-group['lr'] * size)

    def _vectors(self, used: list[nn.Parameter], group: dict[str, Any]) -> None:
        first, second = group['betas']
        for p in used:
            state = self.state[p]
            if 'step' not in state:
                state.update(
                    step=torch.zeros(()), mean=torch.zeros_like(p), square=torch.zeros_like(p)
                )
            state['step'] += 1
            count = float(state['step'])
            mean = state['mean'].lerp_(p.grad, 1 - first) / (1 - first**count)
            square = state['square'].mul_(second).addcmul_(p.grad, p.grad, value=1 - second) / (
                1 - second**count
            )
            p.addcdiv_(mean, square.sqrt_().add_(1e-8), value=-group['lr'])
