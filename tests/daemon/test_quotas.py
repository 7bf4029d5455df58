"""What may wait for the vault: for each sender, for all, and of the disk."""

from __future__ import annotations

from appliance.daemon.peers import KnownPeer
from appliance.daemon.quotas import Quota
from appliance.errors import SpoolFullError
from appliance.ports import Peer
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import House, Image, images
from tests.fakes.vault import RememberingVault

SIZE = len(Image().dataset)
CT1, CT2 = Peer("CT1", "SHARE", "10.20.0.5"), Peer("CT2", "SHARE", "10.20.0.5")


def quotas(most_images: int) -> tuple[Quota, ...]:
    return (Quota(KnownPeer.of("CT1", "10.20.0.0/24"), most_images * SIZE),)


def refusals(box: House) -> tuple[bool, bool]:
    return box.receiving.refuse(CT1) is not None, box.receiving.refuse(CT2) is not None


async def test_a_sender_that_has_used_its_quota_is_refused_and_the_others_are_not(make_house: MakeHouse) -> None:
    async with make_house(quotas=quotas(3)) as box:
        await box.send(*images("A", 2))
        assert refusals(box) == (False, False)
        await box.send(Image(number=3))  # counted at once, not when the journal has it
        assert refusals(box) == (True, False)
        error = box.receiving.refuse(CT1)
        assert isinstance(error, SpoolFullError)
        assert "CT1" in error.summary


async def test_all_addresses_of_a_peer_share_its_quota(make_house: MakeHouse) -> None:
    async with make_house(quotas=quotas(1)) as box:
        await box.send(Image())
        assert box.receiving.refuse(Peer("CT1", "SHARE", "10.20.0.99")) is not None
        assert box.receiving.refuse(Peer("CT1", "SHARE", "10.21.0.5")) is None


async def test_the_quota_of_the_whole_box_is_everybodys(make_house: MakeHouse) -> None:
    async with make_house(quotas=[Quota(None, 2 * SIZE)]) as box:
        await box.send(Image(sender="CT1"), Image(sender="CT2", number=2))
        assert refusals(box) == (True, True)


async def test_what_has_reached_the_vault_makes_room(make_house: MakeHouse) -> None:
    async with make_house(quotas=quotas(2)) as box:
        await box.send(*images("A", 2))
        assert refusals(box) == (True, False)
        box.start()
        await box.settled()
        await box.until(lambda: refusals(box) == (False, False))
        assert await box.rows("waiting") == []


async def test_what_the_journal_does_not_know_yet_is_not_forgotten_when_it_is_asked(make_house: MakeHouse) -> None:
    async with make_house(quotas=quotas(1)) as box:
        await box.send(Image())
        await box.receiving.learn_quotas()
        assert refusals(box) == (True, False)


async def test_the_count_survives_a_restart(make_house: MakeHouse) -> None:
    vault = RememberingVault()
    async with make_house(vault=vault, quotas=quotas(3)) as box:
        box.start("receiving")
        await box.send(*images("A", 2))
        await box.until(lambda: not box.receiving.behind)
        await box.stop()
        await box.send(Image(number=3))  # durable, and not in the journal
    async with make_house(vault=vault, clock=box.clock, quotas=quotas(3)) as again:
        assert refusals(again) == (False, False)
        await again.recover()
        assert refusals(again) == (True, False)


async def test_a_revoked_share_waits_for_nothing(make_house: MakeHouse) -> None:
    async with make_house(quotas=[Quota(KnownPeer.of("CT1", "10.20.0.5"), 1)]) as box:
        box.start("receiving", "sweeping")
        await box.send(Image(birth_date=""))  # held: it does not go up
        await box.until(lambda: not box.receiving.behind)
        assert refusals(box) == (True, False)
        share = (await box.shares())[0]["share_id"].hex()
        await box.operating.command("shares-revoke", {"id": share})
        await box.until(lambda: refusals(box) == (False, False))


async def test_a_copy_of_what_is_here_does_not_count_twice(make_house: MakeHouse) -> None:
    async with make_house(quotas=quotas(2)) as box:
        box.start("receiving")
        await box.send(Image(), Image())
        await box.until(lambda: not box.receiving.behind)
        assert refusals(box) == (False, False)


async def test_nothing_is_taken_when_the_disk_is_nearly_full_whoever_filled_it(make_house: MakeHouse) -> None:
    disk = [0.89]
    async with make_house(filled=lambda: disk[0]) as box:
        assert refusals(box) == (False, False)
        disk[0] = 0.9
        assert refusals(box) == (True, True)
        disk[0] = 0.5
        assert refusals(box) == (False, False)
