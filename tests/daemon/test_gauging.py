"""How far a request is, as those hear of it who asked for it."""

from __future__ import annotations

from appliance.daemon.gauging import Gauge
from appliance.daemon.minting import When
from appliance.ports import Transaction
from tests.daemon.asking import REQUEST, announce, push, until_step
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import House, Image, images, terms
from tests.fakes.slip_printers import PaperOutPrinter
from tests.fakes.vault import NeverAnsweringVault

FIVE = images("A", 5)
ASKED = {"SHARE": terms(when=When.REQUEST)}


async def gauge(box: House) -> Gauge:
    def work(tx: Transaction) -> Gauge:
        request = box.requests.find(tx, REQUEST)
        assert request is not None
        return box.gauging.of(tx, request)

    return await box.journal.run(work)


async def test_of_instances_that_are_named_those_that_are_here_are_counted(make_house: MakeHouse) -> None:
    async with make_house(profiles=ASKED) as box:
        box.start()
        await push(box, *FIVE)
        assert await gauge(box) == (0, "0 of 5 images are here")
        await box.send(FIVE[0])
        await box.settled_relay()
        assert await gauge(box) == (10, "1 of 5 images is here")


async def test_of_a_whole_study_nobody_knows_how_many_until_somebody_says(make_house: MakeHouse) -> None:
    async with make_house(profiles=ASKED) as box:
        box.start()
        await push(box, study_uid=FIVE[0].study_uid)
        assert await gauge(box) == (0, "its images are not here yet")
        await box.send(*FIVE[:2])
        await box.settled_relay()
        assert await gauge(box) == (0, "2 images are here, and more may come")
        await announce(box, *FIVE)
        assert await gauge(box) == (20, "2 of 5 images are here")


async def test_what_is_being_fetched_of_a_study_is_known_by_the_pacs(make_house: MakeHouse) -> None:
    async with make_house(profiles=ASKED) as box:
        box.start()
        await push(box, study_uid=FIVE[0].study_uid)
        box.gauging.at_pacs = {1: 4}.__getitem__
        await box.send(FIVE[0])
        await box.settled_relay()
        assert await gauge(box) == (12, "1 of 4 images is here")


async def test_what_a_person_must_decide_is_said(make_house: MakeHouse) -> None:
    async with make_house(profiles=ASKED) as box:
        box.start()
        await push(box, *FIVE)
        await box.send(*FIVE[:4], Image(number=5, name="OTHERSON^EVA", birth_date="19991231"))
        await box.until_rows("shares", lambda rows: len(rows) > 1, limit=9)
        percent, said = await gauge(box)
        assert said.startswith("a person must decide; 5 of 5 images")
        assert percent == 50


async def test_what_is_printed_and_relayed_is_told_apart(make_house: MakeHouse) -> None:
    vault, printer = NeverAnsweringVault("put_object"), PaperOutPrinter()
    async with make_house(profiles=ASKED, vault=vault, printer=printer) as box:
        box.start()
        await box.send(*FIVE)
        await push(box, *FIVE)
        await until_step(box, "IN PROGRESS")
        assert await gauge(box) == (50, "the slip is being printed; 0 of 5 images are at the vault")
        printer.load_paper()
        await box.until_rows("slips", lambda rows: rows and rows[0]["state"] == "printed", limit=9, step_s=0.3)
        assert await gauge(box) == (60, "the slip is out; 0 of 5 images are at the vault")
        vault.speak()
        await until_step(box, "COMPLETED")
        assert await gauge(box) == (100, "the slip is out and its images are at the vault")
