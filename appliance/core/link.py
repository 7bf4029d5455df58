"""A link: opens a share until it expires or is destroyed."""

from __future__ import annotations

from enum import StrEnum

from appliance.core.table import Effect, Table


class LinkState(StrEnum):
    REGISTERING = "registering"  # minted here; the vault may or may not know it yet
    ACTIVE = "active"
    EXPIRED = "expired"  # locked; staff can renew it for a grace period
    DESTROYED = "destroyed"  # revoked, refused, or never renewed


class LinkEvent(StrEnum):
    MINTED = "minted"
    REGISTERED = "registered"
    REFUSED = "refused"  # the vault will not have it
    EXPIRED = "expired"
    RENEWED = "renewed"
    REVOKED = "revoked"
    GRACE_ENDED = "past its grace period"


G, A, E, D = LinkState.REGISTERING, LinkState.ACTIVE, LinkState.EXPIRED, LinkState.DESTROYED
X = LinkEvent

LINKS = Table(
    "link",
    {
        (G, X.MINTED): (G, (Effect.REGISTER_LINK,)),
        (G, X.REGISTERED): (A, (Effect.PRINT_SLIP,)),
        # The vault may have it although no answer came, or from an earlier try, so it is told all the same.
        (G, X.REFUSED): (D, (Effect.HOLD_SHARE, Effect.DESTROY_LINK, Effect.VOID_SLIPS, Effect.FORGET_SECRET)),
        (G, X.REVOKED): (D, (Effect.DESTROY_LINK, Effect.VOID_SLIPS, Effect.FORGET_SECRET)),
        (A, X.EXPIRED): (E, ()),  # the paper may be renewed, so its slip stays
        (A, X.RENEWED): (A, (Effect.RENEW_LINK,)),
        (A, X.REVOKED): (D, (Effect.DESTROY_LINK, Effect.VOID_SLIPS, Effect.FORGET_SECRET)),
        (E, X.RENEWED): (A, (Effect.RENEW_LINK,)),
        (E, X.REVOKED): (D, (Effect.DESTROY_LINK, Effect.VOID_SLIPS, Effect.FORGET_SECRET)),
        (E, X.GRACE_ENDED): (D, (Effect.VOID_SLIPS, Effect.FORGET_SECRET)),
        # Registered after we gave it up: it must not stay alive over there.
        (D, X.REGISTERED): (D, (Effect.DESTROY_LINK,)),
    },
    late=frozenset(
        {
            (A, X.REGISTERED),  # the request was sent twice, both were answered
            (E, X.REGISTERED),
            (E, X.EXPIRED),
            (D, X.REFUSED),
            (D, X.EXPIRED),
            (D, X.REVOKED),
            (D, X.GRACE_ENDED),
        }
    ),
)
