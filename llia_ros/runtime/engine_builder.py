"""Builds TensorRT engines from ONNX graphs, with a bar that shows how far it is.

Engines are strongly typed: the graph alone says what runs in which precision, by its casts and
its pairs of QuantizeLinear and DequantizeLinear. That is how TensorRT 10 is to be used, and the
one way of TensorRT 11. Every graph has fixed shapes, so that no profile of them is needed.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from rich.progress import Progress, TaskID


class Phases:
    """A builder's nested phases, each as a bar of its own; called from several threads.

    The methods are those of TensorRT's IProgressMonitor.
    """

    def __init__(self, progress: Progress, title: str):
        self._progress, self._title = progress, title
        self._tasks: dict[str, TaskID] = {}

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        """Show a phase; one without a parent is named after the engine."""
        text = f'  {phase_name}' if parent_phase else f'{self._title}: {phase_name}'
        self._tasks[phase_name] = self._progress.add_task(text, total=num_steps)

    def step_complete(self, phase_name: str, step: int) -> bool:
        """Show a finished step, counted from 0; True asks the builder to go on."""
        if phase_name in self._tasks:
            self._progress.update(self._tasks[phase_name], completed=step + 1)
        return True

    def phase_finish(self, phase_name: str) -> None:
        """Take a phase away, also one that left out steps."""
        task = self._tasks.pop(phase_name, None)
        if task is not None:
            self._progress.remove_task(task)


def build_engine(trt: ModuleType, path: Path, title: str, progress: Progress) -> bytes:
    """Return the engine of an ONNX graph, built for the GPU at hand; this takes minutes.

    `trt`: the module tensorrt. ValueError for a graph that TensorRT cannot read, RuntimeError
    where it fails to build an engine.
    """
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(path)):
        reasons = [str(parser.get_error(i)) for i in range(parser.num_errors)]
        raise ValueError(f'TensorRT {trt.__version__} cannot read {path}: {"; ".join(reasons)}')
    config = builder.create_builder_config()
    monitor = _monitor(trt, progress, title)
    config.progress_monitor = monitor
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise RuntimeError(f'TensorRT {trt.__version__} could not build an engine of {path}')
    return bytes(engine)


def _monitor(trt: ModuleType, progress: Progress, title: str) -> Any:
    def start(self: Any) -> None:
        trt.IProgressMonitor.__init__(self)
        Phases.__init__(self, progress, title)

    return type('Monitor', (Phases, trt.IProgressMonitor), {'__init__': start})()
