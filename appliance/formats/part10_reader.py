"""What stands before the dataset in a DICOM Part 10 file: preamble and File Meta Information (PS3.10 section 7.1).

Read as it arrives. The dataset behind it is somebody else's; `part10` writes such a head.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from appliance.errors import FormatError

PREAMBLE_BYTES = 128
PREFIX = b"DICM"
HEAD_BYTES_MAX = 64 << 10  # preamble and all; real ones have under 1 KiB

_META_GROUP = b"\x02\x00"
_GROUP_LENGTH, _SOP_CLASS, _SOP_INSTANCE, _TRANSFER_SYNTAX = 0x0000, 0x0002, 0x0003, 0x0010
_WANTED = (_SOP_CLASS, _SOP_INSTANCE, _TRANSFER_SYNTAX)
_DEFLATED_LE = b"1.2.840.10008.1.2.1.99"
_UID = re.compile(r"[0-9.]{3,128}")  # senders' longer ones than 64 are kept as they are
_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_SHORT = struct.Struct("<2xH2sH")
_LONG = struct.Struct("<I")

_HINT = "Send DICOM files (PS3.10) as they are: preamble, DICM, File Meta Information, dataset."


@dataclass(frozen=True, repr=False)
class FileMeta:
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str


class Part10Reader:
    """The head of one file. FormatError for what is none."""

    def __init__(self) -> None:
        self.meta: FileMeta | None = None  # once all of it is here
        self._held = bytearray()
        self._at = 0  # what is before it has been read
        self._end = 0  # of the group, as its length says; 0 where nothing does
        self._found: dict[int, bytes] = {}

    def receive(self, data: memoryview) -> memoryview:
        """What of `data` belongs to the dataset: nothing before there is `meta`; not called after that."""
        before = len(self._held)
        self._held += data[: HEAD_BYTES_MAX - before]
        while self._at == 0 or not self._is_over():
            if not (self._take_element() if self._at else self._take_prefix()):
                if len(self._held) == HEAD_BYTES_MAX:
                    raise FormatError("the File Meta Information of a part is too long", hint=_HINT)
                return data[len(data) :]
        self.meta = FileMeta(*(self._uid(element) for element in (_SOP_CLASS, _SOP_INSTANCE, _TRANSFER_SYNTAX)))
        early = bytes(self._held[self._at : before])  # the dataset's first byte came at the end of an earlier piece
        rest = data[max(0, self._at - before) :]
        self._held.clear()
        return memoryview(early + rest) if early else rest

    def _take_prefix(self) -> bool:
        whole = PREAMBLE_BYTES + len(PREFIX)
        if len(self._held) < whole:
            return False
        if self._held[PREAMBLE_BYTES:whole] != PREFIX:
            raise FormatError("a part is no DICOM file: there is no DICM after 128 bytes", hint=_HINT)
        self._at = whole
        return True

    def _is_over(self) -> bool:
        """The group ends where another begins, whatever its length says, as some writers count wrong.

        A deflated dataset may begin with any bytes: there the length decides.
        """
        if self._end and self._found.get(_TRANSFER_SYNTAX, b"").rstrip(b"\0 ") == _DEFLATED_LE:
            return self._at >= self._end
        group = self._held[self._at : self._at + 2]
        return len(group) == 2 and group != _META_GROUP

    def _take_element(self) -> bool:
        """Explicit VR, little endian, whatever the dataset's transfer syntax is (PS3.10 section 7.1)."""
        at, held = self._at, self._held
        if len(held) < at + _SHORT.size:
            return False
        element, vr, length = _SHORT.unpack_from(held, at)
        if not (vr.isalpha() and vr.isupper()):
            raise FormatError("the File Meta Information of a part cannot be read", hint=_HINT)
        start = at + _SHORT.size
        if vr in _LONG_VRS:
            start += _LONG.size
            if len(held) < start:
                return False
            (length,) = _LONG.unpack_from(held, start - _LONG.size)
        if start + length > HEAD_BYTES_MAX:
            raise FormatError("the File Meta Information of a part is too long", hint=_HINT)
        if len(held) < start + length:
            return False
        self._at = start + length
        if element == _GROUP_LENGTH and length == _LONG.size:
            self._end = self._at + _LONG.unpack_from(held, start)[0]
        elif element in _WANTED:
            self._found.setdefault(element, bytes(held[start : self._at]))
        return True

    def _uid(self, element: int) -> str:
        text = self._found.get(element, b"").decode("ascii", "replace").rstrip("\0 ")
        if not _UID.fullmatch(text):
            raise FormatError(f"the File Meta Information of a part has no valid (0002,{element:04X})", hint=_HINT)
        return text
