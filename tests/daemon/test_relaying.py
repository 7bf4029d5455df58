"""Up to the vault, whatever the line does: nothing twice under another shape, nothing listed that is not there."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest

from appliance.core.relay import IN_FLIGHT
from appliance.daemon.relaying import DISK_LOST
from appliance.formats.manifest import Manifest
from appliance.formats.spool_frame import Receipt
from appliance.ports import Row
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import House, Image, images, uids
from tests.fakes.vault import (
    CutOffVault,
    DownVault,
    ImpersonatedVault,
    LossyVault,
    NeverAnsweringVault,
    PickyVault,
    RememberingVault,
)

MEGABYTE = b"\x07\x08" * (512 << 10)


class WatchfulVault(RememberingVault):
    """Notes, with every manifest, which objects it had at that moment."""

    def __init__(self) -> None:
        super().__init__()
        self.had: list[tuple[int, set[int]]] = []

    async def put_manifest(self, share_id: bytes, generation: int, data: bytes) -> None:
        await super().put_manifest(share_id, generation, data)
        self.had.append((generation, set(self.shares[share_id].objects)))


async def test_manifests_list_only_what_is_stored_and_their_generations_grow(make_house: MakeHouse) -> None:
    vault = WatchfulVault()
    async with make_house(vault=vault) as box:
        box.start()
        for image in images("A", 6, pixels=MEGABYTE):
            await box.send(image)
            box.clock.advance(2)
        await box.settled()
        opened = box.opened()
        generations = [generation for generation, _ in vault.had]
        assert generations == sorted(set(generations))
        assert len(generations) > 1
        for generation, objects in vault.had:
            manifest = _as_of(box, generation)
            listed = {piece.number for instance in manifest.instances() for piece in instance.pieces}
            assert listed <= objects
        assert len(opened.datasets) == 6


def _as_of(box: House, generation: int) -> Manifest:
    (share,) = box.vault.shares.values()
    share.manifest = generation, share.manifests[generation]
    return box.opened().manifest


async def test_a_vault_that_is_down_stops_neither_reception_nor_the_box(make_house: MakeHouse) -> None:
    vault = DownVault()
    async with make_house(vault=vault) as box:
        box.start()
        several = images("A", 5)
        await box.send(*several)
        await box.until(lambda: vault.refused >= 3, step_s=1)
        await box.until_rows("instances", lambda rows: len(rows) == 5, share=1)
        vault.up = True
        await box.settled()
        assert set(box.opened().datasets) == uids(several)
        assert len(box.printer.jobs) == 1


async def test_a_captive_portal_is_an_outage_and_not_the_end(make_house: MakeHouse) -> None:
    vault = ImpersonatedVault()
    async with make_house(vault=vault) as box:
        box.start()
        await box.send(Image())
        await box.until(lambda: vault.refused >= 3, step_s=1)
        vault.up = True
        await box.settled()
        assert len(box.opened().datasets) == 1


async def test_answers_that_are_lost_lose_nothing_and_double_nothing(make_house: MakeHouse) -> None:
    """The vault has it, the box does not know: what is sent again must be the same, or have another number."""
    vault = LossyVault()
    async with make_house(vault=vault) as box:
        box.start()
        several = images("A", 4)
        await box.send(*several)
        await box.settled()
        assert vault.lost == {"put_share", "put_object", "put_manifest", "put_link"}
        assert set(box.opened().datasets) == uids(several)
        assert len(box.printer.jobs) == 1


async def test_after_a_crash_the_same_bytes_go_under_the_same_number(make_house: MakeHouse) -> None:
    """The object was stored and the box died before it was journalled; the vault would refuse other bytes."""
    vault = NeverAnsweringVault("put_object")
    several = images("A", 3, pixels=MEGABYTE)
    async with make_house(vault=vault) as box:
        box.start()
        await box.send(*several)
        await box.until(lambda: vault.waiting)
        rows = await box.rows("waiting_objects", share=1, limit=9)
    async with make_house(vault=vault, clock=box.clock) as again:
        vault.speak()
        await again.recover()
        again.start()
        await again.settled()
        assert [row["parts"] for row in rows] == [
            row["parts"] for row in await again.rows("stored_objects", share=1) if row["number"] in _numbers(rows)
        ]
        assert set(again.opened().datasets) == uids(several)


def _numbers(rows: list[dict[str, int]]) -> set[int]:
    return {row["number"] for row in rows}


async def test_several_objects_are_under_way_at_once_and_never_more(make_house: MakeHouse) -> None:
    vault = NeverAnsweringVault("put_object")
    async with make_house(vault=vault) as box:
        box.start()
        await box.send(*images("A", 45, pixels=MEGABYTE))
        await box.until(lambda: vault.waiting == IN_FLIGHT)
        vault.speak()
        await box.settled()
        assert vault.most_waiting == IN_FLIGHT


async def test_objects_that_fail_together_are_one_failure_and_no_error_is_left_over(make_house: MakeHouse) -> None:
    """What no task sees goes to the loop, and ends the box (`daemon.run.watch_callbacks`)."""
    left_over: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: left_over.append(context))
    vault = CutOffVault("put_object")
    async with make_house(vault=vault) as box:
        box.start()
        for image in images("A", IN_FLIGHT):
            under_way = vault.waiting
            await box.send(image)
            await box.until(lambda: vault.waiting > under_way)  # noqa: B023
        vault.cut()
        await box.settled()
        assert set(box.opened().datasets) == uids(images("A", IN_FLIGHT))
    gc.collect()
    assert not left_over


async def test_a_share_that_the_vault_has_deleted_waits_for_a_person_and_its_images_stay(make_house: MakeHouse) -> None:
    """The box was off until its slip had been out of date for longer than the vault keeps anything."""
    vault = DownVault()
    async with make_house(vault=vault) as box:
        await box.send(Image())
        box.start()
        await box.until(lambda: vault.refused)
        (share,) = await box.shares()
        vault.up = True
        await vault.put_share(share["share_id"])
        await vault.delete_share(share["share_id"])
        await box.until_rows("shares", lambda rows: rows[0]["state"] == "held", limit=9, step_s=1.0)
        (share,) = await box.shares()
        assert (share["doubt"], share["instances"]) == ("link-refused", 1)


class OneSlowObject(RememberingVault):
    """Object 0 takes until `finish`; the others are stored at once."""

    def __init__(self) -> None:
        super().__init__()
        self._slow = NeverAnsweringVault("put_object")

    def finish(self) -> None:
        self._slow.speak()

    async def put_object(self, share_id: bytes, number: int, data: bytes) -> None:
        if number == 0:
            await self._slow.guard("put_object")
        await super().put_object(share_id, number, data)


async def test_a_slow_object_does_not_hold_up_those_behind_it(make_house: MakeHouse) -> None:
    """A window that slides, not rounds: all others are up while the first is still under way."""
    vault = OneSlowObject()
    async with make_house(vault=vault) as box:
        box.start()
        several = images("A", 45, pixels=MEGABYTE)
        await box.send(*several)
        await box.until(lambda: len(next(iter(vault.shares.values())).objects) >= 5 if vault.shares else False)
        assert 0 not in next(iter(vault.shares.values())).objects
        vault.finish()
        await box.settled()
        assert set(box.opened().datasets) == uids(several)


async def test_images_that_arrive_while_an_object_is_under_way_go_up_beside_it(make_house: MakeHouse) -> None:
    vault = OneSlowObject()
    async with make_house(vault=vault) as box:
        box.start()
        await box.send(Image(number=1))
        await box.until(lambda: any("put_share" in call for call in vault.calls))
        await box.send(Image(number=2))
        await box.until(lambda: vault.shares and 1 in next(iter(vault.shares.values())).objects)
        vault.finish()
        await box.settled()


async def test_a_share_that_the_vault_refuses_does_not_stop_the_others(make_house: MakeHouse) -> None:
    vault = PickyVault()
    async with make_house(vault=vault) as box:
        box.start("receiving")
        await box.send(Image(patient="A"))
        await box.until(lambda: not box.receiving.behind)
        vault.disliked = (await box.shares())[0]["share_id"]
        box.start("relaying", "linking", "printing")
        await box.until(lambda: vault.refused)
        await box.send(Image(patient="B"))
        await box.until(lambda: len(vault.shares) == 2 and list(vault.shares.values())[1].manifest[0])
        assert vault.refused == 1
        vault.disliked = None
        await box.settled()
        assert next(iter(vault.shares.values())).manifest[0]


async def test_a_share_whose_bytes_the_disk_lost_does_not_stop_the_others(make_house: MakeHouse) -> None:
    async with make_house(file_bytes=1) as box:
        box.start("receiving")
        (lost,) = await box.send(Image(patient="A"))
        await box.send(Image(patient="B"), Image(patient="C"))
        await box.until(lambda: not box.receiving.behind)
        (box.folder / "spool" / f"{lost.pieces[0].file_number:016x}.spool").unlink()
        box.start("relaying")
        await box.until(lambda: sum(bool(share.manifest[0]) for share in box.vault.shares.values()) == 2)


async def test_images_that_the_disk_lost_are_told_once_and_until_they_are_sent_again(
    make_house: MakeHouse, caplog: pytest.LogCaptureFixture
) -> None:
    async with make_house(file_bytes=1) as box:
        box.start("receiving")
        image = Image()
        await _lose(box, await box.send(image, Image(number=2)))
        box.start("relaying", "linking", "printing")
        (share,) = await box.shares()
        await box.until_rows("events_of_share", _tells_of_loss, share=share["id"])
        facts = await box.operating.command("status", {})
        assert facts["shares_damaged"] == [share["share_id"].hex()[:8]]
        assert "1 share has images that the disk lost" in facts["sentences"][0]["what"]
        assert facts["shares_damaged"][0] in facts["sentences"][0]["do"]

        await box.until(lambda: caplog.text.count("on their way up") == 3, step_s=1)
        story = await box.operating.command("shares-show", {"id": facts["shares_damaged"][0]})
        assert [event["what"] for event in story["events"]].count(DISK_LOST) == 1

        await box.operating.command("shares-revoke", {"id": facts["shares_damaged"][0]})
        await box.send(image, Image(number=2))
        await box.settled()
        assert set(box.opened().datasets) == uids([image, Image(number=2)])
        facts = await box.operating.command("status", {})
        assert [sentence["level"] for sentence in facts["sentences"]] == ["ok"]


async def test_images_that_the_disk_gives_back_after_all_are_no_problem_any_more(make_house: MakeHouse) -> None:
    async with make_house(file_bytes=1) as box:
        box.start("receiving")
        (receipt,) = await box.send(Image())
        path, content = await _lose(box, [receipt])
        box.start("relaying", "linking", "printing")
        await box.until_rows("events_of_share", _tells_of_loss, share=1)
        path.write_bytes(content)
        await box.settled()
        assert len(box.opened().datasets) == 1
        assert (await box.operating.command("status", {}))["shares_damaged"] == []


async def _lose(box: House, receipts: list[Receipt]) -> tuple[Path, bytes]:
    """The file of the first; its path and what it held."""
    await box.until(lambda: not box.receiving.behind)
    path = box.folder / "spool" / f"{receipts[0].pieces[0].file_number:016x}.spool"
    content = path.read_bytes()
    path.unlink()
    return path, content


def _tells_of_loss(events: list[Row]) -> bool:
    return any(event["what"] == DISK_LOST for event in events)


class TurnVault(RememberingVault):
    """Every object takes two seconds of the box's clock."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[bytes] = []
        self.house: House | None = None

    async def put_object(self, share_id: bytes, number: int, data: bytes) -> None:
        await super().put_object(share_id, number, data)
        self.order.append(share_id)
        if self.house:
            self.house.clock.advance(2)


