"""Who calls the subscribers of workitems."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.errors import ReceiverUnreachableError
from appliance.ports import CancelRequested, ProgressReport, Report, StateReport


class RememberingReporter:
    """Every call succeeds, except to whom `deaf` names."""

    def __init__(self) -> None:
        self.deaf: set[str] = set()
        self.calls: list[str] = []
        self.told: dict[str, list[str]] = {}  # by receiver, the states
        self.heard: dict[str, list[Report]] = {}  # by receiver, all of it

    async def report(self, receiver: str, reports: Sequence[Report]) -> None:
        self.calls.append(receiver)
        if receiver in self.deaf:
            raise ReceiverUnreachableError(f"nobody takes the connection to {receiver}")
        self.heard.setdefault(receiver, []).extend(reports)
        states = (str(report.state) for report in reports if isinstance(report, StateReport))
        self.told.setdefault(receiver, []).extend(states)

    def progress(self, receiver: str) -> list[tuple[int, str]]:
        heard = self.heard.get(receiver, [])
        return [(one.percent, one.description) for one in heard if isinstance(one, ProgressReport)]

    def cancellations(self, receiver: str) -> list[CancelRequested]:
        return [one for one in self.heard.get(receiver, []) if isinstance(one, CancelRequested)]
