"""Mints a link for a share and queues the slip that carries it: new secrets, wrapped data key, nothing sent yet."""

from __future__ import annotations

import os
import secrets
from dataclasses import asdict, dataclass
from enum import StrEnum

from appliance.core.identity import Identity, valid_date
from appliance.formats import base64url
from appliance.formats.envelope import FactorKind, LinkKeys, factor_bytes, verifier
from appliance.formats.sealed import Sealer
from appliance.ports import Row, Transaction

PIN_DIGITS = 6
DAY_S = 86400.0


class When(StrEnum):
    """When a profile's first slip of a share is printed."""

    FIRST_IMAGE = "first-image"
    COMPLETE = "complete"
    REQUEST = "request"  # when somebody asks for it


@dataclass(frozen=True)
class LinkTerms:
    """What a profile says of its links."""

    factor: FactorKind
    expires_days: float
    grace_days: float
    when: When = When.FIRST_IMAGE
    interlock: bool = False  # print only once the patient's wristband was scanned


STRICT_TERMS = LinkTerms(FactorKind.BIRTH_DATE, 7, 14)  # of a profile that the settings lost


@dataclass(frozen=True, repr=False)
class FirstImage:
    """What slips say of a visit, from the image that opened its share; "" where it did not say."""

    language: str = ""  # in which the patient reads, a tag
    study_date: str = ""  # YYYYMMDD
    modality: str = ""


@dataclass(frozen=True, repr=False)
class ShareSecrets:
    """What is sealed in a share's row."""

    identity: Identity
    data_key: bytes
    first: FirstImage = FirstImage()


def seal_share(share_id: bytes, value: ShareSecrets, sealer: Sealer) -> bytes:
    plain = {"identity": [*vars(value.identity).values()], "data_key": base64url.encode(value.data_key)}
    plain["first"] = [*vars(value.first).values()]
    return sealer.seal_json(b"share" + share_id, plain)


def open_share(row: Row, sealer: Sealer) -> ShareSecrets:
    value = sealer.open_json(b"share" + row["share_id"], row["sealed"])
    first = FirstImage(*value.get("first", ()))  # shares of older versions have none
    return ShareSecrets(Identity(*value["identity"]), base64url.decode(value["data_key"], 32), first)


@dataclass(frozen=True, repr=False)
class Remarks:
    """What a request wants on the share's slips, as it came: cleaned and cut only when it is drawn."""

    label: str = ""
    barcode: str = ""
    hand_to: str = ""


def seal_remarks(share_id: bytes, value: Remarks, sealer: Sealer) -> bytes:
    return sealer.seal_json(b"remarks" + share_id, asdict(value))


def open_remarks(share: Row, sealer: Sealer) -> Remarks:
    if not share["remarks"]:
        return Remarks()
    return Remarks(**sealer.open_json(b"remarks" + share["share_id"], share["remarks"]))


@dataclass(frozen=True, repr=False)
class LinkSecrets:
    """What is sealed in a link's row until the paper has it."""

    secret: bytes
    share_key: bytes
    envelope: bytes
    verifier: bytes


def open_link(row: Row, sealer: Sealer) -> LinkSecrets:
    value = sealer.open_json(b"link" + row["link_id"], row["sealed"])
    return LinkSecrets(*(base64url.decode(part) for part in value))


def open_pin(link: Row, sealer: Sealer) -> str:
    """Empty where it has none, or none any more."""
    return sealer.open(b"pin" + link["link_id"], link["pin"]).decode() if link["pin"] else ""


def mint(tx: Transaction, share: Row, terms: LinkTerms, sealer: Sealer, now: float) -> tuple[int, int]:
    """(link row, slip row), both unregistered and unprinted."""
    secrets_ = open_share(share, sealer)
    kind = _factor_kind(terms, secrets_.identity)
    link_id, secret, share_key = os.urandom(16), os.urandom(32), os.urandom(32)
    pin = "".join(secrets.choice("0123456789") for _ in range(PIN_DIGITS)) if kind is FactorKind.PIN else ""
    factor = factor_bytes(kind, pin or _birth_date(kind, secrets_.identity))
    envelope = LinkKeys(link_id, secret, share_key, factor).wrap(share["share_id"], secrets_.data_key)
    parts = (secret, share_key, envelope, verifier(secret, link_id, factor))
    link = tx.one(
        "add_link",
        link_id=link_id,
        share=share["id"],
        factor=str(kind),
        sealed=sealer.seal_json(b"link" + link_id, [base64url.encode(part) for part in parts]),
        pin=sealer.seal(b"pin" + link_id, pin.encode()) if pin else None,
        expires_in_s=terms.expires_days * DAY_S,
        grace_s=terms.grace_days * DAY_S,
        now=now,
    )["id"]
    copy = tx.one("count_slips", share=share["id"])["n"] + 1
    number = _next_number(tx)
    slip = tx.one(
        "add_slip",
        number=number,
        link=link,
        share=share["id"],
        copy=copy,
        why="",
        now=now,
        # Without an ID no wristband could ever match; such a share was released by a person who looked at it.
        wristband=int(terms.interlock and bool(secrets_.identity.patient_id.strip())),
    )["id"]
    return link, slip


def _factor_kind(terms: LinkTerms, identity: Identity) -> FactorKind:
    """A share that staff released although its birth date is of no use gets a PIN: never less than was asked for."""
    if terms.factor is FactorKind.BIRTH_DATE and not valid_date(identity.birth_date):
        return FactorKind.PIN
    return terms.factor


def _birth_date(kind: FactorKind, identity: Identity) -> str:
    return identity.birth_date if kind is FactorKind.BIRTH_DATE else ""


def _next_number(tx: Transaction) -> str:
    """Slip numbers count up for the life of the box: short enough to say over the phone."""
    row = tx.first("get_meta", key="last_slip_number")
    number = int(row["value"]) + 1 if row else 1
    tx.do("put_meta", key="last_slip_number", value=str(number))
    return f"S-{number:05d}"
