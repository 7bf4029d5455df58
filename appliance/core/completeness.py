"""Whether all of a study is here: a verdict, and the source that says so.

The ladder of sources, best first, is the architecture's; so far there is one rung, the quiet period. A released
association is no source: many senders release after every image.
"""

from __future__ import annotations

from enum import StrEnum

from appliance.core.table import Table


class StudyState(StrEnum):
    ARRIVING = "arriving"
    COMPLETE = "complete"  # a source other than silence says so
    QUIET = "quiet"  # nothing more came; not verified


class StudyEvent(StrEnum):
    GREW = "grown"
    FELL_QUIET = "quiet"
    VERIFIED = "verified"


A, C, Q = StudyState.ARRIVING, StudyState.COMPLETE, StudyState.QUIET
X = StudyEvent

STUDIES: Table[StudyState, StudyEvent] = Table(
    "study",
    {
        (A, X.GREW): (A, ()),
        (A, X.FELL_QUIET): (Q, ()),
        (A, X.VERIFIED): (C, ()),
        (Q, X.GREW): (A, ()),  # late images join the same study and the verdict is taken back
        (Q, X.FELL_QUIET): (Q, ()),
        (Q, X.VERIFIED): (C, ()),
        (C, X.GREW): (A, ()),
        (C, X.VERIFIED): (C, ()),
    },
    late=frozenset({(C, X.FELL_QUIET)}),
)


def fell_quiet(last_instance_at: float, now: float, quiet_after_s: float, *, still_sending: bool) -> bool:
    """Nothing came for so long, and no open association has sent images of this study."""
    return not still_sending and now - last_instance_at >= quiet_after_s


def share_state(states: list[StudyState]) -> StudyState:
    """The verdict on a share: the least that can be said of all its studies."""
    for state in (A, Q):
        if state in states or not states:
            return state
    return C
