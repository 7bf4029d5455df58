"""A modality that sends one instance larger than its memory: made, hashed and sent block by block."""

from __future__ import annotations

import hashlib
import random
import socket
import struct
from collections.abc import Iterator

from tests.bench.loads import Instance
from tests.bench.sender import connect
from tests.bench.wire import associate_request, parse_accept, receive_pdu, send_all, status_of, store_request
from tests.daemon.house import Image
from tests.synthetic import LITTLE

BLOCK_BYTES = 1 << 20
PDU_BYTES = 131072
CONTEXT = 1
MULTIFRAME = "1.2.840.10008.5.1.4.1.1.7.2"  # Multi-frame Grayscale Byte Secondary Capture


def element_bytes(total: int) -> int:
    """Of pixel data, so that a dataset has more than `total` bytes; 32 bits is what an element's length has."""
    return min(total, 0xFFFF_FFFE)


def dataset(image: Image, size: int) -> Iterator[bytes]:
    """Its head, then `size` bytes of one element. No two blocks are the same: a lost or turned one is noticed."""
    empty = image.dataset
    at = empty.rindex(b"\xe0\x7f\x10\x00")
    yield empty[:at] + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, size)
    block = bytearray(random.Random(size).randbytes(BLOCK_BYTES))
    for start in range(0, size, BLOCK_BYTES):
        struct.pack_into("<Q", block, 0, start)
        yield bytes(block[: min(BLOCK_BYTES, size - start)])


def send_one(port: int, image: Image, size: int) -> str:
    """SHA-256 of the dataset, which was acknowledged."""
    instance = Instance("", MULTIFRAME, image.uid, LITTLE, 0, 0)
    wire = connect("127.0.0.1", port, 20)
    wire.sendall(associate_request("SHARE", "CT1", [(MULTIFRAME, LITTLE)]))
    kind, body = receive_pdu(wire)
    assert kind == 2
    assert CONTEXT in parse_accept(body)[0]
    _pdata(wire, store_request(instance, 1), 1, last=True)
    digest, waiting = hashlib.sha256(), b""
    for block in dataset(image, size):
        digest.update(block)
        if waiting:
            _pdata(wire, waiting, 0, last=False)
        waiting = block
    _pdata(wire, waiting, 0, last=True)
    kind, body = receive_pdu(wire)
    assert kind == 4
    assert status_of(body[6:]) == 0
    wire.close()
    return digest.hexdigest()


def _pdata(wire: socket.socket, value: bytes, control: int, *, last: bool) -> None:
    room = PDU_BYTES - 6
    pieces: list[memoryview | bytes] = []
    for at in range(0, len(value), room):
        part = value[at : at + room]
        marks = control | (2 if last and at + room >= len(value) else 0)
        pieces += [struct.pack(">BxIIBB", 4, len(part) + 6, len(part) + 2, CONTEXT, marks), part]
    send_all(wire, pieces)
