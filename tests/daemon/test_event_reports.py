"""Subscribers of workitems are told of each state, once, and again only when they could not be reached."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from appliance.daemon.cancel_notices import MOST_OWED
from appliance.daemon.event_reports import PROGRESS_EVERY_S, EventReports
from appliance.daemon.minting import When
from appliance.dicom.negotiation import UPS_WATCH
from appliance.dicom.workitem import REQUEST_CANCEL, SUBSCRIBE
from appliance.ports import ProgressReport, StateReport
from tests.daemon.asking import act, ask_to_cancel, push, until_step
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import House, Image, images, terms
from tests.fakes.reporters import RememberingReporter
from tests.fakes.vault import NeverAnsweringVault

RIS, PORTAL = "RIS", "PORTAL"
PAUSE_S = 10.0


@pytest.fixture
async def robot(make_house: MakeHouse) -> AsyncIterator[House]:
    async with make_house(profiles={"SHARE": terms(when=When.REQUEST)}, receivers=(RIS, PORTAL)) as one:
        one.start()
        yield one


def steady(_failures: int) -> float:
    return PAUSE_S


@asynccontextmanager
async def telling(
    box: House, reporter: RememberingReporter, pause_s: Callable[[int], float] = steady
) -> AsyncIterator[None]:
    reports = EventReports(
        box.journal, box.requests, box.gauging, box.notices, reporter, box.bell, box.clock.monotonic,
        look_every_s=0.02, pause_s=pause_s,
    )  # fmt: skip
    task = asyncio.create_task(reports.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def subscribed(box: House, *receivers: str, named: Sequence[Image] = (Image(),)) -> RememberingReporter:
    await push(box, *named)
    for receiver in receivers:
        assert await act(box, SUBSCRIBE, receiver=receiver, service=UPS_WATCH) == 0
    return RememberingReporter()


async def test_who_subscribes_is_told_the_state_at_once_and_then_each_other(robot: House) -> None:
    reporter = await subscribed(robot, RIS)
    async with telling(robot, reporter):
        await robot.until(lambda: reporter.told.get(RIS))
        await robot.send(Image())
        await until_step(robot, "COMPLETED")
        await robot.until(lambda: "COMPLETED" in reporter.told[RIS])
    assert reporter.told == {RIS: ["SCHEDULED", "IN PROGRESS", "COMPLETED"]}


async def test_cancelled_it_has_been_in_progress(robot: House) -> None:
    reporter = await subscribed(robot, RIS)
    async with telling(robot, reporter):
        await robot.until(lambda: reporter.told.get(RIS))
        await act(robot, REQUEST_CANCEL)
        await robot.until(lambda: "CANCELED" in reporter.told[RIS])
    assert reporter.told[RIS] == ["SCHEDULED", "IN PROGRESS", "CANCELED"]


async def test_who_subscribes_when_it_is_over_is_told_so(robot: House) -> None:
    await push(robot, Image())
    await act(robot, REQUEST_CANCEL)
    reporter = await subscribed(robot, RIS)
    async with telling(robot, reporter):
        await robot.until(lambda: reporter.told.get(RIS))
    assert reporter.told == {RIS: ["CANCELED"]}


async def test_who_subscribes_again_is_told_again(robot: House) -> None:
    reporter = await subscribed(robot, RIS)
    async with telling(robot, reporter):
        await robot.until(lambda: reporter.told.get(RIS))
        await act(robot, SUBSCRIBE, receiver=RIS, service=UPS_WATCH)
        await robot.until(lambda: len(reporter.told[RIS]) == 2)
    assert reporter.told[RIS] == ["SCHEDULED", "SCHEDULED"]


async def test_who_cannot_be_reached_is_called_again_later_and_holds_up_nobody(robot: House) -> None:
    reporter = await subscribed(robot, RIS, PORTAL)
    reporter.deaf.add(RIS)
    async with telling(robot, reporter):
        await robot.until(lambda: reporter.told.get(PORTAL) and RIS in reporter.calls)
        reporter.deaf.clear()
        for _ in range(5):
            robot.bell.ring()
            await asyncio.sleep(0.03)
        assert reporter.calls.count(RIS) == 1  # it is left alone for a while
        robot.clock.advance(PAUSE_S)
        await robot.until(lambda: reporter.told.get(RIS))
    assert reporter.told == {RIS: ["SCHEDULED"], PORTAL: ["SCHEDULED"]}


async def test_what_was_told_is_not_told_again_after_a_restart(robot: House) -> None:
    reporter = await subscribed(robot, RIS)
    for _ in range(2):
        async with telling(robot, reporter):
            await robot.until(lambda: reporter.told.get(RIS))
            await asyncio.sleep(0.06)
    assert reporter.told[RIS] == ["SCHEDULED"]


async def test_who_is_reached_again_has_not_failed_before(robot: House) -> None:
    reporter, paused = await subscribed(robot, RIS), []

    def pause_s(failures: int) -> float:
        paused.append(failures)
        return PAUSE_S

    async with telling(robot, reporter, pause_s):
        reporter.deaf.add(RIS)
        for count in (1, 2):
            await robot.until(lambda count=count: len(paused) == count)  # type: ignore[misc]
            robot.clock.advance(PAUSE_S)
        reporter.deaf.clear()
        await robot.until(lambda: reporter.told.get(RIS), step_s=1.0)
        reporter.deaf.add(RIS)
        await act(robot, REQUEST_CANCEL)
        await robot.until(lambda: len(reporter.calls) > paused[-1] and paused[-1] == 0 and len(paused) > 2)
    assert paused[0] == 0
    assert paused[1] == 1
    assert paused[-1] == 0


# -- how far it is -----------------------------------------------------------------------------------------------------

FIVE = images("A", 5)


async def test_progress_is_told_once_in_a_while_and_not_of_each_image(robot: House) -> None:
    reporter = await subscribed(robot, RIS, named=FIVE)
    async with telling(robot, reporter):
        await robot.until(lambda: reporter.progress(RIS))
        for image in FIVE[:4]:
            await robot.send(image)
            await robot.until(lambda: not robot.receiving.behind)
        await asyncio.sleep(0.1)
        assert reporter.progress(RIS) == [(0, "0 of 5 images are here")]
        robot.clock.advance(PROGRESS_EVERY_S)
        await robot.until(lambda: len(reporter.progress(RIS)) == 2)
    assert reporter.progress(RIS)[-1] == (40, "4 of 5 images are here")


async def test_progress_that_has_not_changed_is_not_told_again(robot: House) -> None:
    reporter = await subscribed(robot, RIS, named=FIVE)
    for _ in range(2):  # nor after a restart
        async with telling(robot, reporter):
            await robot.until(lambda: reporter.progress(RIS))
            robot.clock.advance(PROGRESS_EVERY_S)
            await asyncio.sleep(0.1)
    assert reporter.progress(RIS) == [(0, "0 of 5 images are here")]


async def test_a_new_state_comes_with_how_far_it_is_and_the_last_one_after_it(robot: House) -> None:
    reporter = await subscribed(robot, RIS, named=FIVE)
    async with telling(robot, reporter):
        await robot.until(lambda: reporter.told.get(RIS))
        await robot.send(*FIVE)
        await until_step(robot, "COMPLETED")
        await robot.until(lambda: "COMPLETED" in reporter.told[RIS])
    *_, before, last = reporter.heard[RIS]
    assert isinstance(before, ProgressReport)
    assert isinstance(last, StateReport)
    assert (before.percent, before.description) == (100, "the slip is out and its images are at the vault")
    assert last.state == "COMPLETED"


async def test_one_that_was_cancelled_makes_no_progress(robot: House) -> None:
    reporter = await subscribed(robot, RIS, named=FIVE)
    async with telling(robot, reporter):
        await robot.until(lambda: reporter.told.get(RIS))
        await robot.send(FIVE[0])
        await act(robot, REQUEST_CANCEL)
        await robot.until(lambda: "CANCELED" in reporter.told[RIS])
        robot.clock.advance(PROGRESS_EVERY_S)
        await asyncio.sleep(0.1)
    assert [percent for percent, _ in reporter.progress(RIS)] == [0]


# -- that somebody wants it cancelled ----------------------------------------------------------------------------------


def why(**said: str) -> Dataset:
    dataset = Dataset()
    dataset.ReasonForCancellation = "wrong patient"
    for keyword, value in said.items():
        setattr(dataset, keyword, value)
    return dataset


async def test_who_asks_for_it_to_be_cancelled_and_why_is_told_before_it_is(robot: House) -> None:
    reporter = await subscribed(robot, RIS)
    async with telling(robot, reporter):
        await robot.until(lambda: reporter.told.get(RIS))
        contact = {"ContactURI": "tel:+12025550100", "ContactDisplayName": "Ward 3"}
        assert (await ask_to_cancel(robot, why(**contact))).status == 0
        await robot.until(lambda: "CANCELED" in reporter.told[RIS])
    (heard,) = reporter.cancellations(RIS)
    assert (heard.requesting_ae, heard.asked.reason) == ("PACS", "wrong patient")
    assert (heard.asked.contact_uri, heard.asked.contact_name) == ("tel:+12025550100", "Ward 3")
    assert reporter.heard[RIS].index(heard) == len(reporter.heard[RIS]) - 3  # IN PROGRESS and CANCELED follow


async def test_that_it_was_asked_for_is_told_too_when_the_box_does_not_do_it(make_house: MakeHouse) -> None:
    options = {
        "profiles": {"SHARE": terms(when=When.REQUEST)},
        "receivers": (RIS,),
        "vault": NeverAnsweringVault("put_object"),
    }
    async with make_house(**options) as box:
        box.start()
        reporter = await subscribed(box, RIS)
        await box.send(Image())
        await box.until_rows("slips", lambda rows: rows and rows[0]["state"] == "printed", limit=9, step_s=0.3)
        async with telling(box, reporter):
            await box.until(lambda: reporter.told.get(RIS))
            assert (await ask_to_cancel(box, why())).status == 0xC313
            await box.until(lambda: reporter.cancellations(RIS))
        assert reporter.told[RIS] == ["IN PROGRESS"]


async def test_it_is_told_as_well_when_all_is_over(robot: House) -> None:
    reporter = await subscribed(robot, RIS)
    async with telling(robot, reporter):
        await robot.send(Image())
        await until_step(robot, "COMPLETED")
        await robot.until(lambda: "COMPLETED" in reporter.told.get(RIS, []))
        assert (await ask_to_cancel(robot)).status == 0xC311
        await robot.until(lambda: reporter.cancellations(RIS))
    assert reporter.told[RIS].count("COMPLETED") == 1


async def test_it_is_told_once_also_after_a_restart(make_house: MakeHouse) -> None:
    reporter = RememberingReporter()
    async with make_house(receivers=(RIS,)) as box:
        box.start()
        await subscribed(box, RIS)
        await ask_to_cancel(box, why())
    async with make_house(receivers=(RIS,)) as box:
        for _ in range(2):
            async with telling(box, reporter):
                await box.until(lambda: reporter.cancellations(RIS))
                await asyncio.sleep(0.06)
        assert [one.asked.reason for one in reporter.cancellations(RIS)] == ["wrong patient"]


async def test_who_subscribes_later_does_not_hear_of_it(robot: House) -> None:
    await push(robot, Image())
    await ask_to_cancel(robot, why())
    reporter = await subscribed(robot, RIS)
    async with telling(robot, reporter):
        await robot.until(lambda: reporter.told.get(RIS))
    assert not reporter.cancellations(RIS)


async def test_who_asks_for_ever_does_not_fill_the_journal(robot: House) -> None:
    await subscribed(robot, RIS)
    for number in range(MOST_OWED + 5):
        await ask_to_cancel(robot, why(ReasonForCancellation=f"{number}"))
    (row,) = await robot.rows("subscribers_to_tell")
    assert len(await robot.rows("cancel_notices", subscriber=row["subscriber"])) == MOST_OWED
    reporter = RememberingReporter()
    async with telling(robot, reporter):
        await robot.until(lambda: reporter.told.get(RIS))
    assert [one.asked.reason for one in reporter.cancellations(RIS)][-1] == f"{MOST_OWED + 4}"


async def test_a_reason_is_not_on_the_disk_in_clear(make_house: MakeHouse, tmp_path: Path) -> None:
    async with make_house(receivers=(RIS,)) as box:
        box.start()
        await subscribed(box, RIS)
        await ask_to_cancel(box, why(ReasonForCancellation="NOT FOR CANARYSON"))
    assert b"CANARYSON" not in on_disk(tmp_path)


def on_disk(folder: Path) -> bytes:
    files = list(folder.glob("journal.db*"))
    assert files
    return b"".join(file.read_bytes() for file in files)
