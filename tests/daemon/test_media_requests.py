"""The box as a CD robot: what a PACS's burn button brings about, and what the PACS is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from appliance.core.share import ShareEvent
from appliance.daemon.minting import When
from appliance.daemon.requesting import MISSING_FOR_S
from appliance.dicom.dimse import CommandField
from appliance.dicom.negotiation import EXPLICIT_LE, MEDIA_CREATION
from appliance.ports import Paper, PrinterStatus
from tests.daemon.asking import REQUEST, ask, cancel, create, initiate, progress, until_told
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import QUIET_S, VISIT_S, House, Image, images, terms
from tests.dicom.datasets import decode
from tests.fakes.slip_printers import PaperOutPrinter, TroubledPrinter
from tests.fakes.vault import DownVault

ROBOT = {"SHARE": terms(when=When.REQUEST)}


@pytest.fixture
async def robot(make_house: MakeHouse) -> AsyncIterator[House]:
    async with make_house(profiles=ROBOT) as one:
        one.start()
        yield one


async def test_stored_created_initiated_and_done(robot: House) -> None:
    await robot.send(*images("A", 3))
    await robot.settled()
    assert (await create(robot, *images("A", 3))).status == 0
    assert (await progress(robot)).ExecutionStatus == "IDLE"
    assert not robot.printer.jobs
    assert (await initiate(robot)).status == 0
    told = await until_told(robot, "DONE")
    assert (told.ExecutionStatusInfo, told.TotalNumberOfPiecesOfMediaCreated) == ("NORMAL", 1)
    assert len(robot.opened().datasets) == 3
    assert robot.opened().manifest.source == "3 of 3 images, as they were asked for"


async def test_a_request_that_is_never_initiated_prints_nothing(robot: House) -> None:
    await robot.send(*images("A", 3))
    await create(robot, *images("A", 3))
    await robot.settled()
    robot.clock.advance(3600)
    assert not robot.printer.jobs


async def test_an_instance_that_never_comes_is_named_with_its_reason(robot: House) -> None:
    await robot.send(Image(number=1))
    await create(robot, *images("A", 2))
    await initiate(robot)
    await robot.settled()
    assert (await progress(robot)).ExecutionStatus == "PENDING"
    robot.clock.advance(MISSING_FOR_S)
    told = await until_told(robot, "FAILURE")
    assert told.ExecutionStatusInfo == "NO_INSTANCE"
    failed = [(item.ReferencedSOPInstanceUID, item.FailureReason) for item in told.FailedSOPSequence]
    assert failed == [(Image(number=2).uid, 0x0112)]


async def test_what_came_to_another_profile_is_missing(make_house: MakeHouse) -> None:
    async with make_house(profiles={"SHARE": terms(when=When.REQUEST), "OTHER": terms()}) as box:
        box.start()
        await box.send(Image(profile="OTHER"))
        await create(box, Image())
        await initiate(box)
        await box.settled()
        box.clock.advance(MISSING_FOR_S)
        told = await until_told(box, "FAILURE")
        assert [item.ReferencedSOPInstanceUID for item in told.FailedSOPSequence] == [Image().uid]


@pytest.mark.parametrize(
    ("status", "info"),
    [
        (PrinterStatus(reachable=True, paper=Paper.OUT), "OUT_OF_SUPPLIES"),
        (PrinterStatus(reachable=True, cover_open=True), "CHECK_MCD_OP"),
        (PrinterStatus(reachable=True, error=True), "CHECK_MCD_SRV"),
        (PrinterStatus(reachable=False), "CHECK_MCD_SRV"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_keeps_the_printer_is_told_in_the_standards_terms(
    make_house: MakeHouse, status: PrinterStatus, info: str
) -> None:
    printer = TroubledPrinter(status)
    async with make_house(profiles=ROBOT, printer=printer) as box:
        box.start()
        await box.send(Image())
        await create(box, Image())
        await initiate(box)
        assert (await until_told(box, "CREATING")).ExecutionStatusInfo == info
        printer.trouble = None
        await until_told(box, "DONE")


async def test_a_vault_that_is_down_is_never_a_failure(make_house: MakeHouse) -> None:
    async with make_house(profiles=ROBOT, vault=DownVault()) as box:
        box.start()
        await box.send(Image())
        await create(box, Image())
        await initiate(box)
        assert (await until_told(box, "CREATING")).ExecutionStatusInfo == "NORMAL"
        box.clock.advance(1e5)
        assert (await progress(box)).ExecutionStatus == "CREATING"


async def test_a_held_share_asks_for_an_operator(robot: House) -> None:
    await robot.send(Image(patient_id=" "))
    await create(robot, Image())
    await initiate(robot)
    await robot.settled()
    told = await progress(robot)
    assert (told.ExecutionStatus, told.ExecutionStatusInfo) == ("PENDING", "CHECK_MCD_OP")


async def test_the_number_of_copies_and_what_the_slip_is_to_say_come_with_the_share(robot: House) -> None:
    await robot.send(Image())
    await create(robot, Image(), LabelText="Knee", BarcodeValue="4711", MediaDisposition="Dr Lindqvist")
    await initiate(robot, copies=2, priority="HIGH")
    told = await until_told(robot, "DONE")
    assert told.TotalNumberOfPiecesOfMediaCreated == 2
    assert len(robot.printer.jobs) == 2
    assert len(set(robot.printer.links)) == 1
    share = (await robot.shares())[0]
    assert (share["copies"], share["urgent"]) == (2, 1)


async def test_the_same_request_is_not_created_twice(robot: House) -> None:
    assert (await create(robot, Image())).status == 0
    assert (await create(robot, Image())).status == 0x0111
    await initiate(robot)
    assert (await create(robot, Image())).status == 0xA510


async def test_a_request_is_initiated_once(robot: House) -> None:
    await create(robot, Image())
    assert (await initiate(robot)).status == 0
    assert (await initiate(robot)).status == 0xA510


async def test_the_box_gives_out_a_uid_where_the_pacs_leaves_it_to_it(robot: House) -> None:
    uid = (await create(robot, Image(), uid="")).sop_instance_uid
    assert uid.startswith("2.25.")
    assert (await progress(robot, uid=uid)).ExecutionStatus == "IDLE"


async def test_a_request_without_instances_is_refused(robot: House) -> None:
    assert (await create(robot)).status in (0x0120, 0x0121)


async def test_what_is_not_known_cannot_be_initiated(robot: House) -> None:
    assert (await initiate(robot)).status == 0x0112


async def test_cancelled_before_its_images_are_here_it_prints_none(robot: House) -> None:
    await create(robot, *images("A", 2))
    await initiate(robot)
    assert (await cancel(robot)).status == 0
    await robot.send(*images("A", 2))
    await robot.settled()
    assert not robot.printer.jobs
    assert (await ask(robot, MEDIA_CREATION, CommandField.N_GET_RQ, REQUEST)).status == 0x0112


async def test_attributes_that_the_box_does_not_keep_are_a_warning(robot: House) -> None:
    await create(robot, Image())
    asked = (0x21000020, 0x00880130)
    answer = await ask(robot, MEDIA_CREATION, CommandField.N_GET_RQ, REQUEST, attributes=asked)
    assert answer.status == 0x0001
    assert decode(answer.dataset, EXPLICIT_LE).ExecutionStatus == "IDLE"


async def test_a_slip_that_is_out_cannot_be_cancelled(robot: House) -> None:
    await robot.send(Image())
    await create(robot, Image())
    await initiate(robot)
    await until_told(robot, "DONE")
    assert (await cancel(robot)).status == 0xC201


async def test_a_request_is_known_after_a_restart_for_a_day_and_more(make_house: MakeHouse) -> None:
    async with make_house(profiles=ROBOT) as box:
        box.start()
        await box.send(Image())
        await create(box, Image())
        await initiate(box)
        await until_told(box, "DONE")
    async with make_house(profiles=ROBOT) as box:
        box.start()
        box.clock.advance(26 * 3600.0)
        await box.journal.run(box.requests.forget_old)
        assert (await progress(box)).ExecutionStatus == "DONE"


async def test_who_asked_stands_in_the_trail(robot: House) -> None:
    await create(robot, Image(), uid=REQUEST)
    await initiate(robot)
    await cancel(robot)
    told = [(str(event.kind), event.by) for event in await robot.trail() if event.by]
    assert told == [("share-requested", "PACS"), ("request-cancelled", "PACS")]


async def test_images_that_went_to_another_profile_are_missing_here_and_are_named(make_house: MakeHouse) -> None:
    async with make_house(profiles={**ROBOT, "OTHER": terms()}) as box:
        box.start()
        await box.send(Image(profile="OTHER"))
        await create(box, Image())
        await initiate(box)
        await box.settled()
        box.clock.advance(MISSING_FOR_S)
        told = await until_told(box, "FAILURE")
        assert [item.ReferencedSOPInstanceUID for item in told.FailedSOPSequence] == [Image().uid]


async def test_what_a_failed_request_lacked_is_told_as_it_was_when_it_failed(robot: House) -> None:
    await robot.send(Image(number=1))
    await create(robot, *images("A", 2))
    await initiate(robot)
    await robot.settled()
    robot.clock.advance(MISSING_FOR_S)
    await until_told(robot, "FAILURE")
    await robot.journal.run(lambda tx: robot.transitions.share(tx, 1, ShareEvent.REVOKED))
    told = await progress(robot)
    assert [item.ReferencedSOPInstanceUID for item in told.FailedSOPSequence] == [Image(number=2).uid]
    await robot.send(Image(number=2))
    await robot.settled()
    assert len((await progress(robot)).FailedSOPSequence) == 1
    assert (await cancel(robot)).status == 0
    assert len((await progress(robot)).FailedSOPSequence) == 1


async def test_a_request_that_failed_says_nothing_of_the_images_of_the_next(robot: House) -> None:
    await robot.send(Image(number=1))
    await create(robot, *images("A", 2))
    await initiate(robot)
    await robot.settled()
    robot.clock.advance(MISSING_FOR_S)
    await until_told(robot, "FAILURE")
    again = "1.2.826.4711.9.77"
    await create(robot, Image(number=1), uid=again)
    await initiate(robot, uid=again)
    await until_told(robot, "DONE", uid=again)
    assert robot.opened().manifest.source == "1 of 1 image, as they were asked for"


async def test_of_two_requests_for_the_same_images_one_may_be_cancelled_and_the_other_gets_its_slip(
    make_house: MakeHouse,
) -> None:
    printer, other = PaperOutPrinter(), "1.2.826.4711.9.77"
    async with make_house(profiles=ROBOT, printer=printer) as box:
        box.start()
        await box.send(Image())
        for uid, label in ((REQUEST, "Knee"), (other, "Hip")):
            await create(box, Image(), uid=uid, LabelText=label)
            await initiate(box, uid=uid)
            await until_told(box, "CREATING", uid=uid)
        assert (await cancel(box, uid=other)).status == 0
        printer.load_paper()
        box.bell.ring()
        await until_told(box, "DONE")
        assert len(box.printer.jobs) == 1


async def test_nothing_of_a_cancelled_request_is_on_the_slip_of_the_next(make_house: MakeHouse) -> None:
    printer, other = PaperOutPrinter(), "1.2.826.4711.9.77"
    async with make_house(profiles=ROBOT, printer=printer) as box:
        box.start()
        await box.send(Image())
        await create(box, Image(), MediaDisposition="Dr Lindqvist")
        await initiate(box, copies=3)
        await until_told(box, "CREATING")
        assert (await cancel(box)).status == 0
        await create(box, Image(), uid=other)
        await initiate(box, uid=other)
        await until_told(box, "CREATING", uid=other)
        share = (await box.shares())[0]
        assert (share["remarks"], share["copies"]) == (None, 1)


async def test_copies_that_are_asked_for_when_the_slip_is_out_are_not_told_as_printed(box: House) -> None:
    await box.send(Image())
    await box.settled()
    await create(box, Image())
    await initiate(box, copies=5)
    told = await until_told(box, "DONE")
    assert (len(box.printer.jobs), told.TotalNumberOfPiecesOfMediaCreated) == (1, 1)


async def test_a_request_that_waits_for_a_person_for_days_still_knows_what_it_names(robot: House) -> None:
    await robot.send(Image(patient_id=" "))
    await create(robot, Image())
    await initiate(robot)
    await robot.settled()
    robot.clock.advance(4 * 86400.0)
    for forget in (robot.requests.forget_old, robot.claims.forget_old):
        await robot.journal.run(forget)
    await robot.journal.run(lambda tx: robot.transitions.share(tx, 1, ShareEvent.RELEASED))
    await until_told(robot, "DONE")


async def test_what_a_request_waits_for_is_not_given_up_with_the_visit(robot: House) -> None:
    await robot.send(Image(number=1), Image("B", patient_id=" "))
    await create(robot, Image(number=1), Image("B"))
    await initiate(robot)
    await robot.settled()
    robot.clock.advance(VISIT_S + QUIET_S)
    await asyncio.sleep(0.2)
    assert [share["state"] for share in await robot.shares()] == ["open", "held"]


async def test_images_of_an_urgent_request_go_up_first_while_others_are_on_their_way(robot: House) -> None:
    await create(robot, *images("A", 2))
    await initiate(robot, priority="HIGH")
    await robot.send(Image(number=1))
    await robot.until_rows("shares", lambda rows: rows and rows[0]["urgent"], limit=9)
    assert (await progress(robot)).ExecutionStatus == "PENDING"
