"""Media creation requests as pydicom writes them, and the box's answers as pydicom reads them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset
from pynetdicom import sop_class

from appliance.dicom import tags
from appliance.dicom.dimse import Status
from appliance.dicom.elements import MAX_ITEMS, DatasetError
from appliance.dicom.media_creation import (
    GETTABLE,
    ExecutionStatus,
    Failed,
    Info,
    Initiation,
    Priority,
    Progress,
    decode_create,
    decode_initiate,
    encode_progress,
)
from appliance.dicom.negotiation import EXPLICIT_LE, MEDIA_CREATION
from tests.dicom.datasets import CT, SYNTAXES, decode, encode, made, reference, without

SR = "1.2.840.10008.5.1.4.1.1.88.11"


def request() -> Dataset:
    """With everything that PS3.4 table S.3.2.1.1-1 has, used or not."""
    image = reference("1.2.3")
    image.RequestedMediaApplicationProfile = "STD-GEN-CD"
    image.IconImageSequence = [made(Rows=1, Columns=1, BitsAllocated=8, PixelData=b"\0\0")]
    return made(
        SpecificCharacterSet="ISO_IR 100",
        StorageMediaFileSetID="SET1",
        StorageMediaFileSetUID="1.2.77",
        LabelUsingInformationExtractedFromInstances="YES",
        LabelText="Für Dr. Grün\r\nvertraulich",
        LabelStyleSelection="PLAIN",
        MediaDisposition="Praxis Grün, Hauptstraße 1",
        BarcodeValue="A123456",
        BarcodeSymbology="CODE128",
        AllowMediaSplitting="NO",
        IncludeNonDICOMObjects="NO",
        IncludeDisplayApplication="YES",
        PreserveCompositeInstancesAfterMediaCreation="NO",
        AllowLossyCompression="NO",
        ReferencedSOPSequence=[image, reference("1.2.34", SR)],
    )


def test_the_sop_class_is_the_standards() -> None:
    assert str(sop_class.MediaCreationManagement) == MEDIA_CREATION  # type: ignore[attr-defined]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_request_is_read_with_all_that_a_slip_can_use(syntax: str) -> None:
    found = decode_create(encode(request(), syntax), syntax)
    assert found.references == ((CT, "1.2.3"), (SR, "1.2.34"))
    assert (found.label_text, found.label_from_instances) == ("Für Dr. Grün vertraulich", True)
    assert found.media_disposition == "Praxis Grün, Hauptstraße 1"
    assert (found.barcode_value, found.barcode_symbology) == ("A123456", "CODE128")


def test_a_request_need_not_say_more_than_the_instances() -> None:
    found = decode_create(encode(made(ReferencedSOPSequence=[reference("1.2.3")])), EXPLICIT_LE)
    assert found == (((CT, "1.2.3"),), "", "", "", "", None)


BAD: dict[str, tuple[Callable[[], bytes], Status]] = {
    "nothing": (lambda: b"", Status.MISSING_ATTRIBUTE),
    "no list": (lambda: encode(without(request(), "ReferencedSOPSequence")), Status.MISSING_ATTRIBUTE),
    "an empty list": (lambda: encode(made(ReferencedSOPSequence=[])), Status.MISSING_ATTRIBUTE_VALUE),
    "an instance without its class": (
        lambda: encode(without(request(), "ReferencedSOPSequence.ReferencedSOPClassUID")),
        Status.MISSING_ATTRIBUTE,
    ),
    "an instance without its UID": (
        lambda: encode(without(request(), "ReferencedSOPSequence.ReferencedSOPInstanceUID")),
        Status.MISSING_ATTRIBUTE,
    ),
    "an instance whose UID is text": (
        lambda: encode(request()).replace(b"1.2.34", b"1.2;34"),
        Status.INVALID_ATTRIBUTE_VALUE,
    ),
    "cut short": (lambda: encode(request())[:-7], Status.PROCESSING_FAILURE),
    "noise": (lambda: bytes(range(256)), Status.PROCESSING_FAILURE),
    "more instances than a study has": (
        lambda: encode(made(ReferencedSOPSequence=[Dataset()] * (MAX_ITEMS + 1))),
        Status.RESOURCE_LIMITATION,
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_request_is_refused_with_the_status_that_says_why(case: str) -> None:
    make, status = BAD[case]
    with pytest.raises(DatasetError) as refused:
        decode_create(make(), EXPLICIT_LE)
    assert refused.value.status == status
    assert "1.2" not in str(refused.value)


INITIATIONS: dict[str, tuple[dict[str, str], Initiation]] = {
    "nothing said": ({}, Initiation(1, Priority.MED)),
    "copies": ({"NumberOfCopies": "2"}, Initiation(2, Priority.MED)),
    "all": ({"NumberOfCopies": "3", "RequestPriority": "HIGH"}, Initiation(3, Priority.HIGH)),
    "low": ({"RequestPriority": "LOW"}, Initiation(1, Priority.LOW)),
    "empty": ({"NumberOfCopies": "", "RequestPriority": ""}, Initiation(1, Priority.MED)),
    "a priority that does not exist": ({"RequestPriority": "STAT"}, Initiation(1, Priority.MED)),
}


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("case", INITIATIONS)
def test_an_initiation_says_how_many_and_how_soon(case: str, syntax: str) -> None:
    values, found = INITIATIONS[case]
    assert decode_initiate(encode(made(**values), syntax), syntax) == found


@pytest.mark.parametrize("copies", ["0", "-1", "two", "1.5"])
def test_an_absurd_number_of_copies_is_an_invalid_argument(copies: str) -> None:
    data = encode(made(NumberOfCopies="1234")).replace(b"1234", copies.ljust(4).encode())
    with pytest.raises(DatasetError) as refused:
        decode_initiate(data, EXPLICIT_LE)
    assert refused.value.status == Status.INVALID_ARGUMENT_VALUE


FAILED = Progress(
    ExecutionStatus.FAILURE,
    Info.NO_INSTANCE,
    1,
    (Failed(CT, "1.2.3", Status.NO_SUCH_SOP_INSTANCE), Failed(SR, "1.2.4", 0x0110)),
)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_progress_is_told_whole(syntax: str) -> None:
    found = decode(encode_progress(FAILED, syntax, ()), syntax)
    assert (found.ExecutionStatus, found.ExecutionStatusInfo) == ("FAILURE", "NO_INSTANCE")
    assert (found.TotalNumberOfPiecesOfMediaCreated, len(found.ReferencedStorageMediaSequence)) == (1, 0)
    assert [
        (one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID, one.FailureReason) for one in found.FailedSOPSequence
    ] == [(CT, "1.2.3", 0x0112), (SR, "1.2.4", 0x0110)]
    assert {int(element.tag) for element in found} == GETTABLE - {tags.SPECIFIC_CHARACTER_SET}


def test_an_empty_list_of_failures_is_told_too() -> None:
    found = decode(encode_progress(Progress(ExecutionStatus.IDLE), EXPLICIT_LE, ()), EXPLICIT_LE)
    assert (found.ExecutionStatus, found.ExecutionStatusInfo, len(found.FailedSOPSequence)) == ("IDLE", "NORMAL", 0)


def test_only_what_was_asked_for_is_told() -> None:
    wanted = (tags.EXECUTION_STATUS, tags.LABEL_TEXT)
    found = decode(encode_progress(FAILED, EXPLICIT_LE, wanted), EXPLICIT_LE)
    assert [element.keyword for element in found] == ["ExecutionStatus"]
    assert encode_progress(FAILED, EXPLICIT_LE, (tags.LABEL_TEXT,)) == b""


@pytest.mark.parametrize("term", [*ExecutionStatus, *Info, *Priority])
def test_terms_are_code_strings(term: str) -> None:
    assert 0 < len(term) <= 16
    assert set(term) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _")


def test_no_number_of_pieces_is_too_large_to_tell() -> None:
    found = decode(encode_progress(Progress(ExecutionStatus.DONE, pieces=70_000), EXPLICIT_LE, ()), EXPLICIT_LE)
    assert found.TotalNumberOfPiecesOfMediaCreated == 65535
