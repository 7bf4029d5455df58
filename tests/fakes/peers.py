"""Senders: DICOM from the other side, byte by byte, so that a test can stop, break off or lie anywhere.

Written from PS3.7 and PS3.8, and nothing shared with the box: both ends of a wire from one hand would agree on each
other's mistakes. DCMTK and pynetdicom are called where a second opinion is wanted.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from appliance.dicom.pdu import CALLED_AE_UNKNOWN, CALLING_AE_UNKNOWN, AssociateRequest, Rejection
from appliance.errors import SlipwayError
from appliance.formats.spool_frame import Receipt
from appliance.ports import Peer

VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
LITTLE = "1.2.840.10008.1.2.1"
WITHIN_S = 20.0


class RejectedError(Exception):
    """A-ASSOCIATE-RJ: `args` is (result, source, reason)."""


class AbortedError(Exception):
    """A-ABORT, or the connection closed."""


@dataclass(frozen=True)
class Answer:
    status: int
    field: int
    message_id: int
    comment: str
    sop_instance: str


class RawPeer:
    """One association as requestor. `async with RawPeer.call(port) as peer`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pdu: int) -> None:
        self.reader, self.writer, self.pdu = reader, writer, pdu
        self.contexts: dict[tuple[str, str], int] = {}
        self.maximum = 0  # what the acceptor takes
        self._message_id = 0

    @classmethod
    async def connect(cls, port: int, pdu: int = 16384, address: str = "127.0.0.1") -> Self:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
        return cls(reader, writer, pdu)

    @classmethod
    async def call(
        cls,
        port: int,
        *,
        pdu: int = 16384,
        address: str = "127.0.0.1",
        calling: str = "CT1",
        called: str = "SHARE",
        contexts: Sequence[tuple[str, str]] = ((CT, LITTLE), (VERIFICATION, LITTLE)),
        announced: int = 16384,
    ) -> Self:
        """Associate. RejectedError or AbortedError."""
        peer = await cls.connect(port, pdu, address)
        await peer.associate(calling, called, contexts, announced)
        return peer

    async def associate(
        self,
        calling: str = "CT1",
        called: str = "SHARE",
        contexts: Sequence[tuple[str, str]] = ((CT, LITTLE), (VERIFICATION, LITTLE)),
        announced: int = 16384,
    ) -> None:
        self.writer.write(associate_request(called, calling, contexts, announced))
        try:
            kind, body = await self.receive()
        except AbortedError:
            await self.close()
            raise
        if kind == 3:
            await self.close()
            raise RejectedError(*body[1:4])
        accepted, self.maximum = _parse_accept(body)
        offered = {pair: 2 * index + 1 for index, pair in enumerate(contexts)}
        self.contexts = {pair: number for pair, number in offered.items() if number in accepted}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        self.writer.transport.abort()

    async def receive(self) -> tuple[int, bytes]:
        """The next PDU; AbortedError when that is A-ABORT or the end."""
        try:
            async with asyncio.timeout(WITHIN_S):
                kind, length = struct.unpack(">BxI", await self.reader.readexactly(6))
                body = await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise AbortedError("the connection was closed") from error
        if kind == 7:
            raise AbortedError(*body[2:4])
        return kind, body

    async def answer(self) -> Answer:
        kind, body = await self.receive()
        assert kind == 4, f"a PDU of type {kind}"
        length, _, control = struct.unpack_from(">IBB", body)
        assert control == 3, "an answer is one whole command"
        return _parse_answer(body[6 : 4 + length])

    async def echo(self) -> Answer:
        self._message_id += 1
        command = _command(VERIFICATION, 0x0030, self._message_id, has_dataset=False)
        context = next(number for (sop, _), number in self.contexts.items() if sop == VERIFICATION)
        await self.send(self.pdata(context, 1, command))
        return await self.answer()

    async def store(self, dataset: bytes, uid: str = "1.2.3.4", sop: str = CT, syntax: str = LITTLE) -> Answer:
        await self.send(self.store_bytes(dataset, uid, sop, syntax))
        return await self.answer()

    def store_bytes(self, dataset: bytes, uid: str = "1.2.3.4", sop: str = CT, syntax: str = LITTLE) -> bytes:
        """All PDUs of one C-STORE."""
        self._message_id += 1
        context = self.contexts[sop, syntax]
        command = _command(sop, 0x0001, self._message_id, has_dataset=True, uid=uid)
        return self.pdata(context, 1, command) + self.pdata(context, 0, dataset)

    def pdata(self, context: int, control: int, value: bytes) -> bytes:
        """P-DATA-TF PDUs of one fragment each."""
        room = self.pdu - 6
        parts = [value[at : at + room] for at in range(0, len(value), room)] or [b""]
        return b"".join(
            struct.pack(">BxIIBB", 4, len(part) + 6, len(part) + 2, context, control | (2 if last else 0)) + part
            for part, last in zip(parts, [False] * (len(parts) - 1) + [True], strict=True)
        )

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(WITHIN_S):
            self.writer.write(data)
            await self.writer.drain()

    async def release(self) -> None:
        await self.send(struct.pack(">BxI4x", 5, 4))
        kind, _ = await self.receive()
        assert kind == 6
        await self.close()

    async def abort(self) -> None:
        await self.send(struct.pack(">BxI4x", 7, 4))
        await self.close()


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def associate_request(called: str, calling: str, contexts: Sequence[tuple[str, str]], announced: int = 16384) -> bytes:
    items = _item(0x10, b"1.2.840.10008.3.1.1.1")
    for index, (sop, syntax) in enumerate(contexts):
        syntaxes = _item(0x30, sop.encode()) + _item(0x40, syntax.encode())
        items += _item(0x20, bytes([2 * index + 1, 0, 0, 0]) + syntaxes)
    items += _item(0x50, _item(0x51, struct.pack(">I", announced)) + _item(0x52, b"1.2.826.0.1.3680043.10.1337.9"))
    body = struct.pack(">Hxx", 1) + called.encode().ljust(16) + calling.encode().ljust(16) + bytes(32) + items
    return struct.pack(">BxI", 1, len(body)) + body


