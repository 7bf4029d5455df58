"""Instance availability notifications as pydicom writes them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset
from pynetdicom import sop_class

from appliance.dicom.availability_notification import Announced, decode
from appliance.dicom.dimse import Status
from appliance.dicom.elements import DatasetError
from appliance.dicom.negotiation import AVAILABILITY_NOTIFICATION, EXPLICIT_LE, PERFORMED_STEP
from tests.dicom.datasets import CT, SYNTAXES, encode, made, reference, undefined_lengths, without

PR = "1.2.840.10008.5.1.4.1.1.11.1"


def instance(uid: str, sop: str = CT, *titles: str, availability: str = "ONLINE") -> Dataset:
    found = reference(uid, sop)
    found.InstanceAvailability, found.RetrieveAETitle = availability, list(titles or ("PACS",))
    return found


def notification() -> Dataset:
    """PS3.4 table R.3.2-1, with what it allows besides."""
    step = reference("1.2.9", PERFORMED_STEP)
    step.PerformedWorkitemCodeSequence = [made(CodeValue="110005", CodingSchemeDesignator="DCM", CodeMeaning="x")]
    far = instance("1.2.33", PR, "PACS", "VNA", availability="NEARLINE")
    far.RetrieveURI = "https://vna.example/1.2.33"
    return made(
        ReferencedPerformedProcedureStepSequence=[step],
        StudyInstanceUID="1.2.1",
        ReferencedSeriesSequence=[
            made(SeriesInstanceUID="1.2.2", ReferencedSOPSequence=[instance("1.2.3"), instance("1.2.4")]),
            made(SeriesInstanceUID="1.2.22", ReferencedSOPSequence=[far]),
        ],
    )


def test_the_sop_class_is_the_standards() -> None:
    assert str(sop_class.InstanceAvailabilityNotification) == AVAILABILITY_NOTIFICATION  # type: ignore[attr-defined]


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_each_instance_is_read_with_its_series_and_where_it_is(syntax: str, undefined: bool) -> None:
    dataset = undefined_lengths(notification()) if undefined else notification()
    found = decode(encode(dataset, syntax), syntax)
    assert (found.study_uid, found.performed_steps) == ("1.2.1", ("1.2.9",))
    assert found.instances == (
        Announced(CT, "1.2.3", "1.2.2", ("PACS",), "ONLINE"),
        Announced(CT, "1.2.4", "1.2.2", ("PACS",), "ONLINE"),
        Announced(PR, "1.2.33", "1.2.22", ("PACS", "VNA"), "NEARLINE"),
    )


@pytest.mark.parametrize("path", ["InstanceAvailability", "RetrieveAETitle"])
def test_where_an_instance_is_may_be_left_out(path: str) -> None:
    whole = "ReferencedSeriesSequence.ReferencedSOPSequence." + path
    assert len(decode(encode(without(notification(), whole)), EXPLICIT_LE).instances) == 3


def test_no_step_need_have_made_them() -> None:
    dataset = without(notification(), "ReferencedPerformedProcedureStepSequence")
    assert decode(encode(dataset), EXPLICIT_LE).performed_steps == ()


BAD: dict[str, tuple[Callable[[], bytes], Status]] = {
    "nothing": (lambda: b"", Status.MISSING_ATTRIBUTE),
    **{
        f"no {path}": (lambda path=path: encode(without(notification(), path)), Status.MISSING_ATTRIBUTE)  # type: ignore[misc]
        for path in (
            "StudyInstanceUID",
            "ReferencedSeriesSequence",
            "ReferencedSeriesSequence.SeriesInstanceUID",
            "ReferencedSeriesSequence.ReferencedSOPSequence",
            "ReferencedSeriesSequence.ReferencedSOPSequence.ReferencedSOPClassUID",
            "ReferencedSeriesSequence.ReferencedSOPSequence.ReferencedSOPInstanceUID",
        )
    },
    "no series": (
        lambda: encode(made(StudyInstanceUID="1.2", ReferencedSeriesSequence=[])),
        Status.MISSING_ATTRIBUTE_VALUE,
    ),
    "a UID that is text": (
        lambda: encode(notification()).replace(b"1.2.33", b"1.2/33"),
        Status.INVALID_ATTRIBUTE_VALUE,
    ),
    "cut short": (lambda: encode(notification())[:-1], Status.PROCESSING_FAILURE),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_notification_is_refused_with_the_status_that_says_why(case: str) -> None:
    make, status = BAD[case]
    with pytest.raises(DatasetError) as refused:
        decode(make(), EXPLICIT_LE)
    assert refused.value.status == status
