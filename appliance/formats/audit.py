"""What the audit trail records: kinds of events, a record's bytes, and how one record hangs on the one before.

Not where they are kept (daemon/auditing.py) and not the messages that leave the box (formats/audit_message.py).
"""

from __future__ import annotations

import struct
from dataclasses import asdict, dataclass, fields
from enum import IntEnum, StrEnum
from typing import Any

from appliance.formats.sealed import Sealer

CHAIN_START = bytes(32)  # stands for the record before the first


class Kind(StrEnum):
    STARTED = "started"
    STOPPED = "stopped"
    SETTINGS_CHANGED = "settings-changed"
    TRANSFER_BEGUN = "transfer-begun"
    TRANSFERRED = "transferred"
    SLIP_PRINTED = "slip-printed"
    SLIP_REPRINTED = "slip-reprinted"
    SLIP_RELEASED = "slip-released"
    PIN_SHOWN = "pin-shown"
    SHARE_UPLOADED = "share-uploaded"
    SHARE_SHOWN = "share-shown"
    SHARE_RELEASED = "share-released"
    SHARE_REVOKED = "share-revoked"
    SHARE_HELD = "share-held"
    SHARE_APPROVED = "share-approved"
    SHARE_RESOLVED = "share-resolved"
    SHARE_REQUESTED = "share-requested"
    REQUEST_CANCELLED = "request-cancelled"
    REQUEST_FAILED = "request-failed"
    PATIENTS_LISTED = "patients-listed"
    PACS_QUERIED = "pacs-queried"
    PULLED = "pulled"
    LINK_REVOKED = "link-revoked"
    LINK_EXTENDED = "link-extended"
    PEER_APPROVED = "peer-approved"
    PEER_UNKNOWN = "peer-unknown"
    CERTIFICATE_WRONG = "certificate-wrong"
    FLOODED = "flooded"
    TOKENS_WRONG = "tokens-wrong"
    WRISTBANDS_WRONG = "wristbands-wrong"
    TRAIL_READ = "trail-read"


class Outcome(IntEnum):
    """PS3.15 A.5.1, EventOutcomeIndicator."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    SERIOUS_FAILURE = 8


@dataclass(frozen=True, repr=False)
class Event:
    """What happened. No patient's name; ID and study UIDs are for the repository only, lists never show them."""

    kind: Kind
    outcome: Outcome = Outcome.SUCCESS
    by: str = ""  # who asked; "" is the box itself
    why: str = ""  # the reason given, or what went wrong; no patient's data
    about: str = ""  # what else it is about: an address, keys of settings, how many
    calling: str = ""
    called: str = ""
    address: str = ""
    share: str = ""  # its id, as people type it
    slip: str = ""
    patient: str = ""  # Patient ID
    studies: tuple[str, ...] = ()
    instances: int = 0


@dataclass(frozen=True, repr=False)
class Record:
    number: int
    at: float
    event: Event


def seal(number: int, event: Event, sealer: Sealer) -> bytes:
    """All but the kind, which is in clear beside it; only what says something."""
    unsaid = {field.name: field.default for field in fields(Event)}
    value = {name: value for name, value in asdict(event).items() if name != "kind" and value != unsaid[name]}
    return sealer.seal_json(_label(number), value)


def unseal(number: int, at: float, kind: str, sealed: bytes, sealer: Sealer) -> Record:
    value: dict[str, Any] = sealer.open_json(_label(number), sealed)
    value["outcome"] = Outcome(value.get("outcome", Outcome.SUCCESS))
    value["studies"] = tuple(value.get("studies", ()))
    return Record(number, at, Event(Kind(kind), **value))


def _label(number: int) -> bytes:
    return b"audit" + number.to_bytes(8, "big")


def record_mac(before: bytes, number: int, at: float, kind: str, sealed: bytes, sealer: Sealer) -> bytes:
    """Over the one before and all of this record."""
    return sealer.chained(b"record", before, struct.pack(">Qd", number, at), kind.encode(), sealed)


def ends_mac(first: int, before: bytes, last: int, held_bytes: int, sealer: Sealer) -> bytes:
    """Over both ends of the trail: without it, who cuts one off would not be noticed."""
    return sealer.chained(b"ends", before, struct.pack(">QQQ", first, last, held_bytes))


def words(event: Event) -> str:
    """One sentence for a person, without a patient's data."""
    said = _SENTENCES[event.kind].format(**asdict(event), images=_images(event.instances))
    if event.outcome is not Outcome.SUCCESS and event.kind in _CAN_FAIL:
        said += ", not as it should"
    said += f": {event.why}" if event.why else ""
    return "".join(char if char.isprintable() else "?" for char in said)


_CAN_FAIL = (Kind.TRANSFERRED, Kind.SLIP_PRINTED)
_SENTENCES = {
    Kind.STARTED: "the box started",
    Kind.STOPPED: "the box stopped",
    Kind.SETTINGS_CHANGED: "settings changed: {about}",
    Kind.TRANSFER_BEGUN: "{calling} at {address} began to send a study to {called}",
    Kind.TRANSFERRED: "{calling} at {address} sent {images} of a study to {called}",
    Kind.SLIP_PRINTED: "slip {slip} of share {share} was printed",
    Kind.SLIP_REPRINTED: "another slip was asked for in place of {slip} of share {share}",
    Kind.SLIP_RELEASED: "slip {slip} of share {share} was released by its patient's wristband",
    Kind.PIN_SHOWN: "the PIN of slip {slip} of share {share} was shown",
    Kind.SHARE_UPLOADED: "share {share} was opened at the vault",
    Kind.SHARE_SHOWN: "share {share} was shown",
    Kind.SHARE_RELEASED: "share {share} was released",
    Kind.SHARE_REVOKED: "share {share} was revoked",
    Kind.SHARE_HELD: "share {share} was taken back and is held",
    Kind.SHARE_APPROVED: "share {share} was approved",
    Kind.SHARE_RESOLVED: "share {share} was resolved as {about}",
    Kind.SHARE_REQUESTED: "a share was asked for ({about})",
    Kind.REQUEST_CANCELLED: "a request for a share was cancelled ({about})",
    Kind.REQUEST_FAILED: "a request for a share failed ({about})",
    Kind.PATIENTS_LISTED: "{about} were listed",
    Kind.PACS_QUERIED: "{called} was asked {about}",
    Kind.PULLED: "{about} were asked for at the PACS, to {called}",
    Kind.LINK_REVOKED: "a link of share {share} was revoked",
    Kind.LINK_EXTENDED: "share {share} was extended by {about}",
    Kind.PEER_APPROVED: "{calling} at {address} may send from now on",
    Kind.PEER_UNKNOWN: "{calling} at {address} is not known and was refused",
    Kind.CERTIFICATE_WRONG: "{address} was refused for its certificate",
    Kind.FLOODED: "{address} opened more connections than the box takes",
    Kind.TOKENS_WRONG: "{address} asked over HTTP without a token that is known, again and again",
    Kind.WRISTBANDS_WRONG: "{about} wristbands in a row were scanned for which no slip waits",
    Kind.TRAIL_READ: "this trail was read ({about})",
}


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"
