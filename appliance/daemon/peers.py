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
    certificate: str = ""  # SHA-256 in hexadecimal; set: only over TLS, and with this one

    @classmethod
    def of(cls, ae_title: str, address: str, certificate: str = "") -> KnownPeer:
        return cls(ae_title, ipaddress.ip_network(address, strict=False), certificate)

    def is_at(self, ae_title: str, address: str) -> bool:
        host = _host(address)
        return ae_title == self.ae_title and host is not None and host in self.network


class Peers:
    def __init__(self, known: Iterable[KnownPeer], unknown: UnknownPeers) -> None:
        self._known = list(known)
        self.unknown = unknown

    def add(self, peer: KnownPeer) -> None:
        if peer not in self._known:
            self._known.append(peer)

    def knows(self, ae_title: str, address: str, certificate: str = "") -> bool:
        """Where one entry asks for a certificate, another without (approved, or a network) does not make up for it."""
        matching = self._at(ae_title, address)
        pinned = {peer.certificate for peer in matching if peer.certificate}
        return certificate in pinned if pinned else bool(matching)

    def pins(self, ae_title: str, address: str) -> bool:
        """Whether that sender is known by its certificate only."""
        return any(peer.certificate for peer in self._at(ae_title, address))

    def _at(self, ae_title: str, address: str) -> list[KnownPeer]:
        return [peer for peer in self._known if peer.is_at(ae_title, address)]


def _host(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        host = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return host.ipv4_mapped or host if isinstance(host, ipaddress.IPv6Address) else host
