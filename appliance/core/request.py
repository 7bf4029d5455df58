"""A request: somebody else's wish for a share, and how far it has come.

Media creation requests (PS3.4 annex S), pushed workitems (PS3.4 annex CC) and pulls are one machine. What is told of
it on the wire is worked out from its state and the printer's when somebody asks.
"""

from __future__ import annotations

from enum import StrEnum

from appliance.core.table import Table


class RequestKind(StrEnum):
    MEDIA_CREATION = "media-creation"
    WORKITEM = "workitem"
    PULL = "pull"


class RequestState(StrEnum):
    IDLE = "idle"  # created; nobody has said "now"
    PENDING = "pending"  # instances are missing, or a person must decide
    CREATING = "creating"  # all of it is here; slip and vault follow
    DONE = "done"
    FAILURE = "failure"
    CANCELLED = "cancelled"


class RequestEvent(StrEnum):
    INITIATED = "initiated"
    GATHERED = "gathered"  # all that it names is in one share that may go out
    HANDED_OUT = "handed out"  # its slip is out and its images are at the vault
    FAILED = "failed"
    CANCELLED = "cancelled"


I, P, C, D, F, N = RequestState  # noqa: E741
X = RequestEvent

REQUESTS: Table[RequestState, RequestEvent] = Table(
    "request",
    {
        (I, X.INITIATED): (P, ()),
        (I, X.CANCELLED): (N, ()),
        (P, X.GATHERED): (C, ()),
        (P, X.FAILED): (F, ()),
        (P, X.CANCELLED): (N, ()),
        (C, X.HANDED_OUT): (D, ()),
        (C, X.FAILED): (F, ()),  # its share was revoked, or held after all
        (C, X.CANCELLED): (N, ()),
    },
    late=frozenset({(N, X.FAILED), (N, X.CANCELLED), (N, X.GATHERED), (N, X.HANDED_OUT), (F, X.CANCELLED)}),
)
UNSETTLED = (RequestState.PENDING, RequestState.CREATING)