async def test_a_long_study_does_not_hold_up_the_next_patient(make_house: MakeHouse) -> None:
    vault = TurnVault()
    async with make_house(vault=vault) as box:
        vault.house = box
        box.start("receiving")
        await box.send(*images("A", 160, pixels=MEGABYTE))
        await box.send(Image(patient="B"))
        await box.until(lambda: not box.receiving.behind)
        box.start("relaying")
        await box.settled_relay()
        first_of_b = next(n for n, share in enumerate(vault.order) if share != vault.order[0])
        assert first_of_b <= 6 or vault.order.count(vault.order[0]) == 1
        assert len(vault.order) > 15


async def test_after_a_failure_objects_go_one_at_a_time_until_the_line_holds(make_house: MakeHouse) -> None:
    """Three at once each get a third of a weak line, and may then all be too slow for the vault, for ever."""
    vault = DownVault()
    async with make_house(vault=vault) as box:
        box.start("receiving", "relaying")
        await box.send(*images("A", 17, pixels=MEGABYTE))
        await box.until(lambda: vault.refused and not box.receiving.behind)
        await box.stop("relaying")
        slow = NeverAnsweringVault("put_object")
        vault.up, vault.put_object = True, slow_put(vault, slow)  # type: ignore[method-assign]
        box.start("relaying")
        await box.until(lambda: slow.waiting)
        assert len(await box.rows("waiting_objects", share=1, limit=9)) == 1
        slow.speak()
        await box.settled_relay()
        assert slow.most_waiting == 1


