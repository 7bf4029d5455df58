"""Links between the box and the vault: registered once, destroyed for sure, whatever order the answers come in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.daemon.conftest import MakeHouse
from tests.daemon.house import House, Image, images
from tests.fakes.slip_printers import PaperOutPrinter
from tests.fakes.vault import DownVault, NeverAnsweringVault, RefusingVault, RememberingVault


async def only_share(box: House) -> dict[str, Any]:
    (share,) = await box.until_rows("shares", lambda rows: rows, limit=9)
    return share


async def command(box: House, name: str, share: dict[str, Any], **arguments: Any) -> Any:
    return await box.operating.command(name, {"id": share["share_id"].hex(), **arguments})


async def link_states(box: House) -> list[str]:
    return [row["state"] for row in await box.rows("links", share=1)]


async def test_a_link_is_registered_before_its_slip_is_printed(make_house: MakeHouse) -> None:
    vault = NeverAnsweringVault("put_link")
    async with make_house(vault=vault) as box:
        box.start()
        await box.send(Image())
        await box.until(lambda: vault.waiting)
        await box.settled_relay()
        assert box.printer.jobs == []
        vault.speak()
        await box.settled()
        assert len(box.printer.jobs) == 1


async def test_revoked_while_it_registers_a_link_is_destroyed_over_there_too(make_house: MakeHouse) -> None:
    vault = NeverAnsweringVault("put_link")
    async with make_house(vault=vault) as box:
        box.start()
        await box.send(Image())
        await box.until(lambda: vault.waiting)
        await command(box, "shares-revoke", await only_share(box))
        vault.speak()
        await box.settled()
        assert vault.live_links == []
        assert box.printer.jobs == []
        assert await link_states(box) == ["destroyed"]


async def test_revoked_before_it_was_registered_a_link_never_leaves_the_box(make_house: MakeHouse) -> None:
    vault = DownVault()
    async with make_house(vault=vault) as box:
        box.start()
        await box.send(Image())
        await box.until(lambda: vault.refused >= 2, step_s=1)
        await command(box, "shares-revoke", await only_share(box))
        vault.up = True
        await box.settled()
        assert "put_link" not in vault.calls
        assert vault.live_links == []


async def test_a_refused_link_voids_its_slip_and_holds_the_share_for_a_person(make_house: MakeHouse) -> None:
    vault = RefusingVault("bad_request", "put_link")
    async with make_house(vault=vault) as box:
        box.start()
        await box.send(Image())
        await box.until(lambda: vault.refused)
        await box.settled()
        assert box.printer.jobs == []
        assert (await box.rows("slips_of_share", share=1))[0]["state"] == "void"
        story = await command(box, "shares-show", await only_share(box))
        assert any("refused" in event["what"] for event in story["events"])
        assert (story["state"], story["held_because"]) == ("held", "the vault refused its link")
        vault.refusing.clear()
        await command(box, "shares-release", await only_share(box), why="the vault is well again")
        await box.settled()
        assert len(box.printer.jobs) == 1


@pytest.mark.parametrize("code", ["device_revoked", "device_unknown", "signature_wrong"])
async def test_a_refusal_of_the_box_itself_loses_no_link(make_house: MakeHouse, code: str) -> None:
    """The operator enrols the box anew; nobody should have to print every slip again by hand."""
    vault = RefusingVault(code, "put_link")
    async with make_house(vault=vault) as box:
        box.start()
        await box.send(Image())
        await box.until(lambda: vault.refused)
        vault.refusing.clear()
        await box.settled()
        assert len(box.printer.jobs) == 1


async def test_a_refusal_of_the_box_itself_leaves_no_revoked_link_alive(make_house: MakeHouse) -> None:
    vault = RefusingVault("device_revoked")
    async with make_house(vault=vault) as box:
        box.start()
        await box.send(Image())
        await box.settled()
        vault.refusing = {"delete_link", "delete_share"}
        await command(box, "shares-revoke", await only_share(box))
        await box.until(lambda: vault.refused)
        vault.refusing.clear()
        await box.settled()
        assert vault.live_links == []


async def test_revoking_a_share_deletes_it_at_the_vault_and_forgets_its_keys(box: House) -> None:
    await box.send(*images("A", 3))
    await box.settled()
    await command(box, "shares-revoke", await only_share(box), why="asked for")
    await box.settled()
    (share,) = box.vault.shares.values()
    assert share.deleted
    assert share.objects == {}
    assert (await only_share(box))["sealed"] is None
    assert all(row["sealed"] is None for row in await box.rows("instances", share=1))
    assert all(row["sealed"] is None for row in await box.rows("links", share=1))


async def test_revoking_twice_is_no_error(box: House) -> None:
    await box.send(Image())
    await box.settled()
    share = await only_share(box)
    await command(box, "shares-revoke", share)
    assert (await command(box, "shares-revoke", share))["state"] == "revoked"
    await box.settled()


async def test_extending_gives_the_same_paper_more_time(box: House) -> None:
    await box.send(Image())
    await box.settled()
    (before,) = box.vault.live_links
    until = before.expires_at
    await command(box, "shares-extend", await only_share(box), days=30)
    await box.settled()
    (after,) = box.vault.live_links
    assert after.expires_at > until
    assert len(box.printer.jobs) == 1
    assert (await box.rows("links", share=1))[0]["expires_at"] == after.expires_at


async def test_an_expired_link_that_is_extended_stays_alive_while_the_vault_is_slow(make_house: MakeHouse) -> None:
    """The box's own old expiry must not lock it again before the vault has answered."""
    vault = NeverAnsweringVault("renew_link")
    async with make_house(vault=vault) as box:
        box.start()
        await box.send(Image())
        await box.settled()
        box.vault_time[0] = vault.now + 8 * 86400
        await box.until_rows("links", lambda rows: rows[0]["state"] == "expired", share=1)
        vault.now += 8 * 86400
        await command(box, "shares-extend", await only_share(box), days=7)
        await box.until(lambda: vault.waiting)
        await sweeps(box)
        assert await link_states(box) == ["active"]
        vault.speak()
        await box.settled()
        await sweeps(box)
        assert await link_states(box) == ["active"]


