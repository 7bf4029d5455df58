"""Subscribers of workitems are told of each state, once, and again only when they could not be reached."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from appliance.daemon.event_reports import EventReports
from appliance.daemon.minting import When
from appliance.dicom.negotiation import UPS_WATCH
from appliance.dicom.workitem import REQUEST_CANCEL, SUBSCRIBE
from tests.daemon.asking import act, push, until_step
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import House, Image, terms
from tests.fakes.reporters import RememberingReporter

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
        box.journal, box.requests, reporter, box.bell, box.clock.monotonic, look_every_s=0.02, pause_s=pause_s
    )
    task = asyncio.create_task(reports.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def subscribed(box: House, *receivers: str) -> RememberingReporter:
    await push(box, Image())
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
