"""Identity and grouping attributes of an instance, read from the first part of its dataset.

Whose images these are is decided elsewhere (core/identity.py); here bytes become text and numbers, and doubt becomes a
`problem`. Never raises, whatever it is given; size, depth, count and inflation are bounded (dataset_head.py).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from appliance.dicom.charset import NAME_RESETS, TEXT_RESETS, UNDEFINED, repertoire
from appliance.dicom.dataset_head import Layout, Walk, layout_of

HEAD_BYTES_MAX = 1 << 20  # of a dataset as it came, and of what is inflated from it
INFLATE_FIRST_BYTES = 1 << 16  # enough for nearly every header

_DEFLATED = "1.2.840.10008.1.2.1.99"

BAD_DEFLATE = "The deflated dataset is damaged."
INFLATE_LIMIT = "The deflated dataset inflates to too much before its identifying attributes end."
BAD_UID = "A UID of the dataset is not one."
BAD_NUMBER = "A number of the dataset is not one."
UNKNOWN_SET = "The dataset names an unknown character set."
UNDECODABLE = "A text of the dataset has characters that its character set does not define."

_CHARACTER_SET, _CODE_VALUE, _LANGUAGES = 0x00080005, 0x00080100, 0x00100101
_BODY_PART = 0x00180015
# Procedure Code Sequence, Requested Procedure Code Sequence, and Request Attributes Sequence: images have the second in
# the third (PS3.3 C.7.3.1).
_PROCEDURES = (0x00081032, 0x00321064, 0x00400275)
_CODE = frozenset([_CODE_VALUE, 0x00080102])  # PS3.3 8.8: the value and its coding scheme come first in an item
ITEM_HEADER_BYTES = ELEMENT_HEADER_BYTES = 8
_WANTED = frozenset(
    [
        _CHARACTER_SET, 0x00080016, 0x00080018, 0x00080020, 0x00080030, 0x00080050, 0x00080060, 0x00081030, 0x0008103E,
        0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00100040, 0x00100101, 0x00180015,
        0x0020000D, 0x0020000E, 0x00200011, 0x00200013, 0x00280008, 0x00280010, 0x00280011,
    ]
)  # fmt: skip
_WANTED_WITH_PROCEDURES = _WANTED | frozenset(_PROCEDURES)  # further to walk, past what private groups hold

_UID = re.compile(r"[0-9.]{1,64}")
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}")  # RFC 5646, in so far as we need it
_INTEGER = re.compile(r"[+-]?[0-9]{1,12}")  # PS3.5 6.2, IS


@dataclass(frozen=True, slots=True)
class Attributes:
    """Text is decoded and unpadded, "" where absent or empty; numbers are 0 where absent, frames 1.

    `problem` is "" when everything of interest was read, else one sentence that holds no value of the dataset.
    """

    sop_class_uid: str
    sop_instance_uid: str
    patient_name: str
    patient_id: str
    issuer_of_patient_id: str
    patient_birth_date: str
    patient_sex: str
    study_uid: str
    series_uid: str
    accession_number: str
    study_date: str
    study_time: str
    study_description: str
    series_number: int
    series_description: str
    modality: str
    instance_number: int
    rows: int
    columns: int
    frames: int
    specific_character_set: tuple[str, ...]
    problem: str
    body_part: str = ""
    procedure_codes: tuple[str, ...] = ()  # Code Values, where they were asked for
    patient_language: str = ""  # of the first item of Patient's Primary Language Code Sequence: "uk", "fra", "zh-TW"


def read_attributes(
    head: bytes | memoryview, transfer_syntax: str, *, whole: bool, procedures: bool = False
) -> Attributes:
    """Attributes from the start of a dataset (`whole`: that is all of it), top level only; the first of two wins.

    `procedures`: with the codes of its procedure.
    """
    head, wanted = memoryview(head)[:HEAD_BYTES_MAX], _WANTED_WITH_PROCEDURES if procedures else _WANTED
    if transfer_syntax == _DEFLATED:
        return _read_deflated(head, wanted, whole=whole)
    walk = Walk(head, wanted, whole=whole)
    walk.run(layout_of(head, transfer_syntax))
    return _Values(walk).attributes()


def _read_deflated(head: memoryview, wanted: frozenset[int], *, whole: bool) -> Attributes:
    """PS3.5 A.5. Inflates a little first, and more only if that was not enough."""
    walk = Walk(head[:0], wanted, whole=whole)
    for limit in (INFLATE_FIRST_BYTES, HEAD_BYTES_MAX):
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            plain = memoryview(inflater.decompress(head, limit))
        except zlib.error:
            walk.problem = BAD_DEFLATE
            break
        walk = Walk(plain, wanted, whole=whole and inflater.eof)
        walk.run(layout_of(plain, ""))
        if not walk.ended_early:
            break
        if len(plain) == HEAD_BYTES_MAX:
            walk.problem = INFLATE_LIMIT
    return _Values(walk).attributes()


class _Values:
    """What a walk found, turned into values; what cannot be is empty and noted."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._found = walk.found
        self.terms = self._terms()
        self._repertoire = repertoire(self.terms)
        if not self._repertoire.known:
            walk.note(UNKNOWN_SET)

    def _terms(self) -> tuple[str, ...]:
        raw = self._found.get(_CHARACTER_SET, b"").rstrip(b" \0")
        text = "".join(c for c in raw.decode("ascii", "replace") if c.isprintable())
        return tuple(term.strip() for term in text.split("\\")) if text else ()

    def attributes(self) -> Attributes:
        text, uid, integer, binary = self._text, self._uid, self._integer, self._binary
        values = Attributes(
            sop_class_uid=uid(0x00080016),
            sop_instance_uid=uid(0x00080018),
            patient_name=self._name(0x00100010),
            patient_id=text(0x00100020),
            issuer_of_patient_id=text(0x00100021),
            patient_birth_date=text(0x00100030),
            patient_sex=text(0x00100040),
            study_uid=uid(0x0020000D),
            series_uid=uid(0x0020000E),
            accession_number=text(0x00080050),
            study_date=text(0x00080020),
            study_time=text(0x00080030),
            study_description=text(0x00081030),
            series_number=integer(0x00200011),
            series_description=text(0x0008103E),
            modality=text(0x00080060),
            instance_number=integer(0x00200013),
            rows=binary(0x00280010),
            columns=binary(0x00280011),
            frames=integer(0x00280008) or 1,
            specific_character_set=self.terms,
            problem="",
            body_part=text(_BODY_PART),
            procedure_codes=self._procedure_codes(),
            patient_language=self._language(),
        )
        return replace(values, problem=self._walk.problem) if self._walk.problem else values

    def _text(self, tag: int) -> str:
        """PS3.5 6.2: spaces at both ends are padding in SH, LO, CS, DA and TM; NUL is what some writers pad with."""
        raw = self._found.get(tag)
        if not raw:
            return ""
        text = self._repertoire.decode(raw, TEXT_RESETS).strip(" \0")
        if UNDEFINED in text:
            self._walk.note(UNDECODABLE)
        return text

    def _name(self, tag: int) -> str:
        """Like text, but only trailing spaces are padding, and = and ^ end the reach of an escape sequence."""
        text = self._repertoire.decode(self._found.get(tag, b""), NAME_RESETS).rstrip(" \0")
        if UNDEFINED in text:
            self._walk.note(UNDECODABLE)
        return text

    def _language(self) -> str:
        """Any coding scheme: RFC 5646 and both parts of ISO 639 are letters, and whatever else is one nobody knows."""
        items = memoryview(self._found.get(_LANGUAGES, b""))
        if not items:
            return ""
        walk = Walk(items[ITEM_HEADER_BYTES:], _CODE, whole=False)
        walk.run(self._walk.layout)  # to the end of the first item, the one that the patient likes best
        text = walk.found.get(_CODE_VALUE, b"").decode("latin_1").strip(" \0")
        return text if _LANGUAGE_TAG.fullmatch(text) else ""

    def _procedure_codes(self) -> tuple[str, ...]:
        """Each Code Value in these sequences, also one that only modifies another: too many hold a study at worst."""
        layout = self._walk.layout
        return tuple(code for tag in _PROCEDURES for code in _code_values(self._found.get(tag, b""), layout))

    def _uid(self, tag: int) -> str:
        text = self._found.get(tag, b"").decode("latin_1").strip(" \0")
        if not text or _UID.fullmatch(text):
            return text
        self._walk.note(BAD_UID)
        return ""

    def _integer(self, tag: int) -> int:
        """IS; the first value where there are several."""
        text = self._found.get(tag, b"").decode("latin_1").split("\\", 1)[0].strip(" \0")
        if not text:
            return 0
        if not _INTEGER.fullmatch(text):
            self._walk.note(BAD_NUMBER)
            return 0
        return int(text)

    def _binary(self, tag: int) -> int:
        """US; four bytes are read as UL, which some writers send."""
        raw = self._found.get(tag, b"")
        if len(raw) not in (0, 2, 4):
            self._walk.note(BAD_NUMBER)
            return 0
        return int.from_bytes(raw, "big" if self._walk.order == ">" else "little")


def _code_values(items: bytes, layout: Layout) -> Iterator[str]:
    """Wherever the element stands in a sequence's items; what looks like one counts as one."""
    mark = layout.tag(_CODE_VALUE >> 16, _CODE_VALUE & 0xFFFF)
    at = items.find(mark)
    while 0 <= at <= len(items) - ELEMENT_HEADER_BYTES:
        explicit = items[at + 4 : at + 6] == b"SH"
        length = layout.element(items, at)[3] if explicit else layout.length(items, at + 4)[0]
        start = at + ELEMENT_HEADER_BYTES
        yield items[start : start + length].decode("latin_1").strip(" \0")
        at = items.find(mark, start)
