"""Media Creation Management (PS3.4 annex S): datasets to values and back.

What a request comes to is the daemon's. Optional attributes that a slip has no use for are not read: label style,
splitting, compression, viewers, file-set names, icons.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import NamedTuple

from appliance.dicom import elements, tags
from appliance.dicom.elements import InvalidArgumentError, Reference

INITIATE = 1  # action types, PS3.4 S.3.2.2.1 and S.3.2.3.1
CANCEL = 2
PIECES_MOST = 0xFFFF  # US

GETTABLE = frozenset(  # PS3.4 table S.3.2.4.1-1
    (
        tags.SPECIFIC_CHARACTER_SET,
        tags.EXECUTION_STATUS,
        tags.EXECUTION_STATUS_INFO,
        tags.TOTAL_NUMBER_OF_PIECES_OF_MEDIA_CREATED,
        tags.FAILED_SOP_SEQUENCE,
        tags.REFERENCED_STORAGE_MEDIA_SEQUENCE,
    )
)


class CreationRequest(NamedTuple):
    """Of an N-CREATE-RQ (PS3.4 table S.3.2.1.1-1). Texts are "" where the SCU says nothing."""

    references: tuple[Reference, ...]  # at least one
    label_text: str = ""
    media_disposition: str = ""  # who is to have it: name and address
    barcode_value: str = ""
    barcode_symbology: str = ""
    label_from_instances: bool | None = None


class Priority(StrEnum):
    HIGH = "HIGH"
    MED = "MED"
    LOW = "LOW"


class Initiation(NamedTuple):
    """Action Information of "initiate" (PS3.4 table S.3.2.2.1-1)."""

    copies: int = 1
    priority: Priority = Priority.MED


class ExecutionStatus(StrEnum):
    """PS3.3 C.22.1."""

    IDLE = "IDLE"
    PENDING = "PENDING"
    CREATING = "CREATING"
    DONE = "DONE"
    FAILURE = "FAILURE"


class Info(StrEnum):
    """Execution Status Info, PS3.3 C.22.1. Of a request that is not over: what keeps it; of one that failed: why."""

    NORMAL = "NORMAL"
    QUEUED = "QUEUED"
    MCD_BUSY = "MCD_BUSY"  # try again later
    OUT_OF_SUPPLIES = "OUT_OF_SUPPLIES"
    CHECK_MCD_OP = "CHECK_MCD_OP"  # an operator
    CHECK_MCD_SRV = "CHECK_MCD_SRV"  # a service engineer
    MCD_FAILURE = "MCD_FAILURE"
    NO_INSTANCE = "NO_INSTANCE"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    DUPL_REF_INST = "DUPL_REF_INST"
    INST_AP_CONFLICT = "INST_AP_CONFLICT"
    INST_OVERSIZED = "INST_OVERSIZED"
    SET_OVERSIZED = "SET_OVERSIZED"
    DIR_PROC_ERR = "DIR_PROC_ERR"
    INSUFFIC_MEMORY = "INSUFFIC_MEMORY"
    PROC_FAILURE = "PROC_FAILURE"
    UNKNOWN = "UNKNOWN"


class Failed(NamedTuple):
    sop_class_uid: str
    sop_instance_uid: str
    reason: int  # dimse.Status


class Progress(NamedTuple):
    status: ExecutionStatus
    info: Info = Info.NORMAL
    pieces: int = 0  # of paper
    failed: tuple[Failed, ...] = ()


def decode_create(data: bytes, transfer_syntax: str) -> CreationRequest:
    """DatasetError when it is none, or names no instance."""
    dataset = elements.read(data, transfer_syntax)
    from_instances = dataset.text(tags.LABEL_USING_INFORMATION_EXTRACTED_FROM_INSTANCES)
    return CreationRequest(
        references=elements.references(dataset.required_items(tags.REFERENCED_SOP_SEQUENCE)),
        label_text=dataset.text(tags.LABEL_TEXT),
        media_disposition=dataset.text(tags.MEDIA_DISPOSITION),
        barcode_value=dataset.text(tags.BARCODE_VALUE),
        barcode_symbology=dataset.text(tags.BARCODE_SYMBOLOGY),
        label_from_instances=from_instances == "YES" if from_instances else None,
    )


def decode_initiate(data: bytes, transfer_syntax: str) -> Initiation:
    """Both are optional for the SCU, and so is the dataset. Whatever is no priority is MED."""
    with elements.arguments():
        wanted = elements.read(data, transfer_syntax)
        copies = wanted.number(tags.NUMBER_OF_COPIES, 1)
    if copies < 1:
        raise InvalidArgumentError("no copies are asked for")
    priority = wanted.text(tags.REQUEST_PRIORITY)
    return Initiation(copies, Priority(priority) if priority in Priority.__members__ else Priority.MED)


def encode_progress(progress: Progress, transfer_syntax: str, wanted: Collection[int]) -> bytes:
    """The answer to an N-GET that asks for the tags `wanted`; to one that asks for none in particular, all."""
    failed = [
        {**elements.reference(Reference(one.sop_class_uid, one.sop_instance_uid)), tags.FAILURE_REASON: one.reason}
        for one in progress.failed
    ]
    values: elements.Elements = {
        tags.EXECUTION_STATUS: progress.status.value,
        tags.EXECUTION_STATUS_INFO: progress.info.value,
        tags.TOTAL_NUMBER_OF_PIECES_OF_MEDIA_CREATED: min(progress.pieces, PIECES_MOST),
        tags.FAILED_SOP_SEQUENCE: failed,
        tags.REFERENCED_STORAGE_MEDIA_SEQUENCE: [],
    }
    return elements.write(elements.chosen(values, wanted), transfer_syntax)
