"""CUDA graphs: the thousands of launches of a denoising step replayed as one."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

# As many runs before a capture as torch's own advice on CUDA graphs has: libraries choose their
# kernels and get their memory in them.
WARM = 3


@dataclass(frozen=True)
class Capture:
    """One graph and the memory that it reads from and writes to."""

    graph: torch.cuda.CUDAGraph
    inputs: list[torch.Tensor]
    output: torch.Tensor


def split(arguments: Any) -> tuple[list[torch.Tensor], list[Any], TreeSpec]:
    """Return the tensors among nested arguments, the other leaves in place, and their nesting."""
    leaves, nesting = tree_flatten(arguments)
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    return tensors, [None if isinstance(v, torch.Tensor) else (v,) for v in leaves], nesting


def join(tensors: list[torch.Tensor], others: list[Any], nesting: TreeSpec) -> Any:
    """Return the arguments that `split` took apart, with other tensors."""
    rest = iter(tensors)
    return tree_unflatten([next(rest) if v is None else v[0] for v in others], nesting)


class Captured:
    """A function of tensors, however nested, as a CUDA graph for each set of their shapes.

    It must return one tensor and do the same whenever it is called.
    """

    def __init__(self, function: Callable[..., torch.Tensor]):
        self._function = function
        self._captures: dict[Hashable, Capture] = {}

    def __call__(self, *arguments: Any) -> torch.Tensor:
        """Return a copy of the function's output."""
        tensors, others, nesting = split(arguments)
        key = (tuple((t.shape, t.dtype) for t in tensors), repr((others, nesting)))
        if key not in self._captures:
            self._captures[key] = self._capture(tensors, others, nesting)
        capture = self._captures[key]
        for kept, given in zip(capture.inputs, tensors):
            kept.copy_(given)
        capture.graph.replay()
        return capture.output.clone()

    def _capture(
        self, tensors: list[torch.Tensor], others: list[Any], nesting: TreeSpec
    ) -> Capture:
        inputs = [tensor.clone() for tensor in tensors]
        arguments = join(inputs, others, nesting)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM):
                self._function(*arguments)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # The decoder's thread may get memory meanwhile.
        with torch.cuda.graph(graph, capture_error_mode='thread_local'):
            output = self._function(*arguments)
        return Capture(graph, inputs, output)
