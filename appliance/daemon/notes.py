"""Notes of a share's story that have facts in them: how they are written, and how they are read again.

Terse, and in the journal for good: telling.py makes sentences of them. All others are the events' own names. `before`
is how many images the share had by then: the next such note, or the count of today, tells how many it speaks of.
"""

from __future__ import annotations

import re

from appliance.formats.moments import written


def came(sender: str, before: int, *, late: bool) -> str:
    """Of a share's first image, of a further study's, and of one that comes when all seemed to be here."""
    if not before:
        return f"images from {sender}"
    return f"{'late images' if late else 'another study'} after {before} from {sender}"


def joined(share: str, before: int) -> str:
    """All of another share is in this one from now on."""
    return f"share {share} joined it after {before}"


def good_until(at: float) -> str:
    """The vault has said until when a link opens; by its clock."""
    return f"good until {at:.0f}"


def all_up(count: int) -> str:
    """All that came is behind the link."""
    return f"all {count} at the vault"


def extended(days: float) -> str:
    return f"extended by {days:g} days"


def dated(note: str) -> str:
    """A note as programs get it: moments in it are written as all others are."""
    found = GOOD_UNTIL.fullmatch(note)
    return f"good until {written(float(found[1]))}" if found else note


CAME = re.compile(r"(?P<what>images|late images|another study)(?: after (?P<before>\d+))? from (?P<sender>.*)", re.S)
JOINED = re.compile(r"share (?P<share>\S+) joined it after (?P<before>\d+)")
COUNTED = re.compile(r"(?:late images|another study|share \S+ joined it) after (?P<before>\d+).*", re.S)
GOOD_UNTIL = re.compile(r"good until (\d+)")
ALL_UP = re.compile(r"all (\d+) at the vault")
EXTENDED = re.compile(r"extended by (.+)")
