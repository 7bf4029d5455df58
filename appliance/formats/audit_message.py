"""Audit records as DICOM audit messages (PS3.15 A.5), in XML by the schema of A.5.1.

Studies and patients by their ID, as A.5.3 asks for; no patient's name. What a repository is sent over is
formats/syslog.py.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree as Xml

from appliance.formats.audit import Event, Kind, Outcome, Record, words

DCM = "DCM"
OWN = "99SLIPWAY"  # PS3.16 8.2: private coding schemes begin with 99
RFC_3881 = "RFC-3881"
UNKNOWN = "unknown"  # where the schema wants a value and there is none
APPLICATION_SERVER = "4"  # A.5.1.2.1
NETWORK_ADDRESS, NETWORK_URI = "2", "5"  # A.5.1, NetworkAccessPointTypeCode


@dataclass(frozen=True)
class Code:
    value: str
    meaning: str
    scheme: str = DCM


@dataclass(frozen=True)
class Source:
    """Who reports."""

    site: str
    host: str
    vault: str = ""  # URL
    titles: tuple[str, ...] = ()  # AE titles of the box
    modern_codes: bool = True  # csd-code and originalText; else code and displayName, as before 2013


ACTIVITY = Code("110100", "Application Activity")
ALERT = Code("110113", "Security Alert")
EXPORT = Code("110106", "Export")
OBJECT_SECURITY = Code("110135", "Object Security Attributes Changed")
NODE_AUTHENTICATION = Code("110126", "Node Authentication")
SOURCE_ROLE, DESTINATION_ROLE = Code("110153", "Source Role ID"), Code("110152", "Destination Role ID")
APPLICATION, DESTINATION_MEDIA = Code("110150", "Application"), Code("110154", "Destination Media")
PAPER, URI_MEDIA = Code("110038", "Paper Document"), Code("110037", "URI")
STUDY_UID, NODE_ID = Code("110180", "Study Instance UID"), Code("110182", "Node ID")
PATIENT_NUMBER, URI = Code("2", "Patient Number", RFC_3881), Code("12", "URI", RFC_3881)
SHARE_ASKED = Code("request", "Share asked for", OWN)
SHARE_ID = Code("share", "Share", OWN)

# EventID, EventActionCode, EventTypeCode
EVENTS: dict[Kind, tuple[Code, str, Code | None]] = {
    Kind.STARTED: (ACTIVITY, "E", Code("110120", "Application Start")),
    Kind.STOPPED: (ACTIVITY, "E", Code("110121", "Application Stop")),
    Kind.SETTINGS_CHANGED: (ALERT, "E", Code("110131", "Software Configuration")),
    Kind.TRANSFER_BEGUN: (Code("110102", "Begin Transferring DICOM Instances"), "E", None),
    Kind.TRANSFERRED: (Code("110104", "DICOM Instances Transferred"), "C", None),
    Kind.SLIP_PRINTED: (EXPORT, "R", Code("slip", "Slip printed", OWN)),
    Kind.SLIP_REPRINTED: (ALERT, "E", Code("110132", "Use of Restricted Function")),
    Kind.SLIP_RELEASED: (ALERT, "E", OBJECT_SECURITY),
    Kind.PIN_SHOWN: (Code("110110", "Patient Record"), "R", None),
    Kind.SHARE_UPLOADED: (EXPORT, "R", Code("upload", "Sealed to a vault", OWN)),
    Kind.SHARE_SHOWN: (Code("110110", "Patient Record"), "R", None),
    Kind.SHARE_RELEASED: (ALERT, "E", OBJECT_SECURITY),
    Kind.SHARE_REVOKED: (Code("110105", "DICOM Study Deleted"), "D", None),
    Kind.SHARE_REQUESTED: (ALERT, "E", SHARE_ASKED),
    Kind.REQUEST_CANCELLED: (ALERT, "E", SHARE_ASKED),
    Kind.REQUEST_FAILED: (ALERT, "E", SHARE_ASKED),
    Kind.SHARE_HELD: (ALERT, "E", OBJECT_SECURITY),
    Kind.SHARE_APPROVED: (ALERT, "E", OBJECT_SECURITY),
    Kind.SHARE_RESOLVED: (Code("110110", "Patient Record"), "U", None),
    Kind.PATIENTS_LISTED: (Code("110112", "Query"), "E", None),
    Kind.PACS_QUERIED: (Code("110112", "Query"), "E", Code("pacs", "Asked of an archive", OWN)),
    Kind.PULLED: (Code("110103", "DICOM Instances Accessed"), "R", Code("pull", "Pulled from an archive", OWN)),
    Kind.LINK_REVOKED: (ALERT, "E", OBJECT_SECURITY),
    Kind.LINK_EXTENDED: (ALERT, "E", OBJECT_SECURITY),
    Kind.PEER_APPROVED: (ALERT, "E", Code("110128", "Network Configuration")),
    Kind.PEER_UNKNOWN: (ALERT, "E", NODE_AUTHENTICATION),
    Kind.CERTIFICATE_WRONG: (ALERT, "E", NODE_AUTHENTICATION),
    Kind.FLOODED: (ALERT, "E", Code("flood", "Flood of connections", OWN)),
    Kind.TOKENS_WRONG: (ALERT, "E", NODE_AUTHENTICATION),
    Kind.WRISTBANDS_WRONG: (ALERT, "E", Code("wristbands", "Wrong wristbands in a row", OWN)),
    Kind.TRAIL_READ: (Code("110101", "Audit Log Used"), "R", None),
}
TRANSFERS = (Kind.TRANSFER_BEGUN, Kind.TRANSFERRED)


def message(record: Record, source: Source) -> bytes:
    """One AuditMessage, UTF-8, on one line."""
    root = _Writer(source).write(record)
    xml: bytes = Xml.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>' + xml


class _Writer:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._box = f"slipway@{source.host}"
        self._titles = "AETITLES=" + ";".join(source.titles)  # A.5.2.2

    def write(self, record: Record) -> Xml.Element:
        """In the order of the schema."""
        root, event = Xml.Element("AuditMessage"), record.event
        self._identify(root, record)
        if event.kind in TRANSFERS:
            self._sender_and_receiver(root, event)
        else:
            self._actors(root, event)
        source = Xml.SubElement(root, "AuditSourceIdentification")
        source.attrib |= {"AuditEnterpriseSiteID": _text(self._source.site), "AuditSourceID": self._source.host}
        Xml.SubElement(source, "AuditSourceTypeCode", {self._key: APPLICATION_SERVER})
        self._objects(root, event)
        return root

    @property
    def _key(self) -> str:
        return "csd-code" if self._source.modern_codes else "code"

    def _code(self, parent: Xml.Element, name: str, code: Code) -> None:
        meaning = "originalText" if self._source.modern_codes else "displayName"
        Xml.SubElement(parent, name, {self._key: code.value, "codeSystemName": code.scheme, meaning: code.meaning})

    def _identify(self, root: Xml.Element, record: Record) -> None:
        code, action, type_code = EVENTS[record.event.kind]
        at = datetime.fromtimestamp(record.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        outcome = str(int(record.event.outcome))
        attributes = {"EventActionCode": action, "EventDateTime": at, "EventOutcomeIndicator": outcome}
        element = Xml.SubElement(root, "EventIdentification", attributes)
        self._code(element, "EventID", code)
        if type_code is not None:
            self._code(element, "EventTypeCode", type_code)
        if record.event.outcome is not Outcome.SUCCESS and record.event.why:
            Xml.SubElement(element, "EventOutcomeDescription").text = _text(record.event.why)

    # -- who ---------------------------------------------------------------------------------------------------------

    def _participant(
        self,
        root: Xml.Element,
        user: str,
        *roles: Code,
        asked: bool = False,
        media: Code | None = None,
        also: str = "",
        at: str = "",
    ) -> None:
        """`also`: its AE titles; `at`: its IP address or URL."""
        attributes = {"UserID": _text(user), "UserIsRequestor": "true" if asked else "false"}
        attributes |= {"AlternativeUserID": also} if also else {}
        if at:
            kind = NETWORK_URI if "://" in at else NETWORK_ADDRESS
            attributes |= {"NetworkAccessPointID": _text(at), "NetworkAccessPointTypeCode": kind}
        element = Xml.SubElement(root, "ActiveParticipant", attributes)
        for role in roles:
            self._code(element, "RoleIDCode", role)
        if media is not None:
            self._code(Xml.SubElement(element, "MediaIdentifier"), "MediaType", media)

    def _sender_and_receiver(self, root: Xml.Element, event: Event) -> None:
        calling, called = (f"AETITLES={_text(title)}" for title in (event.calling, event.called))
        self._participant(root, event.calling, SOURCE_ROLE, asked=True, also=calling, at=event.address)
        self._participant(root, self._box, DESTINATION_ROLE, also=called)

    def _actors(self, root: Xml.Element, event: Event) -> None:
        """The person who asked, where there is one, and the box; what the images left on."""
        roles = {ACTIVITY: [APPLICATION], EXPORT: [SOURCE_ROLE]}.get(EVENTS[event.kind][0], [])
        if event.kind is Kind.PATIENTS_LISTED:
            roles = [DESTINATION_ROLE]
        elif event.kind is Kind.PACS_QUERIED:
            roles = [SOURCE_ROLE]
        if event.by:
            person = [SOURCE_ROLE] if event.kind is Kind.PATIENTS_LISTED else []
            self._participant(root, event.by, *person, asked=True)
        self._participant(root, self._box, *roles, asked=not event.by, also=self._titles)
        if event.kind is Kind.SLIP_PRINTED:
            self._participant(root, event.slip, DESTINATION_MEDIA, media=PAPER)
        elif event.kind is Kind.SHARE_UPLOADED:
            vault = self._source.vault
            self._participant(root, vault or UNKNOWN, DESTINATION_MEDIA, media=URI_MEDIA, at=vault)
        elif event.kind is Kind.PACS_QUERIED:
            self._participant(root, event.called, DESTINATION_ROLE, also=f"AETITLES={_text(event.called)}")
        elif event.address:
            self._participant(root, event.calling or event.address, at=event.address)

    # -- what --------------------------------------------------------------------------------------------------------

    def _objects(self, root: Xml.Element, event: Event) -> None:
        kind = event.kind
        if kind is Kind.TRAIL_READ:
            self._object(root, URI, "slipway:audit", "2", "13", "Security Audit Log")
        elif kind in (Kind.PATIENTS_LISTED, Kind.PACS_QUERIED):
            self._object(root, Code("listing", "Listing", OWN), event.about, "2", "24", query=words(event))
        for study in event.studies or ((UNKNOWN,) if kind in TRANSFERS else ()):
            self._study(root, event, study)
        if event.patient or kind in TRANSFERS:
            self._object(root, PATIENT_NUMBER, event.patient or UNKNOWN, "1", "1", "withheld")
        if event.share:
            facts = {"slip": event.slip, "why": event.why}
            self._object(root, SHARE_ID, event.share, "2", "20", "Share", facts)
        elif EVENTS[kind][0] is ALERT:
            subject = event.address or event.about or UNKNOWN
            self._object(root, NODE_ID, subject, "2", "13", "Subject", {"Alert Description": words(event)})

    def _study(self, root: Xml.Element, event: Event, study: str) -> None:
        element = self._object(root, STUDY_UID, study, "2", "3", "Study")
        if event.kind is Kind.TRANSFERRED:
            description = Xml.SubElement(element, "ParticipantObjectDescription")
            Xml.SubElement(description, "SOPClass", {"NumberOfInstances": str(event.instances)})

    def _object(
        self,
        root: Xml.Element,
        id_type: Code,
        value: str,
        type_code: str,
        role: str,
        name: str = "",
        details: dict[str, str] | None = None,
        query: str = "",
    ) -> Xml.Element:
        attributes = {"ParticipantObjectID": _text(value)}
        attributes |= {"ParticipantObjectTypeCode": type_code, "ParticipantObjectTypeCodeRole": role}
        element = Xml.SubElement(root, "ParticipantObjectIdentification", attributes)
        self._code(element, "ParticipantObjectIDTypeCode", id_type)
        if query:
            Xml.SubElement(element, "ParticipantObjectQuery").text = _base64(query)
        else:
            Xml.SubElement(element, "ParticipantObjectName").text = name
        for key, detail in (details or {}).items():
            if detail:
                Xml.SubElement(element, "ParticipantObjectDetail", {"type": key, "value": _base64(detail)})
        return element


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")


def _text(value: str) -> str:
    """What came from outside may hold what XML 1.0 cannot: control characters, lone surrogates."""
    return "".join(char if char.isprintable() else "?" for char in value)
