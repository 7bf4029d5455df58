"""Who may associate. Known peers come from the settings and from staff's approvals; the rest are parked.

An AE title alone is no authentication: a peer is an AE title at an address or in a network.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class UnknownPeers(StrEnum):
    PARK = "park"  # refused, listed, approved with one command
    REFUSE = "refuse"
    ACCEPT = "accept"  # demos and tests


@dataclass(frozen=True)
class KnownPeer:
    ae_title: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network

    @classmethod
    def of(cls, ae_title: str, address: str) -> KnownPeer:
        return cls(ae_title, ipaddress.ip_network(address, strict=False))


class Peers:
    def __init__(self, known: Iterable[KnownPeer], unknown: UnknownPeers) -> None:
        self._known = list(known)
        self.unknown = unknown

    def add(self, peer: KnownPeer) -> None:
        if peer not in self._known:
            self._known.append(peer)

    def knows(self, ae_title: str, address: str) -> bool:
        try:
            host = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(host, ipaddress.IPv6Address) and host.ipv4_mapped:
            host = host.ipv4_mapped
        return any(peer.ae_title == ae_title and host in peer.network for peer in self._known)
