"""What a STOW-RS request is answered."""

from __future__ import annotations

import json

from pydicom.dataset import Dataset

from appliance.formats.store_report import ITEMS_A_PIECE, Reason, StoreReport

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


def parsed(report: StoreReport) -> Dataset:
    """By another reader of DICOM JSON."""
    return Dataset.from_json(b"".join(report.json()).decode())


def test_each_instance_is_where_the_standard_has_it():
    report = StoreReport()
    report.add_stored(CT, "1.1")
    report.add_failed(Reason.OUT_OF_RESOURCES, CT, "1.2")
    report.add_stored(MR, "1.3")
    report.add_failed(Reason.CANNOT_UNDERSTAND)
    said = parsed(report)
    stored = [(item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) for item in said.ReferencedSOPSequence]
    assert stored == [(CT, "1.1"), (MR, "1.3")]
    # Type 2 of PS3.18 table I.1-1: there, and empty, as nothing can be had back.
    assert all(item["RetrieveURL"].is_empty for item in (said, *said.ReferencedSOPSequence))
    (failed,) = said.FailedSOPSequence
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == ("1.2", 0xA700)
    assert [item.FailureReason for item in said.OtherFailuresSequence] == [0xC000]
    assert (report.stored, report.failed) == (2, 2)


def test_a_sequence_with_nothing_in_it_is_not_there():
    report = StoreReport()
    assert json.loads(b"".join(report.json())) == {"00081190": {"vr": "UR"}}
    report.add_failed(Reason.PROCESSING_FAILURE)
    assert set(parsed(report).keys()) == {0x0008119A, 0x00081190}


def test_a_long_answer_comes_in_pieces_and_is_kept_small():
    report, count = StoreReport(), 10_000
    for n in range(count):
        report.add_stored(CT, f"1.2.826.0.1.3680043.10.1337.99.20261122.{n}")
    assert len(report._stored) < 80 * count
    pieces = list(report.json())
    assert max(map(len, pieces)) < 300 * ITEMS_A_PIECE
    items = json.loads(b"".join(pieces))["00081199"]["Value"]
    assert [item["00081155"]["Value"][0].rpartition(".")[2] for item in items] == [str(n) for n in range(count)]
