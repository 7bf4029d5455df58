from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.vault.conftest import NEW_LINK, Link, Served, Share
from vault.errors import UnavailableError
from vault.sweeping import SWEEP_EVERY_S, sweep_for_ever

DAY_S = 86400


def objects(served: Served) -> list[str]:
    return [path for path in served.files() if "/objects/" in path]


@contextlib.asynccontextmanager
async def sweeping(served: Served) -> AsyncIterator[None]:
    task = asyncio.create_task(sweep_for_ever(served.vault.ledger, served.vault.objects, served.clock))
    await served.clock.until_asleep()
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_an_expired_link_keeps_its_share_through_its_grace(link: Link) -> None:
    await link.share.put(0, b"x")
    await link.served.clock.advance(3600 + 599)
    assert await link.served.sweep() == {"links_destroyed": 0, "shares_deleted": 0}
    assert len(objects(link.served)) == 1


async def test_when_the_grace_is_over_link_and_objects_are_deleted(link: Link) -> None:
    await link.share.put(0, b"x")
    await link.share.put_manifest(1, b"m")
    await link.served.clock.advance(3600 + 600)
    assert await link.served.sweep() == {"links_destroyed": 1, "shares_deleted": 1}
    assert objects(link.served) == []
    assert (await link.share.put(1, b"y")).code == "share_deleted"


async def test_objects_stay_while_one_link_lives(share: Share) -> None:
    await share.put(0, b"x")
    old, new = await share.link(), await share.link()
    await old.revoke()
    await share.box.served.sweep()
    assert len(objects(share.box.served)) == 1
    await new.revoke()
    await share.box.served.sweep()
    assert objects(share.box.served) == []


async def test_a_link_that_was_never_put_does_not_take_the_share_with_it(share: Share) -> None:
    """The box revokes a slip that failed before its link was relayed, and puts the next one later."""
    await share.put(0, b"x")
    await Link(share, NEW_LINK()).revoke()
    await share.box.served.sweep()
    assert (await (await share.link()).look()).status == 200
    assert len(objects(share.box.served)) == 1


@pytest.mark.parametrize(("after_s", "left"), [(30 * DAY_S - 1, 1), (30 * DAY_S, 0)])
async def test_a_share_without_a_link_is_deleted_30_days_after_its_last_change(
    share: Share, after_s: int, left: int
) -> None:
    await share.box.served.clock.advance(20 * DAY_S)
    await share.put(0, b"x")
    await share.box.served.clock.advance(after_s)
    await share.box.served.sweep()
    assert len(objects(share.box.served)) == left


async def test_more_shares_than_one_batch_are_deleted_in_one_sweep(served: Served) -> None:
    box = await served.box()
    for _ in range(103):
        await (await box.share()).put(0, b"x")
    await served.clock.advance(31 * DAY_S)
    assert (await served.sweep())["shares_deleted"] == 103
    assert objects(served) == []


async def test_what_a_crash_left_between_rows_and_files_goes_with_the_next_sweep(link: Link) -> None:
    await link.share.put(0, b"x")
    ledger = link.served.vault.ledger
    await link.served.clock.advance(5000)
    await ledger.expire(link.served.clock.now())  # and now the power fails
    assert len(objects(link.served)) == 1
    await link.served.sweep()
    assert objects(link.served) == []


async def test_the_service_sweeps_every_minute(link: Link) -> None:
    await link.share.put(0, b"x")
    async with sweeping(link.served):
        await link.served.clock.advance(3600 + 600)
        await link.served.clock.until_asleep()
        await link.served.clock.advance(SWEEP_EVERY_S)
        await link.served.clock.until_asleep()
    assert objects(link.served) == []


async def test_a_sweep_that_fails_is_tried_again(
    link: Link, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await link.share.put(0, b"x")
    await link.served.clock.advance(5000)
    with monkeypatch.context() as patched:

        async def broken(_share_id: bytes) -> None:
            raise UnavailableError

        patched.setattr(link.served.vault.objects, "delete_share", broken)
        async with sweeping(link.served):
            assert "sweep failed: unavailable" in caplog.text
            patched.undo()
            await link.served.clock.advance(SWEEP_EVERY_S)
            await link.served.clock.until_asleep()
    assert objects(link.served) == []


async def test_used_nonces_and_codes_are_forgotten(served: Served) -> None:
    box = await served.box()
    await served.code()
    await box.share()
    await served.clock.advance(1000)
    await served.sweep()
    left = await served.vault.ledger._database.run(
        lambda session: [
            session._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("nonce", "enrolment_code")
        ]
    )
    assert left == [0, 0]
