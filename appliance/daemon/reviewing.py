"""What people may ask of the audit trail: to see it, to take it out, to have it verified."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from appliance.daemon.auditing import PAGE, Trail
from appliance.formats.audit import Event, Kind, Record, words
from appliance.formats.audit_message import Source, message
from appliance.formats.moments import written
from appliance.ports import Journal, Transaction

NEWEST = 200  # that are listed where nobody says since when


class Reviewing:
    """Long trails are read in pages: the answer's `next` goes into the next question."""

    def __init__(self, journal: Journal, trail: Trail, source: Callable[[], Source]) -> None:
        self._journal = journal
        self._trail = trail
        self._source = source
        self.commands: dict[str, Callable[[dict[str, Any]], Awaitable[Any]]] = {
            "audit-list": self._list,
            "audit-export": self._export,
            "audit-verify": self._verify,
        }

    async def _list(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return await self._page("list", arguments, _row)

    async def _export(self, arguments: dict[str, Any]) -> dict[str, Any]:
        source = self._source()
        return await self._page("export", arguments, lambda record: message(record, source).decode())

    async def _page(self, what: str, arguments: dict[str, Any], show: Callable[[Record], Any]) -> dict[str, Any]:
        def work(tx: Transaction) -> tuple[list[Record], int]:
            first, last = self._trail.span(tx)
            place = arguments.get("next")
            if place is None:  # who looks is recorded too, once; what comes after is not shown
                since = float(arguments.get("since", 0))
                newest = max(first, last - NEWEST + 1) if what == "list" else first
                place = [self._trail.first_since(tx, since) if since else newest, last]
                self._trail.record(tx, Event(Kind.TRAIL_READ, by=str(arguments.get("by", "")), about=what))
            begin, end = int(place[0]), int(place[1])
            return self._trail.read(tx, begin - 1, min(PAGE, max(0, end - begin + 1))), end

        records, end = await self._journal.run(work)
        more = bool(records) and records[-1].number < end
        return {"records": [show(one) for one in records], "next": [records[-1].number + 1, end] if more else None}

    async def _verify(self, _: dict[str, Any]) -> dict[str, Any]:
        return vars(await self._trail.verify(self._journal))


def _row(record: Record) -> dict[str, Any]:
    who = record.event.by or "the box"
    return {"number": record.number, "at": written(record.at), "who": who, "what": words(record.event)}
