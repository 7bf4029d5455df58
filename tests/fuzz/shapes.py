"""hypothesis strategies for what has the shape of DICOM and lies in it: types, lengths, nesting, order."""

from __future__ import annotations

import struct
from collections.abc import Callable

from hypothesis import strategies as st

from tests.dicom.requests import CT
from tests.fakes.peers import any_command, element
from tests.fuzz.seeds import ABORT, RELEASE, REQUEST, pdata

Bytes = st.SearchStrategy[bytes]

LIES = st.sampled_from(
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 0xFF, 0xFFFE, 0xFFFF, 1 << 16, (1 << 16) + 1, 1 << 31, (1 << 32) - 1]
)
UIDS = st.sampled_from(
    [b"1.2.840.10008.1.2.1", CT.encode(), b"", b"\0", b"1" * 65, b"1." * 40_00, b"../../etc", b"\xff"]
)
SMALL = st.binary(max_size=40)


def framed(pack: Callable[[int, int], bytes], kinds: st.SearchStrategy[int], values: Bytes, bits: int) -> Bytes:
    """A header by `pack` of type and length, and the value; one length in four is a lie."""

    def build(kind: int, value: bytes, lie: int | None) -> bytes:
        return pack(kind, (len(value) if lie is None else lie) & ((1 << bits) - 1)) + value

    return st.builds(build, kinds, values, st.one_of(st.none(), st.none(), st.none(), LIES))


def _pdu_header(kind: int, length: int) -> bytes:
    return struct.pack(">BxI", kind, length)


