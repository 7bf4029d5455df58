"""The paper with the PIN: behind its slip, for staff alone, until it is out; and what tells the PIN without it."""

from __future__ import annotations

import asyncio
import io

import pytest
from PIL import Image as Picture

from appliance.errors import NotFoundError, NotPossibleError
from appliance.formats.audit import Kind
from appliance.formats.envelope import FactorKind
from appliance.ports import PrintOutcome
from tests import escpos_reader
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import House, Image, terms
from tests.fakes.slip_printers import AnsweringPrinter, GoodPrinter, PaperOutPrinter, SlowPrinter

PIN = {"SHARE": terms(factor=FactorKind.PIN)}
PRINTED, UNKNOWN, TAKEN, REFUSED = PrintOutcome.PRINTED, PrintOutcome.UNKNOWN, PrintOutcome.TAKEN, PrintOutcome.REFUSED


def numbers(printer: GoodPrinter) -> list[str]:
    return [job.number for job in printer.jobs]


async def pin_of(box: House, number: str = "S-00001") -> str:
    said = await box.operating.command("slips-pin", {"number": number, "by": "ada"})
    return str(said["pin"])


async def test_the_staff_slip_follows_its_slip_and_its_pin_opens_it(make_house: MakeHouse) -> None:
    async with make_house(profiles=PIN) as box:
        box.start()
        await box.send(Image())
        await box.settled()
        assert numbers(box.printer) == ["S-00001", "S-00001-PIN"]
        assert box.vault.open(box.printer.links[0], await pin_of(box)).datasets


async def test_the_staff_slip_is_a_paper_of_its_own_without_a_code(make_house: MakeHouse) -> None:
    async with make_house(profiles=PIN) as box:
        box.start()
        await box.send(Image())
        await box.settled()
        (paper,) = box.printer.staff_slips
        with Picture.open(io.BytesIO(paper.picture)) as shown, pytest.raises(ValueError, match="code"):
            escpos_reader.decode_qr(shown)
        assert len(escpos_reader.slips(paper.data)) == 1
        assert paper.process_id != box.printer.jobs[0].process_id


async def test_a_study_without_a_birth_date_gets_a_staff_slip_too(make_house: MakeHouse) -> None:
    async with make_house() as box:
        box.start()
        await box.send(Image(birth_date=""))
        await box.settled()
        assert numbers(box.printer) == ["S-00001", "S-00001-PIN"]
        assert box.vault.open(box.printer.links[0], await pin_of(box)).datasets


async def test_a_slip_without_a_pin_has_no_staff_slip(box: House) -> None:
    await box.send(Image())
    await box.settled()
    assert numbers(box.printer) == ["S-00001"]


async def test_each_pin_comes_out_before_the_next_patients_slip(make_house: MakeHouse) -> None:
    printer = PaperOutPrinter()
    async with make_house(profiles=PIN, printer=printer) as box:
        box.start()
        await box.send(Image(patient="A"), Image(patient="B"))
        await box.until_rows("slips", lambda rows: len(rows) == 2, limit=9)
        await box.settled_relay()
        printer.load_paper()
        await box.settled()
        assert numbers(printer) == ["S-00001", "S-00001-PIN", "S-00002", "S-00002-PIN"]


@pytest.mark.parametrize(
    ("outcomes", "papers"),
    [
        ([TAKEN, TAKEN], ["S-00001", "S-00001-PIN"]),
        ([PRINTED, REFUSED, PRINTED], ["S-00001", "S-00001-PIN", "S-00001-PIN"]),
        ([PRINTED, UNKNOWN, UNKNOWN, PRINTED], ["S-00001", "S-00001-PIN", "S-00001-PIN", "S-00001-PIN"]),
        ([UNKNOWN, PRINTED, PRINTED], ["S-00001", "S-00002", "S-00002-PIN"]),
    ],
)
async def test_the_staff_slip_is_tried_until_it_is_out(
    make_house: MakeHouse, outcomes: list[PrintOutcome], papers: list[str]
) -> None:
    async with make_house(profiles=PIN, printer=AnsweringPrinter(outcomes)) as box:
        box.start()
        await box.send(Image())
        await box.until(lambda: len(box.printer.jobs) == len(papers), step_s=0.3)
        await box.settled()
        assert numbers(box.printer) == papers
        assert len(box.vault.live_links) == 1


async def test_a_reprint_has_another_pin_and_another_staff_slip(make_house: MakeHouse) -> None:
    async with make_house(profiles=PIN) as box:
        box.start()
        await box.send(Image())
        await box.settled()
        first = await pin_of(box)
        await box.operating.command("slips-reprint", {"number": "S-00001", "why": "lost"})
        await box.settled()
        assert numbers(box.printer)[2:] == ["S-00002", "S-00002-PIN"]
        assert box.vault.open(box.printer.links[-1], await pin_of(box, "S-00002")).datasets
        assert first != await pin_of(box, "S-00002")
        with pytest.raises(NotPossibleError, match="no PIN any more"):
            await pin_of(box, "S-00001")


