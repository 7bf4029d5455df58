"""Whom the box turned away: for the list of peers and, as security alerts, for the audit trail.

One alert an hour for each sender and reason, and so many of a reason: whoever calls under ever new names must fill
neither, and must not hide what else he does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from appliance.daemon.auditing import Trail
from appliance.formats.audit import Event, Kind, Outcome
from appliance.ports import Transaction

UNKNOWN_KEPT = 256  # senders that are listed for approval
AN_HOUR_S = 3600.0
MOST_AN_HOUR = 100  # of each kind
TOO_MANY = "no more are recorded one by one in this hour"


class Alerts:
    def __init__(self, trail: Trail, clock: Callable[[], float]) -> None:
        self._trail = trail
        self._clock = clock
        self._unknown: deque[tuple[str, str, str]] = deque(maxlen=UNKNOWN_KEPT)  # AE title, address, state
        self._waiting: list[Event] = []
        self._hour = 0  # since 1970
        self._seen: dict[Kind, set[tuple[str, str]]] = {}  # in that hour

    def unknown_peer(self, ae_title: str, address: str, *, parked: bool) -> None:
        self._unknown.append((ae_title, address, "parked" if parked else "refused"))
        why = "parked for approval" if parked else ""
        self.alert(Event(Kind.PEER_UNKNOWN, Outcome.MINOR_FAILURE, why=why, calling=ae_title, address=address))

    def alert(self, event: Event) -> None:
        hour = int(self._clock() // AN_HOUR_S)
        if hour != self._hour:
            self._hour = hour
            self._seen.clear()
        seen, key = self._seen.setdefault(event.kind, set()), (event.calling, event.address)
        if key in seen or len(seen) >= MOST_AN_HOUR:
            return
        seen.add(key)
        last = len(seen) == MOST_AN_HOUR
        self._waiting.append(Event(**(vars(event) | {"why": TOO_MANY})) if last else event)

    def take(self) -> Callable[[Transaction], None] | None:
        """What is to be journalled now, or None."""
        events, self._waiting = self._waiting, []
        unknown = [self._unknown.popleft() for _ in range(len(self._unknown))]
        if not (events or unknown):
            return None

        def work(tx: Transaction) -> None:
            for ae_title, address, state in unknown:
                tx.do("see_peer", ae_title=ae_title, address=address, state=state, now=self._clock())
            tx.do("drop_old_parked", keep=UNKNOWN_KEPT)
            for event in events:
                self._trail.record(tx, event)

        return work
