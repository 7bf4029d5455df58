"""A DICOM Part 10 file around a dataset that is passed through untouched (PS3.10 section 7.1)."""

from __future__ import annotations

import struct

from appliance.errors import FormatError

IMPLEMENTATION_CLASS_UID = "1.2.826.0.1.3680043.10.1733.1.1"
IMPLEMENTATION_VERSION_NAME = "SLIPWAY_1"
_LONG_VRS = (b"OB",)
_LONGEST_VALUE_BYTES = 0xFFFE  # of a short VR. A valid UID has 64, but senders' longer ones are kept as they are


def header(sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> bytes:
    """Preamble, prefix and file meta information: what stands before the dataset's first byte.

    The preamble is zero: another program could otherwise hide in it (CVE-2019-11687).
    """
    elements = b"".join(
        (
            _element(0x0001, b"OB", b"\x00\x01"),
            _element(0x0002, b"UI", _uid(sop_class_uid)),
            _element(0x0003, b"UI", _uid(sop_instance_uid)),
            _element(0x0010, b"UI", _uid(transfer_syntax)),
            _element(0x0012, b"UI", _uid(IMPLEMENTATION_CLASS_UID)),
            _element(0x0013, b"SH", _even(IMPLEMENTATION_VERSION_NAME.encode(), b" ")),
        )
    )
    length = _element(0x0000, b"UL", struct.pack("<I", len(elements)))
    return bytes(128) + b"DICM" + length + elements


def _element(element: int, vr: bytes, value: bytes) -> bytes:
    tag = struct.pack("<HH", 0x0002, element) + vr
    size = struct.pack("<xxI", len(value)) if vr in _LONG_VRS else struct.pack("<H", len(value))
    return tag + size + value


def _uid(text: str) -> bytes:
    if len(text) > _LONGEST_VALUE_BYTES:
        raise FormatError("a UID is too long for a file")
    return _even(text.encode("ascii", "replace"), b"\0")


def _even(value: bytes, padding: bytes) -> bytes:
    return value + padding if len(value) % 2 else value
