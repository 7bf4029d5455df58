"""Frames of the spool's files: bytes to values and back.

A spool file is a run of frames. A PIECE frame carries some ciphertext of an instance's stream; a RECEIPT frame ends
an instance and names where its pieces lie. Frames of several instances may interleave and span files. A piece that no
receipt names was written in vain.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from appliance.errors import FormatError
from appliance.formats import base64url
from appliance.formats.sealed import Sealer

_HEADER = struct.Struct(">4sBxxxQ16sII")
HEADER_BYTES = _HEADER.size + 4
MAGIC = b"SLPf"


class FrameType(IntEnum):
    PIECE = 1
    RECEIPT = 2


class FrameHeader(NamedTuple):
    """`file_number` is that of the file it was written to: a recycled file's old frames are told apart by it."""

    type: FrameType
    file_number: int
    stream_id: bytes
    piece: int  # of its instance
    length: int  # bytes of payload after the header

    def encode(self) -> bytes:
        body = _HEADER.pack(MAGIC, self.type, self.file_number, self.stream_id, self.piece, self.length)
        return body + zlib.crc32(body).to_bytes(4, "big")


def decode_header(data: bytes) -> FrameHeader | None:
    """The header in the first HEADER_BYTES of `data`, or None where there is none: the end of what was written."""
    if len(data) < HEADER_BYTES or not data.startswith(MAGIC):
        return None
    if zlib.crc32(data[: _HEADER.size]) != int.from_bytes(data[_HEADER.size : HEADER_BYTES], "big"):
        return None
    _, frame_type, file_number, stream_id, piece, length = _HEADER.unpack_from(data)
    if frame_type not in (FrameType.PIECE, FrameType.RECEIPT):
        return None
    return FrameHeader(FrameType(frame_type), file_number, stream_id, piece, length)


class Location(NamedTuple):
    """Where a piece of ciphertext lies: bytes `offset` to `offset + length` of file `file_number`."""

    file_number: int
    offset: int
    length: int


@dataclass(frozen=True)
class Arrival:
    """Under which circumstances an instance came: what the network said, before anybody looked inside it."""

    calling_ae_title: str
    called_ae_title: str
    address: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    at: float  # Unix seconds by the box's clock


@dataclass(frozen=True)
class Receipt:
    """Everything that is needed to find, open and describe one spooled instance."""

    stream_id: bytes
    key: bytes
    size: int  # bytes of the dataset
    fingerprint: bytes  # keyed hash of the dataset: the same for the same bytes, on this box only
    pieces: tuple[Location, ...]
    arrival: Arrival

    def __repr__(self) -> str:  # the key and the UIDs must not reach a log
        return f"Receipt({self.stream_id.hex()[:8]}…, {self.size} bytes)"


def seal_receipt(receipt: Receipt, sealer: Sealer) -> bytes:
    value = {
        "key": base64url.encode(receipt.key),
        "size": receipt.size,
        "fingerprint": base64url.encode(receipt.fingerprint),
        "pieces": [[p.file_number, p.offset, p.length] for p in receipt.pieces],
        "arrival": [*vars(receipt.arrival).values()],
    }
    return sealer.seal_json(_label(receipt.stream_id), value)


def open_receipt(stream_id: bytes, sealed: bytes, sealer: Sealer) -> Receipt:
    """FormatError when it was altered, sealed under another spool key, or is of another version."""
    value = sealer.open_json(_label(stream_id), sealed)
    try:
        return Receipt(
            stream_id=stream_id,
            key=base64url.decode(value["key"], 32),
            size=value["size"],
            fingerprint=base64url.decode(value["fingerprint"]),
            pieces=tuple(Location(*piece) for piece in value["pieces"]),
            arrival=Arrival(*value["arrival"]),
        )
    except (KeyError, TypeError) as error:
        raise FormatError("a receipt in the spool is of another version") from error


def _label(stream_id: bytes) -> bytes:
    return b"receipt" + stream_id
