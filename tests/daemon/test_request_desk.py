"""What staff see of requests, and how they take one back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from appliance.daemon.minting import When
from appliance.daemon.requesting import MISSING_FOR_S
from appliance.errors import NotFoundError, NotPossibleError
from appliance.formats.moments import written
from tests.daemon.asking import create, initiate, until_told
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import QUIET_S, House, Image, images, terms
from tests.daemon.test_judging import study_is


@pytest.fixture
async def robot(make_house: MakeHouse) -> AsyncIterator[House]:
    async with make_house(profiles={"SHARE": terms(when=When.REQUEST)}) as one:
        one.start()
        yield one


async def only(box: House) -> dict[str, Any]:
    (told,) = await box.operating.command("requests-list", {})
    return dict(told)


async def test_a_request_is_listed_with_who_asked_and_what_it_waits_for(robot: House) -> None:
    await create(robot, *images("A", 3))
    await initiate(robot)
    await robot.send(Image())
    await robot.settled()
    told = await only(robot)
    assert (told["kind"], told["state"], told["asked_by"]) == ("media-creation", "pending", "PACS")
    assert told["waits_for"] == "2 missing"
    assert told["since"] == written((await robot.rows("requests", limit=9))[0]["at"])


async def test_a_request_whose_images_are_held_waits_for_a_person(robot: House) -> None:
    await create(robot, Image())
    await initiate(robot)
    await robot.send(Image(patient_id=" "))
    await robot.settled()
    assert "shares list --held" in (await only(robot))["waits_for"]


async def test_a_request_that_is_done_names_its_share(robot: House) -> None:
    await robot.send(Image())
    await create(robot, Image())
    await initiate(robot)
    await until_told(robot, "DONE")
    told = await only(robot)
    assert (told["state"], told["slips"], told["waits_for"]) == ("done", 1, "")
    assert told["share"] == (await robot.shares())[0]["share_id"].hex()[:8]


async def test_a_request_that_failed_says_what_to_do(robot: House) -> None:
    await create(robot, Image())
    await initiate(robot)
    robot.clock.advance(MISSING_FOR_S + 1)
    await until_told(robot, "FAILURE")
    assert "send them, and ask again" in (await only(robot))["waits_for"]


async def test_a_request_that_is_done_cannot_be_taken_back_and_what_can_be_done_is_said(robot: House) -> None:
    await robot.send(Image())
    await create(robot, Image())
    await initiate(robot)
    await until_told(robot, "DONE")
    with pytest.raises(NotPossibleError) as raised:
        await robot.operating.command("requests-cancel", {"id": 1, "by": "anna"})
    assert "slipway shares revoke" in raised.value.hint


async def test_staff_take_a_request_back_and_stand_in_the_trail(robot: House) -> None:
    await create(robot, Image())
    await initiate(robot)
    told = await robot.operating.command("requests-cancel", {"id": 1, "by": "anna"})
    assert told["state"] == "cancelled"
    await robot.send(Image())
    await robot.settled()
    assert not robot.printer.jobs
    assert ("request-cancelled", "anna") in [(str(event.kind), event.by) for event in await robot.trail()]


async def test_what_a_request_listed_that_staff_took_back_is_missed_no_more(robot: House) -> None:
    await create(robot, *images("A", 3))
    await initiate(robot)
    await robot.operating.command("requests-cancel", {"id": 1})
    await robot.send(*images("A", 2))
    await robot.settled()
    robot.clock.advance(QUIET_S + 1)
    assert "not checked" in (await study_is(robot, "quiet"))["source"]


async def test_a_request_whose_slip_is_out_is_not_taken_back(robot: House) -> None:
    await robot.send(Image())
    await create(robot, Image())
    await initiate(robot)
    await until_told(robot, "DONE")
    with pytest.raises(NotPossibleError):
        await robot.operating.command("requests-cancel", {"id": 1})


async def test_a_request_that_is_not_there_is_not_found(robot: House) -> None:
    with pytest.raises(NotFoundError, match="no request 7"):
        await robot.operating.command("requests-cancel", {"id": 7})
