"""Keeps what took minutes to build: engines, each under all that it depends on.

An engine built for other weights, shapes, precision, GPU or library version runs wrongly or not
at all, so all of these are its key. A file is a line of JSON (key, length and checksum of what
follows), then the engine. It appears whole or not at all, and is built again where it is not
what the key says.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from llia_ros.runtime.backends.onnx_files import checksum, onnx_manifest

FORMAT = 1


@dataclass(frozen=True)
class EngineKey:
    """What an engine depends on.

    `graph`: its name and frames, as in `velocity-8`; `weights`: checksum of the exported graph
    and its weights; `config`: of the model's sizes; `shapes`: of its inputs, by name; `gpu`: name
    and compute capability; `library`: name and version of what built it.
    """

    graph: str
    weights: str
    config: str
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    precision: str
    gpu: str
    library: str

    def digest(self) -> str:
        """Return the key as 64 hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def engine_keys(folder: Path, place: Path, gpu: str, library: str) -> dict[str, EngineKey]:
    """Return what the engine of each ONNX graph depends on, by name as in `velocity-8`.

    `folder`: of the model; `place`: of its ONNX graphs; `gpu` and `library`: see `EngineKey`.
    """
    described = json.loads((folder / 'model.json').read_text())
    config = hashlib.sha256(json.dumps(described['config'], sort_keys=True).encode()).hexdigest()
    exported = onnx_manifest(place)
    shared = [checksum(path) for path in sorted(place.glob('*.bin'))]
    return {
        graph: EngineKey(
            graph,
            weights=':'.join([checksum(place / f'{graph}.onnx'), *shared]),
            config=config,
            shapes=tuple((name, tuple(shape)) for name, shape in cut['inputs'].items()),
            precision=exported['precision'],
            gpu=gpu,
            library=library,
        )
        for graph, cut in exported['graphs'].items()
    }


def cache_folder() -> Path:
    """Return where is kept what can be built again: below XDG_CACHE_HOME, or ~/.cache."""
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(base) / 'llia_ros'


def default_folder() -> Path:
    """Return where engines are kept."""
    return cache_folder() / 'engines'


class EngineCache:
    """A folder of engines; several processes may share it."""

    def __init__(self, folder: Path | None = None):
        self.folder = folder or default_folder()

    def path(self, key: EngineKey) -> Path:
        """Return the file of a key."""
        return self.folder / f'{key.graph}-{key.precision}-{key.digest()[:16]}.engine'

    def load(self, key: EngineKey) -> bytes | None:
        """Return an engine; None where there is none, or one that is stale or cut short."""
        try:
            head, _, engine = self.path(key).read_bytes().partition(b'\n')
            stated = json.loads(head)
        except (OSError, ValueError):
            return None
        return engine if stated == _head(key, engine) else None

    def store(self, key: EngineKey, engine: bytes) -> Path:
        """Write an engine under a temporary name, then rename it; returns its path."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.path(key)
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=path.stem, suffix='.part')
        try:
            with os.fdopen(handle, 'wb') as file:
                file.write(json.dumps(_head(key, engine)).encode() + b'\n')
                file.write(engine)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return path

    def get(self, key: EngineKey, build: Callable[[], bytes]) -> bytes:
        """Return the engine of a key, built and stored first where it is missing or damaged."""
        engine = self.load(key)
        if engine is None:
            engine = build()
            self.store(key, engine)
        return engine


def _head(key: EngineKey, engine: bytes) -> dict[str, object]:
    return {
        'format': FORMAT,
        'key': json.loads(json.dumps(asdict(key))),
        'length': len(engine),
        'sha256': hashlib.sha256(engine).hexdigest(),
    }
