"""Accession numbers from the scanner: pulled like typed ones. Whoever scans sees no screen, so what does not lead to a
slip is said on a short paper, in the site's language (`formats/slip_scanned.py`).

The number is a patient's: of it the paper shows the last two characters, the log none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from appliance.daemon.pull_desk import PullDesk
from appliance.daemon.requests import Request
from appliance.errors import NoNumberError, NothingFoundError, PacsRefusedError, PacsUnreachableError, SlipwayError
from appliance.formats.slip_scanned import Became, ScannedFace

log = logging.getLogger("slipway.pulling")

SCANNER = "scanner"  # who asked
SHOWN_CHARS = 2
Paper = Callable[[ScannedFace], Awaitable[None]]


class ScannedPulls:
    def __init__(self, desk: PullDesk, paper: Paper, profile: str) -> None:
        """`profile`: "" is the first."""
        self._desk = desk
        self._paper = paper
        self._profile = profile
        self._papers: set[asyncio.Task[None]] = set()  # on their way

    async def take(self, number: str) -> None:
        ending = number.strip()[-SHOWN_CHARS:] if len(number.strip()) > SHOWN_CHARS else ""
        try:
            told = await self._desk.pull("accession", number, self._profile, SCANNER)
        except (NothingFoundError, PacsUnreachableError, PacsRefusedError) as error:
            log.warning("what was scanned: %s. %s", error.summary, error.hint)
            self._say(_not_found(error, ending))
            return
        if "choose" in told:
            log.warning("what was scanned: %s", told["why"])
            self._say(ScannedFace(Became.SEVERAL_PATIENTS, ending))
        elif told["already"] or told["slips"]:  # what the PACS has beside, it fetches all the same
            log.info("what was scanned is shared already, or on its way: share %s", told["share"] or "none yet")
            self._say(_already(told, ending))
        else:
            log.info("what was scanned is being fetched: request %d", told["id"])

    def refused(self, request: Request, error: SlipwayError) -> None:
        """The PACS found it, but does not send it, or not yet."""
        if request.row["asked_by"] == SCANNER:
            final = isinstance(error, (PacsRefusedError, NothingFoundError))
            detail = (*_detail(error.summary, error.hint), f"Request {request.id}.")
            self._say(ScannedFace(Became.NOT_SENT if final else Became.NOT_SENT_YET, detail=detail))

    def _say(self, said: ScannedFace) -> None:
        """Beside what goes on: the paper waits until no patient's slip is due."""
        paper = asyncio.create_task(self._print(said))
        self._papers.add(paper)
        paper.add_done_callback(self._papers.discard)

    async def _print(self, said: ScannedFace) -> None:
        try:
            await self._paper(said)
        except SlipwayError as error:
            log.warning("no paper says so: %s. %s", error.summary, error.hint)


def _not_found(error: SlipwayError, ending: str) -> ScannedFace:
    """Nothing is asked again by itself: there is no request yet."""
    if isinstance(error, NoNumberError):
        return ScannedFace(Became.NO_NUMBER, ending)
    if isinstance(error, NothingFoundError):
        return ScannedFace(Became.NOTHING_FOUND, ending)
    if isinstance(error, PacsRefusedError):
        return ScannedFace(Became.REFUSED, ending, detail=_detail(error.summary, error.hint))
    return ScannedFace(Became.NOT_ANSWERED, ending, detail=_detail(error.summary))


def _already(told: dict[str, Any], ending: str) -> ScannedFace:
    if told["slips"]:
        return ScannedFace(Became.SLIP_IS_OUT, ending, slips=tuple(slip["number"] for slip in told["slips"]))
    if told["held"]:
        return ScannedFace(Became.HELD, ending)
    if told.get("trouble"):
        return ScannedFace(Became.NOT_SENT_YET, ending, detail=_detail(told["trouble"], told["hint"]))
    return ScannedFace(Became.ON_ITS_WAY, ending)


def _detail(summary: str, hint: str = "") -> tuple[str, ...]:
    return tuple(filter(None, (f"{summary[:1].upper()}{summary[1:]}.", hint)))
