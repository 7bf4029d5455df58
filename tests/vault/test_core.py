from __future__ import annotations

from itertools import product

import pytest

from vault import core
from vault.core import (
    DEVICE,
    LINK,
    SHARE,
    DeviceEvent,
    DeviceState,
    Link,
    LinkEvent,
    LinkState,
    ShareEvent,
    ShareState,
    after,
)
from vault.errors import LinkRevokedError, VaultError

T = 1_795_000_000


def link(*, tries: int = 0, destroyed_at: int | None = None) -> Link:
    return Link(
        link_id=bytes(16),
        share_id=bytes(16),
        factor="none",
        expires_at=T,
        grace_s=10,
        tries=tries,
        opened=0,
        last_opened_at=None,
        destroyed_at=destroyed_at,
    )


def test_every_state_and_event_has_a_row() -> None:
    assert set(LINK) == set(product(LinkState, LinkEvent))
    assert set(SHARE) == set(product(ShareState, ShareEvent))
    assert set(DEVICE) == set(product(DeviceState, DeviceEvent))


@pytest.mark.parametrize("event", LinkEvent)
def test_nothing_brings_a_destroyed_link_back(event: LinkEvent) -> None:
    row = LINK[LinkState.DESTROYED, event]
    assert row in (LinkState.DESTROYED, LinkRevokedError)


@pytest.mark.parametrize("event", ShareEvent)
def test_nothing_brings_a_deleted_share_back(event: ShareEvent) -> None:
    row = SHARE[ShareState.DELETED, event]
    assert row is ShareState.DELETED or isinstance(row, type)


@pytest.mark.parametrize("event", LinkEvent)
def test_nothing_unlocks_a_locked_link(event: LinkEvent) -> None:
    row = LINK[LinkState.LOCKED, event]
    assert isinstance(row, type) or row in (LinkState.LOCKED, LinkState.DESTROYED)


def test_a_refusal_is_raised_and_a_state_returned() -> None:
    assert after(LINK, LinkState.EXPIRED, LinkEvent.RENEWED) is LinkState.ACTIVE
    with pytest.raises(VaultError):
        after(LINK, LinkState.DESTROYED, LinkEvent.RENEWED)


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (T - 1, LinkState.ACTIVE),
        (T - 0.001, LinkState.ACTIVE),
        (T, LinkState.EXPIRED),
        (T + 9.999, LinkState.EXPIRED),
        (T + 10, LinkState.DESTROYED),
    ],
)
def test_a_links_state_follows_from_the_time(now: float, state: LinkState) -> None:
    assert link().state(now) is state


def test_a_lock_outlasts_the_expiry_but_not_the_grace() -> None:
    states = [link(tries=5).state(now) for now in (T - 1, T, T + 10)]
    assert states == [LinkState.LOCKED, LinkState.LOCKED, LinkState.DESTROYED]


def test_a_locked_link_can_be_read_on_until_it_expires() -> None:
    link(tries=5).check_fetchable(T - 1)
    with pytest.raises(VaultError, match="expired"):
        link(tries=5).check_fetchable(T)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([], []), ([0], [[0, 0]]), ([0, 1, 2], [[0, 2]]), ([0, 2, 3, 9], [[0, 0], [2, 3], [9, 9]])],
)
def test_numbers_become_inclusive_ranges(numbers: list[int], expected: list[list[int]]) -> None:
    assert core.ranges(numbers) == expected
