"""Modality Performed Procedure Step (PS3.4 section F.7): datasets to values.

Of all that a modality tells of its step, only what says which images the study ought to have. It is sent twice: as the
step begins (N-CREATE) and, once or more often, as it goes on and ends (N-SET).
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from appliance.dicom import elements, tags
from appliance.dicom.elements import InvalidValueError, Item


class StepStatus(StrEnum):
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"


class Performed(NamedTuple):
    """An instance that the step has made; images and others alike."""

    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str


class StepBegun(NamedTuple):
    studies: tuple[str, ...]  # Study Instance UIDs, each once; at least one
    instances: tuple[Performed, ...]


class StepChanged(NamedTuple):
    status: StepStatus | None  # None where it stays as it was
    instances: tuple[Performed, ...]  # all so far
    lists_instances: bool  # else the N-SET says nothing about them, and an earlier one holds


def decode_create(data: bytes, transfer_syntax: str) -> StepBegun:
    """DatasetError when it is none, names no study, or is not IN PROGRESS (F.7.2.1.3)."""
    dataset = elements.read(data, transfer_syntax)
    dataset.required_text(tags.PERFORMED_PROCEDURE_STEP_STATUS)
    if _status(dataset) is not StepStatus.IN_PROGRESS:
        raise InvalidValueError(tags.PERFORMED_PROCEDURE_STEP_STATUS)
    scheduled = dataset.required_items(tags.SCHEDULED_STEP_ATTRIBUTES_SEQUENCE)
    studies = dict.fromkeys(step.required_uid(tags.STUDY_INSTANCE_UID) for step in scheduled)
    return StepBegun(tuple(studies), _instances(dataset))


def decode_set(data: bytes, transfer_syntax: str) -> StepChanged:
    """DatasetError when it is none, or names an instance by halves."""
    dataset = elements.read(data, transfer_syntax)
    return StepChanged(_status(dataset), _instances(dataset), tags.PERFORMED_SERIES_SEQUENCE in dataset)


def _status(dataset: Item) -> StepStatus | None:
    text = dataset.text(tags.PERFORMED_PROCEDURE_STEP_STATUS)
    try:
        return StepStatus(text) if text else None
    except ValueError:
        raise InvalidValueError(tags.PERFORMED_PROCEDURE_STEP_STATUS) from None


def _instances(dataset: Item) -> tuple[Performed, ...]:
    """Performed Series Sequence (PS3.4 table F.7.2-1): both lists of each series may be absent or empty."""
    found = []
    for series in dataset.items(tags.PERFORMED_SERIES_SEQUENCE):
        series_uid = series.required_uid(tags.SERIES_INSTANCE_UID)
        images = series.items(tags.REFERENCED_IMAGE_SEQUENCE)
        others = series.items(tags.REFERENCED_NON_IMAGE_COMPOSITE_SOP_INSTANCE_SEQUENCE)
        found += [Performed(*one, series_uid) for one in elements.references([*images, *others])]
    return tuple(found)
