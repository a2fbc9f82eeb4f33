"""What /diagnostics say of latency, second by second, for the control page's chart."""

import re
from typing import Any

from llia_ros.nodes.messages import Status

STAGE = re.compile(r'(.+) (p50|p95) ms')


def stages(status: Status, prefix: str = '') -> dict[str, list[float]]:
    """{stage: [p50, p95]} in ms, of what a node tells as `<stage> p50 ms` and `<stage> p95 ms`."""
    found: dict[str, list[float]] = {}
    for key, value in status.values.items():
        match = STAGE.fullmatch(key)
        number = _number(value)
        if match is not None and number is not None:
            pair = found.setdefault(prefix + match[1], [number, number])
            pair[match[2] == 'p95'] = number
    return found


def figures(status: Status, more: dict[str, list[float]], stamp: Any) -> dict[str, Any]:
    """A second of the latency chart, from the avatar's status and the display's stages."""
    values = status.values
    return {
        'time': stamp.sec + stamp.nanosec / 1e9,
        'fps': _number(values.get('fps')),
        'late': _number(values.get('late_frames')),
        'epoch': _number(values.get('epoch')),
        'backend': values.get('backend', ''),
        'model': values.get('model', ''),
        'stages': {**stages(status), **more},
    }


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
