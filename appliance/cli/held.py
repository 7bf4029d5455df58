"""A held share in a terminal: what it waits for, both versions of its patient side by side, and what can be done."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

BEFORE, GAP = "  ", "  "
DIFFERS = "≠"
NOTHING = "-"


def held_lines(share: dict[str, Any]) -> Iterator[str]:
    """Of a share as the box tells it; nothing where it is not held."""
    held = share.get("held")
    if not held:
        return
    if held["waits_for"]:
        yield f"{BEFORE}It waits for {' and '.join(held['waits_for'])}."
    yield ""
    if held["sides"]:
        yield from _side_by_side(held)
        yield ""
    yield from _what_can_be_done(share["id"], held)


def _side_by_side(held: dict[str, Any]) -> Iterator[str]:
    other = held["other"]
    head = ["", "this share", f"share {other['id']}, {other['state']}" if other else "", ""]
    rows = [head] + [
        [side["attribute"], _shown(side["here"]), _shown(side["other"]) if other else "", _mark(side)]
        for side in held["sides"]
    ]
    widths = [max(_width(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        cells = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        yield f"{BEFORE}{GAP.join(cells)}".rstrip()


def _what_can_be_done(share: str, held: dict[str, Any]) -> Iterator[str]:
    if held["doubt"]:
        other = held["other"]
        joined = f"its images join share {other['id']}" if other else "with --with ID, its images join that share"
        yield f"{BEFORE}slipway shares resolve {share} --same-person   {joined}"
        yield f"{BEFORE}slipway shares resolve {share} --two-people    it gets a slip of its own"
        yield f"{BEFORE}slipway shares resolve {share} --discard       none of it leaves the box"
    else:
        yield f"{BEFORE}slipway shares release {share}                 it goes out, or this is one who says so"
        yield f"{BEFORE}slipway shares revoke {share}                  none of it leaves the box"


def _mark(side: dict[str, Any]) -> str:
    return DIFFERS if side["differs"] else ""


def _shown(text: str) -> str:
    """What came from outside may hold what would move the cursor."""
    return "".join(char if char.isprintable() else "?" for char in text) or NOTHING


def _width(text: str) -> int:
    """Columns in a terminal."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)
