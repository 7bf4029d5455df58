"""A scanner before the box: accession numbers are pulled, and who scans is told on paper what became of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence

import pytest

from appliance.daemon.interlock import WRONG_IN_A_ROW, Scanning
from appliance.daemon.scanned_pulls import ALREADY, FAILED, ScannedPulls
from appliance.errors import PrinterUnreachableError
from appliance.formats.audit import Kind
from tests.daemon.house import PATIENT_ID, Image, terms
from tests.daemon.test_pulling import ACCESSION, THREE, MakePulled, Pulled, make_pulled, study_of
from tests.fakes.pacs import DownPacs, GoodPacs, RefusingPacs

__all__ = ["make_pulled"]  # a fixture
BAND = f"{PATIENT_ID}-A"


class Paper:
    """What came out for whoever scans."""

    def __init__(self) -> None:
        self.printed: list[tuple[str, str]] = []

    async def __call__(self, title: str, sentences: Sequence[str]) -> None:
        self.printed.append((title, " ".join(sentences)))


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
    ("pacs", "said"),
    [
        (GoodPacs(), "The PACS has no study with this accession number. Check the number"),
        (DownPacs(study_of(Image(), 3)), "Nobody takes the connection to PACS at 10.20.0.9:104."),
        (GoodPacs(study_of(Image(), 3), study_of(Image(patient="B"), 3)), "Several patients have this number"),
    ],
)
async def test_what_was_scanned_in_vain_is_said_on_paper_without_the_number(
    pacs: GoodPacs, said: str, make_pulled: MakePulled, caplog: pytest.LogCaptureFixture
) -> None:
    paper = Paper()
    async with make_pulled(pacs, THREE) as pulled:
        await scan(pulled, paper, ACCESSION)
    ((title, text),) = paper.printed
    assert (title, text.startswith(said)) == (FAILED, True)
    assert text.endswith("The number ends in …42.")
    assert ACCESSION not in text + caplog.text


async def test_a_pacs_that_finds_but_does_not_send_is_said_once(make_pulled: MakePulled) -> None:
    paper = Paper()
    async with make_pulled(RefusingPacs(study_of(Image(), 3)), THREE) as pulled:
        await scan(pulled, paper, ACCESSION)
        await pulled.until(lambda one: one["state"] == "failure", step_s=5)
    ((title, text),) = paper.printed
    assert title == FAILED
    assert "does not know this box's AE title" in text


async def test_a_number_that_is_scanned_again_makes_no_second_slip_and_says_so(make_pulled: MakePulled) -> None:
    paper = Paper()
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE) as pulled:
        await scan(pulled, paper, ACCESSION)
        await pulled.until(lambda one: one["state"] == "done")
        await scan(pulled, paper, ACCESSION)
        ((title, text),) = paper.printed
        assert (title, "S-00001" in text) == (ALREADY, True)
        assert len(pulled.box.printer.jobs) == 1


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
        async def __call__(self, title: str, sentences: Sequence[str]) -> None:
            raise PrinterUnreachableError("the printer is not ready")

    caplog.set_level(logging.WARNING)
    async with make_pulled(GoodPacs(), THREE) as pulled:
        await scan(pulled, NoPaper(), ACCESSION)
    assert "no paper says so: the printer is not ready" in caplog.text
