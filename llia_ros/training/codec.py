"""Stage 1: the codec, started from a linear one and trained on crops where faces are hard."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from llia_ros.model.codec import Codec, to_pixels, to_unit
from llia_ros.model.config import CodecConfig
from llia_ros.training.run import Run, device, half_precision

CROP = 256
BATCH = 16


def principal(rows: torch.Tensor, count: int) -> torch.Tensor:
    """Return the `count` first principal directions (count, D) of rows (N, D), about zero."""
    _, vectors = torch.linalg.eigh(rows.T @ rows)
    return vectors.flip(1)[:, :count].T.contiguous()


@torch.no_grad()
def start_linear(codec: Codec, images_NCHW: torch.Tensor) -> None:
    """Set the codec to a hierarchy of principal components, its residual parts near zero."""
    encoder, decoder = codec.encoder, codec.decoder

    def flat(x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).flatten(0, 2)

    x = F.pixel_unshuffle(images_NCHW, encoder.patch)
    for conv in (encoder.conv_in, *encoder.downs):
        if conv is not encoder.conv_in:
            x = F.pixel_unshuffle(x, 2)
        conv.weight.copy_(principal(flat(x), conv.out_channels)[:, :, None, None])
        conv.bias.zero_()
        x = conv(x)
    encoder.conv_out.weight.copy_(
        principal(flat(x), encoder.conv_out.out_channels)[:, :, None, None]
    )
    encoder.conv_out.bias.zero_()
    latent = encoder.conv_out(x)
    encoder.norm.running_mean.copy_(latent.mean((0, 2, 3)))
    encoder.norm.running_var.copy_(latent.var((0, 2, 3)))
    latent = encoder.norm.eval()(latent)

    x = F.pixel_unshuffle(images_NCHW, decoder.patch)
    width = decoder.conv_out.in_channels
    basis = principal(flat(x), width)
    decoder.conv_out.weight.mul_(0.05)
    decoder.conv_out.weight[:, :, 1, 1] = basis.T
    decoder.conv_out.bias.zero_()
    x = F.conv2d(x, basis[:, :, None, None])
    for conv in reversed(decoder.ups):
        x = F.pixel_unshuffle(x, 2)
        basis = principal(flat(x), conv.in_channels)
        conv.weight.copy_(basis.T[:, :, None, None])
        conv.bias.zero_()
        x = F.conv2d(x, basis[:, :, None, None])
    inputs = torch.cat([flat(latent), torch.ones(len(flat(latent)), 1)], dim=1)
    solution = torch.linalg.lstsq(inputs, flat(x)).solution
    decoder.conv_in.weight.mul_(0.05)
    decoder.conv_in.weight[:, :, 1, 1] = solution[:-1].T
    decoder.conv_in.bias.copy_(solution[-1])


def crops(pool: np.ndarray, boxes: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Return random crops (BATCH, CROP, CROP, 3), most of them around mouths and eyes."""
    out = np.empty((BATCH, CROP, CROP, 3), np.uint8)
    top = pool.shape[1] - CROP
    for i in range(BATCH):
        k, kind = rng.integers(len(pool)), rng.random()
        if kind < 0.75:
            x0, y0, x1, y1 = boxes[k, 0 if kind < 0.45 else 1]
            centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) + rng.uniform(-70, 70, 2)
        else:
            centre = rng.uniform(0, pool.shape[1], 2)
        x, y = np.clip(centre - CROP // 2, 0, top).astype(int)
        out[i] = pool[k, y : y + CROP, x : x + CROP]
    return torch.from_numpy(out)


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return the peak signal to noise ratio of pictures in -1 .. 1, in dB."""
    return float(10 * torch.log10(4 / (a.float() - b.float()).square().mean()))


def train(
    cfg: CodecConfig,
    pool: np.ndarray,
    boxes: np.ndarray,
    minutes: float,
    out: Path,
    seed: int = 0,
    polish: Codec | None = None,
) -> Codec:
    """Train a codec on pictures `pool` (N, S, S, 3); `boxes` (N, 2, 4): mouth and eyes.

    With `polish`, only that codec's decoder goes on, its latents stay as they are. Returns the
    average of the weights.
    """
    torch.manual_seed(seed)
    where, rng = device(), np.random.default_rng(seed)
    codec, name = polish or Codec(cfg), 'decoder' if polish else 'codec'
    if polish is None and not (out / 'codec.pt').exists():
        start_linear(codec, to_unit(torch.tensor(pool[:256])))
    codec = codec.to(where, memory_format=torch.channels_last)
    codec.encoder.requires_grad_(polish is None)
    codec.encoder.norm.eval()
    trained = [p for p in codec.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1.2e-3, betas=(0.9, 0.98), weight_decay=0)
    run = Run(name, codec, optimizer, minutes, out)
    held = to_unit(torch.tensor(pool[-8:])).to(where)

    def sheet(path: Path) -> None:
        averaged = run.averaged(Codec(cfg)).to(where)
        with torch.no_grad():
            again = averaged.decoder(averaged.encoder(held))
        run.note(psnr_held=psnr(again, held))
        rows = [torch.cat(list(to_pixels(x)[:4]), dim=1) for x in (held, again)]
        cv2.imwrite(str(path), torch.cat(rows).cpu().numpy()[..., ::-1])

    for _ in run.steps(sheet):
        image = to_unit(crops(pool[:-8], boxes, rng)).to(where, memory_format=torch.channels_last)
        with half_precision(where):
            latent = codec.encoder(image)
            noise = cfg.noise * 2 * torch.rand((), device=where) * torch.randn_like(latent)
            again = codec.decoder(latent + noise)
        error = again.float() - image
        loss = ((error.square() + 0.02**2).sqrt() - 0.02).mean() + error.square().mean()
        # Without it the latent grows to drown the noise.
        growth = F.relu(latent.float().square().mean() - 1)
        optimizer.zero_grad(set_to_none=True)
        (loss + 0.01 * growth).backward()
        nn.utils.clip_grad_norm_(trained, 0.5)
        optimizer.step()
        run.note(loss=loss.detach(), psnr=psnr(again.detach(), image), growth=growth.detach())
    return run.averaged(Codec(cfg))
