"""A workitem that is pushed to the box: share this with the patient."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from appliance.daemon.minting import When
from appliance.daemon.requesting import MISSING_FOR_S
from appliance.dicom.negotiation import UPS_WATCH
from appliance.dicom.workitem import ALL_WORKITEMS, REQUEST_CANCEL, SUBSCRIBE, SUSPEND, UNSUBSCRIBE
from tests.daemon.asking import REQUEST, act, push, until_step, workitem
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import House, Image, images, terms


@pytest.fixture
async def robot(make_house: MakeHouse) -> AsyncIterator[House]:
    async with make_house(profiles={"SHARE": terms(when=When.REQUEST)}) as one:
        one.start()
        yield one


async def test_pushed_for_instances_that_are_here_it_is_completed_when_the_slip_is_out(robot: House) -> None:
    await robot.send(*images("A", 2))
    assert (await push(robot, *images("A", 2))).status == 0
    told = await until_step(robot, "COMPLETED")
    assert told.ProcedureStepProgressInformationSequence[0].ProcedureStepProgress == 100
    assert told.ProcedureStepLabel == "Share with the patient"
    assert len(robot.printer.jobs) == 1


async def test_pushed_for_a_whole_study_it_waits_until_that_is_judged(robot: House) -> None:
    await robot.send(*images("A", 2))
    await push(robot, study_uid=Image().study_uid)
    await robot.settled_relay()
    assert (await workitem(robot)).ProcedureStepState == "SCHEDULED"
    robot.clock.advance(40)
    await until_step(robot, "COMPLETED")


async def test_what_never_comes_cancels_it_with_the_reason(robot: House) -> None:
    await push(robot, Image())
    robot.clock.advance(MISSING_FOR_S)
    told = await until_step(robot, "CANCELED")
    assert told.ProcedureStepProgressInformationSequence[0].ReasonForCancellation == "NO_INSTANCE"


async def test_cancelled_in_time_it_prints_nothing(robot: House) -> None:
    await push(robot, Image())
    assert await act(robot, REQUEST_CANCEL) == 0
    assert await act(robot, REQUEST_CANCEL) == 0xB304
    await robot.send(Image())
    await robot.settled()
    assert not robot.printer.jobs
    assert (await workitem(robot)).ProcedureStepState == "CANCELED"


async def test_completed_it_cannot_be_cancelled(robot: House) -> None:
    await robot.send(Image())
    await push(robot, Image())
    await until_step(robot, "COMPLETED")
    assert await act(robot, REQUEST_CANCEL) == 0xC311


async def test_the_same_workitem_is_pushed_once(robot: House) -> None:
    await push(robot, Image())
    assert (await push(robot, Image())).status == 0x0111


async def test_one_that_is_not_scheduled_is_refused(robot: House) -> None:
    assert (await push(robot, Image(), ProcedureStepState="IN PROGRESS")).status == 0xC309


async def test_one_that_nobody_pushed_is_not_known(robot: House) -> None:
    assert await act(robot, REQUEST_CANCEL) == 0xC307


async def test_only_who_can_be_called_may_subscribe(robot: House) -> None:
    await push(robot, Image())
    assert await act(robot, SUBSCRIBE, receiver="STRANGER", service=UPS_WATCH) == 0xC308


async def test_subscribers_are_noted_and_forgotten(make_house: MakeHouse) -> None:
    async with make_house(receivers=("RIS",)) as box:
        box.start()
        await push(box, Image())
        assert await act(box, SUBSCRIBE, receiver="RIS", service=UPS_WATCH) == 0
        assert [row["ae_title"] for row in await box.rows("subscribers_to_tell")] == ["RIS"]
        assert await act(box, UNSUBSCRIBE, receiver="RIS", service=UPS_WATCH) == 0
        assert not await box.rows("subscribers_to_tell")


async def test_a_subscription_to_all_holds_for_workitems_to_come(make_house: MakeHouse) -> None:
    async with make_house(receivers=("RIS",)) as box:
        box.start()
        assert await act(box, SUBSCRIBE, uid=ALL_WORKITEMS, receiver="RIS", service=UPS_WATCH) == 0
        await push(box, Image(), uid=REQUEST)
        await act(box, SUSPEND, uid=ALL_WORKITEMS, receiver="RIS", service=UPS_WATCH)
        await push(box, Image(), uid=f"{REQUEST}.2")
        assert len(await box.rows("subscribers_to_tell")) == 1


async def test_a_subscription_to_all_holds_for_those_that_are_here_too(make_house: MakeHouse) -> None:
    async with make_house(receivers=("RIS",)) as box:
        box.start()
        await push(box, Image())
        await act(box, SUBSCRIBE, uid=ALL_WORKITEMS, receiver="RIS", service=UPS_WATCH)
        assert len(await box.rows("subscribers_to_tell")) == 1


async def test_only_a_subscription_to_all_is_suspended(make_house: MakeHouse) -> None:
    async with make_house(receivers=("RIS",)) as box:
        box.start()
        await push(box, Image())
        assert await act(box, SUSPEND, receiver="RIS", service=UPS_WATCH) == 0xC314
