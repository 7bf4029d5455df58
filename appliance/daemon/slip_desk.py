"""Slips that need a person's word: those that waited too long, and those whose printer proves nothing.

What staff may say (`slipway slips confirm, lost, release`), what they are asked in `slipway status`, and what happens
when they say nothing; and a slip's PIN, where the paper that told it is lost. Printing itself is `printing`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from appliance.core.slip import SlipEvent, SlipState
from appliance.daemon.bell import Bell
from appliance.daemon.minting import open_pin
from appliance.daemon.printer_watch import PrinterWatch
from appliance.daemon.transitions import Transitions
from appliance.errors import NotFoundError, NotPossibleError
from appliance.formats.audit import Kind
from appliance.formats.envelope import FactorKind
from appliance.formats.sealed import Sealer
from appliance.ports import Journal, Row, Transaction

JOB_TTL_S = 1800.0
ANSWER_WITHIN_S = 900.0  # then the patient has left with the slip, or has asked for another

WHAT_TO_DO = {
    SlipState.UNCONFIRMED: "look whether it came out well: slips confirm, or slips lost",
    SlipState.OVERDUE: "kept back, as it waited too long: slips release, if its patient is still here",
}


# Staff are asked about unconfirmed slips only: while one is printing, the printer has the word.
SAID_ALREADY = {
    (SlipState.PRINTED, SlipEvent.CONFIRMED),
    (SlipState.UNKNOWN, SlipEvent.LOST),
    (SlipState.VOID, SlipEvent.LOST),
}
LOCKED = "Scan it; or type what it says after `slipway slips release --wristband -`."
ASKS_FOR = {FactorKind.BIRTH_DATE: "the date of birth", FactorKind.NONE: "nothing"}
NOT_ASKED = "For another slip with a new code: slipway slips reprint NUMBER."


class SlipDesk:
    def __init__(
        self,
        journal: Journal,
        transitions: Transitions,
        watch: PrinterWatch,
        bell: Bell,
        clock: Callable[[], float],
        sealer: Sealer,
        *,
        job_ttl_s: float = JOB_TTL_S,
    ) -> None:
        self._journal = journal
        self._transitions = transitions
        self._watch = watch
        self._bell = bell
        self._clock = clock
        self._sealer = sealer
        self._job_ttl_s = job_ttl_s

    def look_through(self, tx: Transaction) -> None:
        """What time alone decides."""
        for row in tx.all("slips_to_keep_back", before=self._clock() - self._job_ttl_s):
            self._transitions.slip(tx, row["id"], SlipEvent.DELAYED)
            tx.do("do_not_print", slip=row["id"])
        for row in tx.all("slips_unanswered", before=self._clock() - ANSWER_WITHIN_S):
            self._transitions.slip(tx, row["id"], SlipEvent.PRESUMED)

    async def confirm(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """It came out, and well."""
        return await self._say(arguments, SlipEvent.CONFIRMED)

    async def lost(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """It did not come out, or cannot be read: its link dies, and another slip is printed."""
        said = await self._say(arguments, SlipEvent.LOST)
        self._watch.in_doubt = True
        return said

    async def release(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Print what was kept back: one slip, or all of them."""

        def work(tx: Transaction) -> list[Row]:
            rows = tx.all("slips_in_state", state=SlipState.OVERDUE) if arguments.get("all") else [_find(tx, arguments)]
            for row in rows:
                if row["state"] == SlipState.QUEUED and row["wristband"]:
                    raise NotPossibleError(f"slip {row['number']} waits for its patient's wristband", hint=LOCKED)
                self._transitions.slip(tx, row["id"], SlipEvent.RELEASED, by=str(arguments.get("by", "")))
                tx.do("slip_queued", id=row["id"], now=self._clock())
            return rows

        rows = await self._journal.run(work)
        self._bell.ring()
        return {"released": [row["number"] for row in rows]}

    async def pin(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """For staff to tell the patient, where the staff slip is lost. Recorded."""

        def work(tx: Transaction) -> dict[str, Any]:
            slip = _find(tx, arguments)
            link = tx.one("link", id=slip["link"])
            if not link["pin"]:
                raise NotPossibleError(f"slip {slip['number']} has no PIN{_why_not(link)}", hint=NOT_ASKED)
            by = str(arguments.get("by", ""))
            self._transitions.audit(tx, Kind.PIN_SHOWN, slip["share"], slip=slip["number"], by=by)
            return {"number": slip["number"], "pin": open_pin(link, self._sealer)}

        return await self._journal.run(work)

    async def _say(self, arguments: dict[str, Any], event: SlipEvent) -> dict[str, Any]:
        def work(tx: Transaction) -> dict[str, Any]:
            row = _find(tx, arguments)
            state = SlipState(row["state"])
            if state is SlipState.UNCONFIRMED:
                state = self._transitions.slip(tx, row["id"], event, by=str(arguments.get("by", "")))
            elif (state, event) not in SAID_ALREADY:
                raise NotPossibleError(f"a slip that is {state} cannot be {event}", hint=NOT_ASKED)
            newest = tx.all("slips_of_share", share=row["share"])[-1]["number"]
            return {"number": row["number"], "state": str(state), "newest": newest}

        said = await self._journal.run(work)
        self._bell.ring()
        return said


def waiting(tx: Transaction) -> dict[str, list[str]]:
    """Numbers of the slips that wait for a person, for the status."""
    return {
        "slips_unconfirmed": [row["number"] for row in tx.all("slips_in_state", state=SlipState.UNCONFIRMED)],
        "slips_overdue": [row["number"] for row in tx.all("slips_in_state", state=SlipState.OVERDUE)],
    }


def _why_not(link: Row) -> str:
    return " any more" if link["factor"] == FactorKind.PIN else f": its page asks for {ASKS_FOR[link['factor']]}"


def _find(tx: Transaction, arguments: dict[str, Any]) -> Row:
    slip = tx.first("slip_by_number", number=str(arguments["number"]).upper())
    if slip is None:
        raise NotFoundError(f"there is no slip {arguments['number']}", hint="See `slipway slips list`.")
    return slip
