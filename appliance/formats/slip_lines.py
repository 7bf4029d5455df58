"""Where a text may be broken into lines: at spaces and hyphens, and in Chinese and Japanese, which have none, between
characters.

The unit of width is the caller's: nothing here knows fonts. Korean breaks at its spaces, as readers prefer.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Callable

ELLIPSIS = "…"
NO_LINE_STARTS_WITH = frozenset(
    "、。，．・：；？！…ー〜々」』】》〉）］｝ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ%‰℃,.!?:;)]}’”"
)
NO_LINE_ENDS_WITH = frozenset("「『【《〈（［｛([{‘“")
HYPHENS = frozenset("-‐–/")
VIRAMAS = frozenset("\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d")  # the next letter belongs to this one
WIDE = (
    range(0x2E80, 0x3000), range(0x3001, 0x3040), range(0x3040, 0x3130), range(0x31F0, 0x3200), range(0x3400, 0xA000),
    range(0xF900, 0xFB00), range(0xFF01, 0xFF61), range(0x20000, 0x32000),
)  # fmt: skip

ISOLATES, ISOLATE_ENDS = "\u2066\u2067\u2068", "\u2069"
HIRAGANA = frozenset(map(chr, range(0x3041, 0x30A0)))
BALANCE_STEPS = 16

Measure = Callable[[str], float]


def balanced(text: str, width: float, measure: Measure, max_lines: int) -> list[str]:
    """As few lines as `wrap` makes, of about equal width: no lone word on the last one."""
    lines = wrap(text, width, measure, max_lines)
    low, high = max(map(measure, unbreakable(text)), default=width), width
    while len(lines) > 1 and high - low > width / BALANCE_STEPS:
        middle = (low + high) / 2
        tried = wrap(text, middle, measure, max_lines)
        if _letters(tried) == _letters(lines) and len(tried) == len(lines):
            lines, high = tried, middle
        else:
            low = middle
    return lines


def isolated(lines: list[str]) -> list[str]:
    """Lines that are shaped one by one: what a bidi isolate encloses runs on in the same way on the next line."""
    opened = ""
    closed = []
    for line in lines:
        whole = opened + line
        for char in line:
            opened = opened + char if char in ISOLATES else opened[:-1] if char == ISOLATE_ENDS else opened
        closed.append(whole + ISOLATE_ENDS * len(opened))
    return closed


def unbreakable(text: str) -> list[str]:
    """The pieces that a line is never broken within, unless one alone is wider than the line."""
    places = [0, *(place for place in range(1, len(text)) if may_break(text, place)), len(text)]
    return [text[start:end].strip() for start, end in itertools.pairwise(places)]


def _letters(lines: list[str]) -> str:
    return "".join(lines).replace(" ", "")


def wrap(text: str, width: float, measure: Measure, max_lines: int) -> list[str]:
    """At most `max_lines` lines no wider than `width`, in the unit of `measure`; an ellipsis for what is left over."""
    lines: list[str] = []
    rest = text
    while rest and len(lines) < max_lines:
        line, rest = _take_line(rest, width, measure)
        lines.append(line)
    if rest:
        lines[-1] = _cut(f"{lines[-1]} {rest}", width, measure)
    return lines


def _take_line(text: str, width: float, measure: Measure) -> tuple[str, str]:
    """As many whole words as fit; of a first word that is too wide, as many characters, and always one."""
    if measure(text) <= width:
        return text, ""
    end = 0
    for place in range(1, len(text)):
        if may_break(text, place):
            if measure(text[:place].rstrip()) > width:
                break
            end = place
    end = end or _longest_fit(text, width, measure)
    return text[:end].rstrip(), text[end:].lstrip()


def may_break(text: str, place: int) -> bool:
    """Whether a line may end before `text[place]`."""
    left, right = text[place - 1], text[place]
    if left == " " or right == " ":
        return right != " "
    if left in HYPHENS:
        return place > 1 and text[place - 2].isalpha() and right.isalpha()
    if left.isdigit() or right in NO_LINE_STARTS_WITH or left in NO_LINE_ENDS_WITH or not starts_cluster(text, place):
        return False
    if _is_kana(left) or _is_kana(right):
        return _phrase_ends(left, right)
    # Chinese breaks between any two of its characters; beside hiragana they are Japanese words.
    return (_wide(left) or _wide(right)) and (HIRAGANA.isdisjoint(text) or not left.isalnum())


def _phrase_ends(left: str, right: str) -> bool:
    """Japanese: an ending in hiragana closes a phrase. Within words people stumble over a new line."""
    return ((left in HIRAGANA or not left.isalnum()) and right not in HIRAGANA) or left in "、。！？"


def _is_kana(char: str) -> bool:
    return ord(char) in range(0x3040, 0x3100)


def starts_cluster(text: str, place: int) -> bool:
    """False where `text[place]` belongs to the letter before it: accents, vowel signs, joined consonants."""
    char = text[place]
    if unicodedata.category(char).startswith("M") or char in "\u200c\u200d":
        return False
    return place == 0 or (text[place - 1] not in VIRAMAS and text[place - 1] != "\u200d")


def _wide(char: str) -> bool:
    code = ord(char)
    return any(code in block for block in WIDE)


def _longest_fit(text: str, width: float, measure: Measure) -> int:
    end = 1
    for place in range(2, len(text) + 1):
        if measure(text[:place]) > width:
            break
        if place == len(text) or (starts_cluster(text, place) and text[place] not in NO_LINE_STARTS_WITH):
            end = place
    return end


def _cut(text: str, width: float, measure: Measure) -> str:
    room = width - measure(ELLIPSIS)
    return text[: _longest_fit(text, room, measure)].rstrip(" ,.-") + ELLIPSIS
