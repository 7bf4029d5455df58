"""Workitems as pydicom writes them, and what the box tells of them as pydicom reads it."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import sop_class

from appliance.dicom import tags, workitem
from appliance.dicom.dimse import Status
from appliance.dicom.elements import DatasetError
from appliance.dicom.negotiation import EXPLICIT_LE, UPS_PUSH, UPS_WATCH
from appliance.dicom.workitem import (
    GETTABLE,
    Cancellation,
    Code,
    Input,
    Priority,
    Progress,
    Readiness,
    StepState,
    Subscription,
    decode_cancel,
    decode_create,
    decode_subscription,
    encode_cancel_requested,
    encode_progress,
    encode_progress_report,
    encode_state_report,
)
from tests.dicom.datasets import CT, SYNTAXES, decode, encode, made, reference, undefined_lengths


def code(value: str, meaning: str) -> Dataset:
    return made(CodeValue=value, CodingSchemeDesignator="99X", CodeMeaning=meaning)


def pushed(**changes: Any) -> Dataset:
    """PS3.4 table CC.2.5-3, as far as a worklist manager fills it in."""
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "TransactionUID": "",
        "ProcedureStepState": "SCHEDULED",
        "ProcedureStepProgressInformationSequence": [],
        "ScheduledProcedureStepPriority": "HIGH",
        "ProcedureStepLabel": "Für Patientin",
        "WorklistLabel": "SHARE",
        "ScheduledWorkitemCodeSequence": [code("SHARE", "Share to patient")],
        "ScheduledProcedureStepStartDateTime": "20261122100000",
        "InputReadinessState": "READY",
        "InputInformationSequence": [
            made(
                TypeOfInstances="DICOM",
                StudyInstanceUID="1.2.1",
                SeriesInstanceUID="1.2.2",
                ReferencedSOPSequence=[reference("1.2.3"), reference("1.2.4")],
                DICOMRetrievalSequence=[made(RetrieveAETitle="PACS"), made(RetrieveAETitle="VNA")],
            ),
            made(TypeOfInstances="DICOM", StudyInstanceUID="1.2.11", ReferencedSOPSequence=[]),
        ],
        "PatientName": "Muster^Eva",
        "PatientID": "4711",
        "IssuerOfPatientID": "KH",
        "StudyInstanceUID": "1.2.1",
        "ReferencedRequestSequence": [made(AccessionNumber=""), made(AccessionNumber="A17")],
        "UnifiedProcedureStepPerformedProcedureSequence": [],
    }
    return made(**{keyword: value for keyword, value in (values | changes).items() if value is not None})


def test_the_sop_classes_are_the_standards() -> None:
    names = ("UnifiedProcedureStepPush", "UnifiedProcedureStepWatch")
    assert [str(getattr(sop_class, name)) for name in names] == [UPS_PUSH, UPS_WATCH]
    assert str(sop_class.UPSGlobalSubscriptionInstance) == workitem.ALL_WORKITEMS
    assert str(sop_class.UPSFilteredGlobalSubscriptionInstance) == workitem.FILTERED_WORKITEMS


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_workitem_says_whose_images_are_wanted_and_where_they_are(syntax: str, undefined: bool) -> None:
    dataset = undefined_lengths(pushed()) if undefined else pushed()
    found = decode_create(encode(dataset, syntax), syntax)
    assert found.inputs == (
        Input("1.2.1", "1.2.2", ((CT, "1.2.3"), (CT, "1.2.4")), ("PACS", "VNA")),
        Input("1.2.11", "", (), ()),
    )
    assert (found.label, found.worklist_label, found.priority) == ("Für Patientin", "SHARE", Priority.HIGH)
    assert found.codes == (Code("SHARE", "99X", "Share to patient"),)
    assert (found.patient_id, found.issuer_of_patient_id) == ("4711", "KH")
    assert (found.study_uid, found.accession_numbers) == ("1.2.1", ("A17",))


def test_a_workitem_need_not_say_more_than_that_it_is_scheduled() -> None:
    found = decode_create(encode(made(ProcedureStepState="SCHEDULED")), EXPLICIT_LE)
    assert found == ("", "", Priority.MEDIUM, (), (), "", (), "", "")


BAD: dict[str, tuple[dict[str, Any], Status]] = {
    "no state": ({"ProcedureStepState": None}, Status.MISSING_ATTRIBUTE),
    "an empty state": ({"ProcedureStepState": ""}, Status.MISSING_ATTRIBUTE_VALUE),
    "another state": ({"ProcedureStepState": "IN PROGRESS"}, Status.UPS_NOT_SCHEDULED),
    "an input that names an instance by halves": (
        {"InputInformationSequence": [made(ReferencedSOPSequence=[made(ReferencedSOPClassUID=CT)])]},
        Status.MISSING_ATTRIBUTE,
    ),
    "a study whose UID is text": ({"StudyInstanceUID": "study"}, Status.INVALID_ATTRIBUTE_VALUE),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_workitem_is_refused_with_the_status_that_says_why(case: str) -> None:
    changes, status = BAD[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = encode(pushed(**changes))
    with pytest.raises(DatasetError) as refused:
        decode_create(data, EXPLICIT_LE)
    assert refused.value.status == status


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_who_asks_to_cancel_may_say_why(syntax: str) -> None:
    dataset = made(
        ReasonForCancellation="wrong patient",
        ProcedureStepDiscontinuationReasonCodeSequence=[code("110513", "Discontinued for unspecified reason")],
    )
    dataset.ContactURI, dataset.ContactDisplayName = "tel:+12025550100", "Ward 3"
    found = decode_cancel(encode(dataset, syntax), syntax)
    code_ = Code("110513", "99X", "Discontinued for unspecified reason")
    assert found == Cancellation("wrong patient", (code_,), "tel:+12025550100", "Ward 3")
    assert decode_cancel(b"", syntax) == Cancellation("", ())


def test_of_a_reason_without_end_some_codes_are_read() -> None:
    dataset = made(ProcedureStepDiscontinuationReasonCodeSequence=[code(f"{number}", "") for number in range(500)])
    assert len(decode_cancel(encode(dataset), EXPLICIT_LE).codes) == workitem.MOST_CODES


SUBSCRIPTIONS: dict[str, tuple[dict[str, str], Subscription]] = {
    "with a lock": ({"ReceivingAE": "RIS ", "DeletionLock": "TRUE"}, Subscription("RIS", True)),
    "without": ({"ReceivingAE": "RIS", "DeletionLock": "FALSE"}, Subscription("RIS", False)),
    "no more": ({"ReceivingAE": "RIS"}, Subscription("RIS", False)),
}


@pytest.mark.parametrize("case", SUBSCRIPTIONS)
def test_a_subscription_says_who_is_told(case: str) -> None:
    values, found = SUBSCRIPTIONS[case]
    assert decode_subscription(encode(made(**values)), EXPLICIT_LE) == found


@pytest.mark.parametrize(
    "values", [{}, {"ReceivingAE": ""}, {"ReceivingAE": "RIS", "DeletionLock": "PERHAPS"}], ids=str
)
def test_a_subscription_without_its_arguments_is_refused(values: dict[str, str]) -> None:
    with pytest.raises(DatasetError) as refused:
        decode_subscription(encode(made(**values)), EXPLICIT_LE)
    assert refused.value.status == Status.INVALID_ARGUMENT_VALUE


PROGRESS = Progress(
    StepState.IN_PROGRESS,
    Readiness.INCOMPLETE,
    40,
    "212 of 530 images",
    "",
    "Für Patientin",
    "SHARE",
    study_uid="1.2.1",
)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_progress_is_told_whole(syntax: str) -> None:
    found = decode(encode_progress(PROGRESS, syntax, ()), syntax)
    assert (found.ProcedureStepState, found.InputReadinessState) == ("IN PROGRESS", "INCOMPLETE")
    (told,) = found.ProcedureStepProgressInformationSequence
    assert (told.ProcedureStepProgress, told.ProcedureStepProgressDescription) == (40, "212 of 530 images")
    assert "ReasonForCancellation" not in told
    assert (found.ProcedureStepLabel, found.SpecificCharacterSet) == ("Für Patientin", "ISO_IR 192")
    assert (found.StudyInstanceUID, found.ScheduledProcedureStepPriority) == ("1.2.1", "MEDIUM")
    assert {int(element.tag) for element in found} == GETTABLE


def test_why_it_was_cancelled_is_told() -> None:
    progress = PROGRESS._replace(state=StepState.CANCELED, reason="wrong patient")
    found = decode(
        encode_progress(progress, EXPLICIT_LE, (tags.PROCEDURE_STEP_PROGRESS_INFORMATION_SEQUENCE,)), EXPLICIT_LE
    )
    assert [element.keyword for element in found] == ["ProcedureStepProgressInformationSequence"]
    assert found.ProcedureStepProgressInformationSequence[0].ReasonForCancellation == "wrong patient"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_state_report_says_the_state_and_whether_all_is_at_hand(syntax: str) -> None:
    found = decode(encode_state_report(StepState.COMPLETED, Readiness.READY, "", syntax), syntax)
    assert (found.ProcedureStepState, found.InputReadinessState) == ("COMPLETED", "READY")
    assert "ReasonForCancellation" not in found
    found = decode(encode_state_report(StepState.CANCELED, Readiness.READY, "no patient", syntax), syntax)
    assert found.ReasonForCancellation == "no patient"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_progress_report_holds_the_progress_and_nothing_else(syntax: str) -> None:
    found = decode(encode_progress_report(40, "212 of 530 images", syntax), syntax)
    assert [element.keyword for element in found] == ["ProcedureStepProgressInformationSequence"]
    (told,) = found.ProcedureStepProgressInformationSequence
    assert (told.ProcedureStepProgress, told.ProcedureStepProgressDescription) == (40, "212 of 530 images")


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_who_asked_to_cancel_is_told_with_what_was_said(syntax: str) -> None:
    asked = Cancellation("für niemanden", (Code("1", "99X", "No"),), "tel:+12025550100", "Ward 3")
    data = encode_cancel_requested("PORTAL", asked, syntax)
    assert decode_cancel(data, syntax) == asked
    assert decode(data, syntax).RequestingAE == "PORTAL"
