"""What a slip shows of a name, for staff to compare at the handover: enough to tell two patients apart, too little to
name one. Any DICOM Person Name; nothing here knows fonts.
"""

from __future__ import annotations

import unicodedata

JOINERS = "\u200c\u200d"
VIRAMA = 9  # canonical combining class: the next consonant is written joined to this one
COVERED = "○"  # Chinese, Japanese and Korean lists cover the given name so; two characters would often be all of it
_EAST_ASIAN = ("CJK", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "HANGUL")


def initials(name: str) -> str:
    """Given name first, as on a badge: "A.R."; of an East Asian name the family's first character: "山○".

    The alphabetic group counts, else the ideographic, else the phonetic one. "" where no group holds a letter.
    """
    groups = (_of_group(group) for group in name.split("=")[:3])
    return next((found for found in groups if found), "")


def _of_group(group: str) -> str:
    family, _, rest = group.partition("^")
    first_of_family, first_of_given = _first_letter(family), _first_letter(rest.partition("^")[0])
    leading = first_of_family or first_of_given
    if leading and unicodedata.name(leading[0], "").startswith(_EAST_ASIAN):
        return leading + COVERED
    return "".join(f"{letter}." for letter in (first_of_given, first_of_family) if letter)


def _first_letter(text: str) -> str:
    """With the signs that belong to it; in capitals where the script has them."""
    text = unicodedata.normalize("NFC", text)
    start = next((place for place, char in enumerate(text) if char.isalpha()), None)
    if start is None:
        return ""
    end = start + 1
    while end < len(text) and _continues(text, end):
        end += 1
    return _capital(text[start]) + text[start + 1 : end]


def _continues(text: str, place: int) -> bool:
    before, char = text[place - 1], text[place]
    if unicodedata.category(char).startswith("M") or char in JOINERS:
        return True
    return char.isalpha() and unicodedata.combining(before) == VIRAMA


def _capital(char: str) -> str:
    upper = char.upper()
    return upper if len(upper) == 1 else char
