"""Paper: never two slips that work, never one that opens nothing, and never one left in doubt by a planned stop."""

from __future__ import annotations

import asyncio
import json

import pytest

from appliance.adapters.printers.absent import AbsentPrinter
from appliance.core.completeness import Source, Verdict
from appliance.daemon.facing import face
from appliance.daemon.minting import When
from appliance.daemon.paper import process_id
from appliance.daemon.printing import Printing
from appliance.ports import PrintJob, PrintOutcome, Row
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import QUIET_S, House, Image, Parts, images, terms
from tests.fakes.slip_printers import (
    AnsweringPrinter,
    GoodPrinter,
    PaperOutPrinter,
    RefusingOncePrinter,
    SilentOncePrinter,
    SlowPrinter,
)
from tests.fakes.vault import DownVault, NeverAnsweringVault


async def slip_states(box: House) -> list[str]:
    return [row["state"] for row in await box.rows("slips_of_share", share=1)]


def live_papers(box: House) -> list[str]:
    """Links on paper that open."""
    living = []
    for url in box.printer.links:
        try:
            box.vault.open(url, "19700131")
        except (KeyError, StopIteration):
            continue
        living.append(url)
    return living


async def test_a_confirmed_slip_is_printed_and_its_secret_leaves_the_box(box: House) -> None:
    await box.send(Image())
    await box.settled()
    assert await slip_states(box) == ["printed"]
    (link,) = await box.rows("links", share=1)
    assert link["sealed"] is None


@pytest.mark.parametrize("times", [1, 3])
async def test_a_slip_of_unknown_fate_is_dead_and_another_is_printed(make_house: MakeHouse, times: int) -> None:
    async with make_house(printer=SilentOncePrinter(times)) as box:
        box.start()
        await box.send(Image())
        await box.until(lambda: len(box.printer.jobs) > times)
        await box.settled()
        assert await slip_states(box) == ["unknown"] * times + ["printed"]
        assert live_papers(box) == [box.printer.links[-1]]
        assert len(set(box.printer.links)) == times + 1  # no code is ever on two papers
        assert len(box.vault.live_links) == 1


async def test_a_printer_that_never_confirms_does_not_print_without_end(
    make_house: MakeHouse, caplog: pytest.LogCaptureFixture
) -> None:
    async with make_house(printer=SilentOncePrinter(1000), doubt_pause_s=3600.0) as box:
        box.start()
        await box.send(Image())
        await box.until(lambda: "has not confirmed 3 slips in a row" in caplog.text)
        await box.until(lambda: live_papers(box) == [])
        assert len(box.printer.jobs) == 3


async def test_a_dead_slip_is_dead_at_the_vault_even_if_that_was_down(make_house: MakeHouse) -> None:
    vault = DownVault()
    vault.up = True
    async with make_house(vault=vault, printer=SilentOncePrinter()) as box:
        box.start("receiving", "relaying", "linking")
        await box.send(Image())
        await box.until(lambda: "put_link" in vault.calls)
        await box.settled_relay()
        await box.until_rows("links", lambda rows: rows[0]["state"] == "active", share=1)
        vault.up = False
        box.start("printing")
        await box.until(lambda: box.printer.jobs)
        await box.until(lambda: vault.refused, step_s=1)
        vault.up = True
        await box.settled()
        assert live_papers(box) == [box.printer.links[-1]]


async def test_no_second_slip_prints_while_the_first_may_still_work(make_house: MakeHouse) -> None:
    vault = NeverAnsweringVault("delete_link")
    async with make_house(vault=vault) as box:
        box.start()
        await box.send(Image())
        await box.until(lambda: box.printer.jobs)
        await box.settled()
        await box.operating.command("slips-reprint", {"number": "S-00001", "why": "torn"})
        await box.until(lambda: vault.waiting)
        await box.until_rows("links", lambda rows: rows[-1]["state"] == "active", share=1)
        kinds = json.dumps(["print-slip"])
        assert await box.rows("due_effects", kinds=kinds, now=box.clock.now() + 60, limit=9) == []
        assert len(box.printer.jobs) == 1
        vault.speak()
        await box.settled()
        assert live_papers(box) == [box.printer.links[1]]


async def test_a_refused_slip_is_tried_again_with_the_same_link(make_house: MakeHouse) -> None:
    async with make_house(printer=RefusingOncePrinter()) as box:
        box.start()
        await box.send(Image())
        await box.until(lambda: box.printer.jobs, step_s=0.01)
        await box.settled()
        assert await slip_states(box) == ["printed"]
        assert len(box.vault.live_links) == 1


