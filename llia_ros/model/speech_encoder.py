"""What a full-scale denoiser hears: hidden states of a pretrained speech encoder.

An encoder sees one window of sound for each frame, which ends shortly after it: nothing is carried
from window to window, so any chunking of a stream gives the same features as all of it at once.
What the networks were trained to see normalised over a whole utterance is normalised over what
the window holds of it: the silence before its first sample does not count.

N windows of T samples at 16 kHz, float in -1 .. 1; S states of D figures a unit (SpeechConfig).
The networks are those of transformers, under its parameter names.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from llia_ros.model.pretrained import SpeechConfig

HOP, FFT, BINS = 160, 400, 80
# Statistics of less sound than this, in samples, say nothing.
LEAST_HEARD = 3200


def _window(cfg: SpeechConfig) -> int:
    """Return the samples of a window; ValueError where its parts do not fit together."""
    if cfg.samples_before % cfg.stride or (cfg.samples_before + cfg.samples_after) % cfg.stride:
        raise ValueError(
            f'a speech window must be whole units of {cfg.stride} samples before and after the '
            f"frame's first, not {cfg.samples_before} and {cfg.samples_after}"
        )
    before, after = cfg.samples_before // cfg.stride, cfg.samples_after // cfg.stride
    if before < cfg.units_before or after < cfg.units_after:
        raise ValueError(
            f'{before} units before and {after} after a frame are too few: it takes '
            f'{cfg.units_before} and {cfg.units_after}'
        )
    return cfg.samples_before + cfg.samples_after


def _own(units_NTX: torch.Tensor, cfg: SpeechConfig) -> torch.Tensor:
    """Return the units that the frame takes, (N, units, ...)."""
    at = cfg.samples_before // cfg.stride
    return units_NTX[:, at - cfg.units_before : at + cfg.units_after]


def heard(sound_NT: torch.Tensor) -> torch.Tensor:
    """Return from which sample on (N,) each window holds sound; 0 for none, and little of it."""
    loud = sound_NT != 0
    first = loud.int().argmax(dim=1)
    return first.clamp(max=max(0, sound_NT.shape[1] - LEAST_HEARD))


class WhisperEars(nn.Module):
    """Whisper's encoder: its embedding and the output of each layer."""

    def __init__(self, cfg: SpeechConfig):
        super().__init__()
        from transformers import WhisperConfig
        from transformers.audio_utils import mel_filter_bank
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        self.cfg, samples = cfg, _window(cfg)
        if samples > 2 * HOP * cfg.positions:
            raise ValueError(f'{samples} samples are more than whisper has positions for')
        self.encoder = WhisperEncoder(
            WhisperConfig(
                num_mel_bins=BINS,
                d_model=cfg.width,
                encoder_layers=cfg.layers,
                encoder_attention_heads=cfg.heads,
                encoder_ffn_dim=cfg.feed_forward,
                max_source_positions=cfg.positions,
            )
        )
        # The last state is taken as the last layer leaves it, too.
        self.encoder.layer_norm = nn.Identity()
        filters = mel_filter_bank(
            FFT // 2 + 1, BINS, 0.0, 8000.0, cfg.rate, norm='slaney', mel_scale='slaney'
        )
        self.register_buffer('filters', torch.from_numpy(filters).float(), persistent=False)

    def log_mel(self, sound_NT: torch.Tensor) -> torch.Tensor:
        """Return log-mel columns (N, 80, T / 160), eight decades below the loudest and scaled."""
        window = torch.hann_window(FFT, device=sound_NT.device)
        spectrum = torch.stft(sound_NT.float(), FFT, HOP, window=window, return_complex=True)
        power = spectrum[..., :-1].abs().square()
        mel = (self.filters.T @ power).clamp(min=1e-10).log10()
        return (torch.maximum(mel, mel.amax(dim=(1, 2), keepdim=True) - 8) + 4) / 4

    def forward(self, sound_NT: torch.Tensor) -> torch.Tensor:
        """Return the states around each window's frame, (N, *cfg.shape)."""
        mel = self.log_mel(sound_NT)
        mel = F.pad(mel, (0, 2 * self.cfg.positions - mel.shape[2]))
        dtype = self.encoder.conv1.weight.dtype
        found = self.encoder(mel.to(dtype), output_hidden_states=True)
        return _own(torch.stack(found.hidden_states, dim=2), self.cfg).flatten(1, 2)


