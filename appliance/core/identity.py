"""Whose images these are. When in doubt, HELD: a person decides, nothing is guessed.

Two instances are one patient's when Patient ID, issuer, name and birth date agree as the standard compares them.
The same Patient ID with another name or birth date is a conflict; another Patient ID is another patient.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from appliance.core.initials import initials


@dataclass(frozen=True)
class Identity:
    """As decoded from the dataset; "" where absent."""

    patient_id: str
    issuer: str
    name: str
    birth_date: str  # YYYYMMDD, or ""
    sex: str = ""

    def __repr__(self) -> str:  # a patient's data must not reach a log through a traceback
        return "Identity(…)"

    @property
    def initials(self) -> str:
        return initials(self.name)

    @property
    def birth_year(self) -> str:
        return self.birth_date[:4] if valid_date(self.birth_date) else ""


class Match(StrEnum):
    SAME = "same"
    DIFFERENT = "different"
    CONFLICT = "conflict"


def valid_date(text: str) -> bool:
    return bool(re.fullmatch(r"(1[89]|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", text, re.ASCII))


def normal_name(name: str) -> str:
    """A Person Name as PS3.5 section 6.2.1 compares it: case, padding and trailing empty components do not count."""
    # Again after the case is gone: some small letters come apart in it that the same name in capitals has whole.
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    groups = []
    for group in text.split("="):
        components = [" ".join(component.split()) for component in group.split("^")]
        groups.append("^".join(components).rstrip("^"))
    return "=".join(groups).rstrip("=")


def compare(known: Identity, new: Identity) -> Match:
    if not known.patient_id or not new.patient_id:
        return Match.DIFFERENT  # without an ID nothing is ever merged
    if known.patient_id != new.patient_id:
        return Match.DIFFERENT
    if known.issuer != new.issuer:
        # Two issuers may both have given out this ID; one side silent may be either.
        return Match.DIFFERENT if known.issuer and new.issuer else Match.CONFLICT
    same = normal_name(known.name) == normal_name(new.name) and known.birth_date == new.birth_date
    return Match.SAME if same else Match.CONFLICT


@dataclass(frozen=True)
class Candidate:
    """A share that may still grow, or one that already holds this study."""

    share: int
    identity: Identity
    has_study: bool
    held: bool = False


@dataclass(frozen=True)
class Placement:
    """Where an instance goes: a share that exists, or a new one; held with the reason where a person must decide."""

    share: int | None
    held_because: str = ""


def place(
    new: Identity, candidates: Sequence[Candidate], *, unreadable: str = "", needs_birth_date: bool = False
) -> Placement:
    """`unreadable` is why the dataset could not be read to the end of its identity; "" when it was."""
    for candidate in candidates:
        known = candidate.has_study and _same_person(candidate.identity, new)
        if known and (candidate.held or not unreadable):
            return Placement(candidate.share)
    if unreadable:
        return Placement(None, f"the images could not be read: {unreadable}")
    if any(candidate.has_study for candidate in candidates):
        return Placement(None, "a study with the same Study Instance UID belongs to another patient")
    if not new.patient_id:
        return Placement(None, "the images carry no Patient ID")
    # A held share gathers more of its own study only: another study of that patient may be beyond doubt.
    matches = {candidate.share: compare(candidate.identity, new) for candidate in candidates if not candidate.held}
    for share, match in matches.items():
        if match is Match.SAME:
            return Placement(share)
    if Match.CONFLICT in matches.values():
        return Placement(None, "the same Patient ID came with another name, birth date or issuer")
    if needs_birth_date and not valid_date(new.birth_date):
        return Placement(None, "the images carry no usable birth date, which this profile asks the patient for")
    return Placement(None)


def _same_person(known: Identity, new: Identity) -> bool:
    """Stricter than SAME where there is no ID: within one study everything must agree to the letter."""
    if compare(known, new) is Match.SAME:
        return True
    return not known.patient_id and known == new
