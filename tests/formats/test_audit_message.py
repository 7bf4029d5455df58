"""Audit messages are what PS3.15 A.5 says: valid by its schema, and with the codes and roles of its tables."""

from __future__ import annotations

import base64
import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from appliance.formats.audit import Event, Kind, Outcome, Record, words
from appliance.formats.audit_message import EVENTS, Source, message
from appliance.formats.syslog import frame

SCHEMA = Path(__file__).parent / "schema" / "audit_message.rng"
SOURCE = Source("St Mary's", "box7", "https://vault.example.org", ("SHARE", "BURN"))
FULL = Event(
    Kind.STARTED,
    by="ada",
    why="lost",
    about="12 shares",
    calling="CT1",
    called="SHARE",
    address="10.20.0.5",
    share="0011aabb",
    slip="S-00001",
    patient="4711",
    studies=("1.2.3", "1.2.4"),
    instances=3,
)


def record(kind: Kind, event: Event = FULL, outcome: Outcome = Outcome.SUCCESS) -> Record:
    return Record(7, 1_795_000_000.25, replace(event, kind=kind, outcome=outcome))


def parsed(kind: Kind, event: Event = FULL, source: Source = SOURCE) -> Xml.Element:
    return Xml.fromstring(message(record(kind, event), source))


def complaints(folder: Path, *messages: bytes) -> str:
    """What the schema has against them; "" for nothing."""
    paths = [folder / f"{n}.xml" for n in range(len(messages))]
    for path, content in zip(paths, messages, strict=True):
        path.write_bytes(content)
    command = ["xmllint", "--nonet", "--noout", "--relaxng", str(SCHEMA), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 3), done.stderr
    return "" if done.returncode == 0 else done.stderr


def test_every_kind_is_valid_with_all_facts_and_with_none(tmp_path: Path) -> None:
    several = []
    for kind in Kind:
        several += [message(record(kind, FULL, outcome), SOURCE) for outcome in Outcome]
        several.append(message(record(kind, Event(kind)), Source("", "box7")))
    assert complaints(tmp_path, *several) == ""


BROKEN = {
    b"EventDateTime=": b"When=",
    b'EventOutcomeIndicator="0"': b'EventOutcomeIndicator="1"',
    b"csd-code": b"code",
    b'UserIsRequestor="true"': b'UserIsRequestor="maybe"',
    b"<ParticipantObjectName>Study</ParticipantObjectName>": b"",
    b'NetworkAccessPointTypeCode="2"': b'NetworkAccessPointTypeCode="6"',
}


@pytest.mark.parametrize("good", BROKEN)
def test_the_schema_can_say_no(tmp_path: Path, good: bytes) -> None:
    whole = message(record(Kind.TRANSFERRED), SOURCE)
    assert good in whole
    assert complaints(tmp_path, whole.replace(good, BROKEN[good], 1))


def test_a_transfer_names_both_ends_study_patient_and_count() -> None:
    root = parsed(Kind.TRANSFERRED)
    event = root.find("EventIdentification/EventID")
    assert event is not None
    assert event.attrib == {
        "csd-code": "110104",
        "codeSystemName": "DCM",
        "originalText": "DICOM Instances Transferred",
    }
    ends = [
        (one.get("AlternativeUserID"), one.get("UserIsRequestor"), role.get("csd-code"))
        for one in root.findall("ActiveParticipant")
        for role in one.findall("RoleIDCode")
    ]
    assert ends == [("AETITLES=CT1", "true", "110153"), ("AETITLES=SHARE", "false", "110152")]
    studies = root.findall("ParticipantObjectIdentification[@ParticipantObjectTypeCodeRole='3']")
    assert [one.get("ParticipantObjectID") for one in studies] == ["1.2.3", "1.2.4"]
    counts = [one.get("NumberOfInstances") for one in root.iter("SOPClass")]
    assert counts == ["3", "3"]
    (patient,) = root.findall("ParticipantObjectIdentification[@ParticipantObjectTypeCode='1']")
    assert patient.get("ParticipantObjectID") == "4711"