async def sweeps(box: House) -> None:
    """Let the sweeper look a few times."""
    for _ in range(3):
        await box.journal.run(box.sweeping._sweep)


async def test_a_link_that_is_past_its_grace_period_cannot_be_extended(box: House) -> None:
    await box.send(Image())
    await box.settled()
    (link,) = box.vault.live_links
    link.destroyed = True  # the vault's clock is ahead of what the box knows
    await command(box, "shares-extend", await only_share(box), days=7)
    await box.settled()
    assert await link_states(box) == ["destroyed"]


async def test_what_was_put_off_by_a_wrong_clock_is_not_put_off_for_years(make_house: MakeHouse) -> None:
    vault = DownVault()
    async with make_house(vault=vault) as box:
        box.clock.jump(10 * 365 * 86400)
        box.start()
        await box.send(Image())
        await box.until(lambda: vault.refused >= 3, step_s=1)
        box.clock.jump(-10 * 365 * 86400)
        vault.up = True
        await box.until(lambda: box.printer.jobs)
        await box.settled()


async def test_a_queued_slip_whose_link_expired_is_voided_and_another_is_printed(make_house: MakeHouse) -> None:
    printer = PaperOutPrinter()
    async with make_house(printer=printer) as box:
        box.start()
        await box.send(Image())
        await box.until_rows("links", lambda rows: rows and rows[0]["state"] == "active", share=1)
        box.vault_time[0] = box.vault.now + 8 * 86400
        await box.until_rows("links", lambda rows: rows[0]["state"] != "active", share=1)
        box.vault_time[0] = box.vault.now  # the next link is a fresh one
        await box.until_rows("slips_of_share", lambda rows: rows[0]["state"] == "void", share=1)
        printer.load_paper()
        await box.settled()
        assert len(printer.jobs) == 1
        assert [row["state"] for row in await box.rows("slips_of_share", share=1)] == ["void", "printed"]


async def test_ten_reprints_leave_one_live_link(box: House) -> None:
    await box.send(Image())
    await box.settled()
    for n in range(1, 11):
        await box.operating.command("slips-reprint", {"number": f"S-{n:05d}", "why": "lost"})
    await box.settled()
    (live,) = box.vault.live_links
    assert live.registration.link_id in (await box.rows("links", share=1))[-1].values()
    assert box.opened().datasets


async def test_registering_goes_on_after_a_restart(make_house: MakeHouse) -> None:
    vault = NeverAnsweringVault("put_link")
    async with make_house(vault=vault) as box:
        box.start()
        await box.send(Image())
        await box.until(lambda: vault.waiting)
    vault.speak()
    async with make_house(vault=vault, clock=box.clock) as again:
        await again.recover()
        again.start()
        await again.settled()
        assert len(vault.live_links) == 1
        assert len(again.printer.jobs) == 1


class ForgetfulVault(RememberingVault):
    """Lost everything, as after a restore of an old backup."""

    def forget(self) -> None:
        self.shares.clear()


async def test_a_vault_that_lost_everything_still_lets_a_share_be_revoked(make_house: MakeHouse) -> None:
    vault = ForgetfulVault()
    async with make_house(vault=vault) as box:
        box.start()
        await box.send(Image())
        await box.settled()
        vault.forget()
        await command(box, "shares-revoke", await only_share(box))
        await box.settled()
        assert (await only_share(box))["state"] == "revoked"
