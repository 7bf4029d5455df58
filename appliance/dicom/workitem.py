"""Unified Procedure Step (PS3.4 annex CC), SOP classes Push, Watch and Event: datasets to values and back.

The box performs what is pushed to it. Of a workitem only what says whose images are to be shared is read. Each workitem
is an instance of UPS Push, whatever the presentation context (CC.3.1).
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import NamedTuple

from appliance.dicom import elements, tags
from appliance.dicom.dimse import Status
from appliance.dicom.elements import InvalidArgumentError, Item, Reference, UnreadableError

REQUEST_CANCEL = 2  # action types, PS3.4 CC.2.2.1 and CC.2.3.1
SUBSCRIBE = 3
UNSUBSCRIBE = 4
SUSPEND = 5  # a subscription to all workitems
ALL_WORKITEMS = "1.2.840.10008.5.1.4.34.5"  # the instance that subscriptions to all name
FILTERED_WORKITEMS = "1.2.840.10008.5.1.4.34.5.1"
STATE_REPORT = 1  # event types, PS3.4 table CC.2.4-1
CANCEL_REQUESTED = 2
PROGRESS_REPORT = 3
MOST_CODES = 10  # of a reason, that are read

GETTABLE = frozenset(  # PS3.4 table CC.2.5-3, as far as the box keeps it
    (
        tags.SPECIFIC_CHARACTER_SET,
        tags.PATIENT_ID,
        tags.ISSUER_OF_PATIENT_ID,
        tags.STUDY_INSTANCE_UID,
        tags.INPUT_READINESS_STATE,
        tags.PROCEDURE_STEP_STATE,
        tags.PROCEDURE_STEP_PROGRESS_INFORMATION_SEQUENCE,
        tags.SCHEDULED_PROCEDURE_STEP_PRIORITY,
        tags.PROCEDURE_STEP_LABEL,
        tags.WORKLIST_LABEL,
    )
)


class NotScheduledError(UnreadableError):
    """PS3.4 CC.2.5.3: a workitem is created SCHEDULED, or not at all."""

    status = Status.UPS_NOT_SCHEDULED


class StepState(StrEnum):
    """Procedure Step State, PS3.4 table CC.1.1-1."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


class Priority(StrEnum):
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"


class Readiness(StrEnum):
    """Input Readiness State, PS3.3 C.30.2: whether all that the step needs is at hand."""

    READY = "READY"
    UNAVAILABLE = "UNAVAILABLE"
    INCOMPLETE = "INCOMPLETE"


class Code(NamedTuple):
    value: str
    scheme: str
    meaning: str
    version: str = ""


class Input(NamedTuple):
    """An item of Input Information Sequence (PS3.4 table CC.2.5-2c); "" and () where it does not say."""

    study_uid: str
    series_uid: str
    references: tuple[Reference, ...]
    retrieve_ae_titles: tuple[str, ...]


class Workitem(NamedTuple):
    """Of an N-CREATE-RQ; "" and () where the SCU does not say."""

    label: str
    worklist_label: str
    priority: Priority
    codes: tuple[Code, ...]  # what is to be done
    inputs: tuple[Input, ...]
    study_uid: str
    accession_numbers: tuple[str, ...]  # all that differ
    patient_id: str
    issuer_of_patient_id: str


class Cancellation(NamedTuple):
    """Why somebody asks for it, and whom to ask about that; "" and () where that is not said."""

    reason: str
    codes: tuple[Code, ...]
    contact_uri: str = ""
    contact_name: str = ""


class Subscription(NamedTuple):
    receiving_ae: str
    deletion_lock: bool


class Progress(NamedTuple):
    """What an N-GET tells."""

    state: StepState
    readiness: Readiness
    percent: int = 0
    description: str = ""
    reason: str = ""  # why it was cancelled, or what keeps it
    label: str = ""
    worklist_label: str = ""
    priority: Priority = Priority.MEDIUM
    study_uid: str = ""
    patient_id: str = ""
    issuer_of_patient_id: str = ""


def decode_create(data: bytes, transfer_syntax: str) -> Workitem:
    """DatasetError when it is none. What the box has no use for may be missing, although the standard asks for it."""
    dataset = elements.read(data, transfer_syntax)
    if dataset.required_text(tags.PROCEDURE_STEP_STATE) != StepState.SCHEDULED:
        raise NotScheduledError("the workitem's state is not SCHEDULED")
    priority = dataset.text(tags.SCHEDULED_PROCEDURE_STEP_PRIORITY)
    return Workitem(
        label=dataset.text(tags.PROCEDURE_STEP_LABEL),
        worklist_label=dataset.text(tags.WORKLIST_LABEL),
        priority=Priority(priority) if priority in Priority.__members__ else Priority.MEDIUM,
        codes=_codes(dataset, tags.SCHEDULED_WORKITEM_CODE_SEQUENCE),
        inputs=tuple(_input(item) for item in dataset.items(tags.INPUT_INFORMATION_SEQUENCE)),
        study_uid=dataset.uid(tags.STUDY_INSTANCE_UID),
        accession_numbers=_accession_numbers(dataset),
        patient_id=dataset.text(tags.PATIENT_ID),
        issuer_of_patient_id=dataset.text(tags.ISSUER_OF_PATIENT_ID),
    )


def _accession_numbers(dataset: Item) -> tuple[str, ...]:
    """Of the requests (PS3.4 table CC.2.5-3); some writers put it at the top."""
    requests = dataset.items(tags.REFERENCED_REQUEST_SEQUENCE)
    numbers = dict.fromkeys(of.text(tags.ACCESSION_NUMBER) for of in (dataset, *requests))
    return tuple(number for number in numbers if number)


