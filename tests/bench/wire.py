"""The sender's side of the wire: requests as bytes, answers as values, whole PDUs over a blocking socket.

Nothing is shared with the box: both ends of a wire from one hand would agree on each other's mistakes.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

from tests.bench.loads import Instance

IMPLEMENTATION_UID = b"1.2.826.0.1.3680043.10.1337.20.2"
APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
PIECES_MAX = 1000  # Linux takes 1,024 pieces in one sendmsg

Pieces = list[memoryview | bytes]


class ReceiverError(Exception):
    """The receiver refused, failed, or broke off."""


def element(number: int, value: bytes) -> bytes:
    """Of group 0000, which is always implicit little endian (PS3.7 6.3.1)."""
    return struct.pack("<HHI", 0, number, len(value)) + value


def padded(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)


def store_request(instance: Instance, message_id: int) -> bytes:
    body = (
        element(0x0002, padded(instance.sop_class))
        + element(0x0100, b"\x01\x00")  # C-STORE-RQ
        + element(0x0110, struct.pack("<H", message_id))
        + element(0x0700, b"\0\0")
        + element(0x0800, b"\0\0")  # a dataset follows
        + element(0x1000, padded(instance.sop_instance))
    )
    return element(0x0000, struct.pack("<I", len(body))) + body


def status_of(command: bytes) -> int:
    """(0000,0900) of a response."""
    at = 0
    while at + 8 <= len(command):
        number, length = struct.unpack_from("<HI", command, at + 2)
        if number == 0x0900:
            return int.from_bytes(command[at + 8 : at + 10], "little")
        at += 8 + length
    raise ReceiverError("a response has no status")


def fragments(payload: memoryview | bytes, context: int, control: int, pdu_bytes: int) -> Pieces:
    """P-DATA-TF PDUs of one value each (PS3.8 9.3.5); `control` is 1 for commands, 0 for datasets."""
    pieces: Pieces = []
    room = pdu_bytes - 6
    for at in range(0, len(payload), room):
        part = payload[at : at + room]
        last = 2 if at + room >= len(payload) else 0
        pieces.append(struct.pack(">BxIIBB", 4, len(part) + 6, len(part) + 2, context, control | last))
        pieces.append(part)
    return pieces


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def associate_request(called: str, calling: str, contexts: Sequence[tuple[str, str]]) -> bytes:
    items = item(0x10, APPLICATION_CONTEXT)
    for index, (sop_class, transfer_syntax) in enumerate(contexts):
        syntaxes = item(0x30, sop_class.encode()) + item(0x40, transfer_syntax.encode())
        items += item(0x20, bytes([2 * index + 1, 0, 0, 0]) + syntaxes)
    items += item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, IMPLEMENTATION_UID))
    names = called.ljust(16).encode() + calling.ljust(16).encode()
    body = struct.pack(">Hxx", 1) + names + bytes(32) + items
    return struct.pack(">BxI", 1, len(body)) + body


def parse_accept(body: bytes) -> tuple[set[int], int]:
    """Accepted context ids, and the largest PDU that the acceptor takes (0: any)."""
    accepted, pdu_bytes, at = set(), 0, 68
    while at + 4 <= len(body):
        kind, length = struct.unpack_from(">BxH", body, at)
        if kind == 0x21 and body[at + 6] == 0:
            accepted.add(body[at + 4])
        # The user information item is entered rather than skipped: its own items have the same shape.
        if kind == 0x51:
            pdu_bytes = struct.unpack_from(">I", body, at + 4)[0]
        at += 4 if kind == 0x50 else 4 + length
    return accepted, pdu_bytes


def receive_pdu(wire: socket.socket) -> tuple[int, bytes]:
    kind, length = struct.unpack(">BxI", receive_exactly(wire, 6))
    return kind, receive_exactly(wire, length)


def receive_exactly(wire: socket.socket, count: int) -> bytes:
    received = wire.recv(count)
    while len(received) < count:
        more = wire.recv(count - len(received))
        if not more:
            raise ReceiverError("the receiver closed the connection")
        received += more
    return received


def send_all(wire: socket.socket, pieces: Pieces) -> None:
    """All pieces in order, with as few system calls as the kernel allows and without joining them."""
    at = 0
    while at < len(pieces):
        batch = pieces[at : at + PIECES_MAX]
        sent = wire.sendmsg(batch)
        for piece in batch:
            if sent < len(piece):
                wire.sendall(memoryview(piece)[sent:])
                sent = 0
            else:
                sent -= len(piece)
            at += 1
            if sent == 0:
                break
