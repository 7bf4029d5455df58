"""A slip: a link on paper. PRINTING is on the disk before the first byte leaves for the printer."""

from __future__ import annotations

from enum import StrEnum

from appliance.core.table import Effect, Table


class SlipState(StrEnum):
    QUEUED = "queued"
    PRINTING = "printing"
    OVERDUE = "overdue"  # its turn came too late to print it unasked: its patient may have left
    UNCONFIRMED = "unconfirmed"  # nothing says that it did not come out, and nothing proves that it did: staff look
    PRINTED = "printed"  # confirmed
    UNKNOWN = "unknown"  # nobody knows what came out: its link is revoked, another is printed
    VOID = "void"


class SlipEvent(StrEnum):
    STARTED = "started"
    CONFIRMED = "confirmed"
    REFUSED = "refused"  # not one byte left
    TAKEN = "taken"  # all of it, by a printer that proves nothing
    PRESUMED = "presumed printed"  # nobody has said otherwise in time
    LOST = "lost"  # bytes left, no confirmation came; or the box restarted in between; or staff say so
    DELAYED = "kept back"  # it waited too long for its turn
    RELEASED = "released"  # staff say: print it all the same
    VOIDED = "voided"
    OUTDATED = "outdated"  # its link ran out before it could be printed: the patient still has none


Q, O, P = SlipState.QUEUED, SlipState.OVERDUE, SlipState.PRINTING  # noqa: E741
N, D, U, V = SlipState.UNCONFIRMED, SlipState.PRINTED, SlipState.UNKNOWN, SlipState.VOID
X = SlipEvent

SLIPS = Table(
    "slip",
    {
        (Q, X.STARTED): (P, ()),
        (Q, X.VOIDED): (V, ()),
        (Q, X.OUTDATED): (V, (Effect.REVOKE_LINK, Effect.REPLACE_LINK)),
        (Q, X.DELAYED): (O, ()),
        (O, X.RELEASED): (Q, (Effect.PRINT_SLIP,)),
        (O, X.VOIDED): (V, ()),
        (P, X.CONFIRMED): (D, (Effect.FORGET_SECRET, Effect.PRINT_STAFF_SLIP)),
        (P, X.REFUSED): (Q, (Effect.PRINT_SLIP,)),
        (P, X.TAKEN): (N, (Effect.FORGET_SECRET, Effect.PRINT_STAFF_SLIP)),
        (P, X.LOST): (U, (Effect.REVOKE_LINK, Effect.REPLACE_LINK)),
        (P, X.VOIDED): (V, ()),
        (N, X.CONFIRMED): (D, ()),
        (N, X.PRESUMED): (D, ()),
        (N, X.LOST): (U, (Effect.REVOKE_LINK, Effect.REPLACE_LINK)),
        (N, X.VOIDED): (V, ()),
        (D, X.VOIDED): (V, ()),
    },
    late=frozenset(
        {
            (Q, X.RELEASED),
            (D, X.CONFIRMED),  # said twice
            (U, X.LOST),
            (U, X.CONFIRMED),  # its link is dead already: a confirmation changes nothing
            (U, X.VOIDED),
            (V, X.STARTED),
            (V, X.CONFIRMED),
            (V, X.REFUSED),
            (V, X.TAKEN),
            (V, X.LOST),
            (V, X.VOIDED),
        }
    ),
)
