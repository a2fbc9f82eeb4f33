"""What this machine can do at best: arithmetic and memory, measured, to hold figures against."""

from __future__ import annotations

import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as op

from llia_ros.benchmark.usage import cores

SIDE = 1024  # of the multiplied matrices
CHAIN = 2  # products in a row
LOOKED_FOR = 1.5  # seconds in which the best time is found, on a busy machine, too
COPIED = 1 << 26  # float32 values, 256 MB: more than any cache holds
# What tells how fast arithmetic is.
TELLING = ('avx2', 'avx_vnni', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_bf16', 'amx_int8')


def describe() -> dict[str, Any]:
    """Return the machine's name, cores and versions, and `peaks` and `bandwidth` as measured.

    `peaks`: GFLOP/s of products of large matrices in f32, bf16 and int8, as OpenVINO does them.
    `bandwidth`: GB/s of a copy of 256 MB, read and written bytes together.
    """
    return {
        'processor': processor(),
        'cores': cores(),
        'instructions': [flag for flag in TELLING if flag in flags()],
        'openvino': ov.get_version().split('-')[0],
        'peaks': {precision: peak(precision) for precision in ('f32', 'bf16', 'int8')},
        'bandwidth': bandwidth(),
        'load': os.getloadavg()[0],
        'date': time.strftime('%Y-%m-%d'),
    }


def _cpuinfo(key: str) -> str:
    path = Path('/proc/cpuinfo')
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.partition(':')[2].strip() for line in lines if line.startswith(key)), '')


def processor() -> str:
    """Return the processor's name."""
    return _cpuinfo('model name') or platform.processor() or platform.machine()


def flags() -> set[str]:
    """Return the processor's instruction sets by the names of /proc/cpuinfo."""
    return set(_cpuinfo('flags').split())


def _products(precision: str) -> ov.Model:
    """Return a chain of matrix products; int8 by quantized inputs and weights."""
    rng = np.random.default_rng(0)
    given = op.parameter([SIDE, SIDE], np.float32, name='x')
    x = given
    for _ in range(CHAIN):
        weights = op.constant(rng.uniform(-0.05, 0.05, (SIDE, SIDE)).astype(np.float32))
        if precision == 'int8':
            x = op.fake_quantize(x, -1.0, 127 / 128, -1.0, 127 / 128, 256)
            weights = op.fake_quantize(weights, -0.05, 0.05, -0.05, 0.05, 255)
        x = op.matmul(x, weights, False, True)
    return ov.Model([x], [given], precision)


def peak(precision: str) -> float:
    """Return GFLOP/s of matrix products in f32, bf16 or int8."""
    hint = 'f32' if precision == 'int8' else precision
    settings = {
        'PERFORMANCE_HINT': 'LATENCY',
        'NUM_STREAMS': 1,
        'INFERENCE_PRECISION_HINT': hint,
    }
    request = ov.Core().compile_model(_products(precision), 'CPU', settings).create_infer_request()
    x = np.random.default_rng(1).uniform(-1, 1, (SIDE, SIDE)).astype(np.float32)
    best, end = np.inf, time.perf_counter() + LOOKED_FOR
    while (start := time.perf_counter()) < end:
        request.infer([x], share_inputs=True)
        best = min(best, time.perf_counter() - start)
    return CHAIN * 2 * SIDE**3 / best / 1e9


def bandwidth() -> float:
    """Return GB/s of a copy by all cores."""
    source, target = np.ones(COPIED, np.float32), np.zeros(COPIED, np.float32)
    workers = cores()
    pieces = list(zip(np.array_split(target, workers), np.array_split(source, workers)))
    best = np.inf
    with ThreadPoolExecutor(workers) as pool:
        for _ in range(4):
            start = time.perf_counter()
            list(pool.map(lambda piece: np.copyto(*piece), pieces))
            best = min(best, time.perf_counter() - start)
    return 2 * source.nbytes / best / 1e9
