"""One stage of a training: its time budget, learning rate, checkpoints and log."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

Model = TypeVar('Model', bound=nn.Module)

CHECKPOINT_SECONDS = 120.0
LOG_SECONDS = 15.0
WARM_UP = 0.02


class Run:
    """Trains `model` for `minutes`, or what is left of them after an earlier, unfinished run.

    The learning rate follows half a cosine over the budget, so a stage ends converged however
    short it is. `out/NAME.pt` holds everything needed to resume; `out/NAME.jsonl` the figures.
    """

    def __init__(
        self,
        name: str,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        minutes: float,
        out: Path,
        average: float = 0.999,
    ):
        self.name, self.model, self.optimizer = name, model, optimizer
        self.seconds, self.out = minutes * 60, out
        self.step, self.elapsed = 0, 0.0
        self.rates = [group['lr'] for group in optimizer.param_groups]
        self.average_rate = average
        self.average = {k: v.detach().clone() for k, v in model.state_dict().items()}
        self.figures: dict[str, list[float]] = {}
        out.mkdir(parents=True, exist_ok=True)
        self.checkpoint = out / f'{name}.pt'
        if self.checkpoint.exists():
            saved = torch.load(self.checkpoint, weights_only=True)
            model.load_state_dict(saved['model'])
            optimizer.load_state_dict(saved['optimizer'])
            self.average, self.step = saved['average'], saved['step']
            self.elapsed = saved['elapsed']

    @property
    def fraction(self) -> float:
        """How much of the budget is used, 0 .. 1."""
        return min(self.elapsed / self.seconds, 1.0)

    @property
    def done(self) -> bool:
        """Whether an earlier run used the whole budget."""
        return self.elapsed >= self.seconds

    def note(self, **figures: torch.Tensor | float) -> None:
        """Keep figures of this step; the log shows their means."""
        for key, value in figures.items():
            self.figures.setdefault(key, []).append(float(value))

    def steps(self, sheet: Callable[[Path], None] | None = None) -> Iterator[int]:
        """Yield step numbers until the budget is used; saves, logs and draws between them."""
        saved = logged = last = time.monotonic()
        columns = (
            TextColumn('{task.description}'),
            BarColumn(),
            TextColumn('{task.fields[note]}'),
            TimeRemainingColumn(),
        )
        with Progress(*columns) as progress:
            bar = progress.add_task(self.name, total=self.seconds, note='')
            while not self.done:
                for group, rate in zip(self.optimizer.param_groups, self.rates):
                    warm = min(1.0, self.fraction / WARM_UP, (self.step + 1) / 50)
                    group['lr'] = rate * warm * 0.5 * (1 + math.cos(math.pi * self.fraction))
                yield self.step
                self.step += 1
                self._average()
                now = time.monotonic()
                self.elapsed, last = self.elapsed + now - last, now
                if now - logged > LOG_SECONDS:
                    logged = now
                    progress.update(bar, completed=self.elapsed, note=self._log())
                if now - saved > CHECKPOINT_SECONDS:
                    saved = now
                    self.save()
                    if sheet:
                        sheet(self.out / f'{self.name}.png')
        self._log()
        self.save()
        if sheet:
            sheet(self.out / f'{self.name}.png')

    @torch.no_grad()
    def _average(self) -> None:
        rate = min(self.average_rate, (1 + self.step) / (10 + self.step))
        state = self.model.state_dict()
        floats = [k for k in state if state[k].is_floating_point()]
        torch._foreach_lerp_(
            [self.average[k] for k in floats], [state[k] for k in floats], 1 - rate
        )

    def _log(self) -> str:
        means = {k: sum(v) / len(v) for k, v in self.figures.items() if v}
        self.figures.clear()
        line = {'step': self.step, 'seconds': round(self.elapsed, 1), **means}
        with open(self.out / f'{self.name}.jsonl', 'a') as log:
            log.write(json.dumps(line) + '\n')
        return ' '.join(f'{k} {v:.4g}' for k, v in {'step': self.step, **means}.items())

    def averaged(self, fresh: Model) -> Model:
        """Return `fresh`, on the CPU and ready for use, with the average of the weights."""
        fresh.load_state_dict({key: value.cpu() for key, value in self.average.items()})
        return fresh.eval()

    def save(self) -> None:
        """Write the checkpoint under a temporary name, then rename it."""
        temporary = self.checkpoint.with_suffix('.tmp')
        torch.save(
            {
                'model': self.model.state_dict(),
                'optimizer': self.optimizer.state_dict(),
                'average': self.average,
                'step': self.step,
                'elapsed': self.elapsed,
            },
            temporary,
        )
        os.replace(temporary, self.checkpoint)


def run_stages(stages: Mapping[str, Callable[[], None]], stage: str) -> None:
    """Run one of the stages of a training, or `all` in order; ValueError for an unknown one."""
    if stage != 'all' and stage not in stages:
        raise ValueError(f'unknown stage {stage!r}: all, {", ".join(stages)}')
    for name, action in stages.items():
        if stage in ('all', name):
            action()


def device() -> torch.device:
    """Return the GPU where there is one, else the CPU."""
    return torch.device('cuda' if torch.cuda.is_available() else 'cpu')


def half_precision(where: torch.device) -> torch.autocast:
    """Return the autocast to bfloat16 that every stage trains under."""
    return torch.autocast(where.type, dtype=torch.bfloat16)