@pytest.mark.parametrize("outcome", [PrintOutcome.PRINTED, PrintOutcome.TAKEN])
async def test_each_copy_of_a_slip_is_a_job_with_a_completion_of_its_own(
    make_house: MakeHouse, outcome: PrintOutcome
) -> None:
    printer = AnsweringPrinter([outcome] * 3)
    async with make_house(printer=printer, copies=3) as box:
        box.start()
        await box.send(Image())
        await box.until(lambda: len(printer.jobs) == 3)
        await box.settled()
        assert [job.number for job in printer.jobs] == ["S-00001", "S-00001-2", "S-00001-3"]
        assert len({job.process_id for job in printer.jobs}) == 3
        assert len(set(box.printer.links)) == 1
        assert await slip_states(box) == ["printed" if outcome is PrintOutcome.PRINTED else "unconfirmed"]


@pytest.mark.parametrize("second", [PrintOutcome.REFUSED, PrintOutcome.UNKNOWN])
async def test_copies_of_which_one_is_in_doubt_are_all_dead(make_house: MakeHouse, second: PrintOutcome) -> None:
    printer = AnsweringPrinter([PrintOutcome.PRINTED, second, *[PrintOutcome.PRINTED] * 2])
    async with make_house(printer=printer, copies=2) as box:
        box.start()
        await box.send(Image())
        await box.until(lambda: len(printer.jobs) == 4)
        await box.settled()
        assert await slip_states(box) == ["unknown", "printed"]
        assert set(live_papers(box)) == {box.printer.links[-1]}


async def test_of_copies_the_first_of_which_is_refused_none_was_begun(make_house: MakeHouse) -> None:
    printer = AnsweringPrinter([PrintOutcome.REFUSED, *[PrintOutcome.PRINTED] * 2])
    async with make_house(printer=printer, copies=2) as box:
        box.start()
        await box.send(Image())
        await box.until(lambda: len(printer.jobs) == 3, step_s=0.05)
        await box.settled()
        assert await slip_states(box) == ["printed"]


async def test_a_job_after_a_doubt_says_so_and_the_one_after_that_does_not(make_house: MakeHouse) -> None:
    printer = AnsweringPrinter([PrintOutcome.PRINTED, PrintOutcome.UNKNOWN, *[PrintOutcome.PRINTED] * 2])
    async with make_house(printer=printer) as box:
        box.start()
        await box.send(Image(patient="A"), Image(patient="B"))
        await box.until(lambda: len(printer.jobs) == 3)
        await box.send(Image(patient="C"))
        await box.until(lambda: len(printer.jobs) == 4)
        await box.settled()
        assert [job.after_doubt for job in printer.jobs] == [False, False, True, False]


def test_no_two_of_four_thousand_slips_share_a_process_id() -> None:
    ids = {process_id(slip, copy) for slip in range(1, 4001) for copy in range(5)}
    assert len(ids) == 20_000
    assert all(len(one) == 4 and one.isalnum() for one in ids)


async def test_a_printer_without_paper_keeps_the_slips_and_prints_them_later(make_house: MakeHouse) -> None:
    printer = PaperOutPrinter()
    async with make_house(printer=printer) as box:
        box.start()
        await box.send(Image(patient="A"), Image(patient="B"))
        await box.until(lambda: printer.asked >= 3)
        assert printer.jobs == []
        printer.load_paper()
        await box.until(lambda: len(printer.jobs) == 2)
        await box.settled()
        assert len(live_papers(box)) == 2


async def test_a_printer_that_is_not_ready_is_complained_of_once(
    make_house: MakeHouse, caplog: pytest.LogCaptureFixture
) -> None:
    printer = PaperOutPrinter()
    async with make_house(printer=printer) as box:
        box.start()
        await box.send(Image())
        await box.until(lambda: printer.asked >= 5)
    complaints = [record for record in caplog.records if "out of paper" in record.getMessage()]
    assert len(complaints) == 1


async def test_a_box_without_a_printer_goes_on_relaying(make_house: MakeHouse) -> None:
    async with make_house(printer=NoPrinter()) as box:
        box.start()
        await box.send(*images("A", 3))
        await box.settled_relay()
        (share,) = box.vault.shares.values()
        assert share.manifest[0]
        assert await slip_states(box) == ["queued"]


class NoPrinter(AbsentPrinter, GoodPrinter):
    """[printer] device = "none"."""

    def __init__(self) -> None:
        GoodPrinter.__init__(self)


