"""Points in time as the box tells them: to programs with their offset, to people as the clock on the wall.

"2026-11-30T20:21:05+01:00" (RFC 3339) leaves by the control socket and `--json`; "2026-11-30 20:21:05" is on screens.
"""

from __future__ import annotations

from datetime import UTC, datetime


def written(at: float) -> str:
    """Of Unix seconds, with the offset that holds here at that moment."""
    return datetime.fromtimestamp(int(at), UTC).astimezone().isoformat()


def shown(text: str) -> str:
    """What `written` made, without the offset: the time where the box stands, whoever looks. "" stays ""."""
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S") if text else ""