@pytest.mark.parametrize(
    ("kind", "media", "user"),
    [(Kind.SLIP_PRINTED, "110038", "S-00001"), (Kind.SHARE_UPLOADED, "110037", "https://vault.example.org")],
)
def test_an_export_names_the_medium(kind: Kind, media: str, user: str) -> None:
    root = parsed(kind)
    (found,) = [one for one in root.findall("ActiveParticipant") if one.find("MediaIdentifier") is not None]
    assert found.get("UserID") == user
    assert [one.get("csd-code") for one in found.iter("MediaType")] == [media]


@pytest.mark.parametrize("kind", Kind)
def test_exactly_one_participant_is_the_requestor(kind: Kind) -> None:
    for by in ("", "ada"):
        found = parsed(kind, replace(FULL, by=by)).findall("ActiveParticipant[@UserIsRequestor='true']")
        assert len(found) == 1


def test_a_person_who_asked_is_named() -> None:
    for kind in (Kind.SLIP_REPRINTED, Kind.SHARE_REVOKED, Kind.PEER_APPROVED, Kind.TRAIL_READ):
        asked = parsed(kind).find("ActiveParticipant[@UserIsRequestor='true']")
        assert asked is not None
        assert asked.get("UserID") == "ada"


def test_the_reason_of_a_reprint_is_in_its_message() -> None:
    details = {one.get("type"): one.get("value") for one in parsed(Kind.SLIP_REPRINTED).iter("ParticipantObjectDetail")}
    assert base64.b64decode(details["why"] or "") == b"lost"


def test_an_alert_tells_what_happened() -> None:
    event = Event(Kind.PEER_UNKNOWN, calling="CT9", address="10.66.6.6")
    (detail,) = parsed(Kind.PEER_UNKNOWN, event).iter("ParticipantObjectDetail")
    assert base64.b64decode(detail.get("value") or "").decode() == words(event)


def test_codes_can_be_written_as_older_repositories_want_them() -> None:
    old = message(record(Kind.TRANSFERRED), replace(SOURCE, modern_codes=False))
    assert b"csd-code" not in old
    assert b"originalText" not in old
    assert b'code="110104" codeSystemName="DCM" displayName="DICOM Instances Transferred"' in old


def test_what_xml_cannot_hold_does_not_make_it_invalid(tmp_path: Path) -> None:
    nasty = "a\x00\x1b<&\"'\ud800\ufffe\r\n é"
    event = replace(FULL, patient=nasty, studies=(nasty,), by=nasty, why=nasty, calling=nasty, about=nasty, slip=nasty)
    several = [message(record(kind, event, Outcome.SERIOUS_FAILURE), replace(SOURCE, site=nasty)) for kind in Kind]
    assert complaints(tmp_path, *several) == ""
    assert not any(b"\n" in one for one in several)


def test_every_kind_has_a_message_and_words() -> None:
    assert set(EVENTS) == set(Kind)
    for kind in Kind:
        assert words(replace(FULL, kind=kind)).isprintable()


def test_words_never_show_a_patient() -> None:
    for kind in Kind:
        said = words(replace(FULL, kind=kind, patient="CANARY", studies=("1.2.826.4711",)))
        assert "CANARY" not in said
        assert "4711" not in said


def test_a_frame_is_as_long_as_it_says_and_has_the_fields_of_rfc_5424() -> None:
    whole = frame(7, 1_795_000_000.25, "box 7é", b"<x/>")
    length, _, body = whole.partition(b" ")
    assert int(length) == len(body)
    assert body == (
        b'<85>1 2026-11-18T11:06:40.250Z box7 slipway - DICOM+RFC3881 [meta sequenceId="7"] \xef\xbb\xbf<x/>'
    )


def test_the_sequence_id_stays_in_its_range() -> None:
    assert b'sequenceId="2147483647"' in frame(2**31 - 1, 0, "b", b"")
    assert b'sequenceId="1"' in frame(2**31, 0, "b", b"")