class Wav2VecEars(nn.Module):
    """wav2vec2 as Hallo uses it: features interpolated to frames, then the layers of attention."""

    def __init__(self, cfg: SpeechConfig):
        super().__init__()
        from transformers import Wav2Vec2Config, Wav2Vec2Model

        self.cfg, self.frames = cfg, _window(cfg) // cfg.stride
        self.wav2vec = Wav2Vec2Model(
            Wav2Vec2Config(
                hidden_size=cfg.width,
                num_hidden_layers=cfg.layers,
                num_attention_heads=cfg.heads,
                intermediate_size=cfg.feed_forward,
                conv_dim=(cfg.conv_width,) * 7,
                mask_time_prob=0.0,
                layerdrop=0.0,
            )
        )

    def _features(self, sound_NT: torch.Tensor) -> torch.Tensor:
        """Return the convolutions' features (N, steps, C)."""
        layers = self.wav2vec.feature_extractor.conv_layers
        conv, norm = layers[0].conv, layers[0].layer_norm
        start_N = heard(sound_NT)
        place = torch.arange(sound_NT.shape[1], device=sound_NT.device)
        mean, deviation = _statistics(sound_NT[:, None], place >= start_N[:, None])
        x = conv(((sound_NT[:, None] - mean) / (deviation + 1e-7)).to(conv.weight.dtype))
        place = conv.stride[0] * torch.arange(x.shape[2], device=x.device)
        mean, deviation = _statistics(x, place >= start_N[:, None])
        deviation = (deviation.square() + norm.eps).sqrt()
        x = (x - mean) / deviation * norm.weight[:, None] + norm.bias[:, None]
        x = layers[0].activation(x)
        for layer in layers[1:]:
            x = layer(x)
        return x

    def forward(self, sound_NT: torch.Tensor) -> torch.Tensor:
        """Return the states around each window's frame, (N, *cfg.shape)."""
        x = F.interpolate(self._features(sound_NT), self.frames, mode='linear', align_corners=True)
        h_NTD = self.wav2vec.feature_projection(x.transpose(1, 2))[0]
        encoder = self.wav2vec.encoder
        h_NTD = encoder.layer_norm(h_NTD + encoder.pos_conv_embed(h_NTD))
        states = []
        for layer in encoder.layers:
            out: Any = layer(h_NTD, attention_mask=None)
            h_NTD = out[0] if isinstance(out, tuple) else out
            states.append(h_NTD)
        return _own(torch.stack(states, dim=2), self.cfg)


def _statistics(x_NCT: torch.Tensor, counts_NT: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation (N, C, 1) over time, of what counts."""
    weight = (counts_NT / counts_NT.sum(dim=1, keepdim=True))[:, None].to(x_NCT.dtype)
    mean = (x_NCT * weight).sum(dim=2, keepdim=True)
    return mean, ((x_NCT - mean).square() * weight).sum(dim=2, keepdim=True).sqrt()


def speech_encoder(cfg: SpeechConfig) -> WhisperEars | Wav2VecEars:
    """Return an encoder with random weights; ValueError for one that does not exist."""
    kinds: dict[str, type[WhisperEars] | type[Wav2VecEars]]
    kinds = {'whisper': WhisperEars, 'wav2vec': Wav2VecEars}
    if cfg.encoder not in kinds:
        raise ValueError(f'unknown speech encoder {cfg.encoder!r}: one of {", ".join(kinds)}')
    return kinds[cfg.encoder](cfg)
