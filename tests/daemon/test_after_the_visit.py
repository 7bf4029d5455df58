"""What is held may wait longer than a visit lasts: what becomes of it, and of what comes for it, then."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.daemon.minting import When
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import VISIT_S, House, terms
from tests.daemon.scans import REPORT, Scan, doubts, id_of, placed, rules

NAME, OTHER_NAME = "CANARYSON^ADALBERTA", "CANARYSON^ADALBERT"
OPEN = ("open", "")
ON_REQUEST = {"SHARE": terms(when=When.REQUEST)}


def scan(**changes: Any) -> Scan:
    return Scan(**{"name": NAME} | changes)


async def sweep(box: House) -> None:
    await box.journal.run(box.sweeping._sweep)


async def test_a_released_share_whose_visit_is_over_waits_as_long_for_whoever_asks_for_its_slip(
    make_house: MakeHouse,
) -> None:
    async with make_house(profiles=ON_REQUEST) as box:
        box.start("receiving", "relaying", "linking", "printing", "watch")
        await box.send(scan(patient_id="none"))
        share = await id_of(box, 0)
        box.clock.advance(VISIT_S + 3600)
        await box.operating.command("shares-release", {"id": share, "by": "ada"})
        await box.settled()
        await sweep(box)
        assert await doubts(box) == [OPEN]
        await box.operating.command("shares-print", {"id": share, "by": "ada"})
        await box.until(lambda: box.printer.jobs)
        await box.settled()
        assert len(box.opened().datasets) == 1


async def test_a_report_that_comes_the_next_day_hands_out_what_may_then_be_asked_for(make_house: MakeHouse) -> None:
    async with make_house(profiles=ON_REQUEST, rules=rules(hold_for_report=True)) as box:
        box.start("receiving", "relaying", "linking", "printing", "watch")
        await box.send(scan())
        await placed(box)
        box.clock.advance(VISIT_S + 3600)
        await box.send(scan(number=2, sop_class=REPORT))
        await placed(box)
        await sweep(box)
        assert await doubts(box) == [OPEN]
        box.clock.advance(VISIT_S + 1)
        await box.settled()
        await sweep(box)
        await sweep(box)
        assert await doubts(box) == [("revoked", "")]


@pytest.mark.parametrize("late", [scan(study="2", number=2, name=OTHER_NAME), scan(study="2", number=2)])
async def test_more_of_a_study_in_doubt_is_held_too_when_the_visit_is_over(box: House, late: Scan) -> None:
    await box.send(scan(), scan(study="2", name=OTHER_NAME))
    await box.settled()
    box.clock.advance(VISIT_S + 3600)
    await box.send(late)
    await box.settled()
    assert {state for state, _ in (await doubts(box))[1:]} == {"held"}
    assert len(box.printer.jobs) == 1


async def test_more_of_what_was_taken_back_stays_with_it_when_the_visit_is_over(box: House) -> None:
    await box.send(scan())
    await box.settled()
    await box.operating.command("shares-hold", {"id": await id_of(box, 0), "by": "ada"})
    box.clock.advance(VISIT_S + 3600)
    await box.send(scan(number=2))
    await box.settled()
    assert await doubts(box) == [("held", "held-back")]
    assert len(box.printer.jobs) == 1
