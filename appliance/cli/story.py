"""How a share's story looks in a terminal: the head, what happened day by day, and how it stands now."""

from __future__ import annotations

import textwrap
import time
from typing import Any

from appliance.formats import moments

WIDTH = 100
INDENT = "  "


def head_lines(share: dict[str, Any]) -> list[str]:
    lines = [
        f"Share {share['id']}, {share['state']}; patient {share['patient'] or 'unknown'}; sent to {share['profile']}",
        f"{INDENT}{share['images']} image(s) received, {share['at_vault']} at the vault",
    ]
    for slip in share["slips"]:
        copy = f" (copy {slip['copy']})" if slip["copy"] > 1 else ""
        lines.append(f"{INDENT}Slip {slip['number']}: {slip['state']}{copy}")
    lines += [f"{INDENT}PIN {link['pin']}, to be told to the patient" for link in share["links"] if link["pin"]]
    return lines


def story_lines(share: dict[str, Any]) -> list[str]:
    """One line an event, under its day; then what it is now and what can be done."""
    lines, day = [f"{INDENT}What happened:"], ""
    for told in share["story"]:
        date, _, at = moments.shown(told["at"]).partition(" ")
        if date != day:
            lines.append(f"{INDENT * 2}{_day(date)}")
            day = date
        lines += _wrapped(f"{INDENT * 3}{at}  ", told["what"])
    return lines + _wrapped(f"{INDENT}Now: ", share["now"])


def _wrapped(start: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=start, subsequent_indent=" " * len(start), break_on_hyphens=False)


def _day(date: str) -> str:
    day = time.strptime(date, "%Y-%m-%d")
    return f"{time.strftime('%A', day)} {day.tm_mday} {time.strftime('%B %Y', day)}"
