"""Protocol data units of the DICOM upper layer (PS3.8 section 9.3): values to bytes and back.

Written for peers that lie: pynetdicom's classes take 130 ms for a request of 128 KiB, and warn of what it holds.
P-DATA-TF is not decoded here: `upper_layer` hands its fragments out while they arrive.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum

from appliance.errors import ProtocolError
from appliance.formats.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME


class PduType(IntEnum):
    ASSOCIATE_RQ = 0x01
    ASSOCIATE_AC = 0x02
    ASSOCIATE_RJ = 0x03
    P_DATA = 0x04
    RELEASE_RQ = 0x05
    RELEASE_RP = 0x06
    ABORT = 0x07


class ItemType(IntEnum):
    """Of the variable items, PS3.8 section 9.3.2 and PS3.7 annex D.3.3."""

    APPLICATION_CONTEXT = 0x10
    PROPOSED_CONTEXT = 0x20
    ANSWERED_CONTEXT = 0x21
    ABSTRACT_SYNTAX = 0x30
    TRANSFER_SYNTAX = 0x40
    USER_INFORMATION = 0x50
    MAXIMUM_LENGTH = 0x51
    IMPLEMENTATION = 0x52
    OPERATIONS_WINDOW = 0x53
    ROLE_SELECTION = 0x54
    IMPLEMENTATION_VERSION = 0x55


APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"  # PS3.7 annex A.2.1, the only one
MOST_ITEMS = 130  # the application context, 128 presentation contexts (their ids are odd bytes), user information
MOST_INNER_ITEMS = 6000  # as many as the longest request can hold of real ones, 128 KiB by 23 bytes

MOST_INVOKED = 16  # requests of a requestor that may be unanswered at once: a line's delay costs one answer in 16
MOST_PERFORMED = 1  # reports of ours that it has to answer at once

_FIRST_ITEM = 74  # bytes before the variable items of an A-ASSOCIATE-RQ, PS3.8 table 9-11
_CONTEXT_HEADER_BYTES = 4  # the id, and what is reserved
_UID_BYTES_MAX = 64

RELEASE_RQ = struct.pack(">BxI4x", PduType.RELEASE_RQ, 4)
RELEASE_RP = struct.pack(">BxI4x", PduType.RELEASE_RP, 4)


class Result(IntEnum):
    """Presentation context result, PS3.8 table 9-18."""

    ACCEPTED = 0
    USER_REJECTION = 1
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True)
class ProposedContext:
    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True)
class AcceptedContext:
    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    result: Result


@dataclass(frozen=True)
class OperationsWindow:
    """Asynchronous operations window, PS3.7 section D.3.3.3, as the requestor sees it; 0 is no limit."""

    invoked: int  # operations that the requestor may have outstanding
    performed: int  # operations of the acceptor's that the requestor takes at once

    def narrowed(self) -> OperationsWindow:
        """What the box agrees to."""
        return OperationsWindow(
            min(self.invoked or MOST_INVOKED, MOST_INVOKED), min(self.performed or MOST_PERFORMED, MOST_PERFORMED)
        )


@dataclass(frozen=True)
class AssociateRequest:
    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[ProposedContext, ...]
    maximum_length: int  # bytes of a P-DATA-TF PDU that the requestor takes; 0 is no limit
    implementation: str
    window: OperationsWindow | None = None  # None: one operation at a time


@dataclass(frozen=True)
class Rejection:
    """A-ASSOCIATE-RJ, PS3.8 table 9-21."""

    result: int  # 1 permanent, 2 transient
    source: int  # 1 user, 2 provider (ACSE), 3 provider (presentation)
    reason: int
    sentence: str = field(default="", compare=False)

    def encode(self) -> bytes:
        return struct.pack(">BxIxBBB", PduType.ASSOCIATE_RJ, 4, self.result, self.source, self.reason)


CALLED_AE_UNKNOWN = Rejection(1, 1, 7, "the called AE title is not one of this box's profiles")
CALLING_AE_UNKNOWN = Rejection(1, 1, 3, "the sender is not an approved peer")
TOO_MANY = Rejection(2, 3, 2, "too many associations at once")


def abort(source: int, reason: int) -> bytes:
    """A-ABORT, PS3.8 table 9-26: source 0 is the service user, 2 the service provider."""
    return struct.pack(">BxIxxBB", PduType.ABORT, 4, source, reason)


def decode_associate_rq(data: bytes) -> AssociateRequest:
    """The request in a whole A-ASSOCIATE-RQ PDU. ProtocolError when it is malformed (PS3.8 section 9.3.2).

    At most some 5 ms for the longest that is taken: it is read before anybody knows who sent it, and meanwhile all
    others wait.
    """
    contexts: list[ProposedContext] = []
    user: list[bytes] = []
    inner_left = MOST_INNER_ITEMS
    for kind, value in _items(data, _FIRST_ITEM, MOST_ITEMS):
        if kind == ItemType.PROPOSED_CONTEXT:
            inner = _items(value, _CONTEXT_HEADER_BYTES, inner_left)
            inner_left -= len(inner)
            contexts.append(_proposed_context(value, inner))
        elif kind == ItemType.USER_INFORMATION:
            user.append(value)
    if len(user) != 1:
        raise ProtocolError("an association request holds no user information, or twice")
    if len({context.context_id for context in contexts}) < len(contexts):
        # Images would be taken for the transfer syntax of the other one.
        raise ProtocolError("an association request proposes two presentation contexts under one id")
    return AssociateRequest(_title(data[10:26]), _title(data[26:42]), tuple(contexts), *_user_information(user[0]))


def _items(data: bytes, at: int, most: int) -> list[tuple[int, bytes]]:
    """(type, value) of each item from `at` to the end; PS3.8 section 9.3.1: the unknown ones are to be skipped."""
    found: list[tuple[int, bytes]] = []
    while at < len(data) and len(found) < most:
        end = at + 4 + int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((data[at], data[at + 4 : end]))
        at = end
    if at != len(data):
        raise ProtocolError("an association request holds too many items, or one that is longer than what holds it")
    return found


def _proposed_context(value: bytes, inner: list[tuple[int, bytes]]) -> ProposedContext:
    """PS3.8 table 9-13. What is no UID is for the negotiation to refuse."""
    if len(value) < _CONTEXT_HEADER_BYTES or not value[0] % 2:
        raise ProtocolError("an association request holds a presentation context without a valid id")
    abstract = [_uid(value) for kind, value in inner if kind == ItemType.ABSTRACT_SYNTAX]
    transfer = tuple(_uid(value) for kind, value in inner if kind == ItemType.TRANSFER_SYNTAX)
    return ProposedContext(value[0], abstract[0] if len(abstract) == 1 else "", transfer)


def _user_information(value: bytes) -> tuple[int, str, OperationsWindow | None]:
    """Maximum length, implementation's UID, operations window (PS3.7 annex D.3.3); the rest is not negotiated."""
    found = dict(_items(value, 0, MOST_INNER_ITEMS))
    length, implementation = found.get(ItemType.MAXIMUM_LENGTH, bytes(4)), _uid(found.get(ItemType.IMPLEMENTATION, b""))
    if len(length) != 4 or len(implementation) > _UID_BYTES_MAX:
        raise ProtocolError("an association request's user information cannot be read")
    window = found.get(ItemType.OPERATIONS_WINDOW, b"")
    operations = OperationsWindow(*struct.unpack(">HH", window)) if len(window) == 4 else None
    return int.from_bytes(length, "big"), implementation, operations


