"""Accession numbers from the scanner: pulled like typed ones. Whoever scans sees no screen, so what does not lead to a
slip is said on a short paper.

The number is a patient's: of it the paper shows the last two characters, the log none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from appliance.daemon.pull_desk import PullDesk
from appliance.daemon.requests import Request
from appliance.errors import NothingFoundError, PacsRefusedError, PacsUnreachableError, SlipwayError

log = logging.getLogger("slipway.pulling")

SCANNER = "scanner"  # who asked
SHOWN_CHARS = 2
FAILED = "What was scanned was not fetched"
ALREADY = "Scanned already"
Paper = Callable[[str, Sequence[str]], Awaitable[None]]  # a title and sentences


class ScannedPulls:
    def __init__(self, desk: PullDesk, paper: Paper, profile: str) -> None:
        """`profile`: "" is the first."""
        self._desk = desk
        self._paper = paper
        self._profile = profile
        self._papers: set[asyncio.Task[None]] = set()  # on their way

    async def take(self, number: str) -> None:
        try:
            told = await self._desk.pull("accession", number, self._profile, SCANNER)
        except (NothingFoundError, PacsUnreachableError, PacsRefusedError) as error:
            log.warning("what was scanned: %s. %s", error.summary, error.hint)
            self._say(FAILED, number, f"{_sentence(error.summary)} {error.hint}")
            return
        if "choose" in told:
            log.warning("what was scanned: %s", told["why"])
            self._say(FAILED, number, _sentence(told["why"]))
        elif told["already"]:
            log.info("what was scanned is shared already, or on its way: share %s", told["share"] or "none yet")
            self._say(ALREADY, number, _already(told))
        else:
            log.info("what was scanned is being fetched: request %d", told["id"])

    def refused(self, request: Request, error: SlipwayError) -> None:
        """The PACS found it, but does not send it."""
        if request.row["asked_by"] == SCANNER:
            self._say(FAILED, "", f"{_sentence(error.summary)} {error.hint} (Request {request.id}.)")

    def _say(self, title: str, number: str, sentence: str) -> None:
        """Beside what goes on: the paper waits until no patient's slip is due."""
        ending = [f"The number ends in …{number.strip()[-SHOWN_CHARS:]}."] if len(number.strip()) > SHOWN_CHARS else []
        paper = asyncio.create_task(self._print(title, [sentence, *ending]))
        self._papers.add(paper)
        paper.add_done_callback(self._papers.discard)

    async def _print(self, title: str, sentences: Sequence[str]) -> None:
        try:
            await self._paper(title, sentences)
        except SlipwayError as error:
            log.warning("no paper says so: %s. %s", error.summary, error.hint)


def _already(told: dict[str, Any]) -> str:
    slips = ", ".join(slip["number"] for slip in told["slips"])
    if slips:
        return f"Its slip is {slips}. For another one: slipway slips reprint."
    return "Its images are on their way; the slip follows."


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