async def test_a_slip_under_way_is_finished_when_the_box_is_told_to_stop(make_house: MakeHouse) -> None:
    printer = SlowPrinter()
    async with make_house(printer=printer) as box:
        box.start()
        await box.send(Image())
        async with asyncio.timeout(10):
            await printer.started.wait()
        stopping = asyncio.create_task(box.stop("printing"))
        await asyncio.sleep(0)
        printer.finish()
        await stopping
        assert await slip_states(box) == ["printed"]
    async with make_house(vault=box.vault, printer=printer, clock=box.clock) as again:
        await again.recover()
        again.start()
        await again.settled()
        assert len(printer.jobs) == 1


async def test_a_printer_that_hangs_does_not_keep_the_box_from_stopping(make_house: MakeHouse) -> None:
    printer = SlowPrinter()
    async with make_house(printer=printer, last_slip_s=0.1) as box:
        box.start()
        await box.send(Image())
        async with asyncio.timeout(10):
            await printer.started.wait()
        async with asyncio.timeout(5):
            await box.stop("printing")
        assert await slip_states(box) == ["printing"]
        printer.finish()


async def test_a_slip_that_was_printing_when_the_box_died_is_dead_after_the_restart(make_house: MakeHouse) -> None:
    printer = SlowPrinter()
    async with make_house(printer=printer, last_slip_s=0.0) as box:
        box.start()
        await box.send(Image())
        async with asyncio.timeout(10):
            await printer.started.wait()
    assert printer.jobs == []
    good = GoodPrinter()
    async with make_house(vault=box.vault, printer=good, clock=box.clock) as again:
        await again.recover()
        again.start()
        await again.settled()
        assert await slip_states(again) == ["unknown", "printed"]
        assert len(again.vault.live_links) == 1
        assert len(good.jobs) == 1
        assert live_papers(again) == good.links


async def test_reprinting_while_the_first_slip_prints_leaves_one_that_works(make_house: MakeHouse) -> None:
    printer = SlowPrinter()
    async with make_house(printer=printer) as box:
        box.start()
        await box.send(Image())
        async with asyncio.timeout(10):
            await printer.started.wait()
        await box.operating.command("slips-reprint", {"number": "s-00001", "why": "in a hurry"})
        printer.finish()
        await box.until(lambda: len(printer.jobs) == 2)
        await box.settled()
        assert await slip_states(box) == ["void", "printed"]
        assert live_papers(box) == [printer.links[-1]]


async def test_revoking_while_the_slip_prints_leaves_none_that_works(make_house: MakeHouse) -> None:
    printer = SlowPrinter()
    async with make_house(printer=printer) as box:
        box.start()
        await box.send(Image())
        async with asyncio.timeout(10):
            await printer.started.wait()
        (share,) = await box.shares()
        await box.operating.command("shares-revoke", {"id": share["share_id"].hex()})
        printer.finish()
        await box.settled()
        assert live_papers(box) == []
        assert len(printer.jobs) == 1


# -- profiles that print when the study is complete ------------------------------------------------------------------

WHEN_COMPLETE = {"SHARE": terms(when=When.COMPLETE)}


async def test_a_profile_that_prints_when_complete_waits_for_silence(make_house: MakeHouse) -> None:
    async with make_house(profiles=WHEN_COMPLETE) as box:
        box.start()
        await box.send(*images("A", 3))
        await box.settled_relay()
        assert box.printer.jobs == []
        box.clock.advance(31)
        await box.until(lambda: box.printer.jobs)
        await box.settled()
        assert box.opened().manifest.state == "quiet"
        assert len(box.printer.jobs) == 1


class Told(Printing):
    """Keeps what the newest slip says."""

    def _render(self, slip: Row, link: Row, share: Row, studies: list[Row]) -> list[PrintJob]:
        self.said = face(self._look, slip, link, share, self._sealer, studies)
        return super()._render(slip, link, share, studies)


async def test_a_slip_at_the_first_image_says_nothing_of_how_many_there_are(make_house: MakeHouse) -> None:
    async with make_house(parts=Parts(printing=Told)) as box:
        box.start()
        await box.send(*images("A", 3))
        await box.settled()
        assert box.printing.said.verdict is None


async def test_a_slip_that_waited_says_how_many_there_are_and_by_whose_word(make_house: MakeHouse) -> None:
    async with make_house(profiles=WHEN_COMPLETE, parts=Parts(printing=Told)) as box:
        box.start()
        await box.send(*images("A", 3))
        await box.settled_relay()
        box.clock.advance(31)
        await box.until(lambda: box.printer.jobs, step_s=1.0)
        assert box.printing.said.verdict == Verdict(Source.QUIET, 3, quiet_s=QUIET_S)


