"""Workitems that give nothing but an accession number: looked up in the PACS, and carried out by a pull."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset

from appliance.daemon.minting import When
from appliance.daemon.requesting import MISSING_FOR_S
from appliance.dicom.dimse import CommandField
from appliance.dicom.negotiation import UPS_PUSH
from appliance.dicom.workitem import REQUEST_CANCEL
from appliance.errors import PacsUnreachableError
from appliance.formats.audit import Kind
from appliance.ports import Retrieved, ServiceAnswer, Wanted
from tests.daemon.asking import REQUEST, act, ask, until_step, workitem
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import House, Image, terms
from tests.daemon.test_pulling import (
    ACCESSION,
    STUDY,
    THREE,
    MakePulled,
    make_pulled,
    study_of,
)
from tests.fakes.pacs import DownPacs, GoodPacs, SlowPacs
from tests.fakes.vault import RememberingVault

__all__ = ["make_pulled"]  # a fixture
ASKED = {"SHARE": terms(when=When.REQUEST)}


async def push_number(box: House, *numbers: str, at_the_top: str = "") -> ServiceAnswer:
    dataset = Dataset()
    dataset.ProcedureStepState, dataset.ProcedureStepLabel = "SCHEDULED", "Share with the patient"
    dataset.ReferencedRequestSequence = []
    for number in numbers:
        item = Dataset()
        item.AccessionNumber, item.StudyInstanceUID = number, ""
        dataset.ReferencedRequestSequence.append(item)
    if at_the_top:
        dataset.AccessionNumber = at_the_top
    return await ask(box, UPS_PUSH, CommandField.N_CREATE_RQ, REQUEST, dataset)


WHERE: dict[str, tuple[tuple[str, ...], str]] = {
    "in its request": ((ACCESSION,), ""),
    "at the top, where some write it": ((), ACCESSION),
    "in each of several requests": ((ACCESSION, "", ACCESSION), ""),
}


@pytest.mark.parametrize("where", WHERE)
async def test_it_is_fetched_and_its_slip_comes_out(make_pulled: MakePulled, where: str) -> None:
    numbers, at_the_top = WHERE[where]
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE, profiles=ASKED) as pulled:
        assert (await push_number(pulled.box, *numbers, at_the_top=at_the_top)).status == 0
        told = await until_step(pulled.box, "COMPLETED")
        assert told.StudyInstanceUID == STUDY
        assert len(pulled.box.opened().datasets) == 3
        assert len(pulled.box.printer.jobs) == 1
        trail = {event.kind: event for event in await pulled.box.trail()}
        assert (trail[Kind.PACS_QUERIED].by, trail[Kind.PACS_QUERIED].about) == (
            "PACS",
            "by accession number: 1 study",
        )


async def test_without_a_pacs_it_is_refused_and_says_why(make_house: MakeHouse) -> None:
    async with make_house() as box:
        box.start()
        answer = await push_number(box, ACCESSION)
        assert (answer.status, answer.comment) == (
            0x0120,
            "only an accession number, and the box has no PACS to ask",
        )
        assert not await box.rows("requests", limit=9)


async def test_several_numbers_are_refused(make_pulled: MakePulled) -> None:
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE) as pulled:
        assert (await push_number(pulled.box, ACCESSION, "A-2")).status == 0x0106
        assert not await pulled.box.rows("requests", limit=9)


async def test_all_studies_of_one_number_are_one_slip(make_pulled: MakePulled) -> None:
    other = Image(study="2")
    pacs = GoodPacs(study_of(Image(), 3), study_of(other, 1))
    async with make_pulled(pacs, [*THREE, other], profiles=ASKED) as pulled:
        await push_number(pulled.box, ACCESSION)
        await until_step(pulled.box, "COMPLETED")
        assert len(pulled.box.opened().datasets) == 4
        assert len(pulled.box.printer.jobs) == 1


async def test_of_several_patients_nothing_is_fetched(make_pulled: MakePulled) -> None:
    pacs = GoodPacs(study_of(Image(), 3), study_of(Image(patient="B"), 3))
    async with make_pulled(pacs, THREE) as pulled:
        await push_number(pulled.box, ACCESSION)
        told = await until_step(pulled.box, "CANCELED")
        assert told.ProcedureStepProgressInformationSequence[0].ReasonForCancellation == "NOT_SUPPORTED"
        assert pacs.retrieved == []
        assert not pulled.box.printer.jobs


async def test_what_the_pacs_does_not_have_is_looked_for_three_times(make_pulled: MakePulled) -> None:
    async with make_pulled(GoodPacs()) as pulled:
        await push_number(pulled.box, ACCESSION)
        await pulled.after(MISSING_FOR_S)
        told = await until_step(pulled.box, "CANCELED")
        assert told.ProcedureStepProgressInformationSequence[0].ReasonForCancellation == "NO_INSTANCE"
        assert len(pulled.pacs.questions) == 3


async def test_what_comes_there_meanwhile_is_found(make_pulled: MakePulled) -> None:
    async with make_pulled(GoodPacs(), THREE) as pulled:
        await push_number(pulled.box, ACCESSION)
        await pulled.box.until(lambda: pulled.pacs.questions)
        pulled.pacs.studies = [study_of(Image(), 3)]
        await until_step(pulled.box, "COMPLETED")


async def test_a_pacs_that_is_down_is_asked_until_it_is_up(make_pulled: MakePulled) -> None:
    pacs = DownPacs(study_of(Image(), 3))
    async with make_pulled(pacs, THREE) as pulled:
        await push_number(pulled.box, ACCESSION)
        await pulled.box.until(lambda: len(pacs.questions) > 4, step_s=10.0)
        told = await workitem(pulled.box)
        assert told.ProcedureStepState == "SCHEDULED"
        (progress,) = told.ProcedureStepProgressInformationSequence
        assert progress.ProcedureStepProgressDescription == "the PACS is asked for its study"
        (listed,) = await pulled.box.operating.command("requests-list", {})
        assert listed["waits_for"] == "the PACS, which is asked for its accession number"
        pacs.up = True
        await pulled.box.until_answer(
            lambda: workitem(pulled.box), lambda one: one.ProcedureStepState == "COMPLETED", step_s=10.0
        )


async def test_one_that_was_answered_is_carried_out_after_a_restart(make_pulled: MakePulled) -> None:
    vault = RememberingVault()
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE, vault=vault) as pulled:
        await pulled.box.stop("pulling")
        assert (await push_number(pulled.box, ACCESSION)).status == 0
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE, vault=vault) as pulled:
        await until_step(pulled.box, "COMPLETED")
        assert len(pulled.pacs.questions) == 1


async def test_a_restart_amid_it_fetches_the_rest(make_pulled: MakePulled) -> None:
    vault, slow = RememberingVault(), SlowPacs(study_of(Image(), 3))
    async with make_pulled(slow, THREE, vault=vault) as pulled:
        await push_number(pulled.box, ACCESSION)
        await pulled.box.until(lambda: slow.questions)
        slow.let.set()
        slow.let = asyncio.Event()  # found; nothing of it is sent yet
        await pulled.box.until(lambda: slow.retrieved)
        await pulled.box.send(THREE[0])
        await pulled.box.settled()
    async with make_pulled(GoodPacs(study_of(Image(), 3)), THREE, vault=vault) as pulled:
        await until_step(pulled.box, "COMPLETED")
        await pulled.box.until(lambda: pulled.pacs.retrieved)
        assert not pulled.pacs.questions  # its number was looked up before
        ((wanted, _),) = pulled.pacs.retrieved
        assert {one.sop_instance_uid for one in wanted.instances} == {image.uid for image in THREE[1:]}


async def test_what_is_missing_when_its_slip_is_out_is_asked_for_again(make_pulled: MakePulled) -> None:
    class Breaking(GoodPacs):
        async def retrieve(self, wanted: Wanted, profile: str, progress: Callable[[Retrieved], None]) -> Retrieved:
            if self.retrieved:
                return await super().retrieve(wanted, profile, progress)
            self.retrieved.append((wanted, profile))
            assert self.deliver is not None
            await self.deliver(THREE[0].uid, profile)
            raise PacsUnreachableError("the PACS fell silent before C-MOVE was done")

    async with make_pulled(Breaking(study_of(Image(), 3)), THREE) as pulled:
        await push_number(pulled.box, ACCESSION)
        await pulled.box.until(lambda: pulled.parts.pulling.progress(1).trouble)
        later = pulled.box.clock.now() + 400
        await pulled.box.journal.run(lambda tx: tx.do("request_tried", id=1, tried=0, not_before=later))
        await until_step(pulled.box, "COMPLETED")
        await pulled.box.until(lambda: len(pulled.pacs.retrieved) == 2, step_s=5.0)
        await pulled.box.until_rows("count_instances", lambda rows: rows[0]["received"] == 3, share=1)
        await pulled.box.settled()
        assert len(pulled.pacs.retrieved[1][0].instances) == 2


async def test_cancelled_while_it_is_looked_up_it_fetches_nothing(make_pulled: MakePulled) -> None:
    slow = SlowPacs(study_of(Image(), 3))
    async with make_pulled(slow, THREE) as pulled:
        await push_number(pulled.box, ACCESSION)
        await pulled.box.until(lambda: slow.questions)
        assert await act(pulled.box, REQUEST_CANCEL) == 0
        slow.let.set()
        await pulled.after(1)
        assert slow.retrieved == []
        assert (await workitem(pulled.box)).ProcedureStepState == "CANCELED"


async def test_how_many_the_pacs_sends_is_its_progress(make_pulled: MakePulled) -> None:
    def percent(told: Any) -> int:
        return int(told.ProcedureStepProgressInformationSequence[0].ProcedureStepProgress)

    class Pausing(GoodPacs):
        async def retrieve(self, wanted: Wanted, profile: str, progress: Callable[[Retrieved], None]) -> Retrieved:
            assert self.deliver is not None
            await self.deliver(THREE[0].uid, profile)
            progress(Retrieved(1, 0, 2))
            await asyncio.Event().wait()
            raise AssertionError

    async with make_pulled(Pausing(study_of(Image(), 3)), THREE, profiles=ASKED) as pulled:
        await push_number(pulled.box, ACCESSION)
        told = await pulled.box.until_answer(lambda: workitem(pulled.box), percent)
        (said,) = told.ProcedureStepProgressInformationSequence
        assert (said.ProcedureStepProgress, said.ProcedureStepProgressDescription) == (16, "1 of 3 images is here")
