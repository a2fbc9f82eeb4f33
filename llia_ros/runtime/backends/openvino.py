"""The embedded backend: the exported graphs on a CPU, without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov

from llia_ros.runtime.backends.graphs import GRAPHS, PER_CLIP, GraphBackend, lengths


class OpenVINOBackend(GraphBackend):
    """Draws clips with the graphs of a model folder; see `Backend` for shapes.

    `precision`: 'auto' lets OpenVINO choose (bf16 where the processor has it), else 'f32' or
    'bf16'. `threads`: 0 for as many as there are cores.
    """

    name = 'openvino'

    def __init__(self, folder: Path, precision: str = 'auto', threads: int = 0):
        folder = Path(folder)
        super().__init__(folder)
        self._core = ov.Core()
        settings: dict[str, object] = {'PERFORMANCE_HINT': 'LATENCY', 'NUM_STREAMS': 1}
        if threads:
            settings['INFERENCE_NUM_THREADS'] = threads
        if precision != 'auto':
            settings['INFERENCE_PRECISION_HINT'] = precision
        self._settings = settings
        self._models = {name: self._core.read_model(folder / f'{name}.xml') for name in GRAPHS}
        self._compiled: dict[tuple[str, int], ov.InferRequest] = {}
        for name in PER_CLIP:
            for frames in lengths(self.config, name):
                self._request(name, frames)

    def _request(self, name: str, frames: int) -> ov.InferRequest:
        """Return the request of a graph for so many frames; each has fixed shapes."""
        if (name, frames) not in self._compiled:
            model = self._models[name].clone()
            model.reshape(
                {
                    port: [frames if d.is_dynamic else d for d in port.partial_shape]
                    for port in model.inputs
                }
            )
            compiled = self._core.compile_model(model, 'CPU', self._settings)
            self._compiled[name, frames] = compiled.create_infer_request()
        return self._compiled[name, frames]

    def _run(self, name: str, frames: int, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        request = self._request(name, frames)
        request.infer(inputs, share_inputs=True)
        return [
            np.array(request.get_output_tensor(i).data) for i in range(len(request.model_outputs))
        ]
