"""The words on a slip: what it says, cleaned of what cannot be printed, and how text is broken into lines.

Not how it looks; that is `slip_bitmap`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

FactorKind = Literal["birth-date", "pin", "none"]

ELLIPSIS = "…"
LONGEST_CHARS = 200  # of any one text; a longer one cannot fit anyway and would only cost time to measure
ZERO_WIDTH_JOINERS = "\u200c\u200d"  # part of how Persian and Indic words are spelled, unlike the other controls

LAST_STEP: dict[FactorKind, str] = {
    "birth-date": "Enter your date of birth.",
    "pin": "Enter the PIN you were given.",
    "none": "See your images.",
}


@dataclass(frozen=True)
class SlipFace:
    """Everything that one slip says. The link and the initials stay out of tracebacks and logs."""

    site: str
    url: str = field(repr=False)  # as in `link.Link.url`, ASCII
    number: str  # of the slip, as staff see it in `slipway slips list`
    initials: str = field(repr=False)
    birth_year: str = field(repr=False)
    valid_until: str  # "Thursday 28 January 2027", formatted for the site's language
    factor: FactorKind = "birth-date"
    copy: int = 1  # 2 and above are marked as copies
    phone: str = ""  # whom to ask; "" prints no such line


@dataclass(frozen=True)
class Words:
    """A face as the texts to draw. `facts` are label and value."""

    site: str
    copy: str
    steps: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    help: str


def words(face: SlipFace) -> Words:
    phone = clean(face.phone)
    return Words(
        site=clean(face.site),
        copy=f"COPY {face.copy}" if face.copy > 1 else "",
        steps=("Point your phone’s camera at the code.", "Tap the link.", LAST_STEP[face.factor]),
        facts=(
            ("Valid until", clean(face.valid_until)),
            ("Patient, born", _handover(face)),
            ("Slip", clean(face.number)),
        ),
        help=f"Questions? {phone}" if phone else "",
    )


def _handover(face: SlipFace) -> str:
    """What staff compare before they hand the slip over: enough to tell two patients apart, too little to name one."""
    initials, year = clean(face.initials), clean(face.birth_year)
    return " · ".join(part for part in (initials, year) if part) or "–"


def clean(text: str) -> str:
    """One line of printable characters: no controls, lone surrogates or direction overrides, single spaces."""
    normal = unicodedata.normalize("NFC", text[:LONGEST_CHARS])
    return " ".join("".join(map(_printable, normal)).split())


def _printable(char: str) -> str:
    if char in ZERO_WIDTH_JOINERS:
        return char
    category = unicodedata.category(char)
    if category == "Cc":
        return " "
    return "" if category in {"Cf", "Cs", "Co", "Cn"} else char


def wrap(text: str, width: float, measure: Callable[[str], float], max_lines: int) -> list[str]:
    """At most `max_lines` lines no wider than `width`, in the unit of `measure`; an ellipsis for what is left over."""
    lines: list[str] = []
    rest = text
    while rest and len(lines) < max_lines:
        line, rest = _take_line(rest, width, measure)
        lines.append(line)
    if rest:
        lines[-1] = _cut(f"{lines[-1]} {rest}", width, measure)
    return lines


def _take_line(text: str, width: float, measure: Callable[[str], float]) -> tuple[str, str]:
    """As many whole words as fit; of a first word that is too wide, as many characters, and always one."""
    if measure(text) <= width:
        return text, ""
    end = _longest_fit(text, width, measure)
    space = text.rfind(" ", 0, end + 1)
    if space > 0:
        end = space
    return text[:end].rstrip(), text[end:].lstrip()


def _longest_fit(text: str, width: float, measure: Callable[[str], float]) -> int:
    end = 1
    while end < len(text) and measure(text[: end + 1]) <= width:
        end += 1
    return end


def _cut(text: str, width: float, measure: Callable[[str], float]) -> str:
    room = width - measure(ELLIPSIS)
    return text[: _longest_fit(text, room, measure)].rstrip(" ,.-") + ELLIPSIS
