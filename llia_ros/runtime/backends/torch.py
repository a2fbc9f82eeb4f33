"""The reference backend: the model in torch, on a GPU or a CPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from llia_ros.model.codec import to_pixels, to_unit
from llia_ros.model.face import FaceModel
from llia_ros.model.full_face import FullScaleFace
from llia_ros.model.full_weights import load_any
from llia_ros.model.schedule import sample
from llia_ros.runtime.engine_config import EngineConfig

Face = FaceModel | FullScaleFace


def has_cuda() -> bool:
    """Return whether torch finds a GPU."""
    return torch.cuda.is_available()


@dataclass(frozen=True)
class Reference:
    """A portrait as the denoiser reads it: its latent (1, C, h, w) and its reads."""

    latent: torch.Tensor
    reads: tuple[Any, ...]


class TorchBackend:
    """Draws clips with the weights of a model folder; see `Backend` for shapes."""

    name = 'torch'

    def __init__(self, folder: Path, device: str | None = None):
        self._take(*load_any(Path(folder)), device)

    @classmethod
    def of(cls, face: Face, codec: nn.Module, device: str | None = None) -> TorchBackend:
        """Return a backend of networks that are in memory already."""
        backend = cls.__new__(cls)
        backend._take(face, codec, device)
        return backend

    def _take(self, face: Face, codec: Any, device: str | None) -> None:
        self.device = torch.device(device or ('cuda' if has_cuda() else 'cpu'))
        self.config: EngineConfig = face.cfg
        # Either scale's: what one gives, only the same one takes.
        self.face: Any = face.to(self.device)
        self.codec: Any = codec.to(self.device)

    def _tensor(self, value: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(value)).to(self.device)

    @torch.inference_mode()
    def encode(self, image: np.ndarray) -> np.ndarray:
        """Return the latent (C, h, w) of a picture."""
        return self.codec.encoder(to_unit(self._tensor(image)[None]))[0].float().cpu().numpy()

    @torch.inference_mode()
    def animate(self, latent: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Return the portrait's latent wearing an expression; all zeros leave it as it is."""
        if not np.any(expression):
            return latent
        weights = self._tensor(np.asarray(expression, np.float32))[None]
        return self.face.animator(self._tensor(latent)[None], weights)[0].cpu().numpy()

    @torch.inference_mode()
    def reference(self, latent: np.ndarray) -> Reference:
        """Return the portrait's reads, to be kept until it changes."""
        portrait = self._tensor(np.asarray(latent, np.float32))[None]
        return Reference(portrait, tuple(self.face.reference(portrait)))

    @torch.inference_mode()
    def denoise(
        self,
        noise: np.ndarray,
        heard: np.ndarray,
        motion: np.ndarray | None,
        state: int,
        reference: Reference,
        past: np.ndarray | None,
        steps: int,
    ) -> np.ndarray:
        """Return the clean latents of a clip by `steps` deterministic steps."""
        face, frames = self.face, len(noise)
        led = torch.full((frames, 1), float(motion is not None), device=self.device)
        controls = np.zeros((frames, 9), np.float32) if motion is None else motion
        condition = face.condition(self._tensor(heard), self._tensor(controls), led)
        before = (
            reference.latent.expand(self.config.past_frames, -1, -1, -1)
            if past is None
            else self._tensor(past)
        )
        start = self._tensor(noise)
        known = face.before(before[None], start[:1])
        states = torch.full((frames,), state, device=self.device)

        def predict(x: torch.Tensor, angle: float) -> torch.Tensor:
            angles = torch.full((frames,), angle, device=self.device)
            return face.velocity(
                x, angles, states, condition, reference.latent, list(reference.reads), known
            )

        x = sample(predict, start, face.path(steps))
        return face.from_diffused(x, reference.latent).cpu().numpy()

    @torch.inference_mode()
    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Return the pictures of latents."""
        return to_pixels(self.codec.decoder(self._tensor(latents)).float()).cpu().numpy()
