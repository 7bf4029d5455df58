"""Instance Availability Notification (PS3.4 annex R): the dataset of an N-CREATE to values.

A notification says what is available where, and by itself not that it is all of the study (R.1.1).
"""

from __future__ import annotations

from typing import NamedTuple

from appliance.dicom import elements, tags
from appliance.dicom.elements import Item


class Announced(NamedTuple):
    """An instance; the last two are "" where the SCU leaves them out, which it must not."""

    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    retrieve_ae_titles: tuple[str, ...]
    availability: str  # ONLINE, NEARLINE, OFFLINE or UNAVAILABLE


class Notification(NamedTuple):
    """PS3.4 table R.3.2-1."""

    study_uid: str
    instances: tuple[Announced, ...]  # at least one
    performed_steps: tuple[str, ...]  # SOP Instance UIDs of the procedure steps that made them


def decode(data: bytes, transfer_syntax: str) -> Notification:
    """DatasetError when it is none, or lacks the study, a series or an instance."""
    dataset = elements.read(data, transfer_syntax)
    steps = dataset.items(tags.REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE)
    return Notification(
        study_uid=dataset.required_uid(tags.STUDY_INSTANCE_UID),
        instances=tuple(
            _announced(series.required_uid(tags.SERIES_INSTANCE_UID), instance)
            for series in dataset.required_items(tags.REFERENCED_SERIES_SEQUENCE)
            for instance in series.required_items(tags.REFERENCED_SOP_SEQUENCE)
        ),
        performed_steps=tuple(uid for step in steps if (uid := step.uid(tags.REFERENCED_SOP_INSTANCE_UID))),
    )


def _announced(series_uid: str, instance: Item) -> Announced:
    return Announced(
        sop_class_uid=instance.required_uid(tags.REFERENCED_SOP_CLASS_UID),
        sop_instance_uid=instance.required_uid(tags.REFERENCED_SOP_INSTANCE_UID),
        series_uid=series_uid,
        retrieve_ae_titles=instance.texts(tags.RETRIEVE_AE_TITLE),
        availability=instance.text(tags.INSTANCE_AVAILABILITY),
    )
