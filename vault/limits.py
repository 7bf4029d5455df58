"""How often one address may ask: a token bucket each, in memory, bounded in number. And whose address a request has."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Sequence

from vault.errors import TooManyRequestsError
from vault.ports import Clock

MAX_ADDRESSES = 10_000  # a bucket is some 200 bytes; beyond this the longest idle one is forgotten
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
UNKNOWN = "unknown"


class Limiter:
    """`per_minute` requests a minute from one address, the first `per_minute` of them at once."""

    def __init__(self, clock: Clock, per_minute: int) -> None:
        self._clock = clock
        self._burst = float(per_minute)
        self._per_s = per_minute / 60
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address -> level, at

    def take(self, address: str) -> None:
        """Raises TooManyRequestsError, which says after how many whole seconds there is one again."""
        now = self._clock.monotonic()
        level, at = self._buckets.pop(address, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._per_s)
        allowed = level >= 1
        self._buckets[address] = (level - allowed, now)
        if len(self._buckets) > MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        if not allowed:
            raise TooManyRequestsError(math.ceil((1 - level) / self._per_s))


class Addresses:
    """Reads X-Forwarded-For only when a trusted proxy wrote it; anyone else could name any address there."""

    def __init__(self, trusted_proxies: Sequence[Network]) -> None:
        self._trusted = trusted_proxies

    def of(self, peer: str | None, forwarded_for: str) -> str:
        """The right-most address that is not a trusted proxy's; an IPv6 one counts as its /64, which one host owns."""
        address = _parse(peer or "")
        for text in reversed(forwarded_for.split(",")):
            if address is None or not self._is_trusted(address):
                break
            address = _parse(text.strip()) or address
        if address is None:
            return UNKNOWN
        if address.version == 6:
            return str(ipaddress.ip_network((address, 64), strict=False))
        return str(address)

    def _is_trusted(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        return any(address in network for network in self._trusted)


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
