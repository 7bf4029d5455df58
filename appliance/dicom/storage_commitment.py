"""Storage Commitment Push Model (PS3.4 annex J), answered so that nobody deletes an image on our word.

A modality may delete what has been committed. This box relays images and forgets them, so each request is understood,
and each instance that it names is reported as failed. Not here: sending (adapters/association.py).
"""

from __future__ import annotations

from typing import NamedTuple

from appliance.dicom import elements, tags
from appliance.dicom.dimse import Command, Status
from appliance.dicom.elements import TooManyError, UnreadableError
from appliance.dicom.negotiation import STORAGE_COMMITMENT

WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"
REQUEST_COMMITMENT = 1  # action type, PS3.4 J.3.2
FAILURES_EXIST = 2  # event type, PS3.4 J.3.3


class Request(NamedTuple):
    """The Action Information of an N-ACTION-RQ (PS3.4 table J.3-1)."""

    transaction_uid: str
    references: tuple[elements.Reference, ...]


class Verdict(NamedTuple):
    status: Status  # of the N-ACTION-RSP
    report: bytes  # Event Information of the N-EVENT-REPORT-RQ that follows; b"" where none does


def decide(command: Command, dataset: bytes, transfer_syntax: str) -> Verdict:
    """What to answer to an N-ACTION-RQ. No dataset makes this raise."""
    if command.sop_class_uid != STORAGE_COMMITMENT:
        return Verdict(Status.NO_SUCH_SOP_CLASS, b"")
    if command.sop_instance_uid != WELL_KNOWN_INSTANCE:
        return Verdict(Status.NO_SUCH_SOP_INSTANCE, b"")
    if command.action_type != REQUEST_COMMITMENT:
        return Verdict(Status.NO_SUCH_ACTION, b"")
    try:
        request = decode_request(dataset, transfer_syntax)
    except UnreadableError:
        return Verdict(Status.PROCESSING_FAILURE, b"")
    except TooManyError:
        return Verdict(Status.RESOURCE_LIMITATION, b"")
    return Verdict(Status.SUCCESS, encode_failures(request, transfer_syntax))


def decode_request(data: bytes, transfer_syntax: str) -> Request:
    """UnreadableError when it is none; TooManyError for more than the box reads."""
    dataset = elements.read(data, transfer_syntax)
    return Request(
        dataset.required_uid(tags.TRANSACTION_UID),
        elements.references(dataset.required_items(tags.REFERENCED_SOP_SEQUENCE)),
    )


def encode_failures(request: Request, transfer_syntax: str) -> bytes:
    """Event Information "failures exist" (PS3.4 table J.3-2): every instance failed, none committed."""
    failed = [
        {**elements.reference(one), tags.FAILURE_REASON: int(Status.PROCESSING_FAILURE)} for one in request.references
    ]
    return elements.write(
        {tags.TRANSACTION_UID: request.transaction_uid, tags.FAILED_SOP_SEQUENCE: failed}, transfer_syntax
    )
