"""Everything that asks the PACS, wired together: what `compose` and tests build alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.daemon.auditing import Trail
from appliance.daemon.bell import Bell
from appliance.daemon.checking import Checking
from appliance.daemon.completing import Completing
from appliance.daemon.fetching import Fetching
from appliance.daemon.finding import Finding
from appliance.daemon.pacs_watch import PacsWatch
from appliance.daemon.pull_desk import PullDesk
from appliance.daemon.pulling import Pulling
from appliance.daemon.request_parts import RequestParts
from appliance.daemon.transfers import Transfers
from appliance.errors import NotPossibleError
from appliance.formats.sealed import Sealer
from appliance.ports import Clock, Journal, Pacs


@dataclass(frozen=True)
class PacsParts:
    watch: PacsWatch
    checking: Checking | None
    pulling: Pulling
    completing: Completing
    desk: PullDesk

    def is_pending(self, study_key: bytes) -> bool:
        return self.checking is not None and self.checking.is_pending(study_key)

    def workers(self) -> list[Coroutine[Any, Any, None]]:
        return [self.pulling.run(), self.completing.run(), *([self.checking.run()] if self.checking else [])]


def pacs_parts(
    journal: Journal,
    pacs: Pacs,
    title: str,
    wishes: RequestParts,
    transfers: Transfers,
    trail: Trail,
    sealer: Sealer,
    bell: Bell,
    clock: Clock,
    profiles: Collection[str],
    *,
    check: bool = True,
    check_again_s: float = 30.0,
    every_s: float = 1.0,
) -> PacsParts:
    """`title`: the PACS's AE title."""
    watch, claims, requests = PacsWatch(pacs, clock.monotonic), wishes.claims, wishes.requests
    checking = Checking(
        journal,
        watch,
        claims,
        wishes.judging,
        transfers,
        sealer,
        bell,
        clock.monotonic,
        again_s=check_again_s,
        every_s=every_s,
    )
    fetching = Fetching(journal, watch, trail, sealer)
    finding = Finding(journal, watch, trail, title)
    pulling = Pulling(journal, finding, fetching, requests, claims, bell, clock.now, poll_s=every_s)
    wishes.gauging.at_pacs = lambda request: pulling.progress(request).of
    completing = Completing(journal, fetching, claims, transfers, clock.now, clock.monotonic, every_s=every_s)
    desk = PullDesk(journal, finding, pulling, requests, wishes.requesting, claims, bell, clock.now, profiles)
    return PacsParts(watch, checking if check else None, pulling, completing, desk)


async def _no_pacs(_: dict[str, Any]) -> Any:
    raise NotPossibleError(
        "this box knows no PACS that it could ask",
        hint="Set [pacs] peer to a [[dicom.peer]] with a port: docs/pacs.md.",
    )


COMMANDS = ("pull", "pull-show", "pull-list")
WITHOUT_PACS: Mapping[str, Callable[[dict[str, Any]], Awaitable[Any]]] = dict.fromkeys(COMMANDS, _no_pacs)
