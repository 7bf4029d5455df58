"""Whose images these are, compared as the standard compares. When in doubt, a person decides: nothing is guessed.

Two instances are one patient's when Patient ID, issuer, name, birth date and sex agree. Another Patient ID is another
patient, unless a typing error may have made it. What follows from a comparison is core/placement.py.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from functools import lru_cache
from itertools import zip_longest

from appliance.core.initials import initials

SEXES = ("M", "F")  # PS3.3 C.7.1.1: O is anything else, and says nothing


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
    def has_id(self) -> bool:
        """One that is this patient's alone: what people type where they know none is none."""
        return bool(self.patient_id) and not stands_for_nobody(self.patient_id)

    @property
    def initials(self) -> str:
        return initials(self.name)

    @property
    def birth_year(self) -> str:
        return self.birth_date[:4] if valid_date(self.birth_date) else ""


class Match(StrEnum):
    SAME = "same"
    DIFFERENT = "different"


class Doubt(StrEnum):
    """Why a share is held for a person. What to do about each: docs/right-patient.md."""

    SAME_ID_OTHER_NAME = "same-id-other-name"
    SAME_ID_OTHER_BIRTH_DATE = "same-id-other-birth-date"
    SAME_ID_OTHER_SEX = "same-id-other-sex"
    ISSUER_MISSING = "issuer-missing"
    ISSUER_SPELLED_OTHERWISE = "issuer-spelled-otherwise"
    SIMILAR_ID = "similar-id"
    ID_CHANGED_IN_STUDY = "id-changed-in-study"
    STUDY_OF_ANOTHER_PATIENT = "study-of-another-patient"
    NO_PATIENT_ID = "no-patient-id"
    ID_OF_NOBODY = "id-of-nobody"
    UNREADABLE = "unreadable"
    SAME_UID_OTHER_BYTES = "same-uid-other-bytes"
    LINK_REFUSED = "link-refused"
    HELD_BACK = "held-back"


BECAUSE = {
    Doubt.SAME_ID_OTHER_NAME: "the same Patient ID came with another name, or without one",
    Doubt.SAME_ID_OTHER_BIRTH_DATE: "the same Patient ID came with another birth date, or without one",
    Doubt.SAME_ID_OTHER_SEX: "the same Patient ID came with another sex",
    Doubt.ISSUER_MISSING: "the same Patient ID came with and without its issuer",
    Doubt.ISSUER_SPELLED_OTHERWISE: "the same Patient ID came from an issuer that is written otherwise",
    Doubt.SIMILAR_ID: "the same name and birth date came with a Patient ID that differs by a typing error",
    Doubt.ID_CHANGED_IN_STUDY: "the Patient ID or its issuer changed within a study",
    Doubt.STUDY_OF_ANOTHER_PATIENT: "a study with the same Study Instance UID belongs to another patient",
    Doubt.NO_PATIENT_ID: "the images carry no Patient ID",
    Doubt.ID_OF_NOBODY: "the images carry a Patient ID that is nobody's own, such as UNKNOWN or 0",
    Doubt.UNREADABLE: "the images could not be read",
    Doubt.SAME_UID_OTHER_BYTES: "an image with the same SOP Instance UID but other contents is here already",
    Doubt.LINK_REFUSED: "the vault refused its link",
    Doubt.HELD_BACK: "it was taken back",
}


# Letters and digits only, without case. Two patients who both came as UNKNOWN are not one.
_NOBODY = """
    anon anonym anonymisiert anonymised anonymized anonymous blank default deidentified desconhecido desconocido doe
    dummy emergency empty id inconnu janedoe johndoe na nan neznamy nieznany nil no noid none nopatientid nopid
    notassigned notavailable notfall notknown null okänd onbekend patient patientid phantom pid qa qc sconosciuto temp
    temporary test testpatient trauma ukendt ukjent unassigned unbekannt undefined unk unkn unknown unspecified
    неизвестно 不明 未知
"""
_FILLED = re.compile(r"0*|9{4,}|x+")  # nothing, or what a field is filled with that must not be empty
_UNKNOWN_BIRTH = "19000101"  # what systems put that must put something: anybody would guess it


@lru_cache(maxsize=64)
def stands_for_nobody(patient_id: str) -> bool:
    text = unicodedata.normalize("NFKC", patient_id).casefold()
    bare = "".join(char for char in text if char.isalnum())
    return bare in _NOBODY.split() or bool(_FILLED.fullmatch(bare))


def valid_date(text: str) -> bool:
    """One on which somebody who is examined can be born, and that a calendar has."""
    match = re.fullmatch(r"((?:19|20)\d\d)(\d\d)(\d\d)", text, re.ASCII)
    if match is None or text <= _UNKNOWN_BIRTH:
        return False
    try:
        date(*map(int, match.groups()))
    except ValueError:
        return False
    return True