class OutAfterOne(GoodPrinter):
    """Takes the first paper, then says that it is empty until `load_paper`."""

    def __init__(self) -> None:
        super().__init__()
        self._empty = PaperOutPrinter()

    def load_paper(self) -> None:
        self._empty.load_paper()

    async def status(self):  # type: ignore[no-untyped-def]
        return await (self._empty if self.jobs else super()).status()


async def test_a_link_that_dies_before_its_staff_slip_is_out_takes_it_along(make_house: MakeHouse) -> None:
    printer = OutAfterOne()
    async with make_house(profiles=PIN, printer=printer) as box:
        box.start()
        await box.send(Image())
        await box.until_rows("slips_of_share", lambda rows: rows and rows[0]["state"] == "printed", share=1, step_s=0.3)
        (share,) = await box.shares()
        await box.operating.command("shares-revoke", {"id": share["share_id"].hex()})
        printer.load_paper()
        await box.settled()
        assert numbers(printer) == ["S-00001"]


async def test_a_staff_slip_that_waits_for_paper_outlives_a_restart_and_the_visit(make_house: MakeHouse) -> None:
    printer = OutAfterOne()
    async with make_house(profiles=PIN, printer=printer) as box:
        box.start()
        await box.send(Image())
        await box.until_rows("slips_of_share", lambda rows: rows and rows[0]["state"] == "printed", share=1, step_s=0.3)
        box.clock.advance(13 * 3600)
        await box.settled_relay()
    async with make_house(profiles=PIN, vault=box.vault, printer=printer, clock=box.clock) as again:
        await again.recover()
        assert again.watch.in_doubt
        again.start()
        await again.until(lambda: again.bell)
        assert (await again.shares())[0]["state"] == "open"
        printer.load_paper()
        await again.until_rows("shares", lambda rows: rows[0]["state"] == "closed", limit=9, step_s=1.0)
        assert numbers(printer) == ["S-00001", "S-00001-PIN"]
        assert printer.jobs[-1].after_doubt


async def test_a_staff_slip_that_was_printing_when_the_box_died_is_printed_again(make_house: MakeHouse) -> None:
    printer = GoodPrinter()
    async with make_house(profiles=PIN, printer=printer, last_slip_s=0.0) as box:
        box.start()
        await box.send(Image())
        await box.until(lambda: printer.jobs)
        slow = SlowPrinter()
        box.printing._printer = slow
        async with asyncio.timeout(10):
            await slow.started.wait()
    good = GoodPrinter()
    async with make_house(profiles=PIN, vault=box.vault, printer=good, clock=box.clock) as again:
        await again.recover()
        again.start()
        await again.settled()
        assert numbers(good) == ["S-00001-PIN"]
        assert len(again.vault.live_links) == 1


# -- slips pin ---------------------------------------------------------------------------------------------------------


async def test_who_asks_for_a_pin_is_recorded(make_house: MakeHouse) -> None:
    async with make_house(profiles=PIN) as box:
        box.start()
        await box.send(Image())
        await box.settled()
        await pin_of(box, "s-00001")
        (event,) = [one for one in await box.trail() if one.kind is Kind.PIN_SHOWN]
        assert (event.by, event.slip) == ("ada", "S-00001")
        assert (await pin_of(box)) not in repr([vars(one) for one in await box.trail()])


async def test_a_slip_whose_page_asks_for_something_else_has_no_pin_to_show(box: House) -> None:
    await box.send(Image())
    await box.settled()
    with pytest.raises(NotPossibleError, match="asks for the date of birth"):
        await pin_of(box)
    with pytest.raises(NotFoundError):
        await pin_of(box, "S-00009")
    assert Kind.PIN_SHOWN not in [event.kind for event in await box.trail()]


# -- what a request wants ----------------------------------------------------------------------------------------------


async def test_what_a_request_wants_on_the_slip_is_forgotten_with_the_share(box: House) -> None:
    box.journal._statements["set_remarks"] = "UPDATE share SET remarks = :remarks"
    await box.send(Image())
    await box.settled()
    await box.journal.run(lambda tx: tx.do("set_remarks", remarks=b"sealed"))
    box.clock.advance(13 * 3600)
    (share,) = await box.until_rows("shares", lambda rows: rows[0]["state"] == "closed", limit=9, step_s=5.0)
    (kept,) = await box.rows("share", id=share["id"])
    assert kept["remarks"] is None


@pytest.mark.parametrize(("wanted", "papers"), [(0, 2), (1, 1), (3, 3), (500, 7)])
async def test_as_many_copies_come_out_as_a_request_wants(make_house: MakeHouse, wanted: int, papers: int) -> None:
    printer = PaperOutPrinter()
    async with make_house(profiles=PIN, printer=printer, copies=2) as box:
        box.journal._statements["set_copies"] = "UPDATE share SET copies = :copies"
        box.start()
        await box.send(Image())
        await box.until_rows("slips", lambda rows: rows, limit=9)
        await box.journal.run(lambda tx: tx.do("set_copies", copies=wanted))
        printer.load_paper()
        await box.settled()
        assert len(set(printer.links)) == 1
        assert len(printer.links) == papers
        assert len(printer.staff_slips) == 1
        assert len({job.process_id for job in printer.jobs}) == papers + 1
