"""The codec: its linear start, its shapes, and that it works on any part of a picture."""

import numpy as np
import pytest
import torch

from llia_ros.model.codec import Codec, to_pixels, to_unit
from llia_ros.model.config import CodecConfig, tiny
from llia_ros.training.codec import principal, psnr, start_linear
from llia_ros.training.faces import render
from llia_ros.training.pictures import random_expression, random_look, random_motion

SMALL = CodecConfig(
    size=128,
    factor=32,
    latent_channels=16,
    encoder_patch=8,
    encoder_widths=(24, 32, 48),
    decoder_patch=4,
    decoder_widths=(48, 32, 24, 16),
)


def faces(count, size, seed=0):
    rng = np.random.default_rng(seed)
    return to_unit(
        torch.from_numpy(
            np.stack(
                [
                    render(
                        random_look(rng),
                        random_motion(rng),
                        np.zeros(5),
                        random_expression(rng),
                        size,
                    )
                    for _ in range(count)
                ]
            )
        )
    )


def test_pixels_survive_the_unit_range():
    picture = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).repeat(1, 1, 1, 3)
    assert torch.equal(to_pixels(to_unit(picture)), picture)


def test_principal_directions_keep_the_most_energy():
    rows = torch.randn(500, 6) * torch.tensor([5.0, 0.1, 3.0, 0.1, 0.1, 1.0])
    kept = principal(rows, 3)
    torch.testing.assert_close(kept @ kept.T, torch.eye(3), atol=1e-4, rtol=0)
    lost = (rows - rows @ kept.T @ kept).square().sum() / rows.square().sum()
    assert lost < 0.01


def test_a_codec_starts_as_a_linear_one_that_shows_a_face():
    torch.manual_seed(0)
    known, unseen = faces(48, 128), faces(8, 128, seed=1)
    codec = Codec(SMALL).eval()
    with torch.no_grad():
        before = psnr(codec.decoder(codec.encoder(unseen)), unseen)
        start_linear(codec, known)
        after = psnr(codec.decoder(codec.encoder(unseen)), unseen)
    assert after > before + 5


@torch.no_grad()
def test_sizes_follow_the_factor_and_only_neighbours_matter():
    codec = Codec(tiny().codec).eval()
    picture = faces(1, 512)
    latent = codec.encoder(picture)
    assert latent.shape == (1, *tiny().latent_shape)
    assert codec.decoder(latent).shape == picture.shape
    changed = latent.clone()
    changed[..., 0, 0] += 1
    difference = (codec.decoder(changed) - codec.decoder(latent)).abs().amax(dim=(0, 1))
    assert difference[:64, :64].max() > 0
    assert difference[256:, 256:].max() == 0


def test_widths_that_do_not_give_the_factor_are_refused():
    with pytest.raises(ValueError, match='factor 32'):
        Codec(CodecConfig(encoder_widths=(64, 96)))
