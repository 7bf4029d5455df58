"""Storage Commitment Push Model (PS3.4 annex J), answered so that nobody deletes an image on our word.

A modality may delete what has been committed. This box relays images and forgets them, so each request is understood,
and each instance that it names is reported as failed. Not here: sending (adapters/association.py).
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from appliance.dicom.dimse import Command, Status
from appliance.dicom.negotiation import EXPLICIT_BE, IMPLICIT_LE, STORAGE_COMMITMENT

WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"
REQUEST_COMMITMENT = 1  # action type, PS3.4 J.3.2
FAILURES_EXIST = 2  # event type, PS3.4 J.3.3

MAX_DATASET_BYTES = 4 << 20
MAX_INSTANCES = 16384  # more than a study has; they take 0.1 s to read, in which nobody else is served
MAX_DEPTH = 8  # of sequences that do not concern us

_CLASS, _INSTANCE, _TRANSACTION = 0x00081150, 0x00081155, 0x00081195
_REASON, _FAILED, _REFERENCED = 0x00081197, 0x00081198, 0x00081199
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_WANTED = frozenset((_CLASS, _INSTANCE, _TRANSACTION))
_UNDEFINED_LENGTH = 0xFFFFFFFF
_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_UID = re.compile(rb"[0-9.]{1,64}")


class UnreadableError(ValueError):
    """The dataset is not a request for storage commitment."""


class TooManyError(ValueError):
    pass


class Reference(NamedTuple):
    sop_class_uid: bytes
    sop_instance_uid: bytes


class Request(NamedTuple):
    """The Action Information of an N-ACTION-RQ (PS3.4 table J.3-1)."""

    transaction_uid: bytes
    references: list[Reference]


class Verdict(NamedTuple):
    status: Status  # of the N-ACTION-RSP
    report: bytes  # Event Information of the N-EVENT-REPORT-RQ that follows; b"" where none does


class Action:
    """An N-ACTION-RQ whose dataset is arriving."""

    def __init__(self, context_id: int, command: Command, transfer_syntax: str) -> None:
        self.context_id = context_id
        self.command = command
        self._transfer_syntax = transfer_syntax
        self._dataset = bytearray()
        self._too_long = False

    def write(self, value: memoryview) -> None:
        if self._too_long or len(self._dataset) + len(value) > MAX_DATASET_BYTES:
            self._too_long = True
            self._dataset.clear()
        else:
            self._dataset += value

    def decide(self) -> Verdict:
        """What to answer. No dataset makes this raise."""
        command = self.command
        if command.sop_class_uid != STORAGE_COMMITMENT:
            return Verdict(Status.NO_SUCH_SOP_CLASS, b"")
        if command.sop_instance_uid != WELL_KNOWN_INSTANCE:
            return Verdict(Status.NO_SUCH_SOP_INSTANCE, b"")
        if command.action_type != REQUEST_COMMITMENT:
            return Verdict(Status.NO_SUCH_ACTION, b"")
        if self._too_long:
            return Verdict(Status.RESOURCE_LIMITATION, b"")
        try:
            request = decode_request(bytes(self._dataset), self._transfer_syntax)
        except UnreadableError:
            return Verdict(Status.PROCESSING_FAILURE, b"")
        except TooManyError:
            return Verdict(Status.RESOURCE_LIMITATION, b"")
        return Verdict(Status.SUCCESS, encode_failures(request, self._transfer_syntax))


def decode_request(data: bytes, transfer_syntax: str) -> Request:
    """UnreadableError when it is none; TooManyError for more than MAX_INSTANCES."""
    try:
        found, _ = _Reader(data, transfer_syntax).elements(0, len(data), 0)
    except struct.error:
        raise UnreadableError("cut short") from None
    items = found.get(_REFERENCED)
    if not isinstance(items, list) or not items:
        raise UnreadableError("no instances")
    return Request(_uid(found, _TRANSACTION), [Reference(_uid(item, _CLASS), _uid(item, _INSTANCE)) for item in items])


_Elements = dict[int, "bytes | list[_Elements]"]


def _uid(found: _Elements, tag: int) -> bytes:
    value = found.get(tag)
    uid = value.rstrip(b"\0 ") if isinstance(value, bytes) else b""
    if not _UID.fullmatch(uid):
        raise UnreadableError("a UID is missing, or is none")
    return uid


class _Reader:
    """Elements of a small dataset in memory: three UIDs and one sequence; whatever else there is, is skipped."""

    def __init__(self, data: bytes, transfer_syntax: str) -> None:
        order = ">" if transfer_syntax == EXPLICIT_BE else "<"
        self._data = data
        self._explicit = transfer_syntax != IMPLICIT_LE
        self._tag_and_long = struct.Struct(order + "HHI").unpack_from
        self._short = struct.Struct(order + "H").unpack_from
        self._long = struct.Struct(order + "I").unpack_from

    def elements(self, at: int, end: int | None, depth: int) -> tuple[_Elements, int]:
        """Elements up to `end`, or to the item's delimiter where that is None; and where the next thing starts."""
        found: _Elements = {}
        limit = len(self._data) if end is None else end
        while at != end:
            tag, at, length = self._header(at)
            if tag == _ITEM_END and end is None:
                return found, at
            if length == _UNDEFINED_LENGTH or (tag == _REFERENCED and depth == 0):
                found[tag], at = self._items(at, length, depth + 1)
            else:
                if tag in _WANTED:
                    found[tag] = self._data[at : at + length]
                at += length
            if at > limit:
                raise UnreadableError("an element is longer than what holds it")
        return found, at

    def _items(self, at: int, length: int, depth: int) -> tuple[list[_Elements], int]:
        if depth > MAX_DEPTH:
            raise UnreadableError("sequences too deep")
        items: list[_Elements] = []
        end = None if length == _UNDEFINED_LENGTH else at + length
        while at != end:
            tag, at, size = self._header(at)
            if tag == _SEQUENCE_END and end is None:
                return items, at
            if tag != _ITEM or (end is not None and at > end):
                raise UnreadableError("a sequence holds something else than items")
            if len(items) >= MAX_INSTANCES:
                raise TooManyError
            item, at = self.elements(at, None if size == _UNDEFINED_LENGTH else at + size, depth)
            items.append(item)
        return items, at

    def _header(self, at: int) -> tuple[int, int, int]:
        """Tag, where the value starts, its length (PS3.5 section 7.1). struct.error when there is no more."""
        group, element, length = self._tag_and_long(self._data, at)
        if self._explicit and group != 0xFFFE:
            if self._data[at + 4 : at + 6] in _LONG_VRS:
                return group << 16 | element, at + 12, self._long(self._data, at + 8)[0]
            length = self._short(self._data, at + 6)[0]
        return group << 16 | element, at + 8, length


def encode_failures(request: Request, transfer_syntax: str) -> bytes:
    """Event Information "failures exist" (PS3.4 table J.3-2): every instance failed, none committed."""
    order = ">" if transfer_syntax == EXPLICIT_BE else "<"
    explicit = transfer_syntax != IMPLICIT_LE

    def element(tag: int, vr: bytes, value: bytes) -> bytes:
        where = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
        if not explicit or tag == _ITEM:
            return where + struct.pack(order + "I", len(value)) + value
        if vr in _LONG_VRS:
            return where + vr + struct.pack(order + "2xI", len(value)) + value
        return where + vr + struct.pack(order + "H", len(value)) + value

    def uid(tag: int, value: bytes) -> bytes:
        return element(tag, b"UI", value + b"\0" * (len(value) % 2))

    reason = element(_REASON, b"US", struct.pack(order + "H", Status.PROCESSING_FAILURE))
    items = (
        element(_ITEM, b"", uid(_CLASS, class_uid) + uid(_INSTANCE, instance_uid) + reason)
        for class_uid, instance_uid in request.references
    )
    return uid(_TRANSACTION, request.transaction_uid) + element(_FAILED, b"SQ", b"".join(items))
