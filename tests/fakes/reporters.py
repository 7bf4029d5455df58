"""Who calls the subscribers of workitems."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.errors import ReceiverUnreachableError
from appliance.ports import StateReport


class RememberingReporter:
    """Every call succeeds, except to whom `deaf` names."""

    def __init__(self) -> None:
        self.deaf: set[str] = set()
        self.calls: list[str] = []
        self.told: dict[str, list[str]] = {}  # by receiver, the states

    async def report(self, receiver: str, reports: Sequence[StateReport]) -> None:
        self.calls.append(receiver)
        if receiver in self.deaf:
            raise ReceiverUnreachableError(f"nobody takes the connection to {receiver}")
        self.told.setdefault(receiver, []).extend(str(report.state) for report in reports)
