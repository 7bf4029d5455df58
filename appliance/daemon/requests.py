"""Requests in the journal: somebody else's wishes for a share, as rows. What moves them on is `requesting`.

A row is there before its request is answered, so it can be asked about after a restart.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass

from appliance.core.request import REQUESTS, RequestEvent, RequestKind, RequestState
from appliance.daemon.auditing import Trail
from appliance.formats.audit import Event, Kind, Outcome
from appliance.formats.sealed import Sealer
from appliance.ports import Row, Transaction

DAY_S = 86400.0
KEPT_S = 3 * DAY_S  # after its last change: whoever asked may ask how it went
MOST_IDLE = 1000  # that nobody has initiated; the oldest go
AUDITED = {
    RequestEvent.INITIATED: Kind.SHARE_REQUESTED,
    RequestEvent.CANCELLED: Kind.REQUEST_CANCELLED,
    RequestEvent.FAILED: Kind.REQUEST_FAILED,
}


def new_uid() -> str:
    """Of an instance that we create (PS3.5 annex B.2)."""
    return f"2.25.{uuid.uuid4().int}"


@dataclass(frozen=True, repr=False)
class Wish:
    """What a request asks for; its instances, where it names some, are a claim under the same UID."""

    studies: tuple[str, ...] = ()  # Study Instance UIDs that are wanted whole
    named: bool = False  # instances are
    copies: int = 0  # of the slip; 0: the profile's
    urgent: bool = False
    label: str = ""
    barcode: str = ""
    hand_to: str = ""
    title: str = ""  # of a workitem, for whoever asks about it
    accession: str = ""  # a number that says which studies, once it is looked up

    @property
    def is_to_be_looked_up(self) -> bool:
        return bool(self.accession and not self.studies)


@dataclass(frozen=True, repr=False)
class Request:
    row: Row
    uid: str
    wish: Wish

    @property
    def id(self) -> int:
        return int(self.row["id"])

    @property
    def state(self) -> RequestState:
        return RequestState(self.row["state"])

    @property
    def kind(self) -> RequestKind:
        return RequestKind(self.row["kind"])

    @property
    def is_pull(self) -> bool:
        """Its images are in the PACS and nobody sends them: all of each study is fetched, whatever of it is here."""
        return self.kind is RequestKind.PULL or bool(self.wish.accession)


class Requests:
    def __init__(self, sealer: Sealer, trail: Trail, clock: Callable[[], float]) -> None:
        self._sealer = sealer
        self._trail = trail
        self._clock = clock

    def add(
        self,
        tx: Transaction,
        kind: RequestKind,
        uid: str,
        profile: str,
        asked_by: str,
        wish: Wish,
        state: RequestState = RequestState.IDLE,
    ) -> Request:
        """One that is PENDING from the start needs no INITIATED."""
        key = self._key(uid)
        row = tx.one(
            "add_request",
            kind=str(kind),
            uid_key=key,
            profile=profile,
            state=str(state),
            asked_by=asked_by,
            sealed=self._seal(key, uid, wish),
            now=self._clock(),
        )
        if state is RequestState.PENDING:
            self._trail.record(tx, Event(Kind.SHARE_REQUESTED, by=asked_by, about=str(kind)))
        tx.do("drop_excess_requests", keep=MOST_IDLE)
        return Request(row, uid, wish)

    def find(self, tx: Transaction, uid: str) -> Request | None:
        row = tx.first("request_by_uid", uid_key=self._key(uid))
        return None if row is None else self.of(row)

    def of(self, row: Row) -> Request:
        value = self._sealer.open_json(b"request" + row["uid_key"], row["sealed"])
        wish = value["wish"] | {"studies": tuple(value["wish"]["studies"])}
        return Request(row, value["uid"], Wish(**wish))

    def in_states(self, tx: Transaction, *states: RequestState) -> list[Request]:
        return [self.of(row) for state in states for row in tx.all("requests_in_state", state=str(state))]

    def rewish(self, tx: Transaction, request: Request, wish: Wish) -> None:
        """What it says only when it is initiated."""
        key = request.row["uid_key"]
        tx.do("set_request_sealed", id=request.id, sealed=self._seal(key, request.uid, wish))

    def advance(
        self, tx: Transaction, request: Request, event: RequestEvent, info: str = "", *, by: str = ""
    ) -> RequestState:
        """NotPossibleError when the table has no row for it. `info`: why it failed, a term of PS3.3 C.22.1.

        `by`: who did it, where that is not who asked.
        """
        state, _ = REQUESTS.advance(request.state, event)
        if state != request.state:
            tx.do("set_request_state", id=request.id, state=str(state), info=info, now=self._clock())
            if event in AUDITED:
                outcome = Outcome.MINOR_FAILURE if event is RequestEvent.FAILED else Outcome.SUCCESS
                about = str(request.kind)
                self._trail.record(
                    tx, Event(AUDITED[event], outcome, by=by or request.row["asked_by"], about=about, why=info)
                )
        return state

    def forget_old(self, tx: Transaction) -> None:
        tx.do("drop_old_requests", before=self._clock() - KEPT_S)

    def _key(self, uid: str) -> bytes:
        return self._sealer.index("request", uid)

    def _seal(self, key: bytes, uid: str, wish: Wish) -> bytes:
        return self._sealer.seal_json(b"request" + key, {"uid": uid, "wish": asdict(wish)})
