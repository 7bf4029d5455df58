"""Everything that a hostile network throws at a box, at once: python -m tests.hostile.flood PORT TLS_PORT.

Reads "on" and "off" from standard input and answers each; the answer to "off" counts what was thrown, in JSON. Half
comes from the address of the good sender, half from another. The rates are fixed: what is measured is what the box
does, not how much of two cores an attacker's Python can burn.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
import sys
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterator
from itertools import count, cycle, repeat
from typing import Any

from tests.dicom.requests import item, raw_request
from tests.fakes.peers import CT, LITTLE, associate_request

ADDRESSES = ("127.0.0.1", "127.0.0.2")
IDLE = 200
HANDSHAKES = 50
HUGE_PDUS = 10
DRIPS = 10
CONNECTS_PER_S = 300
STRANGERS_PER_S = 60
LONGEST_REQUESTS_PER_S = 4  # of 128 KiB each
TICK_S = 0.05
LINGER_S = 0.1  # of a connect that says nothing and leaves
BACK_AFTER_S = 1.0  # who was thrown out knocks again

STRANGER = associate_request("SHARE", "NMAP", [(CT, LITTLE)] * 20)
LONGEST_REQUEST = raw_request(
    item(0x10, b"1.2.840.10008.3.1.1.1")
    + item(0x20, b"\1\0\0\0" + item(0x30, CT.encode()) + item(0x40, LITTLE.encode()) * 2700)
    + item(0x20, b"\3\0\0\0" + item(0x30, CT.encode()) + item(0x40, LITTLE.encode()) * 2700)
    + item(0x50, item(0x51, bytes(4)) + item(0x52, b"1.2.3")),
    called="SHARE",
    calling="NMAP",
)
CLIENT_HELLO = bytes.fromhex("1603010100010000fc0303") + bytes(range(32)) + b"\0"  # and the rest never comes
HUGE_PDU = struct.pack(">BxI", 1, 0xFFFFFFFF)


Drops = Callable[[], Iterator[bytes]]


class Nuisance(asyncio.Protocol):
    """Says its piece, then a drop each second, and comes back when it is thrown out."""

    def __init__(self, flood: Flood, what: str, port: int, said: bytes = b"", drops: Drops = lambda: iter(())) -> None:
        self._flood, self._what, self.port, self._said, self._drops = flood, what, port, said, drops

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._flood.counts[self._what] += 1
        self._transport = transport
        transport.write(self._said)
        self._left = self._drops()
        self._continue()

    def _continue(self) -> None:
        drop = next(self._left, b"")
        if drop and not self._transport.is_closing():
            self._transport.write(drop)
            asyncio.get_running_loop().call_later(1.0, self._continue)

    def connection_lost(self, exc: Exception | None) -> None:
        self._flood.lost(self)

    def close(self) -> None:
        self._transport.abort()


class Stranger(asyncio.Protocol):
    """Asks for an association, and hears that it is not known here."""

    def __init__(self, flood: Flood, said: bytes) -> None:
        self._flood, self._said = flood, said

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._said)

    def data_received(self, data: bytes) -> None:
        self._flood.counts["rejected" if data[:1] == b"\3" else "not rejected"] += 1
        self._transport.abort()


class Flood:
    def __init__(self, port: int, tls_port: int) -> None:
        self._port, self._tls_port = port, tls_port
        self.counts: Counter[str] = Counter()
        self._on = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._staying: set[Nuisance] = set()
        self._passing: deque[socket.socket] = deque()
        self._addresses = cycle(ADDRESSES)

    def start(self) -> None:
        self._on = True
        crowd = [Nuisance(self, "silent", self._port) for _ in range(IDLE)]
        crowd += [Nuisance(self, "handshakes", self._tls_port, CLIENT_HELLO) for _ in range(HANDSHAKES)]
        crowd += [
            Nuisance(self, "huge PDUs", self._port, HUGE_PDU, lambda: repeat(bytes(65536))) for _ in range(HUGE_PDUS)
        ]
        crowd += [Nuisance(self, "drips", self._port, b"", lambda: map(int.to_bytes, STRANGER)) for _ in range(DRIPS)]
        for one in crowd:
            self._spawn(self._stay(one, 0.0))
        self._spawn(self._come_and_go())

    async def stop(self) -> dict[str, int]:
        self._on = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for one in list(self._staying):
            one.close()
        self._dismiss(0)
        return {"rejected": 0, "not rejected": 0, **self.counts}

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def lost(self, one: Nuisance) -> None:
        self._staying.discard(one)
        if self._on:
            self._spawn(self._stay(one, BACK_AFTER_S))

    async def _stay(self, one: Nuisance, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self._connect(one, one.port)
        self._staying.add(one)

    async def _ask(self, request: bytes) -> None:
        with contextlib.suppress(OSError):
            await self._connect(Stranger(self, request), self._port)

    async def _connect(self, one: asyncio.Protocol, port: int) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: one, "127.0.0.1", port, local_addr=(next(self._addresses), 0))

    async def _come_and_go(self) -> None:
        for tick in count():
            for _ in _due(CONNECTS_PER_S, tick):
                self._pass_by()
            for _ in _due(STRANGERS_PER_S, tick):
                self._spawn(self._ask(STRANGER))
            for _ in _due(LONGEST_REQUESTS_PER_S, tick):
                self._spawn(self._ask(LONGEST_REQUEST))
            self._dismiss(round(CONNECTS_PER_S * LINGER_S))
            await asyncio.sleep(TICK_S)

    def _pass_by(self) -> None:
        wire = socket.socket()
        wire.setblocking(False)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leaves no TIME_WAIT behind
        wire.bind((next(self._addresses), 0))
        wire.connect_ex(("127.0.0.1", self._port))
        self._passing.append(wire)
        self.counts["connects"] += 1

    def _dismiss(self, but: int) -> None:
        while len(self._passing) > but:
            self._passing.popleft().close()


def _due(per_s: float, tick: int) -> range:
    return range(int(per_s * tick * TICK_S), int(per_s * (tick + 1) * TICK_S))


async def main(port: int, tls_port: int) -> None:
    flood = Flood(port, tls_port)
    while order := (await asyncio.to_thread(sys.stdin.readline)).strip():
        said = {}
        if order == "on":
            flood.start()
        else:
            said = await flood.stop()
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    os.nice(5)  # the good sender's own work is not what is in question
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
