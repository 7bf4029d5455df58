"""A share: what one patient gets from one visit."""

from __future__ import annotations

from enum import StrEnum

from appliance.core.table import Effect, Table


class ShareState(StrEnum):
    OPEN = "open"  # may grow for the visit
    HELD = "held"  # a person decides
    CLOSED = "closed"  # delivered, visit over, data key forgotten
    REVOKED = "revoked"


class ShareEvent(StrEnum):
    OPENED = "opened"
    GREW = "grown"  # an instance joined
    RELEASED = "released"  # a person decided, or the rules that it waited for are fulfilled: hand it out
    JOINED = "joined to another share"  # all that it had is that one's now
    HELD_BACK = "taken back"  # a person wants to decide again
    LINK_LOST = "left without a link"  # nobody knows where its slip is, or it came too late: another is needed
    LINK_REFUSED = "refused a link"  # by the vault: trying again would be refused again
    REPRINTED = "reprinted"  # staff asked
    DELIVERED = "delivered"  # visit over, all of it at the vault, its slip settled
    REVOKED = "revoked"


O, H, C, R = ShareState.OPEN, ShareState.HELD, ShareState.CLOSED, ShareState.REVOKED  # noqa: E741
X = ShareEvent

SHARES = Table(
    "share",
    {
        (O, X.OPENED): (O, (Effect.MINT_LINK,)),
        (O, X.GREW): (O, (Effect.RELAY,)),
        (O, X.LINK_LOST): (O, (Effect.MINT_LINK,)),
        (O, X.LINK_REFUSED): (H, ()),
        (O, X.REPRINTED): (O, (Effect.REVOKE_LINKS, Effect.MINT_LINK)),
        (O, X.HELD_BACK): (H, (Effect.REVOKE_LINKS, Effect.KEEP_AT_VAULT)),
        (O, X.DELIVERED): (C, (Effect.FORGET_KEYS,)),
        (O, X.REVOKED): (R, (Effect.REVOKE_LINKS, Effect.DELETE_SHARE, Effect.FORGET_KEYS)),
        # Nothing of a held share leaves the box: not its images, not a slip.
        (H, X.OPENED): (H, ()),
        (H, X.GREW): (H, ()),
        (H, X.RELEASED): (O, (Effect.REVOKE_LINKS, Effect.MINT_LINK, Effect.RELAY)),  # the link that kept it, if any
        (H, X.JOINED): (R, (Effect.REVOKE_LINKS, Effect.DELETE_SHARE, Effect.FORGET_KEYS)),
        (H, X.REVOKED): (R, (Effect.REVOKE_LINKS, Effect.DELETE_SHARE, Effect.FORGET_KEYS)),
        # Without the data key nothing can be added; new images open a new share.
        (C, X.REVOKED): (R, (Effect.REVOKE_LINKS, Effect.DELETE_SHARE)),
    },
    late=frozenset(
        {
            (O, X.RELEASED),
            (H, X.LINK_LOST),  # held in the meantime: a person will release it
            (H, X.LINK_REFUSED),
            (C, X.LINK_LOST),
            (C, X.LINK_REFUSED),
            (R, X.LINK_LOST),
            (R, X.LINK_REFUSED),
            (R, X.REVOKED),
            (R, X.DELIVERED),
        }
    ),
)
