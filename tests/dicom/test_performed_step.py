"""Modality performed procedure steps as pydicom writes them."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from pynetdicom import sop_class

from appliance.dicom.dimse import Status
from appliance.dicom.elements import DatasetError
from appliance.dicom.negotiation import EXPLICIT_LE, PERFORMED_STEP
from appliance.dicom.performed_step import Performed, StepStatus, decode_create, decode_set
from tests.dicom.datasets import CT, SYNTAXES, encode, made, reference, undefined_lengths, without

SR = "1.2.840.10008.5.1.4.1.1.88.67"


def begun(*studies: str) -> Dataset:
    """What a modality sends as it begins (PS3.4 table F.7.2-1)."""
    scheduled = [
        made(StudyInstanceUID=study, AccessionNumber="A1", ScheduledProcedureStepID="S1", ReferencedStudySequence=[])
        for study in studies or ("1.2.1",)
    ]
    return made(
        SpecificCharacterSet="ISO_IR 100",
        Modality="CT",
        PatientName="Müller^Anna",
        PatientID="4711",
        PerformedProcedureStepID="P1",
        PerformedStationAETitle="CT1",
        PerformedProcedureStepStartDate="20261122",
        PerformedProcedureStepStatus="IN PROGRESS",
        ScheduledStepAttributesSequence=scheduled,
        PerformedSeriesSequence=[],
    )


def series(uid: str, images: list[Dataset], others: list[Dataset]) -> Dataset:
    return made(
        SeriesInstanceUID=uid,
        ProtocolName="Thorax",
        RetrieveAETitle="",
        ReferencedImageSequence=images,
        ReferencedNonImageCompositeSOPInstanceSequence=others,
    )


def ended(status: str = "COMPLETED") -> Dataset:
    return made(
        PerformedProcedureStepStatus=status,
        PerformedProcedureStepEndDate="20261122",
        PerformedSeriesSequence=[
            series("1.2.2", [reference("1.2.3"), reference("1.2.4")], []),
            series("1.2.22", [], [reference("1.2.5", SR)]),
        ],
    )


def test_the_sop_class_is_the_standards() -> None:
    assert str(sop_class.ModalityPerformedProcedureStep) == PERFORMED_STEP  # type: ignore[attr-defined]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_step_begins_with_the_studies_it_is_for(syntax: str) -> None:
    found = decode_create(encode(begun("1.2.1", "1.2.11", "1.2.1"), syntax), syntax)
    assert found == (("1.2.1", "1.2.11"), ())


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_step_ends_with_all_that_it_has_made(syntax: str, undefined: bool) -> None:
    dataset = undefined_lengths(ended()) if undefined else ended()
    found = decode_set(encode(dataset, syntax), syntax)
    assert (found.status, found.lists_instances) == (StepStatus.COMPLETED, True)
    assert found.instances == (
        Performed(CT, "1.2.3", "1.2.2"),
        Performed(CT, "1.2.4", "1.2.2"),
        Performed(SR, "1.2.5", "1.2.22"),
    )


def test_a_step_may_be_broken_off() -> None:
    assert decode_set(encode(ended("DISCONTINUED")), EXPLICIT_LE).status is StepStatus.DISCONTINUED


def test_a_change_need_not_name_a_state_nor_instances() -> None:
    assert decode_set(encode(made(PerformedProcedureStepDescription="CT")), EXPLICIT_LE) == (None, (), False)


def test_an_empty_list_of_series_is_a_list() -> None:
    dataset = made(PerformedProcedureStepStatus="COMPLETED", PerformedSeriesSequence=[])
    assert decode_set(encode(dataset), EXPLICIT_LE) == (StepStatus.COMPLETED, (), True)


@pytest.mark.parametrize("path", ["ReferencedImageSequence", "ReferencedNonImageCompositeSOPInstanceSequence"])
def test_either_list_of_a_series_may_be_absent(path: str) -> None:
    dataset = without(ended(), "PerformedSeriesSequence." + path)
    assert len(decode_set(encode(dataset), EXPLICIT_LE).instances) == (1 if path.startswith("ReferencedImage") else 3)


BEGUN_BAD: dict[str, tuple[Dataset, Status]] = {
    "no state": (without(begun(), "PerformedProcedureStepStatus"), Status.MISSING_ATTRIBUTE),
    "a state that is not the first": (
        made(PerformedProcedureStepStatus="COMPLETED"),
        Status.INVALID_ATTRIBUTE_VALUE,
    ),
    "a state that does not exist": (made(PerformedProcedureStepStatus="PAUSED"), Status.INVALID_ATTRIBUTE_VALUE),
    "no studies": (without(begun(), "ScheduledStepAttributesSequence"), Status.MISSING_ATTRIBUTE),
    "a study without its UID": (
        without(begun(), "ScheduledStepAttributesSequence.StudyInstanceUID"),
        Status.MISSING_ATTRIBUTE,
    ),
}


@pytest.mark.parametrize("case", BEGUN_BAD)
def test_a_step_that_does_not_begin_properly_is_refused(case: str) -> None:
    dataset, status = BEGUN_BAD[case]
    with pytest.raises(DatasetError) as refused:
        decode_create(encode(dataset), EXPLICIT_LE)
    assert refused.value.status == status


ENDED_BAD: dict[str, tuple[bytes, Status]] = {
    "a state that does not exist": (encode(ended("PAUSED")), Status.INVALID_ATTRIBUTE_VALUE),
    "a series without its UID": (
        encode(without(ended(), "PerformedSeriesSequence.SeriesInstanceUID")),
        Status.MISSING_ATTRIBUTE,
    ),
    "an image without its UID": (
        encode(without(ended(), "PerformedSeriesSequence.ReferencedImageSequence.ReferencedSOPInstanceUID")),
        Status.MISSING_ATTRIBUTE,
    ),
    "cut short": (encode(ended())[:-2], Status.PROCESSING_FAILURE),
    "noise": (bytes(range(256)), Status.PROCESSING_FAILURE),
}


@pytest.mark.parametrize("case", ENDED_BAD)
def test_a_change_that_names_things_by_halves_is_refused(case: str) -> None:
    data, status = ENDED_BAD[case]
    with pytest.raises(DatasetError) as refused:
        decode_set(data, EXPLICIT_LE)
    assert refused.value.status == status
