"""Reading a long trail: page by page, each record once, to where it ended when the reading began."""

from __future__ import annotations

from typing import Any

from appliance.daemon.auditing import PAGE
from appliance.daemon.reviewing import NEWEST, Reviewing
from appliance.formats.audit import Kind
from appliance.formats.audit_message import Source
from appliance.formats.moments import written
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import House
from tests.daemon.test_auditing import DAY_S, filled


async def read_all(box: House, command: str, **arguments: Any) -> list[Any]:
    reviewing = Reviewing(box.journal, box.transitions.trail, lambda: Source("St Mary's", "box7"))
    records, place = [], None
    for _ in range(20):
        page = await reviewing.commands[command](arguments | {"next": place, "by": "ada"})
        records += page["records"]
        place = page["next"]
        if place is None:
            return records
    raise AssertionError("the trail has no end")


async def test_a_long_trail_comes_whole_and_reading_it_is_one_record(make_house: MakeHouse) -> None:
    count = 2 * PAGE + 7
    async with make_house() as box:
        await filled(box, count)
        assert len(await read_all(box, "audit-export")) == count
        (read,) = [one for one in await box.trail() if one.kind is Kind.TRAIL_READ]
    assert (read.by, read.about) == ("ada", "export")


async def test_the_list_shows_the_newest_where_nobody_says_since_when(make_house: MakeHouse) -> None:
    async with make_house() as box:
        await filled(box, NEWEST + 50)
        rows = await read_all(box, "audit-list")
        (record,) = await box.journal.run(lambda tx: box.transitions.trail.read(tx, 50, 1))
    assert [rows[0]["number"], rows[-1]["number"]] == [51, NEWEST + 50]
    assert rows[0]["at"] == written(record.at)


async def test_since_begins_at_the_first_record_from_then_on(make_house: MakeHouse) -> None:
    async with make_house() as box:
        began = box.clock.now()
        await filled(box, 30)
        for days, first in ((0, 1), (10, 11), (9.5, 11), (29, 30)):
            rows = await read_all(box, "audit-list", since=began + days * DAY_S)
            assert rows[0]["number"] == first
        box.clock.advance(DAY_S)
        assert await read_all(box, "audit-list", since=box.clock.now()) == []


async def test_an_empty_trail_is_an_empty_list(make_house: MakeHouse) -> None:
    async with make_house() as box:
        assert await read_all(box, "audit-list") == []
        assert len(await read_all(box, "audit-list")) == 1  # somebody has looked
