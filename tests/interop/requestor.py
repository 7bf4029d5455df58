"""A requestor that can ask for anything: association requests item by item, PDUs byte by byte (PS3.8, PS3.7 D.3.3)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Self

from tests.fakes.peers import AbortedError, Answer, RawPeer, RejectedError, element
from tests.interop.tap import items, uid

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
LITTLE = "1.2.840.10008.1.2.1"
IMPLEMENTATION = b"1.2.826.0.1.3680043.10.1337.30"

Proposal = tuple[str, Sequence[str]]  # an abstract syntax and its transfer syntaxes
BOTH: tuple[Proposal, ...] = ((CT, [LITTLE]), (VERIFICATION, [LITTLE]))


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def short(value: bytes) -> bytes:
    """With its length in two bytes before it."""
    return struct.pack(">H", len(value)) + value


def user_information(announced: int = 16384, more: bytes = b"") -> bytes:
    return item(0x51, struct.pack(">I", announced)) + item(0x52, IMPLEMENTATION) + more


def request(calling: str, proposals: Sequence[Proposal], user: bytes) -> bytes:
    """A-ASSOCIATE-RQ, PS3.8 table 9-11. Context ids are 1, 3, 5…"""
    variable = item(0x10, b"1.2.840.10008.3.1.1.1")
    for index, (abstract, transfers) in enumerate(proposals):
        syntaxes = item(0x30, abstract.encode()) + b"".join(item(0x40, transfer.encode()) for transfer in transfers)
        variable += item(0x20, bytes([2 * index + 1, 0, 0, 0]) + syntaxes)
    variable += item(0x50, user)
    body = struct.pack(">Hxx", 1) + b"SHARE".ljust(16) + calling.encode().ljust(16) + bytes(32) + variable
    return struct.pack(">BxI", 1, len(body)) + body


def fragment(context: int, *, command: bool, last: bool, value: bytes) -> bytes:
    """One presentation data value, PS3.8 table 9-23."""
    return struct.pack(">IBB", len(value) + 2, context, 2 * last + command) + value


def pdu(*fragments: bytes) -> bytes:
    """One P-DATA-TF with these values."""
    body = b"".join(fragments)
    return struct.pack(">BxI", 4, len(body)) + body


def store_command(message_id: int, sop_class: str, sop_instance: str) -> bytes:
    body = element(0x0002, sop_class.encode()) + element(0x0100, b"\x01\x00")
    body += element(0x0110, struct.pack("<H", message_id)) + element(0x0700, b"\0\0") + element(0x0800, b"\0\0")
    body += element(0x1000, sop_instance.encode())
    return element(0x0000, struct.pack("<I", len(body))) + body


class Requestor(RawPeer):
    """An association that was accepted."""

    syntaxes: dict[int, str]  # that the box chose, by context id
    results: dict[int, int]  # of each context
    user: dict[int, bytes]  # user information items of the answer, by type

    @classmethod
    async def open(
        cls,
        port: int,
        calling: str,
        proposals: Sequence[Proposal] = BOTH,
        user: bytes | None = None,
    ) -> Self:
        peer = await cls.connect(port)
        peer.writer.write(request(calling, proposals, user_information() if user is None else user))
        try:
            kind, body = await peer.receive()
        except AbortedError:
            await peer.close()
            raise
        if kind == 3:
            await peer.close()
            raise RejectedError(*body[1:4])
        variable = list(items(body[68:]))
        contexts = [value for kind, value in variable if kind == 0x21]
        peer.results = {value[0]: value[2] for value in contexts}
        peer.syntaxes = {value[0]: uid(dict(items(value[4:]))[0x40]) for value in contexts if value[2] == 0}
        peer.user = dict(items(dict(variable)[0x50]))
        peer.maximum = int.from_bytes(peer.user[0x51], "big")
        proposed = {(abstract, transfers[0]): 2 * index + 1 for index, (abstract, transfers) in enumerate(proposals)}
        peer.contexts = {pair: number for pair, number in proposed.items() if number in peer.syntaxes}
        return peer

    async def store_as(self, *pdus: bytes) -> Answer:
        await self.send(b"".join(pdus))
        return await self.answer()