def normal_name(name: str) -> str:
    """A Person Name as PS3.5 section 6.2.1 compares it: case, padding and trailing empty components do not count."""
    return "=".join(_groups(name)).rstrip("=")


def _groups(name: str) -> list[str]:
    """Alphabetic, ideographic and phonetic."""
    # Again after the case is gone: some small letters come apart in it that the same name in capitals has whole.
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return ["^".join(" ".join(part.split()) for part in group.split("^")).rstrip("^") for group in text.split("=")]


def same_name(one: str, other: str) -> bool:
    """A group that only one of them has is no difference; two names without a common group cannot be compared."""
    pairs = [(a, b) for a, b in zip(_groups(one), _groups(other), strict=False) if a and b]
    return all(a == b for a, b in pairs) and (bool(pairs) or normal_name(one) == normal_name(other))


def normal_date(text: str) -> str:
    """PS3.5 table 6.2-1, DA: readers may meet the older YYYY.MM.DD."""
    return re.sub(r"(\d{4})\.(\d\d)\.(\d\d)", r"\1\2\3", text.strip())


def compare(known: Identity, new: Identity) -> Match | Doubt:
    """The first difference that counts; the order of the two does not matter."""
    if not known.has_id or not new.has_id:
        return Match.DIFFERENT  # without an ID nothing is ever merged
    if known == new:  # as nearly always, for each image: the rest takes ten times as long
        return Match.SAME
    issuers = {known.issuer, new.issuer}
    if "" not in issuers and len({issuer.casefold() for issuer in issuers}) > 1:
        return Match.DIFFERENT  # each gave out this ID to somebody
    if known.patient_id != new.patient_id:
        return Doubt.SIMILAR_ID if _typed_wrongly(known, new) else Match.DIFFERENT
    if not same_name(known.name, new.name):
        return Doubt.SAME_ID_OTHER_NAME
    if normal_date(known.birth_date) != normal_date(new.birth_date):
        return Doubt.SAME_ID_OTHER_BIRTH_DATE
    if {_sex(known), _sex(new)} == set(SEXES):
        return Doubt.SAME_ID_OTHER_SEX
    if len(issuers) > 1:
        return Doubt.ISSUER_MISSING if "" in issuers else Doubt.ISSUER_SPELLED_OTHERWISE
    return Match.SAME


def same_person(known: Identity, new: Identity) -> bool:
    """Within one study. Stricter where there is no ID: everything must agree to the letter."""
    if known.has_id:
        return compare(known, new) is Match.SAME
    return known == new


def completed(known: Identity, new: Identity) -> Identity:
    """With what the same patient's other images say beyond it: else who is the same would depend on who came first."""
    if known == new:
        return known
    names = zip_longest(known.name.split("="), new.name.split("="), fillvalue="")
    name = "=".join(a if a.strip(" ^") else b for a, b in names) if known.has_id else known.name
    return replace(known, name=name, sex=known.sex if _sex(known) else new.sex or known.sex)


def says_the_same(one: Identity, other: Identity) -> bool:
    """No attribute has a value in one of them only."""
    return one == other or (normal_name(one.name) == normal_name(other.name) and _sex(one) == _sex(other))


def same_name_and_birth_date(one: Identity, other: Identity) -> bool:
    """As evidence that two are one person: what is empty is none."""
    named = bool(normal_name(one.name)) and same_name(one.name, other.name)
    return named and bool(one.birth_date) and normal_date(one.birth_date) == normal_date(other.birth_date)


def _sex(identity: Identity) -> str:
    sex = identity.sex.upper()
    return sex if sex in SEXES else ""


def _typed_wrongly(one: Identity, other: Identity) -> bool:
    return same_name_and_birth_date(one, other) and similar_ids(one.patient_id, other.patient_id)


def similar_ids(one: str, other: str) -> bool:
    """One character wrong, missing, too many or swapped with its neighbour; or another case, width or leading zeros."""
    one, other = (unicodedata.normalize("NFKC", text).casefold() for text in (one, other))
    bare = (re.sub(r"(?<!\d)0+(?=\d)", "", text) for text in (one, other))
    return _one_slip_apart(one, other) or _one_slip_apart(*bare)


def _one_slip_apart(one: str, other: str) -> bool:
    """Damerau-Levenshtein distance 0 or 1: what is left between the common beginning and end."""
    shorter = min(len(one), len(other))
    start = next((n for n in range(shorter) if one[n] != other[n]), shorter)
    rest = shorter - start
    end = next((n for n in range(rest) if one[-1 - n] != other[-1 - n]), rest)
    left, right = one[start : len(one) - end], other[start : len(other) - end]
    return max(len(left), len(right)) <= 1 or (len(left) == 2 and left == right[::-1])
