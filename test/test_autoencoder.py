"""Full-scale codecs stand where tiny's stands."""

from dataclasses import replace

import pytest
import torch

from llia_ros.model.autoencoder import Autoencoder
from llia_ros.model.codec import to_pixels, to_unit
from llia_ros.model.pretrained import AutoencoderConfig

CONFIGS = {
    'kl': AutoencoderConfig('kl', size=64, channels=(8, 8, 16, 16), layers=1),
    'tiny': AutoencoderConfig('tiny', size=64),
}


@pytest.mark.parametrize('kind', CONFIGS)
@torch.inference_mode()
def test_a_picture_becomes_a_latent_an_eighth_its_size_and_comes_back(kind):
    torch.manual_seed(0)
    codec = Autoencoder(CONFIGS[kind]).eval()
    image = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    latent = codec.encoder(to_unit(image))
    assert latent.shape == (2, 4, 8, 8)
    assert torch.equal(latent, codec.encoder(to_unit(image)))  # nothing is drawn by lot
    back = to_pixels(codec.decoder(latent))
    assert back.shape == image.shape and back.dtype == torch.uint8
    assert codec.to(torch.bfloat16).decoder(latent).dtype == torch.bfloat16


@torch.inference_mode()
def test_latents_of_kl_are_scaled_as_the_denoiser_knows_them():
    torch.manual_seed(0)
    codec = Autoencoder(CONFIGS['kl']).eval()
    image = to_unit(torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8))
    mean = codec.autoencoder.encode(image).latent_dist.mean
    torch.testing.assert_close(codec.encoder(image), 0.18215 * mean)
    raw = codec.autoencoder.decode(mean).sample
    torch.testing.assert_close(codec.decoder(0.18215 * mean), raw, atol=1e-5, rtol=1e-4)


def test_a_codec_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match='unknown codec'):
        Autoencoder(replace(CONFIGS['kl'], kind='webp'))
    with pytest.raises(ValueError, match='does not shrink by 8'):
        Autoencoder(replace(CONFIGS['kl'], size=100))
