"""A scanner before the box: accession numbers are pulled, and who scans is told on paper what became of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import pytest

from appliance.daemon.interlock import WRONG_IN_A_ROW, Scanning
from appliance.daemon.scanned_pulls import ScannedPulls
from appliance.errors import (
    NoNumberError,
    PacsRefusedError,
    PacsUnreachableError,
    PrinterUnreachableError,
    SlipwayError,
)
from appliance.formats.audit import Kind
from appliance.formats.slip_scanned import Became, ScannedFace
from appliance.ports import FoundStudy, Retrieved, Wanted
from tests.daemon.house import PATIENT_ID, Image, terms
from tests.daemon.scans import rules
from tests.daemon.test_pulling import ACCESSION, THREE, MakePulled, Pulled, make_pulled, study_of
from tests.fakes.pacs import DownPacs, GoodPacs, RefusingPacs

__all__ = ["make_pulled"]  # a fixture
BAND = f"{PATIENT_ID}-A"


class Paper:
    """What came out for whoever scans."""

    def __init__(self) -> None:
        self.printed: list[ScannedFace] = []

    async def __call__(self, said: ScannedFace) -> None:
        self.printed.append(said)


class UnwillingPacs(GoodPacs):
    """Answers every question with an error."""

    def __init__(self, error: SlipwayError) -> None:
        super().__init__()
        self._error = error

    async def find_studies(self, **asked: str) -> list[FoundStudy]:
        await super().find_studies(**asked)
        raise self._error


class BreakingPacs(GoodPacs):
    """Finds, and falls silent before it has sent anything."""

    async def retrieve(self, wanted: Wanted, profile: str, progress: Callable[[Retrieved], None]) -> Retrieved:
        raise PacsUnreachableError("the PACS fell silent before C-MOVE was done", hint="The box tries again by itself.")


class WaitingPacs(GoodPacs):
    """Finds, and lets everybody wait for the images."""

    async def retrieve(self, wanted: Wanted, profile: str, progress: Callable[[Retrieved], None]) -> Retrieved:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")


class Scanner:
    def __init__(self, *codes: str) -> None:
        self._codes = codes
        self.over = asyncio.Event()

    async def codes(self) -> AsyncIterator[str]:
        for code in ("", *self._codes):
            yield code
        self.over.set()
        await asyncio.Event().wait()


async def scan(pulled: Pulled, paper: Paper, *codes: str, reads: str = "accession") -> ScannedPulls:
    """Until all of them have been taken, and said what there is to say."""
    pulls = ScannedPulls(pulled.parts.desk, paper, "")
    pulled.parts.pulling.on_trouble = pulls.refused
    interlock = pulled.box.interlock if reads == "both" else None
    scanner = Scanner(*codes)
    taken = asyncio.create_task(Scanning(scanner, interlock, pulls.take).run())
    await asyncio.wait_for(scanner.over.wait(), 20)
    taken.cancel()
    await asyncio.gather(*pulls._papers)
    return pulls


async def test_a_scanned_accession_number_is_pulled_and_its_slip_is_all_the_paper(make_pulled: MakePulled) -> None:
    paper = Paper()
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE) as pulled:
        await scan(pulled, paper, ACCESSION)
        told = await pulled.until(lambda one: one["state"] == "done")
        assert told["asked_by"] == "scanner"
        assert (len(pulled.box.printer.jobs), paper.printed) == (1, [])


@pytest.mark.parametrize(
    ("pacs", "became", "detail"),
    [
        (GoodPacs(), Became.NOTHING_FOUND, ()),
        (UnwillingPacs(NoNumberError("there is no such number")), Became.NO_NUMBER, ()),
        (GoodPacs(study_of(Image(), 3), study_of(Image(patient="B"), 3)), Became.SEVERAL_PATIENTS, ()),
        (
            DownPacs(study_of(Image(), 3)),
            Became.NOT_ANSWERED,
            ("Nobody takes the connection to PACS at 10.20.0.9:104.",),
        ),
        (
            UnwillingPacs(PacsUnreachableError("the PACS refuses associations now", hint="The box tries again.")),
            Became.NOT_ANSWERED,
            ("The PACS refuses associations now.",),  # and not that the box tries again: it does not
        ),
        (
            UnwillingPacs(PacsRefusedError("it does not know the box's AE title", hint="Add it.")),
            Became.REFUSED,
            ("It does not know the box's AE title.", "Add it."),
        ),
    ],
)
async def test_what_was_scanned_in_vain_is_said_on_paper_without_the_number(
    pacs: GoodPacs, became: Became, detail: tuple[str, ...], make_pulled: MakePulled, caplog: pytest.LogCaptureFixture
) -> None:
    paper = Paper()
    async with make_pulled(pacs, THREE) as pulled:
        await scan(pulled, paper, ACCESSION)
    assert paper.printed == [ScannedFace(became, ACCESSION[-2:], detail=detail)]
    assert ACCESSION not in caplog.text


async def test_of_a_number_of_two_characters_nothing_is_told(make_pulled: MakePulled) -> None:
    paper = Paper()
    async with make_pulled(GoodPacs(), THREE) as pulled:
        await scan(pulled, paper, " 42 ")
    assert paper.printed == [ScannedFace(Became.NOTHING_FOUND)]


async def test_a_pacs_that_finds_but_does_not_send_is_said_once(make_pulled: MakePulled) -> None:
    paper = Paper()
    async with make_pulled(RefusingPacs(study_of(Image(), 3)), THREE) as pulled:
        await scan(pulled, paper, ACCESSION)
        await pulled.until(lambda one: one["state"] == "failure", step_s=5)
    detail = ("The PACS does not know this box's AE title SHARE (C-MOVE status A801).", "Add it.", "Request 1.")
    assert paper.printed == [ScannedFace(Became.NOT_SENT, detail=detail)]


async def test_a_pacs_that_breaks_off_is_said_and_again_to_whoever_scans_again(make_pulled: MakePulled) -> None:
    paper = Paper()
    async with make_pulled(BreakingPacs(study_of(Image(), 3)), THREE) as pulled:
        await scan(pulled, paper, ACCESSION)
        await pulled.until(lambda one: bool(one["trouble"]))
        await scan(pulled, paper, ACCESSION)
    why = ("The PACS fell silent before C-MOVE was done.", "The box tries again by itself.")
    assert paper.printed == [
        ScannedFace(Became.NOT_SENT_YET, detail=(*why, "Request 1.")),
        ScannedFace(Became.NOT_SENT_YET, ACCESSION[-2:], detail=why),
    ]


async def test_a_number_that_is_scanned_again_makes_no_second_slip_and_says_so(make_pulled: MakePulled) -> None:
    paper = Paper()
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE) as pulled:
        await scan(pulled, paper, ACCESSION)
        await pulled.until(lambda one: one["state"] == "done")
        await scan(pulled, paper, ACCESSION)
        assert paper.printed == [ScannedFace(Became.SLIP_IS_OUT, ACCESSION[-2:], slips=("S-00001",))]
        assert len(pulled.box.printer.jobs) == 1


async def test_a_number_that_is_scanned_again_while_its_images_come_promises_the_slip(make_pulled: MakePulled) -> None:
    paper = Paper()
    async with make_pulled(WaitingPacs(study_of(Image(), 3)), THREE) as pulled:
        await scan(pulled, paper, ACCESSION, ACCESSION)
    assert paper.printed == [ScannedFace(Became.ON_ITS_WAY, ACCESSION[-2:])]


async def test_a_number_whose_images_are_held_is_a_persons_to_decide(make_pulled: MakePulled) -> None:
    paper = Paper()
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE, rules=rules(hold_for_report=True)) as pulled:
        await scan(pulled, paper, ACCESSION)
        await pulled.until(lambda one: one["held"])
        await scan(pulled, paper, ACCESSION)
    assert paper.printed == [ScannedFace(Became.HELD, ACCESSION[-2:])]


async def test_a_wristband_goes_to_the_interlock_before_anybody_asks_the_pacs(make_pulled: MakePulled) -> None:
    paper = Paper()
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE, profiles={"SHARE": terms(interlock=True)}) as pulled:
        await pulled.box.send(*THREE)
        await pulled.box.until_rows("slips_at_interlock", lambda rows: len(rows) == 1)
        await scan(pulled, paper, BAND, reads="both")
        await pulled.box.until(lambda: len(pulled.box.printer.jobs) == 1)
        assert (pulled.pacs.questions, paper.printed) == ([], [])


async def test_accession_numbers_are_no_wrong_wristbands(make_pulled: MakePulled) -> None:
    paper = Paper()
    async with make_pulled(GoodPacs(), THREE) as pulled:
        await scan(pulled, paper, *(f"A{n}" for n in range(WRONG_IN_A_ROW)), reads="both")
        assert len(pulled.pacs.questions) == WRONG_IN_A_ROW
        assert Kind.WRISTBANDS_WRONG not in {event.kind for event in await pulled.box.trail()}


async def test_a_printer_that_is_out_of_paper_ends_nothing(
    make_pulled: MakePulled, caplog: pytest.LogCaptureFixture
) -> None:
    class NoPaper(Paper):
        async def __call__(self, said: ScannedFace) -> None:
            raise PrinterUnreachableError("the printer is not ready")

    caplog.set_level(logging.WARNING)
    async with make_pulled(GoodPacs(), THREE) as pulled:
        await scan(pulled, NoPaper(), ACCESSION)
    assert "no paper says so: the printer is not ready" in caplog.text


async def test_whose_slip_is_out_already_is_told_so_although_the_pacs_has_more(make_pulled: MakePulled) -> None:
    """The slip stays the one, so nothing else would come out."""
    paper = Paper()
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE) as pulled:
        await pulled.box.send(THREE[0])
        await pulled.box.settled()
        await scan(pulled, paper, ACCESSION)
    assert [one.became for one in paper.printed] == [Became.SLIP_IS_OUT]
