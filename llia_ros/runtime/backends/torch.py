"""The reference backend: the model in torch, on a GPU or a CPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import wraps
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
from llia_ros.runtime.backends.cuda_graphs import Captured
from llia_ros.runtime.ears import silence
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


@dataclass(frozen=True)
class Options:
    """How the networks run.

    `precision`: 'f32', 'bf16', or 'auto': bf16 on a GPU, elsewhere that of the weights.
    `channels_last`: memory format of convolutions; None for a GPU's. What follows needs a GPU.
    `streams`: denoiser and decoder on streams of their own; None for yes. `graphs`: CUDA graphs.
    `compile`: torch.compile.
    """

    precision: str = 'auto'
    channels_last: bool | None = None
    streams: bool | None = None
    graphs: bool = False
    compile: bool = False

    def on(self, device: torch.device) -> Options:
        """Return the options as they are on a device; ValueError for what it cannot do."""
        cuda = device.type == 'cuda'
        if self.precision not in ('auto', 'f32', 'bf16'):
            raise ValueError(f'unknown precision {self.precision!r}: one of auto, f32, bf16')
        wanted = [name for name in ('streams', 'graphs', 'compile') if getattr(self, name)]
        if wanted and not cuda:
            raise ValueError(
                f'{", ".join(wanted)}: these options of the torch backend need an NVIDIA GPU, '
                f'and this is the {device.type.upper()}'
            )
        return Options(
            'bf16' if cuda and self.precision == 'auto' else self.precision,
            cuda if self.channels_last is None else self.channels_last,
            cuda if self.streams is None else self.streams,
            self.graphs,
            self.compile,
        )


def in_turn(
    decoding: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator of what runs networks: no gradients, its precision, its stream."""

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def run(self: TorchBackend, *args: Any, **kwargs: Any) -> Any:
            with torch.inference_mode(), self._autocast(), self._stream(decoding):
                return method(self, *args, **kwargs)

        return run

    return decorate


class TorchBackend:
    """Draws clips with the weights of a model folder; see `Backend` for shapes.

    `device`: as torch names it, by default a GPU where there is one. `options`: see `Options`.
    """

    name = 'torch'
    decodes_singly = False  # a GPU is filled by several pictures

    def __init__(self, folder: Path, device: str | None = None, **options: Any):
        self._settle(device, Options(**options))
        self._take(*load_any(Path(folder)))

    @classmethod
    def of(
        cls, face: Face, codec: nn.Module, device: str | None = None, **options: Any
    ) -> TorchBackend:
        """Return a backend of networks that are in memory already."""
        backend = cls.__new__(cls)
        backend._settle(device, Options(**options))
        backend._take(face, codec)
        return backend

    def _settle(self, device: str | None, options: Options) -> None:
        self.device = torch.device(device or ('cuda' if has_cuda() else 'cpu'))
        self.options = options.on(self.device)

    def _take(self, face: Face, codec: Any) -> None:
        options = self.options
        self.config: EngineConfig = face.cfg
        # Either scale's: what one gives, only the same one takes.
        self.face: Any = face.to(self.device)
        self.codec: Any = codec.to(self.device)
        self._mixed = options.precision == 'bf16' and isinstance(face, FaceModel)
        if options.precision != 'auto' and not isinstance(face, FaceModel):
            dtype = torch.bfloat16 if options.precision == 'bf16' else torch.float32
            face.networks.to(dtype)
            self.codec.to(dtype)
        if options.channels_last:
            part: Any
            for part in (self.face, self.codec):
                part.to(memory_format=torch.channels_last)
        self._streams = [torch.cuda.Stream(), torch.cuda.Stream()] if options.streams else None
        self._decoder: Callable[[torch.Tensor], torch.Tensor] = self.codec.decoder
        # What takes the time of a step, free of copies from the host.
        owner: Any = face if isinstance(face, FaceModel) else face.networks
        if options.compile:
            owner.velocity = torch.compile(owner.velocity, dynamic=False)
            self._decoder = torch.compile(self._decoder, dynamic=False)
        if options.graphs:
            owner.velocity, self._decoder = Captured(owner.velocity), Captured(self._decoder)
        if options.compile or options.graphs:
            self._warm()

    @property
    def precision(self) -> str:
        """Return the type that the networks compute in, f32 or bf16."""
        full = isinstance(self.face, FullScaleFace) and self.face.dtype == torch.bfloat16
        return 'bf16' if self._mixed or full else 'f32'

    def _warm(self) -> None:
        """Draw a clip of every length, so that none is compiled or captured while streaming."""
        cfg = self.config
        reference = self.reference(np.zeros(cfg.latent_shape, np.float32))
        for frames in cfg.clip_lengths:
            noise = np.zeros((frames, *cfg.latent_shape), np.float32)
            self.decode(
                self.denoise(noise, silence(cfg, frames), None, 0, reference, None, cfg.steps)
            )

    def _autocast(self) -> AbstractContextManager[Any]:
        # Without its cache of weights, which a CUDA graph could not replay.
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=self._mixed, cache_enabled=False
        )

    def _stream(self, decoding: bool) -> AbstractContextManager[Any]:
        return torch.cuda.stream(self._streams[decoding]) if self._streams else nullcontext()

    def _tensor(self, value: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(value)).to(self.device)

    @in_turn()
    def encode(self, image: np.ndarray) -> np.ndarray:
        """Return the latent (C, h, w) of a picture."""
        return self.codec.encoder(to_unit(self._tensor(image)[None]))[0].float().cpu().numpy()

    @in_turn()
    def animate(self, latent: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Return the portrait's latent wearing an expression; all zeros leave it as it is."""
        if not np.any(expression):
            return latent
        weights = self._tensor(np.asarray(expression, np.float32))[None]
        return self.face.animator(self._tensor(latent)[None], weights)[0].float().cpu().numpy()

    @in_turn()
    def reference(self, latent: np.ndarray) -> Reference:
        """Return the portrait's reads, to be kept until it changes."""
        portrait = self._tensor(np.asarray(latent, np.float32))[None]
        return Reference(portrait, tuple(self.face.reference(portrait)))

    @in_turn()
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
        return face.from_diffused(x, reference.latent).float().cpu().numpy()

    @in_turn(decoding=True)
    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Return the pictures of latents."""
        return to_pixels(self._decoder(self._tensor(latents)).float()).cpu().numpy()
