"""Protocol data units of the DICOM upper layer (PS3.8 section 9.3): values to bytes and back.

pynetdicom's PDU classes read and write the negotiation; the rest is small enough to be prebuilt here.
P-DATA-TF is not decoded here: `upper_layer` hands its fragments out while they arrive.
"""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass, field
from enum import IntEnum

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import PresentationContext

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


_FIRST_ITEM = 74  # bytes before the variable items of an A-ASSOCIATE-RQ, PS3.8 table 9-11
MOST_ITEMS = 130  # the application context, 128 presentation contexts (their ids are odd bytes), user information

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
class AssociateRequest:
    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[ProposedContext, ...]
    maximum_length: int  # bytes of a P-DATA-TF PDU that the requestor takes; 0 is no limit
    implementation: str


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


# What pynetdicom's decoders raise on malformed items; its checks of lengths are assertions.
_UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
    AssertionError,
    struct.error,
)


def decode_associate_rq(data: bytes) -> AssociateRequest:
    """The request in a whole A-ASSOCIATE-RQ PDU. ProtocolError when it is malformed (PS3.8 section 9.3.2)."""
    _check_items(data)
    try:
        with warnings.catch_warnings():
            # Each warning would quote the peer in the log, and be remembered for as long as the box runs.
            warnings.simplefilter("ignore")
            request = _decode(data)
    except _UNREADABLE as error:
        raise ProtocolError("an association request could not be read") from error
    ids = [context.context_id for context in request.contexts]
    if len(set(ids)) < len(ids):  # images would be taken for the transfer syntax of the other one
        raise ProtocolError("an association request proposes two presentation contexts under one id")
    return request


def _check_items(data: bytes) -> None:
    """Refuse what has more items than a request can: to decode thousands of them would hold up everybody."""
    position, items = _FIRST_ITEM, 0
    while position < len(data):
        position += 4 + int.from_bytes(data[position + 2 : position + 4], "big")
        items += 1
    if position != len(data) or items > MOST_ITEMS:
        raise ProtocolError("an association request holds too many items, or one that is longer than the request")


def _decode(data: bytes) -> AssociateRequest:
    pdu = A_ASSOCIATE_RQ()
    pdu.decode(data)
    primitive = pdu.to_primitive()
    contexts = tuple(
        ProposedContext(
            context.context_id, str(context.abstract_syntax or ""), tuple(map(str, context.transfer_syntax))
        )
        for context in primitive.presentation_context_definition_list
        if context.context_id is not None
    )
    return AssociateRequest(
        called_ae_title=str(primitive.called_ae_title).strip(),
        calling_ae_title=str(primitive.calling_ae_title).strip(),
        contexts=contexts,
        maximum_length=primitive.maximum_length_received or 0,
        implementation=str(primitive.implementation_class_uid or ""),
    )


def encode_associate_ac(request: AssociateRequest, contexts: tuple[AcceptedContext, ...], maximum_length: int) -> bytes:
    """A-ASSOCIATE-AC (PS3.8 section 9.3.3) that announces `maximum_length` bytes for P-DATA-TF PDUs to us."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _encode(request, contexts, maximum_length)


def _encode(request: AssociateRequest, contexts: tuple[AcceptedContext, ...], maximum_length: int) -> bytes:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title = request.calling_ae_title
    primitive.called_ae_title = request.called_ae_title
    primitive.presentation_context_definition_results_list = [_result_item(context) for context in contexts]
    length, uid, version = (
        MaximumLengthNotification(),
        ImplementationClassUIDNotification(),
        ImplementationVersionNameNotification(),
    )
    length.maximum_length_received = maximum_length
    uid.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    primitive.user_information = [length, uid, version]
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())


def _result_item(context: AcceptedContext) -> PresentationContext:
    item = PresentationContext()
    item.context_id = context.context_id
    item.abstract_syntax = context.abstract_syntax
    item.transfer_syntax = [context.transfer_syntax]
    item.result = int(context.result)
    return item