def _uid(value: bytes) -> str:
    return value.decode("latin_1").strip(" \0")


def _title(value: bytes) -> str:
    """PS3.8 table 9-11. Latin-1, as that keeps titles apart that are not ASCII, and gives the same bytes again."""
    title = value.decode("latin_1").strip(" \0")
    if not title:
        raise ProtocolError("an association request names no AE title")
    return title


def encode_associate_ac(request: AssociateRequest, contexts: tuple[AcceptedContext, ...], maximum_length: int) -> bytes:
    """A-ASSOCIATE-AC (PS3.8 section 9.3.3) that announces `maximum_length` bytes for P-DATA-TF PDUs to us."""
    items = [_item(ItemType.APPLICATION_CONTEXT, APPLICATION_CONTEXT)]
    for context in contexts:
        syntax = _item(ItemType.TRANSFER_SYNTAX, context.transfer_syntax.encode("latin_1"))
        items.append(_item(ItemType.ANSWERED_CONTEXT, bytes((context.context_id, 0, context.result, 0)) + syntax))
    user = _item(ItemType.MAXIMUM_LENGTH, maximum_length.to_bytes(4, "big"))
    user += _item(ItemType.IMPLEMENTATION, IMPLEMENTATION_CLASS_UID.encode())
    if request.window is not None:
        window = request.window.narrowed()
        user += _item(ItemType.OPERATIONS_WINDOW, struct.pack(">HH", window.invoked, window.performed))
    user += _item(ItemType.IMPLEMENTATION_VERSION, IMPLEMENTATION_VERSION_NAME.encode())
    items.append(_item(ItemType.USER_INFORMATION, user))
    titles = (title.encode("latin_1").ljust(16) for title in (request.called_ae_title, request.calling_ae_title))
    body = struct.pack(">Hxx", 1) + b"".join(titles) + bytes(32) + b"".join(items)
    return struct.pack(">BxI", PduType.ASSOCIATE_AC, len(body)) + body


