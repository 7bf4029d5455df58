"""Spools with one behaviour a class, and how to put instances into any of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace

from appliance.errors import SpoolBrokenError, SpoolFullError
from appliance.formats import stream
from appliance.formats.spool_frame import Arrival, Receipt
from appliance.ports import Incoming, Spool, SpoolReader

ARRIVAL = Arrival("CT1", "SHARE", "10.20.0.5", "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4", "1.2.840.10008.1.2.1", 1.0)


def arrival(uid: str = "1.2.3.4", **changes: object) -> Arrival:
    return replace(ARRIVAL, sop_instance_uid=uid, **changes)  # type: ignore[arg-type]


def finish(incoming: Incoming, what: Arrival = ARRIVAL) -> asyncio.Future[Receipt]:
    """Ends the dataset; the future has the receipt when it is durable, or the error."""
    future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()

    def done(receipt: Receipt | None, error: Exception | None) -> None:
        if receipt is not None:
            future.set_result(receipt)
        else:
            future.set_exception(error or AssertionError("neither a receipt nor an error"))

    incoming.finish(what, done)
    return future


async def store(spool: Spool, data: bytes, what: Arrival = ARRIVAL, fragment_bytes: int = 1 << 18) -> Receipt:
    """As the acceptor does it: in fragments, from a buffer that is used again."""
    incoming = spool.begin()
    for at in range(0, len(data), fragment_bytes):
        buffer = bytearray(data[at : at + fragment_bytes])
        incoming.write(memoryview(buffer))
        buffer[:] = bytes(len(buffer))
    return await finish(incoming, what)


async def store_all(spool: Spool, several: Iterable[bytes]) -> list[Receipt]:
    return [await store(spool, data) for data in several]


def read_back(spool: SpoolReader, receipt: Receipt) -> bytes:
    """The dataset, opened segment by segment as a reader of the share will do it."""
    sealed = (spool.read(piece) for piece in receipt.pieces)
    return b"".join(stream.open_segments(receipt.key, stream.instance_aad(receipt.stream_id), sealed))


class _Turned:
    """A spool that passes everything on to another."""

    def __init__(self, inner: Spool) -> None:
        self.inner = inner

    @property
    def congested(self) -> bool:
        return self.inner.congested

    @property
    def broken(self) -> bool:
        return self.inner.broken

    def begin(self, expected_bytes: int = 0) -> Incoming:
        return self.inner.begin(expected_bytes)

    def when_relieved(self, callback: Callable[[], None]) -> None:
        self.inner.when_relieved(callback)


class FullSpool(_Turned):
    """Has no room until `make_room`."""

    full = True

    def begin(self, expected_bytes: int = 0) -> Incoming:
        if self.full:
            raise SpoolFullError("the spool's disk is nearly full")
        return super().begin(expected_bytes)

    def make_room(self) -> None:
        self.full = False


class BrokenSpool(_Turned):
    """Its disk has failed."""

    @property
    def broken(self) -> bool:
        return True

    def begin(self, expected_bytes: int = 0) -> Incoming:
        raise SpoolBrokenError("the spool's disk failed")


class CongestedSpool(_Turned):
    """Its disk does not catch up until `catch_up`."""

    def __init__(self, inner: Spool) -> None:
        super().__init__(inner)
        self._congested = True
        self.waiting: list[Callable[[], None]] = []

    @property
    def congested(self) -> bool:
        return self._congested

    def when_relieved(self, callback: Callable[[], None]) -> None:
        self.waiting.append(callback)

    def catch_up(self) -> None:
        self._congested = False
        for callback in self.waiting:
            callback()
