"""Ears by themselves: what the denoiser hears is learnt from sounds alone, and then kept."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from llia_ros.model.audio_encoder import AudioEncoder
from llia_ros.model.config import AudioConfig
from llia_ros.model.viseme_predictor import VisemePredictor
from llia_ros.training.muon import Muon, split
from llia_ros.training.run import Run, device
from llia_ros.training.sounds import Sounds

WINDOWS = 1024  # a step
PIECES, PIECE = 24, 48  # a step, frames
NEW = 6  # sounds a step: each is heard twice or so, for what is heard ten times is remembered
IMPORTANCE = (1.0, 1.0, 1.5, 0.5, 0.3)  # of the mouth's parameters


def train_encoder(
    encoder: AudioEncoder, cfg: AudioConfig, minutes: float, out: Path, seed: int = 0
) -> AudioEncoder:
    """Train an audio encoder, by the mouths that its tokens tell; returns averaged weights."""
    torch.manual_seed(seed)
    where, sounds = device(), Sounds(seed)
    encoder = encoder.to(where)
    run = Run('hearing', encoder, Muon(split(encoder), lr=2e-3, weight_decay=0.01), minutes, out)
    for _ in run.steps():
        sounds.add()
        before = cfg.token_columns - cfg.columns_after
        heard, shown = sounds.draw(WINDOWS, 1, before, cfg.columns_after)
        told = encoder.mouth(encoder(torch.from_numpy(heard).to(where)))
        _step(run, (told - torch.from_numpy(shown[:, 0]).to(where)).square().mean())
    sounds.end()
    return run.averaged(AudioEncoder(cfg))


def train_predictor(
    predictor: VisemePredictor, cfg: AudioConfig, minutes: float, out: Path, seed: int = 0
) -> VisemePredictor:
    """Train what tells mouths from sound, on pieces of PIECE frames; returns averaged weights."""
    torch.manual_seed(seed)
    where, sounds = device(), Sounds(seed)
    predictor, weight = predictor.to(where), torch.tensor(IMPORTANCE, device=where)
    run = Run(
        'visemes', predictor, Muon(split(predictor), lr=2e-3, weight_decay=0.01), minutes, out
    )
    for _ in run.steps():
        for _ in range(NEW):
            sounds.add()
        heard, shown = sounds.draw(PIECES, PIECE, cfg.columns_before, cfg.columns_after)
        told = predictor(torch.from_numpy(heard).to(where))
        error = (told - torch.from_numpy(shown).to(where)).square()
        _step(run, (error * weight).mean())
    sounds.end()
    return run.averaged(VisemePredictor(cfg))


def _step(run: Run, error: torch.Tensor) -> None:
    run.optimizer.zero_grad(set_to_none=True)
    error.backward()
    nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    run.optimizer.step()
    run.note(error=error.detach())
