"""The rules of links, shares and devices as tables of values. No I/O, no clock, no randomness.

`after(table, state, event)` gives the next state or raises the refusal. States that follow from the time or from a
count (EXPIRED, LOCKED, DESTROYED after the grace period) are computed from the row, never stored: that is what makes
them true at the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TypeVar

from vault.errors import (
    AlreadyDifferentError,
    DeviceRevokedError,
    DeviceUnknownError,
    LinkExpiredError,
    LinkLockedError,
    LinkRevokedError,
    LinkUnknownError,
    ShareDeletedError,
    ShareUnknownError,
    TokenUnknownError,
    VaultError,
)

MAX_TRIES = 5  # wrong proofs for the life of a link; a birth date has some 36,525 values
MAX_WRONG_MACS = 5  # then an enrolment code is spent
CODE_GOOD_S = 15 * 60
CLOCK_SKEW_S = 300
TOKEN_GOOD_S = 12 * 3600  # one sitting with the images; the page proves again after it
LINKLESS_SHARE_KEPT_S = 30 * 86400
EXPIRES_MIN_S = 60
PERIOD_MAX_S = 400 * 86400  # of an expiry and of a grace period


class LinkState(StrEnum):
    ABSENT = "absent"
    ACTIVE = "active"
    LOCKED = "locked"  # five wrong proofs
    EXPIRED = "expired"  # staff can still renew it
    DESTROYED = "destroyed"


class LinkEvent(Enum):
    PUT = "the box names the link with the content that is stored, if any is"
    PUT_OTHER = "the box names the link with other content"
    RENEWED = "staff gave it a new expiry"
    REVOKED = "staff or the box destroyed it"
    ASKED = "somebody looks at it or tries a proof"
    FETCHED = "somebody who proved it reads a byte"


class ShareState(StrEnum):
    ABSENT = "absent"  # or another device's, which must look the same
    OPEN = "open"
    DELETED = "deleted"


class ShareEvent(Enum):
    PUT = "the box names the share"
    WRITTEN = "the box puts something into it"
    ASKED = "the box asks what is there"
    CHANGED = "the box renews or revokes one of its links"
    DELETED = "the box deletes it"


class DeviceState(StrEnum):
    ABSENT = "absent"
    ENROLLED = "enrolled"
    REVOKED = "revoked"


class DeviceEvent(Enum):
    SIGNED = "a request bears its signature"


S = TypeVar("S", LinkState, ShareState, DeviceState)
E = TypeVar("E", LinkEvent, ShareEvent, DeviceEvent)
Table = Mapping[tuple[S, E], S | type[VaultError]]

_L, _LE = LinkState, LinkEvent
LINK: Table[LinkState, LinkEvent] = {
    (_L.ABSENT, _LE.PUT): _L.ACTIVE,
    (_L.ABSENT, _LE.PUT_OTHER): _L.ACTIVE,
    (_L.ABSENT, _LE.RENEWED): LinkUnknownError,
    (_L.ABSENT, _LE.REVOKED): _L.DESTROYED,  # a late PUT must not bring it to life
    (_L.ABSENT, _LE.ASKED): LinkUnknownError,
    (_L.ABSENT, _LE.FETCHED): TokenUnknownError,
    (_L.ACTIVE, _LE.PUT): _L.ACTIVE,
    (_L.ACTIVE, _LE.PUT_OTHER): AlreadyDifferentError,
    (_L.ACTIVE, _LE.RENEWED): _L.ACTIVE,
    (_L.ACTIVE, _LE.REVOKED): _L.DESTROYED,
    (_L.ACTIVE, _LE.ASKED): _L.ACTIVE,
    (_L.ACTIVE, _LE.FETCHED): _L.ACTIVE,
    (_L.LOCKED, _LE.PUT): _L.LOCKED,
    (_L.LOCKED, _LE.PUT_OTHER): AlreadyDifferentError,
    (_L.LOCKED, _LE.RENEWED): _L.LOCKED,  # renewing gives time, never tries
    (_L.LOCKED, _LE.REVOKED): _L.DESTROYED,
    (_L.LOCKED, _LE.ASKED): LinkLockedError,
    (_L.LOCKED, _LE.FETCHED): _L.LOCKED,  # who guesses at a link must not shut out who has proved it
    (_L.EXPIRED, _LE.PUT): _L.EXPIRED,
    (_L.EXPIRED, _LE.PUT_OTHER): AlreadyDifferentError,
    (_L.EXPIRED, _LE.RENEWED): _L.ACTIVE,
    (_L.EXPIRED, _LE.REVOKED): _L.DESTROYED,
    (_L.EXPIRED, _LE.ASKED): LinkExpiredError,
    (_L.EXPIRED, _LE.FETCHED): LinkExpiredError,
    (_L.DESTROYED, _LE.PUT): LinkRevokedError,
    (_L.DESTROYED, _LE.PUT_OTHER): LinkRevokedError,
    (_L.DESTROYED, _LE.RENEWED): LinkRevokedError,
    (_L.DESTROYED, _LE.REVOKED): _L.DESTROYED,
    (_L.DESTROYED, _LE.ASKED): LinkRevokedError,
    (_L.DESTROYED, _LE.FETCHED): LinkRevokedError,
}

_S, _SE = ShareState, ShareEvent
SHARE: Table[ShareState, ShareEvent] = {
    (_S.ABSENT, _SE.PUT): _S.OPEN,
    (_S.ABSENT, _SE.WRITTEN): ShareUnknownError,
    (_S.ABSENT, _SE.ASKED): ShareUnknownError,
    (_S.ABSENT, _SE.CHANGED): ShareUnknownError,
    (_S.ABSENT, _SE.DELETED): ShareUnknownError,
    (_S.OPEN, _SE.PUT): _S.OPEN,
    (_S.OPEN, _SE.WRITTEN): _S.OPEN,
    (_S.OPEN, _SE.ASKED): _S.OPEN,
    (_S.OPEN, _SE.CHANGED): _S.OPEN,
    (_S.OPEN, _SE.DELETED): _S.DELETED,
    (_S.DELETED, _SE.PUT): ShareDeletedError,
    (_S.DELETED, _SE.WRITTEN): ShareDeletedError,
    (_S.DELETED, _SE.ASKED): _S.DELETED,
    (_S.DELETED, _SE.CHANGED): _S.DELETED,  # its links are destroyed, and answer so
    (_S.DELETED, _SE.DELETED): _S.DELETED,
}

DEVICE: Table[DeviceState, DeviceEvent] = {
    (DeviceState.ABSENT, DeviceEvent.SIGNED): DeviceUnknownError,
    (DeviceState.ENROLLED, DeviceEvent.SIGNED): DeviceState.ENROLLED,
    (DeviceState.REVOKED, DeviceEvent.SIGNED): DeviceRevokedError,
}


def after(table: Table[S, E], state: S, event: E) -> S:
    """The next state; raises the table's refusal."""
    row = table[state, event]
    if isinstance(row, type):
        raise row()
    return row