def slow_put(vault: RememberingVault, slow: NeverAnsweringVault):  # type: ignore[no-untyped-def]
    async def put_object(share_id: bytes, number: int, data: bytes) -> None:
        await slow.guard("put_object")
        await RememberingVault.put_object(vault, share_id, number, data)

    return put_object


async def test_a_share_revoked_on_its_way_up_ends_quietly(make_house: MakeHouse) -> None:
    vault = NeverAnsweringVault("put_object")
    async with make_house(vault=vault) as box:
        box.start()
        await box.send(*images("A", 20, pixels=MEGABYTE))
        await box.until(lambda: vault.waiting)
        (share,) = await box.shares()
        await box.operating.command("shares-revoke", {"id": share["share_id"].hex()})
        await box.until(lambda: "delete_share" in vault.calls)
        vault.speak()
        await box.settled()
        assert next(iter(vault.shares.values())).objects == {}
        await box.send(Image(patient="B"))
        await box.settled()
        assert box.opened().datasets


@pytest.mark.parametrize("count", [1, 30])
async def test_the_relay_ends_with_every_object_confirmed(box: House, count: int) -> None:
    await box.send(*images("A", count))
    await box.settled()
    assert await box.rows("waiting_objects", share=1, limit=9) == []
    assert (await box.rows("count_instances", share=1))[0]["relayed"] == count
