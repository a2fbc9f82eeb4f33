"""What runs a model: one protocol, one implementation a file, and the choice between them."""

import json
from collections.abc import Callable
from importlib import import_module, resources
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from llia_ros.model.config import FORMAT
from llia_ros.model.folder import is_full_scale
from llia_ros.runtime.engine_config import EngineConfig

BACKENDS = {
    'openvino': 'openvino_backend',
    'torch': 'TorchBackend',
    'tensorrt': 'tensorrt_backend',
    'onnx': 'onnx_backend',
}
# Other packages add backends by entry points of this group: name = module:callable, which takes
# a model folder and options and returns a Backend (docs/tutorials/write_backend.md).
GROUP = 'llia_ros.backends'


@runtime_checkable
class Backend(Protocol):
    """A model made ready to run; S is its picture's side, F one of its clip lengths.

    Latents are float32 of `config.latent_shape`, (32, 16, 16) below. `decode` may be called by
    one thread while another calls any of the others; those others are never called at once.

    `decodes_singly`: a picture decoded by itself takes no more than its share of a clip, so that
    the engine has it shown while the next ones are decoded.
    """

    name: str
    decodes_singly: bool

    @property
    def config(self) -> EngineConfig:
        """The model's figures."""

    def encode(self, image: np.ndarray) -> np.ndarray:
        """Return the latent of a picture, uint8 (S, S, 3) RGB -> (32, 16, 16)."""

    def animate(self, latent: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Return a portrait's latent under an expression, (32, 16, 16), (8,) -> (32, 16, 16)."""

    def reference(self, latent: np.ndarray) -> Any:
        """Return what the denoiser reads of a portrait, computed once and opaque."""

    def denoise(
        self,
        noise: np.ndarray,
        heard: np.ndarray,
        motion: np.ndarray | None,
        state: int,
        reference: Any,
        past: np.ndarray | None,
        steps: int,
    ) -> np.ndarray:
        """Return a clip's clean latents, (F, 32, 16, 16), by `steps` steps of sampling.

        noise (F, 32, 16, 16); heard (F, ...), see `ears`; motion (F, 9), None leaves it free;
        state: index of STATES; past: the clean latents before the clip, as many as
        `config.past_frames`, None repeats the reference.
        """

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Return the pictures of a clip, (F, 32, 16, 16) -> uint8 (F, S, S, 3) RGB."""


def model_names() -> list[str]:
    """Return the names of the models that ship with the package."""
    shipped = Path(str(resources.files('llia_ros'))) / 'weights'
    return sorted(path.parent.name for path in shipped.glob('*/model.json'))


def model_folder(model: str | Path) -> Path:
    """Return the folder of a shipped model's name or of a path.

    ValueError for one that does not exist, holds no model or holds one of another format.
    """
    shipped = Path(str(resources.files('llia_ros'))) / 'weights' / str(model)
    folder = shipped if str(model) in model_names() else Path(model).expanduser()
    described = folder / 'model.json'
    if not folder.is_dir():
        names = ', '.join(model_names()) or 'none'
        raise ValueError(f'unknown model {str(model)!r}: give a folder or one of: {names}')
    if not described.is_file():
        raise ValueError(f'no model in {folder}: model.json is missing')
    try:
        found = json.loads(described.read_text()).get('format')
    except (ValueError, AttributeError, OSError) as error:
        raise ValueError(f'cannot read {described}: {error}') from error
    if found != FORMAT:
        raise ValueError(
            f'{described} has format {found}, this version of llia_ros reads format {FORMAT}: '
            'export the model again, or install the version it was made with'
        )
    return folder


def backend_names() -> list[str]:
    """Return the names of the backends: our own, then those that other packages register."""
    return [*BACKENDS, *sorted(set(_registered()) - set(BACKENDS))]


def _registered() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def load_backend(model: str | Path = 'tiny', backend: str = 'auto', **options: Any) -> Backend:
    """Load a model, by name or folder, to run on `backend`: auto or one of `backend_names()`.

    `auto` takes the first that works: where there is a GPU tensorrt and torch, then openvino,
    then torch on the CPU. `options` go to the backend as they are. ValueError with one clear line
    where none can run it.
    """
    if backend != 'auto' and backend not in backend_names():
        raise ValueError(f'unknown backend {backend!r}: one of auto, {", ".join(backend_names())}')
    folder = model_folder(model)
    order = _order() if backend == 'auto' else [backend]
    if is_full_scale(folder):
        if backend in BACKENDS and backend != 'torch':
            raise ValueError(f'{model} is of full scale: it runs on torch, not on {backend}')
        order = ['torch'] if backend == 'auto' else [backend]
    reasons = []
    for name in order:
        try:
            return _backend_class(name)(folder, **options)
        except (ImportError, OSError, ValueError, RuntimeError) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            reasons.append((f'{name}: {lines[0]}', error))
    why = '; '.join(reason for reason, _ in reasons)
    raise ValueError(f'cannot run the model {str(model)!r}: {why}') from reasons[0][1]


def _backend_class(name: str) -> Callable[..., Backend]:
    if name not in BACKENDS:
        try:
            return _registered()[name].load()
        except AttributeError as error:
            raise ImportError(f'its entry point in {GROUP}: {error}') from error
    try:
        return getattr(import_module(f'{__name__}.{name}'), BACKENDS[name])
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith('llia_ros'):
            raise
        raise ImportError(f'{error.name} is not installed: pip install {error.name}') from error


def _order() -> list[str]:
    """Return the backends from the fastest to be expected; torch is imported only for a GPU."""
    if any(Path('/dev').glob('nvidia[0-9]*')) and find_spec('torch') is not None:
        try:
            if import_module(f'{__name__}.torch').has_cuda():
                return ['tensorrt', 'torch', 'openvino']
        except (ImportError, OSError):
            pass
    return ['openvino', 'torch']