def _parse_accept(body: bytes) -> tuple[set[int], int]:
    accepted, maximum, at = set(), 0, 68
    while at + 4 <= len(body):
        kind, length = struct.unpack_from(">BxH", body, at)
        if kind == 0x21 and body[at + 6] == 0:
            accepted.add(body[at + 4])
        elif kind == 0x51:
            maximum = struct.unpack_from(">I", body, at + 4)[0]
        at += 4 if kind == 0x50 else 4 + length  # the user information's own items have the same shape
    return accepted, maximum


def element(number: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, number, len(value)) + value


def _command(sop: str, field: int, message_id: int, *, has_dataset: bool, uid: str = "") -> bytes:
    body = element(0x0002, sop.encode()) + element(0x0100, struct.pack("<H", field))
    body += element(0x0110, struct.pack("<H", message_id)) + element(0x0700, b"\0\0")
    body += element(0x0800, struct.pack("<H", 0 if has_dataset else 0x0101))
    body += element(0x1000, uid.encode()) if uid else b""
    return element(0x0000, struct.pack("<I", len(body))) + body


def any_command(sop: str, field: int, message_id: int = 1) -> bytes:
    """A request without a dataset."""
    return _command(sop, field, message_id, has_dataset=False)


def _parse_answer(command: bytes) -> Answer:
    values, at = {}, 0
    while at + 8 <= len(command):
        _, number, length = struct.unpack_from("<HHI", command, at)
        values[number] = command[at + 8 : at + 8 + length]
        at += 8 + length
    number = {key: int.from_bytes(values[key], "little") for key in (0x0100, 0x0120, 0x0900)}
    return Answer(
        number[0x0900],
        number[0x0100],
        number[0x0120],
        values.get(0x0902, b"").decode().strip(),
        values.get(0x1000, b"").decode().strip("\0"),
    )


# -- the daemon's side of the acceptor ---------------------------------------------------------------------------------


class OpenReception:
    """Lets everybody in that calls SHARE, and remembers."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.complaints: list[SlipwayError] = []
        self.refusal: SlipwayError | None = None  # of every instance
        self.senders: list[Peer | None] = []  # of the receipts
        self.inside: list[Peer] = []
        self.requests: list[AssociateRequest] = []
        self.certificates: list[str] = []

    def admit(self, request: AssociateRequest, address: str, certificate: str = "") -> Rejection | None:
        self.requests.append(request)
        self.certificates.append(certificate)
        return None if request.called_ae_title == "SHARE" else CALLED_AE_UNKNOWN

    def opened(self, peer: Peer) -> None:
        self.inside.append(peer)

    def closed(self, peer: Peer) -> None:
        self.inside.remove(peer)

    def refuse(self, peer: Peer) -> SlipwayError | None:
        return self.refusal

    def stored(self, receipt: Receipt, peer: Peer | None = None) -> None:
        self.receipts.append(receipt)
        self.senders.append(peer)

    def complained(self, address: str, error: SlipwayError, peer: Peer | None = None) -> None:
        self.complaints.append(error)


class ClosedReception(OpenReception):
    """Knows nobody."""

    def admit(self, request: AssociateRequest, address: str, certificate: str = "") -> Rejection | None:
        super().admit(request, address, certificate)
        return CALLING_AE_UNKNOWN