def _input(item: Item) -> Input:
    return Input(
        study_uid=item.uid(tags.STUDY_INSTANCE_UID),
        series_uid=item.uid(tags.SERIES_INSTANCE_UID),
        references=elements.references(item.items(tags.REFERENCED_SOP_SEQUENCE)),
        retrieve_ae_titles=tuple(
            title
            for retrieval in item.items(tags.DICOM_RETRIEVAL_SEQUENCE)
            for title in retrieval.texts(tags.RETRIEVE_AE_TITLE)
        ),
    )


def _codes(item: Item, tag: int) -> tuple[Code, ...]:
    return tuple(
        Code(
            code.text(tags.CODE_VALUE),
            code.text(tags.CODING_SCHEME_DESIGNATOR),
            code.text(tags.CODE_MEANING),
            code.text(tags.CODING_SCHEME_VERSION),
        )
        for code in item.items(tag)[:MOST_CODES]
    )


def decode_cancel(data: bytes, transfer_syntax: str) -> Cancellation:
    """Action Information of "request cancel" (PS3.4 table CC.2.2-1), all of it optional for the SCU."""
    dataset = elements.read(data, transfer_syntax)
    codes = _codes(dataset, tags.PROCEDURE_STEP_DISCONTINUATION_REASON_CODE_SEQUENCE)
    return Cancellation(
        dataset.text(tags.REASON_FOR_CANCELLATION),
        codes,
        dataset.text(tags.CONTACT_URI),
        dataset.text(tags.CONTACT_DISPLAY_NAME),
    )


def decode_subscription(data: bytes, transfer_syntax: str) -> Subscription:
    """Action Information of the three that subscribe, unsubscribe and suspend (PS3.4 table CC.2.3-1)."""
    with elements.arguments():
        dataset = elements.read(data, transfer_syntax)
        receiving_ae = dataset.required_text(tags.RECEIVING_AE)
    lock = dataset.text(tags.DELETION_LOCK)
    if lock not in ("", "TRUE", "FALSE"):
        raise InvalidArgumentError("Deletion Lock is neither TRUE nor FALSE")
    return Subscription(receiving_ae, lock == "TRUE")


def encode_progress(progress: Progress, transfer_syntax: str, wanted: Collection[int]) -> bytes:
    """The answer to an N-GET that asks for the tags `wanted`; to one that asks for none in particular, all."""
    told: elements.Elements = {
        **_progress(progress.percent, progress.description),
        **({tags.REASON_FOR_CANCELLATION: progress.reason} if progress.reason else {}),
    }
    values: elements.Elements = {
        tags.PATIENT_ID: progress.patient_id,
        tags.ISSUER_OF_PATIENT_ID: progress.issuer_of_patient_id,
        tags.STUDY_INSTANCE_UID: progress.study_uid,
        tags.INPUT_READINESS_STATE: progress.readiness.value,
        tags.PROCEDURE_STEP_STATE: progress.state.value,
        tags.PROCEDURE_STEP_PROGRESS_INFORMATION_SEQUENCE: [told],
        tags.SCHEDULED_PROCEDURE_STEP_PRIORITY: progress.priority.value,
        tags.PROCEDURE_STEP_LABEL: progress.label,
        tags.WORKLIST_LABEL: progress.worklist_label,
    }
    return elements.write(elements.chosen(values, wanted), transfer_syntax)


def encode_state_report(state: StepState, readiness: Readiness, reason: str, transfer_syntax: str) -> bytes:
    """Event Information of "UPS State Report" (PS3.4 table CC.2.4-1); `reason` "" where it was not cancelled."""
    values: dict[int, elements.Value] = {
        tags.INPUT_READINESS_STATE: readiness.value,
        tags.PROCEDURE_STEP_STATE: state.value,
    }
    if reason:
        values[tags.REASON_FOR_CANCELLATION] = reason
    return elements.write(values, transfer_syntax)


def encode_progress_report(percent: int, description: str, transfer_syntax: str) -> bytes:
    """Event Information of "UPS Progress Report" (PS3.4 table CC.2.4-1)."""
    told = {tags.PROCEDURE_STEP_PROGRESS_INFORMATION_SEQUENCE: [_progress(percent, description)]}
    return elements.write(told, transfer_syntax)


def encode_cancel_requested(requesting_ae: str, asked: Cancellation, transfer_syntax: str) -> bytes:
    """Event Information of "UPS Cancel Requested" (PS3.4 table CC.2.4-1): who asked, and what else was said."""
    said: dict[int, elements.Value] = {
        tags.REASON_FOR_CANCELLATION: asked.reason,
        tags.PROCEDURE_STEP_DISCONTINUATION_REASON_CODE_SEQUENCE: [_encoded(code) for code in asked.codes],
        tags.CONTACT_URI: asked.contact_uri,
        tags.CONTACT_DISPLAY_NAME: asked.contact_name,
    }
    given = {tag: value for tag, value in said.items() if value}
    return elements.write({tags.REQUESTING_AE: requesting_ae, **given}, transfer_syntax)


def _progress(percent: int, description: str) -> dict[int, elements.Value]:
    return {tags.PROCEDURE_STEP_PROGRESS: str(percent), tags.PROCEDURE_STEP_PROGRESS_DESCRIPTION: description}


def _encoded(code: Code) -> elements.Elements:
    values = {
        tags.CODE_VALUE: code.value,
        tags.CODING_SCHEME_DESIGNATOR: code.scheme,
        tags.CODING_SCHEME_VERSION: code.version,
        tags.CODE_MEANING: code.meaning,
    }
    return {tag: value for tag, value in values.items() if value}
