"""Hallo's two projections: what wav2vec heard, and whose face it is, as tokens."""

import torch
import torch.nn.functional as F
from torch import nn


class AudioProjection(nn.Module):
    """Hidden states of the frames around one, as a few tokens."""

    def __init__(self, inputs: int, hidden: int, tokens: int, dim: int):
        super().__init__()
        self.tokens = tokens
        self.proj1 = nn.Linear(inputs, hidden)
        self.proj2 = nn.Linear(hidden, hidden)
        self.proj3 = nn.Linear(hidden, tokens * dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, heard: torch.Tensor) -> torch.Tensor:
        """Return tokens (N, S, D) of windows (N, frames, states, D)."""
        h = F.relu(self.proj2(F.relu(self.proj1(heard.flatten(1)))))
        return self.norm(self.proj3(h).unflatten(1, (self.tokens, -1)))


class FaceProjection(nn.Module):
    """A face recogniser's embedding as a few tokens."""

    def __init__(self, inputs: int, tokens: int, dim: int):
        super().__init__()
        self.inputs, self.tokens = inputs, tokens
        self.proj = nn.Linear(inputs, tokens * dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, embedding_BE: torch.Tensor) -> torch.Tensor:
        """Return tokens (B, S, D) of embeddings (B, E)."""
        return self.norm(self.proj(embedding_BE).unflatten(1, (self.tokens, -1)))

    def nobody(self) -> torch.Tensor:
        """Return the tokens (1, S, D) of zeros: of no face in particular."""
        return self(self.proj.weight.new_zeros(1, self.inputs))
