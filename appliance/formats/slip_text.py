"""What one slip says, as given, and how text that came from outside is cleaned of what must not be printed.

Not the words around it, which are `slip_words`, nor how it looks, which is `slip_bitmap`.
"""

from __future__ import annotations

import itertools
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from appliance.core.completeness import Verdict

FactorKind = Literal["birth-date", "pin", "none"]

LONGEST_CHARS = 200  # of any one text; a longer one cannot fit anyway and would only cost time to measure
MOST_MARKS = 5  # in a row
FIRST_SIGN = 0x2190  # arrows; beyond them lie blocks, bars and braille dots: all that codes could be drawn with
ZERO_WIDTH_JOINERS = "\u200c\u200d"  # part of how Persian and Indic words are spelled, unlike the other controls


@dataclass(frozen=True)
class StaffHalf:
    """Below the cut line, for the department's own file. Only what is known is printed."""

    language: str = "en"
    study: str = field(default="", repr=False)  # day and kind of the examination


@dataclass(frozen=True)
class SlipFace:
    """Everything that one slip says. The link and the initials stay out of tracebacks and logs."""

    site: str
    url: str = field(repr=False)  # as in `link.Link.url`, ASCII
    number: str  # of the slip, as staff see it in `slipway slips list`
    initials: str = field(repr=False)
    birth_year: str = field(repr=False)
    valid_until: datetime | None  # in the site's time zone; None on a test slip
    factor: FactorKind = "birth-date"
    copy: int = 1  # 2 and above are marked as copies
    phone: str = ""  # whom to ask; "" prints no such line
    language: str = "en"  # a language tag; English where there are no words in it
    large_print: bool = False
    logo: bytes = field(default=b"", repr=False)  # a PNG file; b"" prints none
    staff: StaffHalf | None = None
    verdict: Verdict | None = None  # on whether all images are here; None while nothing can be said
    hand_to: str = field(default="", repr=False)  # as are the next two: what a request wants on the slip
    note: str = field(default="", repr=False)
    barcode: str = field(default="", repr=False)


def clean(text: str) -> str:
    """One line of printable characters: no controls, lone surrogates, direction overrides or towers of accents,
    single spaces."""
    normal = unicodedata.normalize("NFC", text[:LONGEST_CHARS])
    return _low(" ".join("".join(map(_printable, normal)).split()))


def clean_remark(text: str) -> str:
    """The same of what another system wants on the slip: its lines on one, and no signs to draw with."""
    lines = (clean(line) for line in text[:LONGEST_CHARS].splitlines())
    return "; ".join(filter(None, ("".join(filter(_is_no_sign, line)).strip(" ,;") for line in lines)))


def _low(text: str) -> str:
    """Without what would tower over a line: marks beyond those that any script puts on one letter."""
    runs = itertools.groupby(text, lambda char: char in ZERO_WIDTH_JOINERS or unicodedata.category(char)[0] == "M")
    return "".join(
        itertools.chain.from_iterable(itertools.islice(run, MOST_MARKS if mark else None) for mark, run in runs)
    )


def _is_no_sign(char: str) -> bool:
    return ord(char) < FIRST_SIGN or unicodedata.category(char) != "So"


def _printable(char: str) -> str:
    if char in ZERO_WIDTH_JOINERS:
        return char
    category = unicodedata.category(char)
    if category == "Cc":
        return " "
    return "" if category in {"Cf", "Cs", "Co", "Cn"} else char
