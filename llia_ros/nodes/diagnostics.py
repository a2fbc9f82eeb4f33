"""What a node tells about itself on /diagnostics, once a second, and what it warns of."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray

from llia_ros.nodes.messages import Status, diagnostics_message

PERIOD = 1.0
WARNING_PERIOD = 5.0

Report = Callable[[], tuple[str, str, dict[str, Any]]]


class Diagnostics:
    """Counters and throttled warnings of one node, safe to use from any thread.

    `report` returns level, summary and values; the counters are added to the values, and a
    level of 'ok' becomes 'warn' in the seconds in which something was dropped.
    """

    def __init__(self, node: Any, report: Report) -> None:
        self._node = node
        self._report = report
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._silent_until: dict[str, float] = {}
        self._unsaid: Counter[str] = Counter()
        self._last_drop = ''
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        node.create_timer(PERIOD, self.publish)

    def begin(self, *keys: str) -> None:
        """Set counters to zero, which are told from now on."""
        with self._lock:
            for key in keys:
                self._counts[key] = 0

    def count(self, key: str, times: int = 1) -> None:
        """Add to one of the counters."""
        with self._lock:
            self._counts[key] += times

    def counted(self, key: str) -> int:
        """One of the counters."""
        with self._lock:
            return self._counts[key]

    def dropped(self, topic: str, reason: object) -> None:
        """A message on `topic` was of no use: count it and warn, but not of every one."""
        self.count(f'dropped {topic}')
        with self._lock:
            self._last_drop = f'{topic}: {reason}'
        self.warn(topic, f'dropped a message on {topic}: {reason}')

    def warn(self, key: str, line: str) -> None:
        """Warn at most every five seconds of one key, and say how many were kept back."""
        now = time.monotonic()
        with self._lock:
            if now < self._silent_until.get(key, 0.0):
                self._unsaid[key] += 1
                return
            self._silent_until[key] = now + WARNING_PERIOD
            kept_back = self._unsaid.pop(key, 0)
        more = f' (and {kept_back} more)' if kept_back else ''
        self._node.get_logger().warning(f'{line}{more}')

    def publish(self) -> None:
        """Send what there is to tell."""
        level, summary, values = self._report()
        with self._lock:
            counts, last_drop = dict(self._counts), self._last_drop
            self._last_drop = ''
        if last_drop:
            values = {**values, 'last drop': last_drop}
            if level == 'ok':
                level, summary = 'warn', f'dropped {last_drop}'
        name = self._node.get_fully_qualified_name()
        status = Status(name, level, summary, {**values, **counts})
        stamp = self._node.get_clock().now().nanoseconds
        self._publisher.publish(diagnostics_message([status], stamp))
