"""A slip: a link on paper. PRINTING is on the disk before the first byte leaves for the printer."""

from __future__ import annotations

from enum import StrEnum

from appliance.core.table import Effect, Table


class SlipState(StrEnum):
    QUEUED = "queued"
    PRINTING = "printing"
    PRINTED = "printed"  # confirmed
    UNKNOWN = "unknown"  # nobody knows what came out: its link is revoked, another is printed
    VOID = "void"


class SlipEvent(StrEnum):
    STARTED = "started"
    CONFIRMED = "confirmed"
    REFUSED = "refused"  # not one byte left
    LOST = "lost"  # bytes left, no confirmation came; or the box restarted in between
    VOIDED = "voided"
    OUTDATED = "outdated"  # its link ran out before it could be printed: the patient still has none


Q, P, D, U, V = SlipState.QUEUED, SlipState.PRINTING, SlipState.PRINTED, SlipState.UNKNOWN, SlipState.VOID
X = SlipEvent

SLIPS = Table(
    "slip",
    {
        (Q, X.STARTED): (P, ()),
        (Q, X.VOIDED): (V, ()),
        (Q, X.OUTDATED): (V, (Effect.REVOKE_LINK, Effect.REPLACE_LINK)),
        (P, X.CONFIRMED): (D, (Effect.FORGET_SECRET,)),
        (P, X.REFUSED): (Q, (Effect.PRINT_SLIP,)),
        (P, X.LOST): (U, (Effect.REVOKE_LINK, Effect.REPLACE_LINK)),
        (P, X.VOIDED): (V, ()),
        (D, X.VOIDED): (V, ()),
    },
    late=frozenset(
        {
            (U, X.CONFIRMED),  # its link is dead already: a confirmation changes nothing
            (U, X.VOIDED),
            (V, X.STARTED),
            (V, X.CONFIRMED),
            (V, X.REFUSED),
            (V, X.LOST),
            (V, X.VOIDED),
        }
    ),
)