def encode_associate_rq(
    calling: str, called: str, context_id: int, abstract_syntax: str, transfer_syntax: str, *, as_scp: bool = False
) -> bytes:
    """A-ASSOCIATE-RQ (PS3.8 section 9.3.2) that proposes one presentation context, for what the box asks of others.

    `as_scp`: the box is the provider, although it calls (PS3.7 annex D.3.3.4).
    """
    syntaxes = _item(ItemType.ABSTRACT_SYNTAX, abstract_syntax.encode())
    syntaxes += _item(ItemType.TRANSFER_SYNTAX, transfer_syntax.encode())
    user = _item(ItemType.MAXIMUM_LENGTH, (1 << 14).to_bytes(4, "big"))
    user += _item(ItemType.IMPLEMENTATION, IMPLEMENTATION_CLASS_UID.encode())
    if as_scp:
        uid = abstract_syntax.encode()
        user += _item(ItemType.ROLE_SELECTION, struct.pack(">H", len(uid)) + uid + b"\0\1")
    user += _item(ItemType.IMPLEMENTATION_VERSION, IMPLEMENTATION_VERSION_NAME.encode())
    titles = (title.encode("latin_1").ljust(16) for title in (called, calling))
    body = struct.pack(">Hxx", 1) + b"".join(titles) + bytes(32)
    body += _item(ItemType.APPLICATION_CONTEXT, APPLICATION_CONTEXT)
    body += _item(ItemType.PROPOSED_CONTEXT, bytes((context_id, 0, 0, 0)) + syntaxes)
    body += _item(ItemType.USER_INFORMATION, user)
    return struct.pack(">BxI", PduType.ASSOCIATE_RQ, len(body)) + body


def decode_associate_ac(data: bytes) -> tuple[frozenset[int], int]:
    """Of a whole A-ASSOCIATE-AC PDU: ids of the accepted contexts, bytes of a P-DATA-TF that the acceptor takes."""
    items = _items(data, _FIRST_ITEM, MOST_ITEMS)
    answered = [value for kind, value in items if kind == ItemType.ANSWERED_CONTEXT and len(value) >= 4]
    accepted = frozenset(value[0] for value in answered if value[2] == Result.ACCEPTED)
    user = [value for kind, value in items if kind == ItemType.USER_INFORMATION]
    return accepted, _user_information(user[0])[0] if user else 0


def _item(kind: ItemType, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value