def _pdv_header(kind: int, length: int) -> bytes:
    return struct.pack(">IBB", length, 1 + kind // 4 % 3 * 2, kind)


def _item_header(kind: int, length: int) -> bytes:
    return struct.pack(">BxH", kind, length)


def _element_header(number: int, length: int) -> bytes:
    return struct.pack("<HHI", number >> 16, number & 0xFFFF, length)


def joined(parts: Bytes, most: int) -> Bytes:
    return st.lists(parts, max_size=most).map(b"".join)


ITEM_KINDS = st.one_of(st.sampled_from([0x10, 0x20, 0x21, 0x30, 0x40, *range(0x50, 0x5A)]), st.integers(0, 255))
LEAVES = st.one_of(SMALL, UIDS)
ITEMS = st.recursive(
    framed(_item_header, ITEM_KINDS, LEAVES, 16),
    lambda inner: framed(_item_header, ITEM_KINDS, st.builds(bytes.__add__, SMALL, joined(inner, 5)), 16),
    max_leaves=12,
)
CONTEXTS = st.builds(
    lambda number, inner: struct.pack(">BxHBxxx", 0x20, (len(inner) + 4) & 0xFFFF, number) + inner,
    st.integers(0, 255),
    joined(framed(_item_header, st.sampled_from([0x30, 0x40, 0x40, 0x41]), LEAVES, 16), 4),
)
USER = framed(
    _item_header,
    st.just(0x50),
    joined(framed(_item_header, st.integers(0x50, 0x5A), st.one_of(st.binary(min_size=4, max_size=4), LEAVES), 16), 6),
    16,
)
REQUESTS = st.builds(lambda *parts: b"".join(parts), joined(st.one_of(ITEMS, CONTEXTS), 6), USER, joined(ITEMS, 1))

NUMBERS = st.sampled_from([0, 2, 3, 0x100, 0x110, 0x120, 0x700, 0x800, 0x900, 0x1000, 0x1001, 0x1005, 0x1008, 0x10002])
COMMAND_VALUES = st.one_of(st.binary(min_size=2, max_size=2), st.sampled_from([b"\1\0", b"\x30\1", b"\1\1"]), LEAVES)
COMMANDS = st.builds(
    bytes.__add__,
    st.sampled_from([b"", any_command(CT, 1), element(0x0100, b"\x30\0") + element(0x0800, b"\1\1")]),
    joined(framed(_element_header, NUMBERS, COMMAND_VALUES, 32), 8),
)

PDVS = joined(framed(_pdv_header, st.integers(0, 15), st.one_of(SMALL, COMMANDS), 32), 4)
PDUS = st.one_of(
    framed(_pdu_header, st.integers(0, 8), st.one_of(SMALL, PDVS, st.just(REQUEST[6:])), 32),
    st.sampled_from([REQUEST, RELEASE, ABORT, pdata(3, 3, any_command("1.2.840.10008.1.1", 0x30))]),
)
CONVERSATIONS = st.builds(
    lambda step, start, pdus: bytes([step]) + start + pdus,
    st.integers(0, 255),
    st.sampled_from([b"", REQUEST, REQUEST]),
    joined(PDUS, 8),
)

TAGS = st.sampled_from(
    [0x00080005, 0x00080016, 0x00080018, 0x00080020, 0x00081140, 0x00090010, 0x00100010, 0x00100020, 0x00100101,
     0x0020000D, 0x00280010, 0x00280008, 0x00400275, 0x7FE00010, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0, 0xFFFFFFFF,
     0x00081115, 0x00081150, 0x00081155, 0x00081199, 0x00400340, 0x00404021, 0x00741000, 0x20000010, 0x22000002]
)  # fmt: skip
VRS = st.sampled_from([b"SQ", b"UN", b"OB", b"PN", b"LO", b"UI", b"IS", b"US", b"CS", b"UT", b"??", b"zz", b"\0\0"])


def _explicit(order: str) -> Callable[[int, bytes, bytes, int | None], bytes]:
    def build(tag: int, vr: bytes, value: bytes, lie: int | None) -> bytes:
        length = len(value) if lie is None else lie
        where = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
        if tag >> 16 == 0xFFFE:
            return where + struct.pack(order + "I", length) + value
        if vr in (b"SQ", b"UN", b"OB", b"UT"):
            return where + vr + struct.pack(order + "xxI", length) + value
        return where + vr + struct.pack(order + "H", length & 0xFFFF) + value

    return build


def _implicit(tag: int, vr: bytes, value: bytes, lie: int | None) -> bytes:
    return _element_header(tag, len(value) if lie is None else lie) + value


def _elements(build: Callable[[int, bytes, bytes, int | None], bytes]) -> Bytes:
    lies = st.one_of(st.none(), st.none(), st.just(0xFFFFFFFF), LIES)
    return joined(
        st.recursive(
            st.builds(build, TAGS, VRS, LEAVES, lies),
            lambda inner: st.builds(build, TAGS, VRS, joined(inner, 5), lies),
            max_leaves=12,
        ),
        8,
    )


WRITTEN = st.one_of(_elements(_explicit("<")), _elements(_explicit(">")), _elements(_implicit))
DATASETS = st.builds(lambda kind, data: bytes([kind]) + data, st.integers(0, 255), WRITTEN)

TERMS = st.sampled_from(
    ["", "ISO_IR 100", "ISO_IR 192", "GB18030", "GBK", "ISO 2022 IR 87", "ISO 2022 IR 149", "ISO 2022 IR 58",
     "ISO_IR 13", "ISO 2022 IR 159", "latin1", "ISO_IR 9999", "\x1b"]
)  # fmt: skip
ESCAPES = st.sampled_from(
    [b"\x1b$B", b"\x1b(B", b"\x1b(J", b"\x1b$(D", b"\x1b$)C", b"\x1b$)A", b"\x1b)I", b"\x1b-A", b"\x1b"]
)
TEXTS = st.builds(
    lambda terms, value: "\\".join(terms).encode() + b"\n" + value,
    st.lists(TERMS, max_size=3),
    joined(st.one_of(ESCAPES, SMALL, st.sampled_from([b"^", b"=", b"\\", b"\xff\xff", b"\x80"])), 8),
)

BOUNDARIES = st.sampled_from(
    [b"\r\n--fuzz", b"--fuzz", b"\r\n--fuz", b"--", b"\r\n", b"\r", b" ", b"\r\n\r\n", b"A: b"]
)
META = joined(
    st.builds(
        _explicit("<"), st.sampled_from([0x00020000, 0x00020002, 0x00020003, 0x00020010, 0x00020102]), VRS, LEAVES,
        st.one_of(st.none(), LIES),
    ),
    6,
)  # fmt: skip
WEB_BODIES = st.builds(
    lambda step, start, pieces: bytes([step]) + start + pieces,
    st.integers(0, 255),
    st.sampled_from([b"", b"--fuzz\r\n\r\n" + bytes(128) + b"DICM"]),
    joined(st.one_of(BOUNDARIES, BOUNDARIES, SMALL, META), 12),
)

SHAPES: dict[str, Bytes] = {
    "conversation": CONVERSATIONS,
    "association_request": REQUESTS,
    "association_answer": REQUESTS,
    "command_set": COMMANDS,
    "dataset": DATASETS,
    "text": TEXTS,
    "commitment": DATASETS,
    "service": DATASETS,
    "web_body": WEB_BODIES,
}
