"""A connection until HTTP begins on it: counted, and over TLS shaken hands with.

aiohttp's own listener counts nobody and lets a handshake take a minute. What is said in HTTP is `dicomweb`'s.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from appliance.errors import FloodError, ProtocolError, SlipwayError
from appliance.ports import Reception

TOLD_EVERY_S = 60.0  # of one address and fault: a flood of connections must not become one of lines in the log
HINTS = {  # by OpenSSL's reason
    "HTTP_REQUEST": "The sender calls with http://; it needs https://.",
    "UNSUPPORTED_PROTOCOL": "The sender knows TLS 1.0 or 1.1 only; it needs 1.2 or 1.3.",
    "TLSV1_ALERT_UNKNOWN_CA": "The sender does not trust this box's certificate: give it the authority's certificate.",
}


@dataclass(frozen=True)
class Limits:
    """What a connection may take of the box."""

    handshake_s: float = 5.0  # for TLS, before anything else
    head_s: float = 15.0  # for a request's head, the first or, on a connection that is kept, the next
    silence_s: float = 60.0  # within a body, and for taking the answer
    slowest_bytes_per_s: float = 1024.0  # of a body, over `silence_s`; no clock runs while the box itself is behind
    close_s: float = 2.0  # for what still comes after the answer
    connections: int = 32  # each up to 1.5 MiB, and what is kept of its instances for the answer: 7 MiB at most
    instances: int = 100_000  # of one request
    late_s: float = 2.0  # that many wrong tokens are answered late


class Entrance:
    """Who is inside: an address may hold as many connections as are free for the others, so none takes the last.

    When strangers at many addresses have taken all, those that ask for nothing make room, as on the DICOM port.
    """

    def __init__(self, http: Callable[[], asyncio.Protocol], reception: Reception, limits: Limits) -> None:
        self.http = http
        self.reception = reception
        self.limits = limits
        self._inside: Counter[str] = Counter()
        self._waiting: dict[Door, None] = {}  # without a request that was let in, in order of their coming
        self._told: set[tuple[str, str]] = set()  # addresses, and of what was complained lately

    @property
    def connections(self) -> int:
        return self._inside.total()

    async def listen(
        self, addresses: tuple[tuple[str, int], ...], tls: ssl.SSLContext | None
    ) -> tuple[list[asyncio.Server], list[tuple[str, int]]]:
        """The servers, and the (host, port) that were bound, port 0 resolved."""
        servers = []
        for host, port in addresses:
            try:
                servers.append(await asyncio.get_running_loop().create_server(lambda: Door(self, tls), host, port))
            except OSError as error:
                raise SlipwayError(
                    f"cannot listen on {host}:{port}: {error.strerror}",
                    hint="Another program may hold the port (ss -ltnp); a port under 1024 needs root or the service.",
                ) from error
        return servers, [socket.getsockname()[:2] for server in servers for socket in server.sockets]

    def came(self, door: Door) -> bool:
        address = door.address
        if self._inside[address] >= self.limits.connections - self.connections and not self._make_room(address):
            self.complain(address, FloodError("it opens more connections for DICOMweb than it may"))
            return False
        self._inside[address] += 1
        self._waiting[door] = None
        return True

    def _make_room(self, address: str) -> bool:
        """The oldest that asks for nothing, of the address that has most of those, if it has more than `address`."""
        waiting = Counter(door.address for door in self._waiting)
        crowd = max(waiting, key=waiting.__getitem__, default=address)
        if self._inside[crowd] <= self._inside[address]:
            return False
        next(door for door in self._waiting if door.address == crowd).give_up()
        self.complain(crowd, FloodError("it opens connections for DICOMweb and asks for nothing"))
        return True

    def complain(self, address: str, error: SlipwayError) -> None:
        said = (address, error.code)
        if said not in self._told:
            self._told.add(said)
            asyncio.get_running_loop().call_later(TOLD_EVERY_S, self._told.discard, said)
            self.reception.complained(address, error)

    @contextmanager
    def serving(self, transport: asyncio.BaseTransport | None) -> Iterator[None]:
        """A request that was let in is under way: its connection makes room for nobody."""
        door = transport.get_protocol() if transport is not None else None
        waited = isinstance(door, Door) and self._waiting.pop(door, "") is None
        try:
            yield
        finally:
            if waited and isinstance(door, Door) and door.inside:
                self._waiting[door] = None

    def left(self, door: Door) -> None:
        self._waiting.pop(door, None)
        self._inside[door.address] -= 1
        if not self._inside[door.address]:
            del self._inside[door.address]


class Door(asyncio.Protocol):
    """Hands everything on to HTTP, once there is somebody to hand it to."""

    def __init__(self, entrance: Entrance, tls: ssl.SSLContext | None) -> None:
        self._entrance = entrance
        self._tls = tls
        self._http: asyncio.Protocol | None = None
        self._shaking: asyncio.Task[None] | None = None
        self._early = b""  # came with the handshake's end, before its transport was at hand
        self._raw: asyncio.Transport | None = None
        self.address = ""
        self.inside = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type that asyncio promises
        self._raw = transport
        self.address = str((transport.get_extra_info("peername") or ("",))[0])
        # Who takes no answer is not waited for: neither by us, nor by the kernel once we have hung up.
        unread_ms = round(self._entrance.limits.silence_s * 1000)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, unread_ms)
        self.inside = self._entrance.came(self)
        if not self.inside:
            transport.abort()
        elif self._tls is None:
            self._enter(transport)
        else:
            self._shaking = asyncio.get_running_loop().create_task(self._shake_hands(transport, self._tls))

    def give_up(self) -> None:
        """Make room for another, now: many may come before the loop tells that this one has left."""
        self._leave()
        if self._raw is not None:
            self._raw.abort()

    def _leave(self) -> None:
        if self.inside:
            self.inside = False
            self._entrance.left(self)

    def _enter(self, transport: asyncio.BaseTransport) -> None:
        self._http = self._entrance.http()
        self._http.connection_made(transport)
        if self._early:
            self._http.data_received(self._early)

    async def _shake_hands(self, raw: asyncio.Transport, tls: ssl.SSLContext) -> None:
        limits = self._entrance.limits
        secured = None
        if not raw.is_closing():
            try:
                secured = await asyncio.get_running_loop().start_tls(
                    raw,
                    self,
                    tls,
                    server_side=True,
                    ssl_handshake_timeout=limits.handshake_s,
                    ssl_shutdown_timeout=limits.close_s,
                )
            except OSError as error:  # ssl.SSLError, a reset and the time-out are
                self._complain(error)
                error.__traceback__ = None  # it holds the frame that holds the error: 0.3 MiB for the collector, each
        self._shaking = None
        if secured is None:
            self.connection_lost(None)  # asyncio does not tell it of connections that end amid the handshake
        else:
            self._enter(secured)

    def _complain(self, error: OSError) -> None:
        if isinstance(error, ssl.SSLError):  # who only hangs up or says nothing is no news
            why = (error.reason or "the connection broke").replace("_", " ").lower()
            hint = HINTS.get(error.reason or "", "Compare the sender's TLS settings with docs/dicomweb.md.")
            self._entrance.complain(self.address, ProtocolError(f"no TLS handshake: {why}", hint=hint))

    def data_received(self, data: bytes) -> None:
        if self._http is None:
            self._early += data
        else:
            self._http.data_received(data)

    def eof_received(self) -> bool | None:
        return self._http.eof_received() if self._http is not None else None

    def pause_writing(self) -> None:
        if self._http is not None:
            self._http.pause_writing()

    def resume_writing(self) -> None:
        if self._http is not None:
            self._http.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._raw = None  # over TLS it holds us, and its buffers would wait for the collector
        if self._http is not None:
            http, self._http = self._http, None
            http.connection_lost(exc)
