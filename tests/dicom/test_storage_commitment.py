"""Requests for storage commitment, written and read back by pydicom, and such as nobody should write."""

from __future__ import annotations

import struct
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from appliance.dicom.dimse import Command, CommandField, Status
from appliance.dicom.elements import MAX_ITEMS, UnreadableError
from appliance.dicom.negotiation import EXPLICIT_LE, IMPLICIT_LE, STORAGE_COMMITMENT
from appliance.dicom.storage_commitment import WELL_KNOWN_INSTANCE, decide, decode_request, encode_failures
from tests.dicom.datasets import CT, SYNTAXES, decode, encode, reference


def wanted(*uids: str, transaction: str = "1.2.3.4.5") -> Dataset:
    dataset = Dataset()
    dataset.TransactionUID = transaction
    dataset.ReferencedSOPSequence = Sequence([reference(uid) for uid in uids])
    return dataset


def verdict(
    data: bytes,
    syntax: str = EXPLICIT_LE,
    *,
    sop: str = STORAGE_COMMITMENT,
    instance: str = WELL_KNOWN_INSTANCE,
    action: int = 1,
):
    command = Command(CommandField.N_ACTION_RQ, 1, sop, instance, has_dataset=True, action_type=action)
    return decide(command, data, syntax)


def failed(report: bytes, syntax: str) -> list[tuple[str, str, int]]:
    found = decode(report, syntax)
    return [
        (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID, item.FailureReason)
        for item in found.FailedSOPSequence
    ]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_instance_is_reported_as_failed_and_none_as_committed(syntax):
    status, report = verdict(encode(wanted("1.2.3", "1.2.34"), syntax), syntax)
    assert status == 0x0000
    assert failed(report, syntax) == [(CT, "1.2.3", 0x0110), (CT, "1.2.34", 0x0110)]
    found = decode(report, syntax)
    assert found.TransactionUID == "1.2.3.4.5"
    assert "ReferencedSOPSequence" not in found


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_report_is_byte_for_byte_what_pydicom_would_write(syntax):
    _, report = verdict(encode(wanted("1.2.3", "1.2.34"), syntax), syntax)
    found = decode(report, syntax)
    assert len(list(found.iterall())) == 8  # now they are values, which pydicom writes anew
    assert encode(found, syntax) == report


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_sequences_and_items_of_undefined_length_are_read(syntax):
    dataset = wanted("1.2.3", "1.2.34")
    dataset["ReferencedSOPSequence"].is_undefined_length = True
    for item in dataset.ReferencedSOPSequence:
        item.is_undefined_length_sequence_item = True
    _, report = verdict(encode(dataset, syntax), syntax)
    assert [uid for _, uid, _ in failed(report, syntax)] == ["1.2.3", "1.2.34"]


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("undefined", [False, True])
def test_what_else_a_modality_adds_is_skipped(syntax, undefined):
    dataset = wanted("1.2.3")
    dataset.RetrieveAETitle = "CT1"
    dataset.ReferencedPerformedProcedureStepSequence = Sequence([reference("1.2.99")])
    dataset["ReferencedPerformedProcedureStepSequence"].is_undefined_length = undefined
    item = dataset.ReferencedSOPSequence[0]
    item.add_new(0x00090010, "LO", "A VENDOR")
    item.PurposeOfReferenceCodeSequence = Sequence([reference("1.2.98")])
    item["PurposeOfReferenceCodeSequence"].is_undefined_length = undefined
    _, report = verdict(encode(dataset, syntax), syntax)
    assert failed(report, syntax) == [(CT, "1.2.3", 0x0110)]


def test_another_action_is_unknown():
    assert verdict(encode(wanted("1.2.3")), action=2) == (0x0123, b"")


def test_another_instance_does_not_exist():
    assert verdict(encode(wanted("1.2.3")), instance="1.2.840.10008.1.20.1.2") == (0x0112, b"")


def test_another_class_than_the_contexts_is_not_served():
    assert verdict(encode(wanted("1.2.3")), sop=CT) == (0x0118, b"")


def without(keyword: str, inside: bool = False) -> Dataset:
    dataset = wanted("1.2.3", "1.2.4")
    delattr(dataset.ReferencedSOPSequence[1] if inside else dataset, keyword)
    return dataset


def deep(levels: int) -> bytes:
    start = struct.pack("<HH2sxxI", 0x0040, 0xA170, b"SQ", 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    end = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return encode(wanted("1.2.3")) + start * levels + end * levels


BAD = {
    "nothing": b"",
    "no transaction": encode(without("TransactionUID")),
    "no sequence": encode(without("ReferencedSOPSequence")),
    "no instance": encode(wanted()),
    "an item without its class": encode(without("ReferencedSOPClassUID", inside=True)),
    "an item without its instance": encode(without("ReferencedSOPInstanceUID", inside=True)),
    "noise": bytes(range(256)),
    "the wrong transfer syntax": encode(wanted("1.2.3"), IMPLICIT_LE),
    "too deep": deep(9),
    "deep enough for a stack to overflow": deep(100_000),
    "a UID that is text": encode(wanted("1.2.3")).replace(b"1.2.3.4.5", b"1.2.'3\\.5"),
    "an element longer than its item": encode(wanted("1.2.3")).replace(b"UI\x06\x001.2.3\0", b"UI\xff\x001.2.3\0"),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_what_cannot_be_read_is_a_processing_failure_and_nothing_is_reported(data):
    assert verdict(data) == (Status.PROCESSING_FAILURE, b"")


def test_sequences_of_a_sensible_depth_are_read():
    assert verdict(deep(8)).status == 0


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_request_cut_anywhere_is_refused(syntax, undefined):
    dataset = wanted("1.2.3", "1.2.4")
    dataset["ReferencedSOPSequence"].is_undefined_length = undefined
    data = encode(dataset, syntax)
    for size in range(len(data)):
        assert verdict(data[:size], syntax).status == Status.PROCESSING_FAILURE


@pytest.mark.parametrize(("extra", "status"), [(0, Status.SUCCESS), (1, Status.RESOURCE_LIMITATION)])
def test_more_instances_than_the_box_reads_in_one_go_are_refused(extra, status):
    item = encode(reference("1.2"))
    body = (struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item) * (MAX_ITEMS + extra)
    head = encode(wanted("1.2.3"))[:18]
    data = head + struct.pack("<HH2sxxI", 8, 0x1199, b"SQ", len(body)) + body
    assert verdict(data).status == status


@settings(max_examples=600)
@given(st.sampled_from(SYNTAXES), st.integers(0, 200), st.binary(max_size=12), st.booleans())
def test_a_damaged_request_is_read_or_refused_and_nothing_else_goes_wrong(syntax, at, damage, undefined):
    dataset = wanted("1.2.3", "1.2.4")
    dataset["ReferencedSOPSequence"].is_undefined_length = undefined
    data = encode(dataset, syntax)
    data = data[:at] + damage + data[at + len(damage) :]
    try:
        request = decode_request(data, syntax)
    except UnreadableError:
        return
    report = encode_failures(request, syntax)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(failed(report, syntax)) == len(request.references)
