"""How every table of the core works: (state, event) is a row, or an error that says so.

A row gives the next state and the effects, which are carried out after both are on the disk. No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, TypeVar

from appliance.errors import NotPossibleError


class Effect(StrEnum):
    """What must be done outside once the transition is on the disk. Each is an outbox row."""

    MINT_LINK = "mint-link"  # a new link for the share, and a queued slip that carries it
    REGISTER_LINK = "register-link"  # tell the vault
    PRINT_SLIP = "print-slip"
    PRINT_STAFF_SLIP = "print-staff-slip"  # tells staff the PIN, where the link has one
    DESTROY_LINK = "destroy-link"  # tell the vault to delete its key share
    RENEW_LINK = "renew-link"  # tell the vault the new expiry
    REVOKE_LINKS = "revoke-links"  # every link of the share
    REVOKE_LINK = "revoke-link"  # the one on this slip
    KEEP_AT_VAULT = "keep-at-vault"  # a link that opens nothing: with its last link the vault deletes a share
    HOLD_SHARE = "hold-share"  # the vault will not have its link: a person decides
    REPLACE_LINK = "replace-link"  # the share is asked whether its patient still needs one
    VOID_SLIPS = "void-slips"  # the slips of this link
    FORGET_SECRET = "forget-secret"  # noqa: S105 - the link's F leaves the box with the paper
    FORGET_KEYS = "forget-keys"  # the share's data key and its instances' keys
    DELETE_SHARE = "delete-share"  # at the vault
    RELAY = "relay"  # objects and manifest upwards


S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


class Table(Generic[S, E]):
    """One machine. `rows` is complete: what is not in it, and not in `late`, must not happen."""

    def __init__(
        self,
        noun: str,
        rows: Mapping[tuple[S, E], tuple[S, tuple[Effect, ...]]],
        late: frozenset[tuple[S, E]] = frozenset(),
    ) -> None:
        self.noun = noun
        self.rows = rows
        self.late = late  # answers that come after the fact: nothing changes, nothing is wrong

    def advance(self, state: S, event: E) -> tuple[S, tuple[Effect, ...]]:
        """Next state and effects. NotPossibleError for a pair that has no row."""
        if (state, event) in self.late:
            return state, ()
        try:
            return self.rows[state, event]
        except KeyError:
            raise NotPossibleError(f"a {self.noun} that is {state} cannot be {event}") from None
