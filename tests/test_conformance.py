"""The conformance statement says what the code does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import keyword_for_tag
from pynetdicom.sop_class import _STORAGE_CLASSES  # type: ignore[attr-defined]

from appliance.adapters.association import Limits
from appliance.dicom import negotiation, tags
from appliance.dicom.dimse import Status
from tests.conformance import ANSWERED, statement, storage_classes, transfer_syntaxes
from tests.conformance_parts import hexadecimal
from tests.conformance_services import NAMES

FILE = Path(__file__).parents[1] / "docs/conformance.md"
CT = "1.2.840.10008.5.1.4.1.1.2"


def test_the_file_is_what_the_code_says() -> None:
    written = FILE.read_text(encoding="utf-8")
    assert written == statement(), "write it anew: python -m tests.conformance > docs/conformance.md"


@pytest.mark.parametrize("name", ["request_s", "handshake_s", "idle_s", "close_s", "silent", "associations"])
def test_another_limit_makes_another_statement(name: str) -> None:
    changed = statement(replace(Limits(), **{name: 4321}))
    assert changed != statement()
    assert "4321" in changed


def test_a_transfer_syntax_that_is_no_longer_accepted_is_no_longer_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    rle = "| RLE Lossless | 1.2.840.10008.1.2.5 |"
    assert rle in statement()
    monkeypatch.setattr(negotiation, "_REFERENCED", negotiation._REFERENCED | {"1.2.840.10008.1.2.5"})
    assert rle not in statement()


def test_every_storage_class_that_pynetdicom_knows_is_listed() -> None:
    ours = dict(storage_classes())
    missing = [name for name, uid in _STORAGE_CLASSES.items() if str(uid) not in ours and str(uid) in UID_dictionary]
    assert missing == []
    assert "1.2.840.10008.5.1.4.1.2.2.1" not in ours  # Study Root Find


def test_only_references_to_pixels_are_refused_as_transfer_syntaxes_of_images() -> None:
    assert {name.split(" ")[0] for _, name in transfer_syntaxes(CT, accepted=False)} == {"JPIP"}


def test_every_attribute_of_a_service_that_is_read_or_written_is_listed() -> None:
    text = statement()
    missing = [keyword_for_tag(tag) for tag in tags.VRS if f"({tag >> 16:04X},{tag & 0xFFFF:04X})" not in text]
    assert missing == ["TransactionUID", "FailureReason"]  # of storage commitment, and of lists: told in words


def test_every_service_that_is_accepted_is_named() -> None:
    assert set(NAMES) == set(negotiation.ASKED)


def test_every_status_that_the_box_can_answer_is_explained() -> None:
    assert {status for meanings in ANSWERED.values() for status in meanings} == set(Status)
    assert all(f"| {hexadecimal(status)} |" in statement() for status in Status)