async def test_two_reprints_before_the_study_is_complete_print_one_slip(make_house: MakeHouse) -> None:
    async with make_house(profiles=WHEN_COMPLETE) as box:
        box.start()
        await box.send(Image(number=1))
        await box.until(lambda: not box.receiving.behind)
        await box.until_rows("studies", lambda rows: rows, share=1)
        box.clock.advance(31)
        await box.until(lambda: box.printer.jobs)
        await box.settled()
        await box.send(Image(number=2))  # late: the study arrives again
        await box.until_rows("studies", lambda rows: rows[0]["state"] == "arriving", share=1)
        for _ in range(3):
            await box.operating.command("slips-reprint", {"number": "S-00001", "why": "lost"})
        box.clock.advance(31)
        await box.until(lambda: len(box.printer.jobs) == 2)
        await box.settled()
        assert len(box.printer.jobs) == 2
        assert len(box.vault.live_links) == 1


async def test_a_waiting_slip_and_a_changed_profile_do_not_make_two(make_house: MakeHouse) -> None:
    """The settings changed to print at once while a slip waited for the study to be complete."""
    async with make_house(profiles=WHEN_COMPLETE) as box:
        box.start("receiving")
        await box.send(Image(number=1))
        await box.until(lambda: not box.receiving.behind)
        (share,) = await box.until_rows("shares", lambda rows: rows, limit=9)
    async with make_house(vault=box.vault, printer=box.printer, clock=box.clock) as again:
        again.start()
        await again.until(lambda: again.bell)
        await again.send(Image(number=2))
        await again.until_rows("instances", lambda rows: len(rows) == 2, share=share["id"])
        again.clock.advance(31)
        await again.until(lambda: again.printer.jobs)
        await again.settled()
        assert len(again.vault.live_links) == 1


# -- profiles that print when somebody asks for it --------------------------------------------------------------------

WHEN_ASKED = {"SHARE": terms(when=When.REQUEST)}


async def test_a_profile_that_prints_on_request_prints_nothing_before_one(make_house: MakeHouse) -> None:
    async with make_house(profiles=WHEN_ASKED) as box:
        box.start()
        await box.send(*images("A", 2))
        await box.settled_relay()
        await box.until_rows("studies", lambda rows: rows[0]["state"] == "quiet", share=1, step_s=5.0)
        assert await box.rows("links", share=1) == []
        await box.journal.run(lambda tx: box.transitions.mint_now(tx, 1))
        await box.settled()
        assert len(box.printer.jobs) == 1
        assert len(box.opened().datasets) == 2


async def test_a_slip_in_place_of_a_requested_one_needs_no_second_request(make_house: MakeHouse) -> None:
    async with make_house(profiles=WHEN_ASKED, printer=SilentOncePrinter()) as box:
        box.start()
        await box.send(Image())
        await box.until_rows("shares", lambda rows: rows, limit=9)
        await box.journal.run(lambda tx: box.transitions.mint_now(tx, 1))
        await box.until_rows("slips_of_share", lambda rows: rows[-1]["state"] == "printed", share=1, step_s=0.3)
        assert await slip_states(box) == ["unknown", "printed"]
        assert live_papers(box) == box.printer.links[-1:]


async def test_a_share_that_nobody_asks_for_is_over_with_its_visit(make_house: MakeHouse) -> None:
    async with make_house(profiles=WHEN_ASKED) as box:
        box.start()
        await box.send(Image())
        await box.settled_relay()
        box.clock.advance(13 * 3600)
        await box.until_rows("shares", lambda rows: rows[0]["state"] == "revoked", limit=9, step_s=5.0)
        assert box.printer.jobs == []


# -- factors ---------------------------------------------------------------------------------------------------------


async def test_a_pin_profile_tells_staff_the_pin_that_opens_the_slip(make_house: MakeHouse) -> None:
    from appliance.formats.envelope import FactorKind

    async with make_house(profiles={"SHARE": terms(factor=FactorKind.PIN)}) as box:
        box.start()
        await box.send(Image(birth_date=""))
        await box.settled()
        (share,) = await box.shares()
        story = await box.operating.command("shares-show", {"id": share["share_id"].hex()})
        pin = story["links"][0]["pin"]
        assert len(pin) == 6
        assert box.vault.open(box.printer.links[0], pin).datasets