@dataclass(frozen=True)
class Link:
    """What is known of a link without its secrets. Times are Unix seconds by the vault's clock."""

    link_id: bytes
    share_id: bytes
    factor: str
    expires_at: int
    grace_s: int
    tries: int
    opened: int
    last_opened_at: int | None
    destroyed_at: int | None

    def state(self, now: float) -> LinkState:
        """Dead at the second: a link that expires at T is expired at T."""
        if self.destroyed_at is not None or now >= self.expires_at + self.grace_s:
            return LinkState.DESTROYED
        if self.tries >= MAX_TRIES:
            return LinkState.LOCKED
        return LinkState.EXPIRED if now >= self.expires_at else LinkState.ACTIVE

    def listed_state(self, now: float) -> LinkState:
        """As the box sees it: active, expired or destroyed. That it is locked shows in `tries_left`."""
        state = self.state(now)
        if state is LinkState.LOCKED:
            return LinkState.EXPIRED if now >= self.expires_at else LinkState.ACTIVE
        return state

    def check_fetchable(self, now: float) -> None:
        """A token reads on under a lock, but not past the expiry, locked or not. Raises the table's refusal."""
        after(LINK, self.listed_state(now), LinkEvent.FETCHED)
        after(LINK, self.state(now), LinkEvent.FETCHED)

    @property
    def tries_left(self) -> int:
        return MAX_TRIES - self.tries


def ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Ascending numbers as inclusive ranges: 0 1 2 5 becomes [[0, 2], [5, 5]]."""
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found
