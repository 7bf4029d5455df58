"""What time alone brings about, and what a wrong clock must not."""

from __future__ import annotations

import pytest

from tests.daemon.conftest import MakeHouse
from tests.daemon.house import QUIET_S, VISIT_S, House, Image, images
from tests.fakes.vault import DownVault

DAY_S = 86400.0


async def study_state(box: House) -> str:
    return str((await box.rows("studies", share=1))[0]["state"])


async def swept(box: House) -> None:
    for _ in range(3):
        await box.journal.run(box.sweeping._sweep)


async def delivered(box: House) -> None:
    await box.settled()
    box.clock.advance(QUIET_S + 1)
    await box.until_rows("studies", lambda rows: rows and rows[0]["state"] == "quiet", share=1)
    await box.settled()


# -- studies -----------------------------------------------------------------------------------------------------------


async def test_a_study_falls_quiet_after_its_profiles_seconds_and_not_before(box: House) -> None:
    await box.send(*images("A", 2))
    await box.settled()
    box.clock.advance(QUIET_S - 10)
    await swept(box)
    assert await study_state(box) == "arriving"
    box.clock.advance(11)
    await box.until_rows("studies", lambda rows: rows[0]["state"] == "quiet", share=1)
    await box.settled()
    assert box.opened().manifest.state == "quiet"


async def test_late_images_join_the_same_slip_and_take_the_verdict_back(box: House) -> None:
    await box.send(Image(number=1))
    await delivered(box)
    await box.send(Image(number=2))
    await box.settled()
    assert box.opened().manifest.state == "arriving"
    assert len(box.opened().datasets) == 2
    assert len(box.printer.jobs) == 1


async def test_a_second_study_of_the_visit_joins_the_same_slip(box: House) -> None:
    await box.send(Image(study="1"))
    await delivered(box)
    await box.send(Image(study="2"))
    await box.settled()
    assert {study.uid for study in box.opened().manifest.studies} == {
        Image(study="1").study_uid,
        Image(study="2").study_uid,
    }
    assert len(box.printer.jobs) == 1


async def test_an_open_association_keeps_its_study_arriving(box: House) -> None:
    peer = box.call()
    await box.send(Image(), peer=peer)
    await box.settled()
    box.clock.advance(QUIET_S + 200)
    await swept(box)
    assert await study_state(box) == "arriving"
    box.receiving.closed(peer)
    await box.until_rows("studies", lambda rows: rows[0]["state"] == "quiet", share=1)


async def test_a_pacs_that_goes_on_to_another_study_leaves_the_first_to_fall_quiet(box: House) -> None:
    """It never hangs up; a profile that prints when complete would never print."""
    peer = box.call()
    await box.send(Image(study="1"), Image(study="2"), peer=peer)
    await box.settled()
    box.clock.advance(QUIET_S + 1)
    states = await box.until_rows("studies", lambda rows: rows[0]["state"] == "quiet", share=1)
    assert [row["state"] for row in states] == ["quiet", "arriving"]


async def test_another_association_of_the_same_sender_does_not_keep_a_study_arriving(box: House) -> None:
    box.call()
    await box.send(Image())
    await box.settled()
    box.clock.advance(QUIET_S + 1)
    await box.until_rows("studies", lambda rows: rows[0]["state"] == "quiet", share=1)


async def test_nothing_is_kept_of_an_association_that_is_over(box: House) -> None:
    await box.send(*images("A", 3))
    await box.settled()
    await box.until_rows("transfers", lambda rows: not rows)
    kept = [box.transfers._open, box.transfers._sending, box.transfers._touched, box.transfers._rows]
    assert [*map(len, kept), len(box.transfers._over)] == [0, 0, 0, 0, 0]


# -- links -------------------------------------------------------------------------------------------------------------


async def test_a_link_expires_by_the_vaults_clock_and_is_destroyed_after_its_grace(box: House) -> None:
    await box.send(Image())
    await box.settled()
    expires_at = box.vault.live_links[0].expires_at
    for when, state in ((-1, "active"), (0, "expired"), (14 * DAY_S - 1, "expired"), (14 * DAY_S, "destroyed")):
        box.vault_time[0] = expires_at + when
        await swept(box)
        assert (await box.rows("links", share=1))[0]["state"] == state


@pytest.mark.parametrize("years", [10, -10, 56])
async def test_a_wrong_clock_of_the_box_expires_nothing(box: House, years: int) -> None:
    await box.send(Image())
    await box.settled()
    box.clock.jump(years * 365 * DAY_S)
    await swept(box)
    assert (await box.rows("links", share=1))[0]["state"] == "active"


async def test_a_clock_that_goes_back_does_not_stop_the_quiet_period(box: House) -> None:
    box.clock.jump(10 * 365 * DAY_S)
    await box.send(Image())
    await box.settled()
    box.clock.jump(-10 * 365 * DAY_S)
    await swept(box)
    box.clock.advance(QUIET_S + 1)
    await box.until_rows("studies", lambda rows: rows[0]["state"] == "quiet", share=1)


