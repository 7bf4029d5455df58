"""Delivers the audit trail to a repository, in order, from the journal: it waits there as long as it has to."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from appliance.core.relay import backoff_s
from appliance.daemon.auditing import PAGE, Trail
from appliance.errors import RepositoryUnreachableError
from appliance.formats.audit import Record
from appliance.formats.audit_message import Source, message
from appliance.formats.syslog import frame
from appliance.ports import AuditRepository, Journal, Transaction

log = logging.getLogger("slipway.delivering")

LULL_S = 5.0  # between two looks: each batch costs a TLS handshake
DELIVERED = "audit_delivered"


class Delivering:
    def __init__(
        self,
        journal: Journal,
        trail: Trail,
        repository: AuditRepository,
        source: Callable[[], Source],
        *,
        lull_s: float = LULL_S,
        pause_s: Callable[[int], float] = lambda failures: backoff_s(failures, random.random()),  # noqa: S311
    ) -> None:
        self._journal = journal
        self._trail = trail
        self._repository = repository
        self._source = source
        self._lull_s = lull_s
        self._pause_s = pause_s
        self._failures = 0
        self.last_error = ""

    async def run(self) -> None:
        while True:
            records = await self._journal.run(self._due)
            if records and not await self._deliver(records):
                await asyncio.sleep(self._pause_s(self._failures))
            elif len(records) < PAGE:
                await asyncio.sleep(self._lull_s)

    def _due(self, tx: Transaction) -> list[Record]:
        row = tx.first("get_meta", key=DELIVERED)
        after = int(row["value"]) if row else 0
        records = self._trail.read(tx, after)
        if records and records[0].number > after + 1 and after:
            log.error("%d audit records grew too old before the repository took them", records[0].number - after - 1)
        return records

    async def _deliver(self, records: list[Record]) -> bool:
        source = self._source()
        frames = [frame(one.number, one.at, source.host, message(one, source)) for one in records]
        try:
            await self._repository.deliver(frames)
        except RepositoryUnreachableError as error:
            if error.summary != self.last_error:
                log.warning("%s. %s", error.summary, error.hint)
            self.last_error = error.summary
            self._failures += 1
            return False
        await self._journal.run(lambda tx: tx.do("put_meta", key=DELIVERED, value=str(records[-1].number)))
        if self.last_error:
            log.info("the audit repository takes records again")
        self.last_error, self._failures = "", 0
        return True
