"""Tells subscribers what becomes of workitems (PS3.4 CC.2.4.3): each state that differs from the one that they know of,
now and then how far it is, and that somebody asked for it to be cancelled.

Not here: who subscribed (workitems.py). A receiver that cannot be reached is called again, less and less often, for as
long as the workitem is kept; nobody waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from appliance.core.relay import backoff_s
from appliance.daemon.bell import Bell
from appliance.daemon.cancel_notices import CancelNotices
from appliance.daemon.gauging import Gauge, Gauging
from appliance.daemon.requests import Request, Requests
from appliance.daemon.workitems import READINESS, STEP_STATES
from appliance.dicom.workitem import Readiness, StepState
from appliance.errors import ReceiverUnreachableError
from appliance.ports import Journal, ProgressReport, Report, Reporter, Row, StateReport, Transaction

log = logging.getLogger("slipway.event_reports")

LOOK_EVERY_S = 2.0
MOST_AT_ONCE = 100  # reports on one association; a workitem's are not torn apart
PROGRESS_EVERY_S = 10.0  # of a workitem, to each subscriber; what is new about its state is told at once
FINAL = (StepState.COMPLETED, StepState.CANCELED)


class Due(NamedTuple):
    """What one subscriber is to be told of one workitem, and what it knows then."""

    subscriber: int
    reports: Sequence[Report]
    told: str
    progress: str
    last_notice: int


class EventReports:
    def __init__(
        self,
        journal: Journal,
        requests: Requests,
        gauging: Gauging,
        notices: CancelNotices,
        reporter: Reporter,
        bell: Bell,
        monotonic: Callable[[], float],
        *,
        look_every_s: float = LOOK_EVERY_S,
        pause_s: Callable[[int], float] = lambda failures: backoff_s(failures, random.random()),  # noqa: S311
    ) -> None:
        self._journal = journal
        self._requests = requests
        self._gauging = gauging
        self._notices = notices
        self._reporter = reporter
        self._bell = bell.listener()
        self._monotonic = monotonic
        self._look_every_s = look_every_s
        self._pause_s = pause_s
        self._gauged: dict[int, float] = {}  # by subscriber: when it was last looked how far its workitem is
        self._failures: dict[str, tuple[int, float]] = {}  # by AE title: how many in a row, and not again before

    async def run(self) -> None:
        while True:
            due = await self._journal.run(self._due)
            await asyncio.gather(*[self._tell(receiver, several) for receiver, several in due.items()])
            await self._bell.wait(self._look_every_s)

    def _due(self, tx: Transaction) -> Mapping[str, Sequence[Due]]:
        found: dict[str, list[Due]] = defaultdict(list)
        reports, gauges, rows = Counter[str](), dict[int, Gauge](), tx.all("subscribers_to_tell")
        for row in rows:
            receiver = row["ae_title"]
            if self._may_call(receiver) and reports[receiver] < MOST_AT_ONCE:
                due = self._due_to(tx, row, gauges)
                if due.reports:
                    reports[receiver] += len(due.reports)
                    found[receiver].append(due)
        here = {row["subscriber"] for row in rows}
        self._gauged = {subscriber: at for subscriber, at in self._gauged.items() if subscriber in here}
        return found

    def _due_to(self, tx: Transaction, row: Row, gauges: dict[int, Gauge]) -> Due:
        """`gauges`: of this look, by request."""
        request, subscriber, progress = self._requests.of(row), row["subscriber"], row["progress"]
        state, told = STEP_STATES[request.state], row["told"]
        notices, last = self._notices.owed(tx, request, subscriber) if row["notices"] else ([], 0)
        states = _states(request, told)
        if self._is_to_be_gauged(subscriber, state, told):
            gauge = gauges.get(request.id) or gauges.setdefault(request.id, self._gauging.of(tx, request))
            now = f"{gauge.percent} {gauge.description}"
            if now != progress:
                before_the_end = len(states) - (state in FINAL)
                states.insert(before_the_end, ProgressReport(request.uid, *gauge))
                progress = now
        return Due(subscriber, [*notices, *states], str(state), progress, last)

    def _is_to_be_gauged(self, subscriber: int, state: StepState, told: str) -> bool:
        """With each new state, and else once in a while."""
        now = self._monotonic()
        waited = now >= self._gauged.get(subscriber, -math.inf) + PROGRESS_EVERY_S
        if state is StepState.CANCELED or told in FINAL or not (waited or told != state):
            return False
        self._gauged[subscriber] = now
        return True

    def _may_call(self, receiver: str) -> bool:
        return self._monotonic() >= self._failures.get(receiver, (0, 0.0))[1]

    async def _tell(self, receiver: str, due: Sequence[Due]) -> None:
        try:
            await self._reporter.report(receiver, [report for one in due for report in one.reports])
        except ReceiverUnreachableError as error:
            failures = self._failures.get(receiver, (0, 0.0))[0]
            if not failures:
                log.warning("%s. %s", error.summary, error.hint)
            self._failures[receiver] = (failures + 1, self._monotonic() + self._pause_s(failures))
            return
        self._failures.pop(receiver, None)
        await self._journal.run(lambda tx: self._note(tx, due))

    def _note(self, tx: Transaction, due: Sequence[Due]) -> None:
        for one in due:
            tx.do("set_told", id=one.subscriber, told=one.told, progress=one.progress)
            self._notices.told(tx, one.subscriber, one.last_notice)


def _states(request: Request, told: str) -> list[Report]:
    """Those that it is not known to be in: none is left out, however fast it went (PS3.4 table CC.1.1-2)."""
    state, readiness = STEP_STATES[request.state], READINESS.get(request.state, Readiness.READY)
    if told == state:
        return []
    reason = request.row["info"] if state is StepState.CANCELED else ""
    now = StateReport(request.uid, state, readiness, reason)
    if told == StepState.SCHEDULED and state in FINAL:
        return [StateReport(request.uid, StepState.IN_PROGRESS, readiness), now]
    return [now]
