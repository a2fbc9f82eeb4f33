"""Runs the original code of Hallo or EchoMimic and keeps what it answers.

    python make_golden.py hallo FOLDER_OF_THEIR_REPOSITORY
    python make_golden.py echomimic FOLDER_OF_THEIR_REPOSITORY
    python make_golden.py schedule

Made with Hallo 8fd7c57 and diffusers 0.27.2, EchoMimic a53e970 and diffusers 0.24.0, torch
2.13. Nothing of theirs is kept but figures, and the names and shapes of their parameters.
"""

import gzip
import importlib.machinery
import json
import sys
import types
from pathlib import Path

import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
from public_layouts import (  # noqa: E402
    CHANNELS,
    FRAMES,
    GOLDEN,
    TIMESTEP,
    config,
    draw,
    inputs,
    sample,
    weight,
)

# stable-diffusion-v1-5's unet/config.json; sd-image-variations-diffusers' is the same.
SD15 = {
    'sample_size': 64,
    'in_channels': 4,
    'out_channels': 4,
    'center_input_sample': False,
    'flip_sin_to_cos': True,
    'freq_shift': 0,
    'layers_per_block': 2,
    'block_out_channels': (320, 640, 1280, 1280),
    'downsample_padding': 1,
    'mid_block_scale_factor': 1,
    'act_fn': 'silu',
    'norm_num_groups': 32,
    'norm_eps': 1e-5,
    'cross_attention_dim': 768,
    'attention_head_dim': 8,
}
MOTION = {
    'use_inflated_groupnorm': True,
    'unet_use_cross_frame_attention': False,
    'unet_use_temporal_attention': False,
    'use_motion_module': True,
    'motion_module_resolutions': (1, 2, 4, 8),
    'motion_module_mid_block': True,
    'motion_module_decoder_only': False,
    'motion_module_type': 'Vanilla',
    'motion_module_kwargs': {
        'num_attention_heads': 8,
        'num_transformer_block': 1,
        'attention_block_types': ('Temporal_Self', 'Temporal_Self'),
        'temporal_position_encoding': True,
        'temporal_position_encoding_max_len': 32,
        'temporal_attention_dim_div': 1,
    },
}
STACK = {
    'use_audio_module': True,
    'audio_attention_dim': 768,
    'stack_enable_blocks_name': ('up', 'down', 'mid'),
    'stack_enable_blocks_depth': (0, 1, 2, 3),
}


def import_hallo() -> dict:
    """Their modules; xformers is imported there, but not used."""
    for name in ('xformers', 'xformers.ops'):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__spec__ = importlib.machinery.ModuleSpec(name, None)
    from hallo.models.audio_proj import AudioProjModel
    from hallo.models.face_locator import FaceLocator
    from hallo.models.image_proj import ImageProjModel
    from hallo.models.mutual_self_attention import ReferenceAttentionControl
    from hallo.models.unet_2d_condition import UNet2DConditionModel
    from hallo.models.unet_3d import UNet3DConditionModel

    def build(channels: tuple[int, ...], hidden: int) -> dict:
        sizes = {**SD15, 'block_out_channels': channels}
        return {
            'reference_unet': UNet2DConditionModel.from_config(sizes),
            'denoising_unet': UNet3DConditionModel.from_config(sizes, **MOTION, **STACK),
            'face_locator': FaceLocator(conditioning_embedding_channels=channels[0]),
            'imageproj': ImageProjModel(
                cross_attention_dim=768, clip_embeddings_dim=512, clip_extra_context_tokens=4
            ),
            'audioproj': AudioProjModel(
                seq_len=5,
                blocks=12,
                channels=768,
                intermediate_dim=hidden,
                output_dim=768,
                context_tokens=32,
            ),
        }

    return {'build': build, 'control': ReferenceAttentionControl}


def import_echomimic() -> dict:
    """Their modules."""
    from src.models.face_locator import FaceLocator
    from src.models.mutual_self_attention import ReferenceAttentionControl
    from src.models.unet_2d_condition import UNet2DConditionModel
    from src.models.unet_3d_echo import EchoUNet3DConditionModel

    def build(channels: tuple[int, ...], hidden: int) -> dict:
        sizes = {**SD15, 'block_out_channels': channels}
        return {
            'reference_unet': UNet2DConditionModel.from_config(sizes),
            'denoising_unet': EchoUNet3DConditionModel(
                **{**sizes, 'cross_attention_dim': 384}, **MOTION
            ),
            'face_locator': FaceLocator(
                channels[0], conditioning_channels=1, block_out_channels=(16, 32, 96, 256)
            ),
        }

    return {'build': build, 'control': ReferenceAttentionControl}


