"""Tells subscribers what becomes of workitems: whenever a state differs from the one that they know of.

Not here: who subscribed (workitems.py). A receiver that cannot be reached is called again, less and less often, for as
long as the workitem is kept; nobody waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from appliance.core.relay import backoff_s
from appliance.daemon.bell import Bell
from appliance.daemon.requests import Requests
from appliance.daemon.workitems import READINESS, STEP_STATES
from appliance.dicom.workitem import Readiness, StepState
from appliance.errors import ReceiverUnreachableError
from appliance.ports import Journal, Reporter, StateReport, Transaction

log = logging.getLogger("slipway.event_reports")

LOOK_EVERY_S = 2.0
MOST_AT_ONCE = 100  # reports on one association


class Due(NamedTuple):
    subscriber: int
    report: StateReport
    skipped: bool  # the state before is not known there either


class EventReports:
    def __init__(
        self,
        journal: Journal,
        requests: Requests,
        reporter: Reporter,
        bell: Bell,
        monotonic: Callable[[], float],
        *,
        look_every_s: float = LOOK_EVERY_S,
        pause_s: Callable[[int], float] = lambda failures: backoff_s(failures, random.random()),  # noqa: S311
    ) -> None:
        self._journal = journal
        self._requests = requests
        self._reporter = reporter
        self._bell = bell.listener()
        self._monotonic = monotonic
        self._look_every_s = look_every_s
        self._pause_s = pause_s
        self._failures: dict[str, tuple[int, float]] = {}  # by AE title: how many in a row, and not again before

    async def run(self) -> None:
        while True:
            due = await self._journal.run(self._due)
            await asyncio.gather(*[self._tell(receiver, several) for receiver, several in due.items()])
            await self._bell.wait(self._look_every_s)

    def _due(self, tx: Transaction) -> Mapping[str, Sequence[Due]]:
        found: dict[str, list[Due]] = defaultdict(list)
        for row in tx.all("subscribers_to_tell"):
            request, receiver = self._requests.of(row), row["ae_title"]
            state = STEP_STATES[request.state]
            if row["told"] != state and self._may_call(receiver) and len(found[receiver]) < MOST_AT_ONCE:
                readiness = READINESS.get(request.state, Readiness.READY)
                report = StateReport(request.uid, state, readiness, row["info"] if state is StepState.CANCELED else "")
                found[receiver].append(Due(row["subscriber"], report, row["told"] == StepState.SCHEDULED))
        return found

    def _may_call(self, receiver: str) -> bool:
        return self._monotonic() >= self._failures.get(receiver, (0, 0.0))[1]

    async def _tell(self, receiver: str, due: Sequence[Due]) -> None:
        try:
            await self._reporter.report(receiver, [report for one in due for report in _steps(one)])
        except ReceiverUnreachableError as error:
            failures = self._failures.get(receiver, (0, 0.0))[0]
            if not failures:
                log.warning("%s. %s", error.summary, error.hint)
            self._failures[receiver] = (failures + 1, self._monotonic() + self._pause_s(failures))
            return
        self._failures.pop(receiver, None)
        await self._journal.run(lambda tx: _note(tx, due))


def _note(tx: Transaction, due: Sequence[Due]) -> None:
    for one in due:
        tx.do("set_told", id=one.subscriber, told=str(one.report.state))


def _steps(due: Due) -> list[StateReport]:
    """No workitem is over without having been in progress (PS3.4 table CC.1.1-2), however fast it went."""
    report = due.report
    if due.skipped and report.state in (StepState.COMPLETED, StepState.CANCELED):
        return [StateReport(report.workitem_uid, StepState.IN_PROGRESS, report.readiness), report]
    return [report]