async def test_a_clock_that_goes_back_does_not_make_a_visit_last_for_years(box: House) -> None:
    box.clock.jump(10 * 365 * DAY_S)
    await box.send(Image())
    await box.settled()
    box.clock.jump(-10 * 365 * DAY_S)
    await swept(box)
    box.clock.advance(VISIT_S + QUIET_S + 1)
    await box.until_rows("shares", lambda rows: rows[0]["state"] == "closed", limit=9, step_s=1)


# -- shares ------------------------------------------------------------------------------------------------------------


async def closed(box: House) -> None:
    await delivered(box)
    box.clock.advance(VISIT_S)
    await box.until_rows("shares", lambda rows: rows[0]["state"] == "closed", limit=9)


async def test_a_delivered_share_is_closed_when_the_visit_is_over_and_its_keys_are_gone(box: House) -> None:
    await box.send(*images("A", 3))
    sealed = [row["sealed"] for row in await box.until_rows("instances", lambda rows: len(rows) == 3, share=1)]
    sealed += [(await box.shares())[0]["sealed"]]
    raw = raw_journal(box)
    assert all(secret in raw for secret in sealed)
    await closed(box)
    assert (await box.shares())[0]["sealed"] is None
    raw = raw_journal(box)
    assert not any(secret in raw for secret in sealed)
    assert len(box.opened().datasets) == 3  # the paper still opens


def raw_journal(box: House) -> bytes:
    return b"".join(path.read_bytes() for path in box.folder.glob("journal.db*"))


async def test_a_share_that_is_not_up_yet_is_not_closed(make_house: MakeHouse) -> None:
    vault = DownVault()
    async with make_house(vault=vault) as box:
        box.start()
        await box.send(Image())
        await box.until(lambda: vault.refused, step_s=1)
        box.clock.advance(VISIT_S * 3)
        await swept(box)
        assert (await box.shares())[0]["state"] == "open"
        vault.up = True
        await box.until_rows("slips_of_share", lambda rows: rows[0]["state"] == "overdue", share=1, step_s=1)
        assert (await box.shares())[0]["state"] == "open"  # its patient has no slip yet
        await box.operating.command("slips-release", {"all": True})
        await box.until_rows("shares", lambda rows: rows[0]["state"] == "closed", limit=9, step_s=1)


async def test_after_the_visit_the_same_patient_gets_a_share_of_their_own(box: House) -> None:
    await box.send(Image(study="1"))
    await closed(box)
    await box.send(Image(study="2"))
    await box.settled()
    assert len(box.printer.jobs) == 2
    assert [study.uid for study in box.opened(which=1).manifest.studies] == [Image(study="2").study_uid]


# -- spool files and rows ----------------------------------------------------------------------------------------------


async def test_spool_files_go_when_all_of_them_is_at_the_vault_and_not_before(make_house: MakeHouse) -> None:
    vault = DownVault()
    async with make_house(vault=vault, file_bytes=1) as box:
        box.start()
        await box.send(*images("A", 6))
        await box.until(lambda: not box.receiving.behind)
        await box.until(lambda: vault.refused, step_s=1)
        await box.sweeping._free_files()
        assert len(box.spool.files()) == 6
        vault.up = True
        await box.settled()
        await box.until(lambda: len(box.spool.files()) == 1)
        assert len(box.opened().datasets) == 6


async def test_nothing_is_freed_while_an_instance_waits_to_be_looked_at(make_house: MakeHouse) -> None:
    async with make_house(file_bytes=1) as box:
        await box.send(*images("A", 3))
        assert box.receiving.behind
        await box.sweeping._free_files()
        assert len(box.spool.files()) == 3


async def test_revoked_images_leave_the_disk_without_having_been_relayed(make_house: MakeHouse) -> None:
    vault = DownVault()
    async with make_house(vault=vault, file_bytes=1) as box:
        box.start()
        await box.send(*images("A", 4))
        await box.until(lambda: not box.receiving.behind)
        (share,) = await box.until_rows("shares", lambda rows: rows, limit=9)
        await box.operating.command("shares-revoke", {"id": share["share_id"].hex()})
        await box.until(lambda: len(box.spool.files()) == 1)


async def test_rows_of_delivered_shares_are_dropped_and_the_lists_still_count(make_house: MakeHouse) -> None:
    """A box runs for years: what is delivered must not make its journal slower every day."""
    async with make_house(file_bytes=1) as box:
        box.start()
        several = images("A", 5)
        await box.send(*several, *several)
        await closed(box)
        await box.send(Image(patient="B"), Image(patient="B", number=2))
        await box.until_rows("instances", lambda rows: not rows, share=1)
        (listed,) = [share for share in await box.operating.command("shares-list", {}) if share["state"] == "closed"]
        assert (listed["images"], listed["at_vault"]) == (5, 5)
        story = await box.operating.command("shares-show", {"id": listed["id"]})
        assert (story["images"], story["at_vault"]) == (5, 5)
        assert await box.rows("stored_objects", share=1) == []
        await box.until(lambda: not box.receiving.behind)
    async with make_house(vault=box.vault, clock=box.clock) as again:
        assert await again.recover() == 0
