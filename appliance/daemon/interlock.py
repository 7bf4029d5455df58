"""Slips that wait for their patient's wristband: what a scan releases, and what becomes of the wrong ones.

Only profiles with `interlock = "wristband"` have such slips. A slip that waits is queued like any other; its row says
that it is not due. Nothing that was scanned is ever logged or journalled: it is a patient's number.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from appliance.core.identity import Identity, normal_name
from appliance.daemon.bell import Bell
from appliance.daemon.minting import open_share
from appliance.daemon.transitions import Transitions
from appliance.errors import NotFoundError, NotPossibleError, ScannerUnreachableError
from appliance.formats.audit import Event, Kind, Outcome
from appliance.formats.sealed import Sealer
from appliance.ports import Journal, Row, Scanner, Transaction

log = logging.getLogger("slipway.interlock")

WRONG_IN_A_ROW = 5  # then somebody is trying numbers, or the pattern does not fit the wristbands
LONGEST_CODE = 512  # a two-dimensional code on a wristband holds some 100 characters
RETRY_S = 3.0
WHAT_TO_DO = "waits for its patient's wristband: scan it, or slips release --wristband -"
NO_SLIP = "no slip waits for this wristband"
WHY_NOT = "Compare it with the patient; `slipway slips list` says which slips wait, and for whom."


class Interlock:
    def __init__(
        self,
        journal: Journal,
        transitions: Transitions,
        sealer: Sealer,
        bell: Bell,
        clock: Callable[[], float],
        patterns: Mapping[str, str],
    ) -> None:
        """`patterns`: by profile, a regular expression whose group is the Patient ID; "" where all of a code is it."""
        self._journal = journal
        self._transitions = transitions
        self._sealer = sealer
        self._bell = bell
        self._clock = clock
        self._patterns = {profile: re.compile(pattern) for profile, pattern in patterns.items() if pattern}
        self._wrong = 0  # scans in a row

    async def scanned(self, code: str, *, by: str = "", number: str = "", is_wristband: bool = True) -> list[str]:
        """Release the slips of the patient whose wristband this is; their numbers. `number`: of them this one only.
        `is_wristband`: False where it may be another number, and no slip for it is nothing to wonder about.

        NotFoundError when no slip waits for it; NotPossibleError when slips of several patients with this ID do.
        """
        released = await self._journal.run(lambda tx: self._release(tx, code[:LONGEST_CODE], by, number, is_wristband))
        if not released:
            raise NotFoundError(NO_SLIP, hint=WHY_NOT)
        self._bell.ring()
        return released

    def _release(self, tx: Transaction, code: str, by: str, number: str, is_wristband: bool) -> list[str]:
        rows = tx.all("slips_at_interlock")
        found = [row for row in rows if self._is_for(row, code) and number in ("", row["number"])]
        if len({_person(self._identity(row)) for row in found}) > 1:
            numbers = ", ".join(row["number"] for row in found)
            raise NotPossibleError(
                f"slips of several patients with this ID wait: {numbers}",
                hint="Compare initials and birth year, then `slipway slips release NUMBER --wristband -`.",
            )
        for row in found:
            tx.do("open_interlock", id=row["id"], now=self._clock())
            self._transitions.note(tx, row["share"], f"slip {row['number']} released by wristband", by=by)
            self._transitions.audit(tx, Kind.SLIP_RELEASED, row["share"], slip=row["number"], by=by)
        if found or is_wristband:
            self._count(tx, by, wrong=not found)
        return [row["number"] for row in found]

    def _is_for(self, row: Row, code: str) -> bool:
        """PS3.5 table 6.2-1, LO: spaces around a value do not count. Whoever issued the ID is not on wristbands."""
        pattern = self._patterns.get(row["profile"])
        matched = pattern.fullmatch(code.strip()) if pattern else None
        shown = (matched[1] or "" if matched else "") if pattern else code
        patient_id = self._identity(row).patient_id.strip()
        return bool(patient_id) and shown.strip() == patient_id

    def _identity(self, row: Row) -> Identity:
        return open_share(row, self._sealer).identity

    def _count(self, tx: Transaction, by: str, *, wrong: bool) -> None:
        before = self._wrong
        tx.if_undone(lambda: setattr(self, "_wrong", before))
        self._wrong = before + 1 if wrong else 0
        if self._wrong == WRONG_IN_A_ROW:
            self._wrong = 0
            log.warning("%d wristbands in a row were scanned for which no slip waits", WRONG_IN_A_ROW)
            event = Event(Kind.WRISTBANDS_WRONG, Outcome.MINOR_FAILURE, by=by, about=str(WRONG_IN_A_ROW))
            self._transitions.trail.record(tx, event)

    async def release(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """By hand, where there is no scanner or it is broken."""
        number, by = str(arguments.get("number", "")).upper(), str(arguments.get("by", ""))
        return {"released": await self.scanned(str(arguments["wristband"]), by=by, number=number)}


class Scanning:
    """Takes what the scanner reads to the interlock, or to the PACS, or to the first of them that knows it. Waits for a
    scanner that is not there.
    """

    def __init__(
        self,
        scanner: Scanner,
        interlock: Interlock | None,
        pull: Callable[[str], Awaitable[None]] | None = None,
        *,
        retry_s: float = RETRY_S,
    ) -> None:
        """`interlock` None: no wristbands are scanned; `pull` None: no accession numbers."""
        self._scanner = scanner
        self._interlock = interlock
        self._pull = pull
        self._retry_s = retry_s
        self.trouble = ""  # one sentence; "" while the scanner is there

    async def run(self) -> None:
        while True:
            try:
                async for code in self._scanner.codes():
                    self._note("")
                    await self._take(code)
            except ScannerUnreachableError as error:
                self._note(error.summary)
            await asyncio.sleep(self._retry_s)

    async def _take(self, code: str) -> None:
        """ "" only says that the scanner is there."""
        if code and not await self._opens(code) and self._pull is not None:
            await self._pull(code)

    async def _opens(self, code: str) -> bool:
        """Whether it was a wristband's, as far as anybody can tell."""
        if self._interlock is None:
            return False
        try:
            released = await self._interlock.scanned(code, is_wristband=self._pull is None)
        except NotFoundError as error:
            if self._pull is None:
                log.warning("%s. %s", error.summary, error.hint)
            return False
        except NotPossibleError as error:
            log.warning("%s. %s", error.summary, error.hint)
        else:
            log.info("released by wristband: %s", ", ".join(released))
        return True

    def _note(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("the scanner: %s", trouble or "is there again")
        self.trouble = trouble


def locked(tx: Transaction) -> list[str]:
    """Numbers of the slips that wait for a wristband, for the status."""
    return [row["number"] for row in tx.all("slips_at_interlock")]


def _person(identity: Identity) -> tuple[str, str, str]:
    return identity.issuer, normal_name(identity.name), identity.birth_date
