"""Public weights to a model folder: every key is accounted for, and all is written or nothing."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import torch

from llia_ros.model.attention import position_table
from llia_ros.model.full_scale import FullScaleModel
from llia_ros.model.key_map import LAYOUTS, Match, Shape, match, recognise
from llia_ros.model.sd15 import FullScaleConfig, echomimic, hallo, sd15
from llia_ros.model.weights import checksum, save_full_scale
from llia_ros.runtime.companions import missing, put, with_codec
from llia_ros.runtime.tensor_files import SUFFIXES, read_tensors


@dataclass(frozen=True)
class PublicFile:
    """A file of public weights: the prefix of its keys in the layout, places without suffix.

    `looks`: what `recognise` says of it.
    """

    prefix: str
    places: tuple[str, ...]
    looks: str


# Of a key in two files the later one's tensor counts, as in the original code.
FILES = {
    'echomimic': (
        PublicFile('reference_unet.', ('reference_unet',), "EchoMimic's ReferenceNet"),
        PublicFile('denoising_unet.', ('motion_module',), 'a motion module'),
        PublicFile('denoising_unet.', ('denoising_unet',), "EchoMimic's denoiser"),
        PublicFile('face_locator.', ('face_locator',), 'a face locator'),
    ),
    'hallo': (PublicFile('', ('net', 'hallo/net'), "Hallo's net.pth"),),
    'sd15': (
        PublicFile(
            'unet.',
            (
                'unet/diffusion_pytorch_model',
                'unet/diffusion_pytorch_model.fp16',
                'diffusion_pytorch_model',
            ),
            "Stable Diffusion 1.5's UNet",
        ),
    ),
}
ACCELERATED = ('motion_module', 'denoising_unet')
# Half precision rounds a sinusoid by less; another table differs by more.
TABLE_TOLERANCE = 0.01

Progress = Callable[[str], None]


@dataclass
class Import:
    """Public weights found good: how their keys fit, and what a model is to be made of."""

    cfg: FullScaleConfig
    files: list[Path]
    match: Match
    theirs: dict[str, torch.Tensor]
    shapes: dict[str, Shape]
    companions: dict[str, Path] = field(default_factory=dict)

    def beside(self, companions: dict[str, Path]) -> Import:
        """Return the same with files of ears and codec to put beside the weights."""
        return replace(self, cfg=with_codec(self.cfg, companions), companions=companions)

    def summary(self) -> dict[str, int | str]:
        """Return what was found, as figures and words."""
        found: dict[str, int | str] = {'layout': self.cfg.name}
        found |= {f'file {i + 1}': str(path) for i, path in enumerate(self.files)}
        found['keys taken'] = len(self.match.taken)
        for title, reasons in (('left out', self.match.left_out), ('new', self.match.new)):
            found |= {f'{title}: {why}': n for why, n in Counter(reasons.values()).items()}
        found |= {name: str(path) for name, path in self.companions.items()}
        for name, what in missing(self.cfg, self.companions).items():
            found[name] = f'not here: fetch {what}'
        return found


def preset(kind: str, accelerated: bool = False) -> FullScaleConfig:
    """Return the configuration of a kind of public weights."""
    return {'echomimic': lambda: echomimic(accelerated), 'hallo': hallo, 'sd15': sd15}[kind]()


def find_files(
    kind: str, source: Path, accelerated: bool = False
) -> list[tuple[PublicFile, Path]]:
    """Return the files of public weights.

    `source`: their folder, or for a kind of one file that file. ValueError for what is missing.
    """
    if accelerated and kind != 'echomimic':
        raise ValueError(f'only EchoMimic has accelerated weights, {kind} has none')
    if source.is_file():
        if len(FILES[kind]) > 1:
            known = recognise(_shapes(read_tensors(source)))
            raise ValueError(
                f'{LAYOUTS[kind].name} comes as several files: give their folder, not {source}'
                + ('' if known is None else f'; this looks like {known}')
            )
        return [(FILES[kind][0], source)]
    if not source.is_dir():
        raise ValueError(f'no such file or folder: {source}')
    found = _located(kind, source, accelerated)
    for public, path in found:
        if path is None:
            others = [k for k in FILES if all(p for _, p in _located(k, source, False))]
            name = public.places[0] + '_acc' * (accelerated and public.places[0] in ACCELERATED)
            raise ValueError(
                f'no weights of {LAYOUTS[kind].name} in {source}: {name} (.safetensors or .pth) '
                'is missing'
                + ''.join(f'; {LAYOUTS[k].name} is there: llia import-weights {k}' for k in others)
            )
    return [(public, path) for public, path in found if path is not None]


def _located(kind: str, source: Path, accelerated: bool) -> list[tuple[PublicFile, Path | None]]:
    found = []
    for public in FILES[kind]:
        places = [f'{p}_acc' if accelerated and p in ACCELERATED else p for p in public.places]
        candidates = (source / f'{place}{suffix}' for place in places for suffix in SUFFIXES)
        found.append((public, next((path for path in candidates if path.is_file()), None)))
    return found


@cache
def _our_shapes(cfg: FullScaleConfig) -> dict[str, Shape]:
    with torch.device('meta'):
        return _shapes(FullScaleModel(cfg).state_dict())


def _shapes(tensors: Mapping[str, torch.Tensor]) -> dict[str, Shape]:
    return {key: tuple(value.shape) for key, value in tensors.items()}


def examine(
    kind: str,
    source: Path,
    accelerated: bool = False,
    cfg: FullScaleConfig | None = None,
    progress: Progress = lambda text: None,
) -> Import:
    """Read public weights and return how they fit; nothing is written.

    `kind`: echomimic, hallo or sd15. `cfg`: sizes other than the published. `progress` is told
    each step. ValueError, in one line, for anything that is not what it should be.
    """
    if kind not in LAYOUTS:
        raise ValueError(f'unknown weights {kind!r}: one of {", ".join(LAYOUTS)}')
    cfg = cfg or preset(kind, accelerated)
    files = find_files(kind, source, accelerated)
    theirs: dict[str, torch.Tensor] = {}
    for public, path in files:
        progress(f'read {path.name}')
        tensors = read_tensors(path)
        known = recognise(_shapes(tensors))
        if known not in (None, public.looks):
            raise ValueError(f'{path} looks like {known}, not like {public.looks}')
        theirs |= {public.prefix + key: value for key, value in tensors.items()}
    shapes = _our_shapes(cfg)
    try:
        found = match(LAYOUTS[kind], shapes, _shapes(theirs))
    except ValueError as error:
        raise ValueError(f'{source}: {error}') from error
    for key, value in theirs.items():
        if key.endswith('.pos_encoder.pe'):
            _check_table(key, value)
        elif not value.is_floating_point():
            raise ValueError(f'{source}: {key} holds {value.dtype}, not weights')
    return Import(cfg, [path for _, path in files], found, theirs, shapes)


def _check_table(key: str, table: torch.Tensor) -> None:
    if table.ndim != 3:
        raise ValueError(f'{key} is no table of positions: its shape is {tuple(table.shape)}')
    ours = position_table(table.shape[1], table.shape[2])
    if (table.float() - ours).abs().max() > TABLE_TOLERANCE:
        raise ValueError(f'{key} is not the sinusoid that it should be: another kind of weights')


def write(found: Import, out: Path, half: bool, progress: Progress = lambda text: None) -> None:
    """Write a model folder: weights, model.json with sizes, and SHA-256 of all files.

    `half`: in half precision, whatever they came in. ValueError where `out` is taken or a tensor
    holds what is no number.
    """
    if out.exists():
        raise ValueError(f'{out} is there already: give a folder that is not')
    tensors = {}
    for key, source in found.match.taken.items():
        value = found.theirs[source]
        if not value.isfinite().all():
            raise ValueError(f'{source} holds figures that are no numbers: fetch the file again')
        tensors[key] = value
    progress('make what is new')
    tensors |= _new(found)
    # Two of ours may come from one of theirs, which a safetensors file does not allow.
    dtype = torch.float16 if half else None
    tensors = {key: value.to(dtype or value.dtype).contiguous() for key, value in tensors.items()}
    seen: set[int] = set()
    for key, value in tensors.items():
        if value.data_ptr() in seen:
            tensors[key] = value.clone()
        seen.add(value.data_ptr())
    progress('sums of the files')
    files = [*found.files, *found.companions.values()]
    notes = {
        'imported from': {f'{path.parent.name}/{path.name}': checksum(path) for path in files},
        'left out': len(found.match.left_out),
        'new': len(found.match.new),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f'{out.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    progress(f'write {out}')
    partial.mkdir()
    put(partial, found.companions)
    save_full_scale(partial, found.cfg, tensors, notes)
    partial.rename(out)


def _new(found: Import) -> dict[str, torch.Tensor]:
    """Return tensors of ours that the public weights do not have, in their precision."""
    dtype = found.theirs[next(iter(found.match.taken.values()))].dtype
    tensors, drawn = {}, []
    for key in found.match.new:
        shape = found.shapes[key]
        if key.endswith('.pos_encoder.pe'):
            tensors[key] = position_table(shape[1], shape[2])
        elif key == 'denoiser.class_embedding.weight':
            tensors[key] = torch.zeros(shape)
        else:
            drawn.append(key)
    if drawn:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            state = FullScaleModel(found.cfg).state_dict()
        tensors |= {key: state[key] for key in drawn}
    return {key: value.to(dtype) for key, value in tensors.items()}
