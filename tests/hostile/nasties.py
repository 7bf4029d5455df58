"""Instances and requests of which each has brought some reader of DICOM down, and what the box is to make of them.

All are made here, of invented people, byte by byte: no library would write them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from tests.fakes.peers import CT, LITTLE

IMPLICIT, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"
PRIVATE_SYNTAX, PRIVATE_CLASS = "1.2.826.0.1.3680043.10.1337.1.1", "1.2.826.0.1.3680043.10.1337.1.2"
MEBIBYTE = 1 << 20
LONG = (b"OB", b"OW", b"SQ", b"UN", b"UT")
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = (
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
    b"\xfe\xff\x0d\xe0\0\0\0\0",
    b"\xfe\xff\xdd\xe0\0\0\0\0",
)
NUMBERS = count(1)  # of patients, so that none joins another


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """Explicit VR little endian; `length` says another one than it has."""
    size = len(value) if length is None else length
    where = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    return where + (struct.pack("<xxI", size) if vr in LONG else struct.pack("<H", size)) + value


def good() -> dict[int, tuple[bytes, bytes]]:
    """The elements of a small image of a patient who is nobody else."""
    number = b"%04d" % next(NUMBERS)
    return {
        0x00080005: (b"CS", b"ISO_IR 100"),
        0x00080016: (b"UI", CT.encode() + b"\0"),
        0x00080018: (b"UI", b"1.2.826.47.1" + number),
        0x00100010: (b"PN", b"Example^Ada" + number + b" "),  # of no other: similar IDs and one name would be held
        0x00100020: (b"LO", b"NASTY" + number + b" "),
        0x00100030: (b"DA", b"19700131"),
        0x0020000D: (b"UI", b"1.2.826.47.2" + number),
        0x0020000E: (b"UI", b"1.2.826.47.3" + number),
        0x00200011: (b"IS", b"1 "),
        0x00200013: (b"IS", b"1 "),
        0x00280010: (b"US", b"\2\0"),
        0x00280011: (b"US", b"\2\0"),
        0x7FE00010: (b"OW", bytes(8)),
    }


def dataset(changed: dict[int, bytes] | None = None) -> bytes:
    """A good one, but for what is changed: tag to whole element, or to whatever stands there."""
    elements = {tag: element(tag, *written) for tag, written in good().items()} | (changed or {})
    return b"".join(elements[tag] for tag in sorted(elements))


def with_value(tag: int, vr: bytes, value: bytes) -> bytes:
    return dataset({tag: element(tag, vr, value)})


def implicit(changed: dict[int, bytes]) -> bytes:
    values = {tag: value for tag, (_, value) in good().items()} | changed
    return b"".join(struct.pack("<HHI", t >> 16, t & 0xFFFF, len(v)) + v for t, v in sorted(values.items()))


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def nested(depth: int) -> bytes:
    opened = element(0x00081140, b"SQ", b"", UNDEFINED) + ITEM
    return opened * depth + (ITEM_END + SEQUENCE_END) * depth


@dataclass(frozen=True)
class Nasty:
    """One C-STORE. `held`: kept, and a person decides; else it is placed as any other."""

    dataset: bytes
    held: bool
    syntax: str = LITTLE
    sop_class: str = CT
    uid: str = field(default_factory=lambda: f"1.2.826.47.1{next(NUMBERS):04d}")
    status: int = 0x0000


STORED: dict[str, Callable[[], Nasty]] = {  # made when they are sent: some are large
    "sequences 5,000 deep": lambda: Nasty(dataset({0x00081140: nested(5000)}), held=True),
    "sequences 20 deep": lambda: Nasty(dataset({0x00081140: nested(20)}), held=False),
    "inflates 1,000 times before the patient": lambda: Nasty(
        deflated(dataset({0x00091001: element(0x00091001, b"OB", bytes(64 * MEBIBYTE))})), held=True, syntax=DEFLATED
    ),
    "inflates 1,000 times after the patient": lambda: Nasty(
        deflated(with_value(0x7FE00010, b"OB", bytes(64 * MEBIBYTE))), held=False, syntax=DEFLATED
    ),
    "a deflated dataset that is none": lambda: Nasty(b"\xff" * 500, held=True, syntax=DEFLATED),
    "a sequence without an end": lambda: Nasty(
        dataset({0x00081140: element(0x00081140, b"SQ", b"", UNDEFINED)}), held=True
    ),
    "bytes of undefined length": lambda: Nasty(
        dataset({0x00091001: element(0x00091001, b"OB", b"", UNDEFINED)}), held=True
    ),
    "an element longer than the dataset": lambda: Nasty(
        dataset({0x00091001: element(0x00091001, b"OB", b"", UNDEFINED - 1)}), held=True
    ),
    "VRs that do not exist": lambda: Nasty(dataset({0x00091001: element(0x00091001, b"zz", b"1234")}), held=True),
    "a VR of a later standard": lambda: Nasty(
        dataset({0x00091001: struct.pack("<HH2sxxI", 9, 0x1001, b"XY", 4) + bytes(4)}), held=False
    ),
    "rows and columns as UL": lambda: Nasty(
        dataset({t: element(t, b"UL", b"\2\0\0\0") for t in (0x00280010, 0x00280011)}), held=False
    ),
    "9 EiB of pixels by its rows, columns and frames": lambda: Nasty(
        dataset(
            {
                0x00280008: element(0x00280008, b"IS", b"2147483647"),
                0x00280010: element(0x00280010, b"US", b"\xff\xff"),
                0x00280011: element(0x00280011, b"US", b"\xff\xff"),
            }
        ),
        held=False,
    ),
    "a negative number of frames": lambda: Nasty(with_value(0x00280008, b"IS", b"-1"), held=False),
    "a number of 40 digits": lambda: Nasty(with_value(0x00280008, b"IS", b"9" * 40), held=True),
    "a million elements before the patient": lambda: Nasty(
        dataset({0x00091001: b"".join(struct.pack("<HH2sH", 9, 0x1001, b"LO", 0) for _ in range(1_000_000))}), held=True
    ),
    "a name of 64 MiB": lambda: Nasty(implicit({0x00100010: b"A" * (64 * MEBIBYTE)}), held=True, syntax=IMPLICIT),
    "a private SOP class": lambda: Nasty(dataset(), held=False, sop_class=PRIVATE_CLASS),
    "a transfer syntax that nobody knows": lambda: Nasty(dataset(), held=False, syntax=PRIVATE_SYNTAX),
    "no SOP Instance UID": lambda: Nasty(dataset(), held=False, uid="", status=0xC000),
    "a UID of 65 digits": lambda: Nasty(with_value(0x00080018, b"UI", b"1" * 65), held=True, uid="1" * 65),
    "a UID of 30,000 digits": lambda: Nasty(with_value(0x00080018, b"UI", b"1" * 30_000), held=True, uid="1" * 30_000),
    "a study UID of 65 digits": lambda: Nasty(with_value(0x0020000D, b"UI", b"1" * 65), held=True),
    "a UID that climbs": lambda: Nasty(
        with_value(0x00080018, b"UI", b"../../../../tmp/nasty"), held=True, uid="../../../../tmp/nasty"
    ),
    "a UID that is a path": lambda: Nasty(with_value(0x00080018, b"UI", b"/tmp/nasty"), held=True, uid="/tmp/nasty"),
    "a UID with a NUL": lambda: Nasty(with_value(0x00080018, b"UI", b"1.2\0.3"), held=True, uid="1.2\0.3"),
    "a UID with escaped dots": lambda: Nasty(
        with_value(0x00080018, b"UI", b"%2e%2e%2fnasty"), held=True, uid="%2e%2e%2fnasty"
    ),
    "a program in the preamble": lambda: Nasty(b"\x7fELF".ljust(128, b"\0") + b"DICM" + dataset(), held=True),
    "nothing at all": lambda: Nasty(b"", held=True),
    "one byte": lambda: Nasty(b"\x08", held=True),
    "the patient twice": lambda: Nasty(
        dataset({0x00100020: element(0x00100020, b"LO", b"NASTY 1 ") + element(0x00100020, b"LO", b"NASTY 2 ")}),
        held=True,
    ),
    "a character set that does not exist": lambda: Nasty(with_value(0x00080005, b"CS", b"ISO_IR 999"), held=True),
    "a name that speaks to the printer": lambda: Nasty(
        with_value(0x00100010, b"PN", b"\x1b@\x1dV\0^\x1b\x70\0"), held=True
    ),
    "group 0002 in the dataset": lambda: Nasty(
        dataset({0x00020010: element(0x00020010, b"UI", b"1.2.840.10008.1.2.5\0")}), held=False
    ),
}
