"""What is measured: model, size, length of clips, and for how long."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SIZES = (256, 384, 512)
PRECISIONS = ('auto', 'f32', 'bf16', 'f16')


@dataclass(frozen=True)
class Setting:
    """The options of `llia bench`; ValueError for values that cannot be measured."""

    model: str = 'tiny'
    backend: str = 'auto'
    precision: str = 'auto'  # of the arithmetic; `auto` leaves it to the backend
    size: int = 512  # pixels a side of the pictures handed out
    steps: int | None = None  # of sampling; None: the model's own
    clip: int | None = None  # frames of every clip; None: clips grow
    seconds: float = 10.0  # of each phase
    repeats: int = 3
    portrait: str = 'robot'

    def __post_init__(self) -> None:
        """Check."""
        if self.size not in SIZES:
            raise ValueError(f'size must be one of {", ".join(map(str, SIZES))}, not {self.size}')
        if self.precision not in PRECISIONS:
            raise ValueError(
                f'unknown precision {self.precision!r}: one of {", ".join(PRECISIONS)}; '
                'for 8 bit activations measure a folder made by `llia export --precision int8`'
            )
        if self.backend == 'torch' and self.precision not in ('auto', 'f32'):
            raise ValueError('the torch backend computes in f32: leave --precision out')
        if not 1 <= self.seconds <= 3600:
            raise ValueError(f'seconds of a phase must be 1 .. 3600, not {self.seconds:g}')
        if not 1 <= self.repeats <= 100:
            raise ValueError(f'repeats must be 1 .. 100, not {self.repeats}')

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)
