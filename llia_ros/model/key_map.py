"""Which public parameter becomes which of ours: no key is dropped or invented without a rule.

Our names follow diffusers, as the public checkpoints' do, so that only prefixes differ. What a
rule does not name must be there in both, with the same shape.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

Shape = tuple[int, ...]
# A pattern that the whole key matches, and why.
Rule = tuple[str, str]

TABLE = (r'.*\.pos_encoder\.pe', 'a fixed sinusoid, computed')
LABELS = (r'denoiser\.class_embedding\.weight', 'labels of our own, zero at first')


@dataclass(frozen=True)
class Layout:
    """A public checkpoint: its name, our prefixes and theirs, and what may differ.

    `left_out`: rules for public keys that we do not take. `new`: rules for keys of ours that the
    checkpoint does not have.
    """

    name: str
    prefixes: tuple[tuple[str, str], ...]
    left_out: tuple[Rule, ...] = (TABLE,)
    new: tuple[Rule, ...] = (TABLE, LABELS)

    def source(self, key: str) -> str:
        """Return the public name of one of our keys."""
        for ours, theirs in self.prefixes:
            if key.startswith(ours):
                return theirs + key[len(ours) :]
        raise KeyError(key)


ECHOMIMIC = Layout(
    'EchoMimic',
    (
        ('denoiser.', 'denoising_unet.'),
        ('reference_net.', 'reference_unet.'),
        ('face_locator.', 'face_locator.'),
    ),
)
HALLO = Layout(
    'Hallo',
    (
        *ECHOMIMIC.prefixes,
        ('face_projection.', 'imageproj.'),
        ('audio_projection.', 'audioproj.'),
    ),
    left_out=(
        (
            r'denoising_unet\.(down_blocks\.3|up_blocks\.0)\.motion_modules\..*',
            'motion modules at the lowest resolution, passed over in training',
        ),
        TABLE,
    ),
)
SD15 = Layout(
    'Stable Diffusion 1.5',
    (('denoiser.', 'unet.'), ('reference_net.', 'unet.')),
    left_out=((r'unet\..*\.attn2\.to_[kv]\.weight', 'they read text, ours read sound'),),
    new=(
        TABLE,
        LABELS,
        (r'denoiser\..*\.attn2\.to_[kv]\.weight', 'they read sound; random at first'),
        (r'denoiser\..*\.motion_modules\..*', 'attention over time; does nothing at first'),
        (r'face_locator\..*', 'does nothing at first'),
    ),
)
LAYOUTS = {'echomimic': ECHOMIMIC, 'hallo': HALLO, 'sd15': SD15}


@dataclass
class Match:
    """What becomes of every key: ours taken from theirs, theirs left out, ours new (why)."""

    taken: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    new: dict[str, str] = field(default_factory=dict)


def _reason(key: str, rules: tuple[Rule, ...]) -> str | None:
    return next((why for pattern, why in rules if re.fullmatch(pattern, key)), None)


def match(layout: Layout, ours: Mapping[str, Shape], theirs: Mapping[str, Shape]) -> Match:
    """Return which of their tensors become ours.

    ValueError, in one line, where a key is missing, unknown or of another shape and no rule of
    the layout allows it.
    """
    found = Match()
    missing, misshapen = [], []
    for key, shape in ours.items():
        why = _reason(key, layout.new)
        if why is not None:
            found.new[key] = why
            continue
        source = layout.source(key)
        if source not in theirs:
            missing.append(source)
        elif theirs[source] != shape:
            misshapen.append(f'{source} is {theirs[source]} instead of {shape}')
        else:
            found.taken[key] = source
    used = set(found.taken.values())
    unknown = []
    for key in theirs:
        if key in used:
            continue
        why = _reason(key, layout.left_out)
        if why is None:
            unknown.append(key)
        else:
            found.left_out[key] = why
    # A key of the wrong shape is theirs, too, but has been complained about.
    unknown = [key for key in unknown if key not in {text.split(' ')[0] for text in misshapen}]
    faults = [
        f'{len(keys)} {what} (the first: {keys[0]})'
        for keys, what in (
            (missing, 'tensors are missing'),
            (misshapen, 'have another shape'),
            (unknown, 'are unknown'),
        )
        if keys
    ]
    if faults:
        raise ValueError(f'these are not the weights of {layout.name}: {"; ".join(faults)}')
    return found


def recognise(theirs: Mapping[str, Shape]) -> str | None:
    """Return what a file's keys look like, in words, or None.

    For the one line that refuses a file: what it is tells what went wrong.
    """
    keys = set(theirs)

    def has(text: str) -> bool:
        return any(text in key for key in keys)

    width = next((s[1] for k, s in theirs.items() if k.endswith('attn2.to_k.weight')), None)
    if has('audioproj.') or has('imageproj.'):
        return "Hallo's net.pth"
    if has('model.diffusion_model.'):
        return 'a single-file Stable Diffusion checkpoint, not the folder of the diffusers layout'
    if has('.audio_modules.'):
        return "Hallo's denoiser"
    if keys and all('motion_module' in key for key in keys):
        return 'a motion module'
    if {'conv_in.weight', 'conv_out.weight', 'blocks.0.weight'} <= keys:
        return 'a face locator'
    if has('encoder.down_blocks.') or has('decoder.up_blocks.'):
        return 'a picture codec (VAE)'
    if not has('down_blocks.'):
        return None
    if width is None:
        return "EchoMimic's ReferenceNet"
    names = {384: "EchoMimic's denoiser", 768: "Stable Diffusion 1.5's UNet"}
    return names.get(width, 'the UNet of another Stable Diffusion')
