"""The UNet at both scales: what reaches what, and the names that public weights use."""

from dataclasses import replace

import pytest
import torch

from llia_ros.model.config import UNetConfig, from_dict, tiny, to_dict
from llia_ros.model.face import FaceModel
from llia_ros.model.face_locator import face_mask
from llia_ros.model.unet import Conditions, UNet

SMALL = UNetConfig(
    latent_channels=4,
    channels=(16, 32),
    layers=1,
    heads=2,
    groups=8,
    attention=(False, True),
    temporal=(False, True),
    temporal_attentions=1,
    feed_forward=2,
    context_dim=12,
    states=4,
)
READER = replace(SMALL, context_dim=None, motion=False, states=0)


@pytest.fixture(scope='module')
def face():
    torch.manual_seed(0)
    model = FaceModel(tiny())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return model.eval()


def inputs(face, frames=4, clips=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    cfg, N = face.cfg, frames * clips

    def draw(*shape):
        return torch.randn(shape, generator=generator)

    return {
        'x': draw(N, *cfg.latent_shape),
        'mel': draw(N, cfg.audio.columns, cfg.audio.bins),
        'motion': 0.3 * draw(N, 9),
        'portrait': draw(clips, *cfg.latent_shape),
        'past': draw(clips, 2, *cfg.latent_shape),
        'state': torch.zeros(N, dtype=torch.int64),
    }


@torch.no_grad()
def velocity(face, x, mel, motion, portrait, past, state, led=1.0, angle=1.0):
    N = len(x)
    condition = face.condition(mel, motion, torch.full((N, 1), led))
    return face.velocity(
        x,
        torch.full((N,), angle),
        state,
        condition,
        portrait,
        face.read(portrait),
        [read.unflatten(0, past.shape[:2]) for read in face.read(past.flatten(0, 1))],
    )


def test_clips_of_a_batch_do_not_touch_each_other(face):
    both = inputs(face, clips=2)
    together = velocity(face, **both)
    for clip in range(2):
        frames = slice(4 * clip, 4 * clip + 4)
        alone = velocity(
            face,
            **{
                key: value[clip : clip + 1] if key in ('portrait', 'past') else value[frames]
                for key, value in both.items()
            },
        )
        torch.testing.assert_close(together[frames], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('name', ['x', 'mel', 'motion', 'portrait', 'past', 'state'])
def test_every_condition_reaches_the_picture(face, name):
    given = inputs(face)
    before = velocity(face, **given)
    given[name] = given[name] + (1 if name == 'state' else 0.5)
    assert (velocity(face, **given) - before).abs().max() > 1e-3


def test_a_face_left_free_ignores_motion_controls(face):
    given = inputs(face)
    before = velocity(face, led=0.0, **given)
    given['motion'] = given['motion'] + 1
    torch.testing.assert_close(velocity(face, led=0.0, **given), before)


def test_frames_hear_their_own_sound_at_once_and_others_only_through_time(face):
    given = inputs(face, frames=4)
    tokens = face.condition(given['mel'], given['motion'], torch.ones(4, 1))[0]
    given['mel'][2] += 1
    changed = face.condition(given['mel'], given['motion'], torch.ones(4, 1))[0]
    assert [bool((a != b).any()) for a, b in zip(tokens, changed)] == [False, False, True, False]


def test_the_reference_net_writes_what_the_denoiser_reads():
    reader, denoiser = UNet(READER), UNet(SMALL)
    writes: list[torch.Tensor] = []
    x = torch.randn(1, 4, 8, 8)
    reader(x, reader.embed(torch.zeros(1)), Conditions(writes=writes))
    assert [tuple(w.shape) for w in writes] == [(1, 16, 32)] * 4
    reads = [(w, None) for w in writes]
    frames = torch.randn(3, 4, 8, 8)
    out = denoiser(
        frames,
        denoiser.embed(torch.ones(3), torch.zeros(3, dtype=torch.int64)),
        Conditions(frames=3, context=torch.randn(3, 5, 12), reads=iter(reads)),
    )
    assert out.shape == frames.shape


def test_full_scale_has_the_size_and_names_of_the_public_checkpoints():
    with torch.device('meta'):
        hallo = UNet(UNetConfig(audio_dim=768, context_dim=768))
        reader = UNet(UNetConfig(motion=False))
    state = hallo.state_dict()
    assert {
        'down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight',
        'down_blocks.0.audio_modules.0.transformer_blocks.0.attn2_1.to_k.weight',
        'down_blocks.0.audio_modules.1.transformer_blocks.0.zero_conv_lip.weight',
        'mid_block.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.1'
        '.pos_encoder.pe',
        'up_blocks.3.attentions.2.transformer_blocks.0.ff.net.2.weight',
        'up_blocks.1.upsamplers.0.conv.weight',
        'time_embedding.linear_1.weight',
    } <= set(state)
    assert len(state) == 1946
    assert round(sum(p.numel() for p in hallo.parameters()) / 1e6) == 1526
    assert round(sum(p.numel() for p in reader.parameters()) / 1e6) == 860


def test_the_mask_follows_the_head():
    motion = torch.zeros(3, 9)
    motion[1, 0], motion[2, 1] = 0.1, 0.1
    mask = face_mask(motion, 64)
    assert mask.shape == (3, 1, 64, 64)
    grid = torch.arange(64.0)
    across = (mask.sum(dim=(1, 2)) * grid).sum(1) / mask.sum(dim=(1, 2, 3))
    down = (mask.sum(dim=(1, 3)) * grid).sum(1) / mask.sum(dim=(1, 2, 3))
    assert (across - across[0]).tolist() == pytest.approx([0, 6.4, 0], abs=0.3)
    assert (down - down[0]).tolist() == pytest.approx([0, 0, 6.4], abs=0.3)


def test_a_configuration_survives_being_written():
    import json

    cfg = tiny()
    assert from_dict(json.loads(json.dumps(to_dict(cfg)))) == cfg
    with pytest.raises(ValueError, match='wings'):
        from_dict({**to_dict(cfg), 'wings': 2})
