"""Moves requests on: from "all that it names is here" to "its slip is out and its images are at the vault".

How a request comes in, and how it is told of, is `media_requests`' and `workitems`'; fetching what is missing is
`pulling`'s. A share that went out by itself (its profile prints at the first image) is followed here, not made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from appliance.core.completeness import Source, StudyState
from appliance.core.link import LinkState
from appliance.core.request import RequestEvent, RequestState
from appliance.core.share import ShareState
from appliance.core.slip import SlipState
from appliance.daemon.bell import Bell
from appliance.daemon.judging import Claims, Judging
from appliance.daemon.minting import Remarks, seal_remarks
from appliance.daemon.paper import copies_of
from appliance.daemon.requests import Request, Requests
from appliance.daemon.transitions import Transitions
from appliance.formats.sealed import Sealer
from appliance.ports import Journal, Row, Transaction

POLL_S = 1.0
MISSING_FOR_S = 60.0  # after the last image of it: then what is missing is not on its way any more
TRIES = 3  # at the PACS
NO_INSTANCE, NOT_SUPPORTED, PROC_FAILURE = "NO_INSTANCE", "NOT_SUPPORTED", "PROC_FAILURE"  # PS3.3 C.22.1
OUT = (SlipState.PRINTED, SlipState.UNCONFIRMED)
LIVE = (LinkState.ACTIVE, LinkState.EXPIRED)


@dataclass(frozen=True)
class Gathered:
    """What is here of a request."""

    shares: tuple[Row, ...]  # open or held
    missing: int  # instances, or studies where it names those
    arriving: bool  # of a study that it wants whole, more may come


class Requesting:
    def __init__(
        self,
        journal: Journal,
        requests: Requests,
        claims: Claims,
        judging: Judging,
        transitions: Transitions,
        sealer: Sealer,
        bell: Bell,
        clock: Callable[[], float],
        *,
        copies: Mapping[str, int],
        can_pull: bool = False,
        missing_for_s: float = MISSING_FOR_S,
        poll_s: float = POLL_S,
    ) -> None:
        self._journal = journal
        self._requests = requests
        self._claims = claims
        self._judging = judging
        self._transitions = transitions
        self._sealer = sealer
        self._bell = bell
        self._clock = clock
        self._copies = copies  # of a slip, by profile, where a request does not say
        self._can_pull = can_pull
        self._missing_for_s = missing_for_s
        self._poll_s = poll_s

    @property
    def can_pull(self) -> bool:
        return self._can_pull

    async def run(self) -> None:
        listener = self._bell.listener()
        while True:
            if await self._journal.run(self.look_through):
                self._bell.ring()
            await listener.wait(self._poll_s)

    def look_through(self, tx: Transaction) -> int:
        """How many have moved on."""
        pending = self._requests.in_states(tx, RequestState.PENDING)
        creating = self._requests.in_states(tx, RequestState.CREATING)
        return sum(self._pending(tx, one) for one in pending) + sum(self._creating(tx, one) for one in creating)

    def gathered(self, tx: Transaction, request: Request) -> Gathered:
        shares, missing, arriving = {}, int(request.wish.is_to_be_looked_up), False
        profile = request.row["profile"]
        if request.wish.named:
            key = self._claims.key(Source.MEDIA_CREATION, request.uid)
            missing = tx.one("count_missing", claim_key=key, profile=profile)["n"]
            shares = {row["id"]: row for row in tx.all("shares_of_claim", claim_key=key, profile=profile)}
        for uid in request.wish.studies:
            rows = tx.all("shares_of_study", study_key=self._claims.study_key(uid), profile=profile)
            missing += not rows
            arriving = arriving or any(row["study_state"] == StudyState.ARRIVING for row in rows)
            shares |= {row["id"]: row for row in rows}
        return Gathered(tuple(shares.values()), missing, arriving)

    def waited_for(self, tx: Transaction) -> set[int]:
        """Shares that somebody has asked for who still waits for more."""
        pending = self._requests.in_states(tx, RequestState.PENDING)
        return {share["id"] for request in pending for share in self.gathered(tx, request).shares}

    def _pending(self, tx: Transaction, request: Request) -> bool:
        found = self.gathered(tx, request)
        if request.wish.urgent:  # also of what is here while the rest is on its way
            for share in found.shares:
                tx.do("share_urgent", id=share["id"])
        opened = [share for share in found.shares if share["state"] == ShareState.OPEN]
        if found.missing:
            return self._give_up(tx, request, found)
        if found.arriving or len(opened) < len(found.shares) or not opened:
            return False  # what is held waits for a person
        if len(opened) > 1:  # two patients, or images that nobody may say are one patient's
            self._fail(tx, request, NOT_SUPPORTED)
        else:
            self._hand_out(tx, request, opened[0])
        return True

    def _give_up(self, tx: Transaction, request: Request, found: Gathered) -> bool:
        since = max((share["grown_at"] for share in found.shares), default=0.0)
        waited = self._clock() - max(since, request.row["at"])
        if waited < self._missing_for_s or (self._can_pull and request.row["tried"] < TRIES):
            return False
        self._fail(tx, request, NO_INSTANCE)
        return True

    def _fail(self, tx: Transaction, request: Request, why: str) -> None:
        """Of its list only what is missing is kept, for whoever asks; it claims nothing any more."""
        self._requests.advance(tx, request, RequestEvent.FAILED, why)
        if request.wish.named:
            lacks = why == NO_INSTANCE
            source, profile = Source.MEDIA_CREATION, request.row["profile"]
            missing = self._claims.missing(tx, source, request.uid, profile) if lacks else []
            concerned = self._claims.concerned(tx, source, request.uid)
            self._claims.name(tx, source, request.uid, "", missing, ended=False)
            for study_key in concerned:
                self._judging.heard(tx, study_key)

    def _hand_out(self, tx: Transaction, request: Request, share: Row) -> None:
        self._requests.advance(tx, request, RequestEvent.GATHERED)
        tx.do("set_request_share", id=request.id, share=share["id"])
        self._put_on_slip(tx, share["id"])
        self._transitions.note(tx, share["id"], f"asked for by {request.row['asked_by']} ({request.kind})")
        for study in tx.all("studies", share=share["id"]):
            self._judging.judge(tx, study)  # its slip says so
        self._transitions.mint_requested(tx, share["id"])

    def _put_on_slip(self, tx: Transaction, share: int) -> None:
        """What those who wait for this share's slip want of it; of two, the newer says what is on it.

        Nothing once it is out: what a slip does not have, it cannot get any more.
        """
        if self._is_out(tx, share):
            return
        rows = tx.all("requests_of_share", share=share, state=str(RequestState.CREATING))
        wishes = [self._requests.of(row).wish for row in rows][::-1]
        remarks = Remarks(
            next((wish.label for wish in wishes if wish.label), ""),
            next((wish.barcode for wish in wishes if wish.barcode), ""),
            next((wish.hand_to for wish in wishes if wish.hand_to), ""),
        )
        share_id, sealed = tx.one("share", id=share)["share_id"], None
        if remarks != Remarks():
            sealed = seal_remarks(share_id, remarks, self._sealer)
        copies = max((wish.copies for wish in wishes), default=0)
        tx.do("share_requested", id=share, copies=copies, remarks=sealed)

    @staticmethod
    def _is_out(tx: Transaction, share: int) -> bool:
        """Or about to be: its slip is at the printer."""
        return any(slip["state"] in (*OUT, SlipState.PRINTING) for slip in tx.all("slips_of_share", share=share))

    def _creating(self, tx: Transaction, request: Request) -> bool:
        share, pieces = tx.one("share", id=request.row["share"]), self.pieces(tx, request)
        if share["state"] == ShareState.REVOKED or (share["state"] == ShareState.CLOSED and not pieces):
            self._fail(tx, request, PROC_FAILURE)  # closed without paper: its link's time was over before a slip came
        elif share["state"] != ShareState.HELD and pieces and not self._relaying(tx, share):
            self._requests.advance(tx, request, RequestEvent.HANDED_OUT)
        else:
            return False
        return True

    def is_held(self, tx: Transaction, request: Request) -> bool:
        """Whether it waits for a person to decide about a share."""
        if request.row["share"] is not None:
            return bool(tx.one("share", id=request.row["share"])["state"] == ShareState.HELD)
        return any(share["state"] == ShareState.HELD for share in self.gathered(tx, request).shares)

    def cancel(self, tx: Transaction, request: Request, info: str = "", *, by: str = "") -> bool:
        """False once its slip is out. What it listed claims nothing any more."""
        if request.state is RequestState.CREATING and not self.take_back(tx, request):
            return False
        if self._requests.advance(tx, request, RequestEvent.CANCELLED, info, by=by) is RequestState.CANCELLED:
            for study_key in self._claims.withdraw(tx, Source.MEDIA_CREATION, request.uid):
                self._judging.heard(tx, study_key)
            if request.row["share"] is not None:
                self._put_on_slip(tx, request.row["share"])
        return True

    def take_back(self, tx: Transaction, request: Request) -> bool:
        """Before its slip is out: False when that is too late.

        A share that prints by itself, or that somebody else has asked for as well, goes on without it.
        """
        share = request.row["share"]
        slips = tx.all("slips_of_share", share=share)
        if any(slip["state"] in (*OUT, SlipState.PRINTING, SlipState.UNKNOWN) for slip in slips):
            return False
        self._transitions.note(tx, share, f"no longer asked for by {request.row['asked_by']}")
        if len(tx.all("requests_of_share", share=share, state=str(RequestState.CREATING))) == 1:
            self._transitions.unmint_requested(tx, share)
        return True

    def pieces(self, tx: Transaction, request: Request) -> int:
        """Slips that came out and work, copies counted (PS3.3 C.22.1, Total Number of Pieces of Media Created)."""
        if request.row["share"] is None:
            return 0
        share = tx.one("share", id=request.row["share"])
        copies = copies_of(share, self._copies.get(share["profile"], 1))
        live = {link["id"] for link in tx.all("links", share=request.row["share"]) if link["state"] in LIVE}
        slips = tx.all("slips_of_share", share=share["id"])
        return copies * sum(slip["state"] in OUT and slip["link"] in live for slip in slips)

    @staticmethod
    def _relaying(tx: Transaction, share: Row) -> bool:
        """Also while the vault has the images but no list of them yet."""
        counts = tx.one("count_instances", share=share["id"])
        return bool(counts["relayed"] < counts["received"] or share["dirty"])