def on_cpu(control: type) -> type:
    """Their reference control; it puts a mask on CUDA unless told otherwise."""
    register = control.register_reference_hooks
    control.register_reference_hooks = lambda *a, **k: register(
        *a, **{**k, 'device': torch.device('cpu')}
    )
    return control


def fill(modules: dict) -> None:
    """Draw every weight by its name, in double precision; fixed tables stay as they are."""
    for part, module in modules.items():
        state = module.double().state_dict()
        module.load_state_dict(
            {
                key: value
                if key.endswith('.pe')
                else torch.from_numpy(weight(f'{part}.{key}', tuple(value.shape)))
                for key, value in state.items()
            }
        )


def shapes(modules: dict) -> dict:
    """Names and shapes of all parameters, as a checkpoint holds them."""
    return {
        f'{part}.{key}': list(value.shape)
        for part, module in modules.items()
        for key, value in module.state_dict().items()
    }


def frames_last(x_FCHW: torch.Tensor) -> torch.Tensor:
    """Their layout of a clip, (1, C, F, H, W)."""
    return x_FCHW.transpose(0, 1)[None]


@torch.no_grad()
def run_hallo(modules: dict, control: type, guided: bool) -> dict:
    """As their pipeline does, which leaves the networks in training mode: without dropout the
    only difference is that the motion modules at the lowest resolution are passed over."""
    given = {key: torch.from_numpy(x).double() for key, x in inputs(config('hallo')).items()}
    reference, denoiser = modules['reference_unet'], modules['denoising_unet']
    for net in (reference, denoiser):
        net.train()
        net.enable_gradient_checkpointing()
    copies = 2 if guided else 1
    options = {'do_classifier_free_guidance': guided, 'batch_size': 1, 'fusion_blocks': 'full'}
    writer = control(reference, mode='write', **options)
    reader = control(denoiser, mode='read', **options)
    face = modules['imageproj'](torch.zeros(copies, 512).double())
    audio = modules['audioproj'](given['heard'][None])
    pose = modules['face_locator'](frames_last(given['mask'].expand(FRAMES, -1, -1, -1)))
    heard, located = audio, pose
    if guided:
        heard = torch.cat([torch.zeros_like(audio), audio])
        located = torch.cat([torch.zeros_like(pose), pose])
    images = torch.cat([given['portrait'], given['past']])
    reference(
        images.repeat(copies, 1, 1, 1),
        torch.zeros((), dtype=torch.int64),
        encoder_hidden_states=face,
        return_dict=False,
    )
    writes = banks(reference)
    reader.update(writer, dtype=torch.float64)
    masks = {
        f'{region}_mask': [
            given[f'{region}_{level}'].repeat(FRAMES * copies, 1) for level in range(4)
        ]
        for region in ('full', 'face', 'lip')
    }
    v = denoiser(
        frames_last(given['x']).repeat(copies, 1, 1, 1, 1),
        torch.tensor(TIMESTEP),
        encoder_hidden_states=face,
        mask_cond_fea=located,
        audio_embedding=heard,
        motion_scale=[1.0, 1.0, 1.0],
        return_dict=False,
        **masks,
    )[0]
    return {'v': v, 'writes': writes, 'pose': pose, 'audio': audio[0], 'face': face}


@torch.no_grad()
def run_echomimic(modules: dict, control: type, guided: bool) -> dict:
    """As their pipeline does for one window of frames."""
    given = {key: torch.from_numpy(x).double() for key, x in inputs(config('echomimic')).items()}
    reference, denoiser = modules['reference_unet'], modules['denoising_unet']
    copies = 2 if guided else 1
    options = {'do_classifier_free_guidance': guided, 'batch_size': 1, 'fusion_blocks': 'full'}
    writer = control(reference, mode='write', **options)
    reader = control(denoiser, mode='read', **options)
    pose = modules['face_locator'](frames_last(given['mask']))
    heard, located = given['heard'][None], pose
    if guided:
        heard = torch.cat([torch.zeros_like(heard), heard])
        located = torch.cat([torch.zeros_like(pose), pose])
    reference(
        given['portrait'],
        torch.zeros((), dtype=torch.int64),
        encoder_hidden_states=None,
        return_dict=False,
    )
    writes = banks(reference)
    reader.update(writer, do_classifier_free_guidance=guided, dtype=torch.float64)
    v = denoiser(
        frames_last(given['x']).repeat(copies, 1, 1, 1, 1),
        torch.tensor(TIMESTEP),
        encoder_hidden_states=None,
        audio_cond_fea=heard,
        face_musk_fea=located,
        return_dict=False,
    )[0]
    return {'v': v, 'writes': writes, 'pose': pose}


