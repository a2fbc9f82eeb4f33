"""How often something may happen: for one connection, or for each address that asks."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict


class RateLimit:
    """A bucket that holds `burst` and fills at `rate` a second; what happens takes from it."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self._left = burst
        self._at = -float('inf')

    def take(self, amount: float = 1.0, now: float | None = None) -> bool:
        """Take that much if it is there; `now` in seconds of time.monotonic()."""
        if self.left(now) < amount:
            return False
        self._left -= amount
        return True

    def left(self, now: float | None = None) -> float:
        """What could be taken now."""
        now = time.monotonic() if now is None else now
        if self._at > -float('inf'):
            self._left = min(self.burst, self._left + (now - self._at) * self.rate)
        self._at = now
        return self._left


class AddressLimits:
    """A RateLimit for each address; of `most` addresses only, those that asked last."""

    def __init__(self, rate: float, burst: float, most: int = 1024) -> None:
        self._rate, self._burst, self._most = rate, burst, most
        self._limits: OrderedDict[str, RateLimit] = OrderedDict()

    def __len__(self) -> int:
        return len(self._limits)

    def take(self, address: str, now: float | None = None) -> bool:
        """Take one from an address's bucket if there is one."""
        key = network(address)
        limit = self._limits.pop(key, None) or RateLimit(self._rate, self._burst)
        self._limits[key] = limit
        if len(self._limits) > self._most:
            self._limits.popitem(last=False)
        return limit.take(now=now)

    def exhausted(self, address: str, now: float | None = None) -> bool:
        """Whether an address has nothing left."""
        limit = self._limits.get(network(address))
        return limit is not None and limit.left(now) < 1


def network(address: str) -> str:
    """Who an address belongs to: of IPv6, one customer has 2**64, so that these count as one."""
    try:
        parsed = ipaddress.ip_address(address.partition('%')[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
