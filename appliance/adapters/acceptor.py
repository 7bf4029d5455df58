"""The DICOM acceptor: the listening sockets, and how many may come at once."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Collection

from appliance.adapters.association import Association, Limits
from appliance.adapters.dicom_tls import TlsAssociation
from appliance.dicom.dimse import DatasetMemory
from appliance.errors import FloodError, SlipwayError
from appliance.ports import Reception, Services, Spool

SILENT_OVER_TLS = 64  # of the silent connections: each takes 0.3 MiB, and a handshake is done in 20 ms
FLOOD_TOLD_EVERY_S = 60.0  # of one address: a flood of connections must not become one of lines in the log


class Acceptor:
    """The listening sockets and the associations behind them."""

    def __init__(
        self,
        spool: Spool,
        reception: Reception,
        clock: Callable[[], float],
        limits: Limits | None = None,
        services: Services | None = None,
    ) -> None:
        self._spool = spool
        self._reception = reception
        self._services = services
        self._clock = clock
        self._limits = limits or Limits()
        self.memory = DatasetMemory()
        self._silent: dict[Association, None] = {}  # in order of their coming
        self._inside: set[Association] = set()
        self._flooding: set[str] = set()  # addresses that were complained of lately
        self._servers: list[asyncio.Server] = []

    async def listen(
        self, addresses: tuple[tuple[str, int], ...], tls: ssl.SSLContext | None = None
    ) -> list[tuple[str, int]]:
        """Listen on each (host, port), plain or with TLS; the addresses that were bound, port 0 resolved."""
        loop = asyncio.get_running_loop()
        bound = []
        for host, port in addresses:
            try:
                server = await loop.create_server(lambda: self._association(tls), host, port, backlog=512)
            except OSError as error:
                raise SlipwayError(
                    f"cannot listen on {host}:{port}: {error.strerror}",
                    hint="Another program may hold the port (ss -ltnp); a port under 1024 needs root or the service.",
                ) from error
            self._servers.append(server)
            bound += [socket_.getsockname()[:2] for socket_ in server.sockets]
        return bound

    def _association(self, tls: ssl.SSLContext | None) -> Association:
        if tls is None:
            return Association(self._spool, self._reception, self._services, self._clock, self._limits, self)
        return TlsAssociation(self._spool, self._reception, self._services, self._clock, self._limits, self, tls)

    # -- who is there ----------------------------------------------------------------------------------------------

    def came(self, association: Association) -> None:
        """The oldest that said nothing makes room: a sender says what it wants at once, a scanner never does."""
        self._silent[association] = None
        if isinstance(association, TlsAssociation):
            self._make_room([one for one in self._silent if isinstance(one, TlsAssociation)], SILENT_OVER_TLS)
        self._make_room(self._silent, self._limits.silent)

    def _make_room(self, silent: Collection[Association], most: int) -> None:
        """The oldest of the address that has most of them: a scanner pushes out itself, not a handshake of another."""
        if len(silent) > most:
            ((address, _),) = Counter(one.address for one in silent).most_common(1)
            oldest = next(one for one in silent if one.address == address)
            del self._silent[oldest]  # now: many may come before the loop tells that this one has left
            oldest.give_up()
            self._complain_of_flood(address)

    def _complain_of_flood(self, address: str) -> None:
        if address not in self._flooding:
            self._flooding.add(address)
            asyncio.get_running_loop().call_later(FLOOD_TOLD_EVERY_S, self._flooding.discard, address)
            self._reception.complained(address, FloodError("it opens connections and says nothing"))

    def may_enter(self, association: Association) -> bool:
        """An address may hold as many associations as are free for the others.

        So a gateway before many modalities gets half of all when it is alone, beside a second one a third, and no
        broken or hostile sender takes the last: the next address finds a place.
        """
        of_address = sum(one.address == association.address for one in self._inside)
        if of_address >= self._limits.associations - len(self._inside):
            return False
        self._silent.pop(association, None)
        self._inside.add(association)
        return True

    def left(self, association: Association) -> None:
        self._silent.pop(association, None)
        self._inside.discard(association)

    async def stop(self) -> None:
        """Take no more connections. What arrives on those that are open is still answered."""
        for server in self._servers:
            server.close()

    def hang_up(self) -> None:
        """Abort what is open; senders will send again what was not answered."""
        for association in (*self._silent, *self._inside):
            association.give_up()