def banks(reference: torch.nn.Module) -> list[torch.Tensor]:
    """What each attention block wrote, in the order of the network's forward pass."""
    names = [name for name, module in reference.named_modules() if hasattr(module, 'bank')]
    order = {'down_blocks': 0, 'mid_block': 1, 'up_blocks': 2}
    names.sort(key=lambda name: order[name.split('.')[0]])
    return [reference.get_submodule(name).bank[0] for name in names]


def keep(layout: str) -> None:
    """Write names and shapes at full size, and figures at narrow width."""
    theirs = {'hallo': import_hallo, 'echomimic': import_echomimic}[layout]()
    run = {'hallo': run_hallo, 'echomimic': run_echomimic}[layout]
    with torch.device('meta'):
        full = shapes(theirs['build'](SD15['block_out_channels'], 512))
    text = json.dumps(full, separators=(',', ':'), sort_keys=True).encode()
    (GOLDEN / f'{layout}_keys.json.gz').write_bytes(gzip.compress(text, mtime=0))

    kept = {}
    for guided in (False, True):
        modules = theirs['build'](CHANNELS, 16)
        fill(modules)
        out = run(modules, on_cpu(theirs['control']) if not guided else theirs['control'], guided)
        v = out['v'].transpose(1, 2).numpy()
        if guided:
            kept['v_unguided'] = v[0]
            print('the guided half differs by', np.abs(v[1] - kept['v']).max())
            continue
        kept['v'] = v[0]
        kept['pose'] = sample(out['pose'][0].transpose(0, 1)[0].numpy())
        for i, write in enumerate(out['writes']):
            for image, tokens in enumerate(write):
                kept[f'read_{i}_{image}'] = sample(tokens.numpy())
        for name in ('audio', 'face'):
            if name in out:
                kept[name] = sample(out[name].numpy())
    np.savez_compressed(GOLDEN / f'{layout}.npz', **kept)
    print(layout, len(full), 'keys;', {k: v.shape for k, v in kept.items() if 'read' not in k})
    print('scale of v', kept['v'].std())


def keep_schedule() -> None:
    """Write timesteps and single steps of diffusers' DDIM, with these models' settings."""
    from diffusers import DDIMScheduler
    from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule='linear',
        clip_sample=False,
        steps_offset=1,
        prediction_type='v_prediction',
        rescale_betas_zero_snr=True,
        timestep_spacing='trailing',
    )
    kept = {'alphas_cumprod': scheduler.alphas_cumprod.numpy()}
    # The same formulas without single precision's rounding, 3e-6 a step.
    betas = torch.linspace(0.00085, 0.012, 1000, dtype=torch.float64)
    scheduler.alphas_cumprod = (1 - rescale_zero_terminal_snr(betas)).cumprod(0)
    for steps in (1, 2, 4, 6, 30, 40):
        scheduler.set_timesteps(steps)
        kept[f'timesteps_{steps}'] = scheduler.timesteps.numpy()
        x = torch.from_numpy(draw('schedule x', 8)).double()
        path = []
        for i, t in enumerate(scheduler.timesteps):
            v = torch.from_numpy(draw(f'schedule v {i}', 8)).double()
            x = scheduler.step(v, t, x, eta=0.0).prev_sample
            path.append(x.numpy())
        kept[f'path_{steps}'] = np.stack(path)
    np.savez_compressed(GOLDEN / 'schedule.npz', **kept)


if __name__ == '__main__':
    torch.set_num_threads(1)
    if sys.argv[1] == 'schedule':
        keep_schedule()
    else:
        sys.path.insert(0, sys.argv[2])
        keep(sys.argv[1])
