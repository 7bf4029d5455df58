"""Fetches what an availability notification names and is not here, of a study that is being shared.

A notification alone shares nothing: of a study of which no image has come, none is fetched.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from appliance.daemon.fetching import Fetching
from appliance.daemon.judging import Claims, Named
from appliance.daemon.transfers import Transfers
from appliance.errors import SlipwayError
from appliance.ports import Journal, Row, Transaction

log = logging.getLogger("slipway.pulling")

EVERY_S = 1.0
ON_THEIR_WAY_S = 15.0  # after the last image: what is announced is mostly being sent already
TRIES = 3
PAUSE_S = 10.0


@dataclass
class Tries:
    missing: int
    count: int = 0
    not_before: float = 0.0  # monotonic


class Completing:
    def __init__(
        self,
        journal: Journal,
        fetching: Fetching,
        claims: Claims,
        transfers: Transfers,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        *,
        every_s: float = EVERY_S,
    ) -> None:
        self._journal = journal
        self._fetching = fetching
        self._claims = claims
        self._transfers = transfers
        self._clock = clock
        self._monotonic = monotonic
        self._every_s = every_s
        self._tries: dict[int, Tries] = {}  # by study

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            due = await self._journal.run(self._next)
            if due is not None:
                await self._fetch(*due)

    def _next(self, tx: Transaction) -> tuple[Row, list[Named]] | None:
        studies = tx.all("arriving_studies")
        self._tries = {study["id"]: self._tries[study["id"]] for study in studies if study["id"] in self._tries}
        for study in studies:
            still_sending = self._transfers.is_sending(study["study_key"])
            if still_sending or self._clock() - study["grown_at"] < ON_THEIR_WAY_S:
                continue
            missing = self._claims.announced_and_missing(tx, study)
            if missing and self._may_try(study["id"], len(missing)):
                return study, missing
        return None

    def _may_try(self, study: int, missing: int) -> bool:
        """A few times, and again when some of it has come."""
        tries = self._tries.get(study)
        if tries is None or tries.missing != missing:
            tries = self._tries[study] = Tries(missing)
        return tries.count < TRIES and self._monotonic() >= tries.not_before

    async def _fetch(self, study: Row, missing: list[Named]) -> None:
        tries = self._tries[study["id"]]
        try:
            wanted = await self._fetching.wanted(missing, self._fetching.uids([study]))
            done = await self._fetching.retrieve(wanted, study["profile"], "")
            log.info("%d announced image(s) came from the PACS", done.completed)
        except SlipwayError as error:
            log.warning("%d announced image(s) are not here: %s. %s", len(missing), error.summary, error.hint)
        tries.count, tries.not_before = tries.count + 1, self._monotonic() + PAUSE_S
