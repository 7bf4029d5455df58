"""How far a request has come, as a percentage and a sentence: images here, slip out, images at the vault.

Worked out from the journal when somebody wants to know; nothing of it is kept. There are counts in it, and nothing of
a patient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from appliance.core.completeness import LADDER, Source, StudyState
from appliance.core.request import RequestState
from appliance.daemon.judging import Claims
from appliance.daemon.requesting import Requesting
from appliance.daemon.requests import Request
from appliance.daemon.standing import images
from appliance.ports import Row, Transaction

HERE, OUT, AT_VAULT = 50, 10, 40  # per cent of the way
A_PERSON = "a person must decide"


class Gauge(NamedTuple):
    percent: int
    description: str


class Count(NamedTuple):
    """Images of what a request names."""

    here: int
    wanted: int
    is_all: bool = True  # False: nobody has said how many there will be


class Gauging:
    def __init__(self, requesting: Requesting, claims: Claims) -> None:
        self._requesting = requesting
        self._claims = claims
        self.at_pacs: Callable[[int], int] = lambda _: 0  # images that the PACS has of a request, 0 where not known

    def of(self, tx: Transaction, request: Request) -> Gauge:
        if request.state is RequestState.PENDING:
            return self._pending(tx, request)
        if request.state is RequestState.CREATING:
            return self._creating(tx, request)
        if request.state is RequestState.DONE:
            return Gauge(100, "the slip is out and its images are at the vault")
        return Gauge(0, "")

    # -- on their way ----------------------------------------------------------------------------------------------

    def _pending(self, tx: Transaction, request: Request) -> Gauge:
        if request.wish.is_to_be_looked_up:
            return Gauge(0, "the PACS is asked for its study")
        count = self._count(tx, request)
        said = _sentence(count)
        if self._requesting.is_held(tx, request):
            said = f"{A_PERSON}; {said}"
        return Gauge(HERE * count.here // count.wanted if count.is_all and count.wanted else 0, said)

    def _count(self, tx: Transaction, request: Request) -> Count:
        counts = [self._of_study(tx, uid, request.row["profile"]) for uid in request.wish.studies]
        if request.wish.named:
            counts.append(self._of_list(tx, request))
        here = sum(count.here for count in counts)
        if all(count.is_all for count in counts):
            return Count(here, sum(count.wanted for count in counts))
        at_pacs = self.at_pacs(request.id) if len(counts) == 1 or request.wish.accession else 0
        return Count(here, max(here, at_pacs), is_all=at_pacs > 0)

    def _of_list(self, tx: Transaction, request: Request) -> Count:
        key = self._claims.key(Source.MEDIA_CREATION, request.uid)
        wanted = int(tx.one("count_named", claim_key=key)["n"])
        return Count(wanted - tx.one("count_missing", claim_key=key, profile=request.row["profile"])["n"], wanted)

    def _of_study(self, tx: Transaction, study_uid: str, profile: str) -> Count:
        key, found = self._claims.study_key(study_uid), Count(0, 0, is_all=False)
        for share in tx.all("shares_of_study", study_key=key, profile=profile):
            study = tx.one("study", share=share["id"], study_key=key)
            here, expected = int(tx.one("count_study", study=study["id"])["n"]), self._expected(tx, study)
            is_all = expected > 0 or study["state"] != StudyState.ARRIVING
            found = max(found, Count(here, max(here, expected), is_all))
        return found

    def _expected(self, tx: Transaction, study: Row) -> int:
        """By the best source that says something, whether or not it is its last word."""
        claims = {claim.source: claim.expected for claim in self._claims.of_study(tx, study)}
        return next((claims[source] for source in LADDER if claims.get(source)), 0)

    # -- on its way out --------------------------------------------------------------------------------------------

    def _creating(self, tx: Transaction, request: Request) -> Gauge:
        counts = tx.one("count_instances", share=request.row["share"])
        received, relayed = counts["received"], counts["relayed"]
        is_out = self._requesting.pieces(tx, request) > 0
        waits = A_PERSON if self._requesting.is_held(tx, request) else "the slip is being printed"
        percent = HERE + OUT * is_out + AT_VAULT * relayed // max(1, received)
        # Not 100 yet: the vault has no list of its images.
        return Gauge(min(percent, 99), f"{'the slip is out' if is_out else waits}; {_relayed(relayed, received)}")


def _sentence(count: Count) -> str:
    if count.is_all:
        return f"{count.here} of {images(count.wanted)} {_are(count.here)} here"
    if not count.here:
        return "its images are not here yet"
    return f"{images(count.here)} {_are(count.here)} here, and more may come"


def _relayed(relayed: int, received: int) -> str:
    return f"{relayed} of {images(received)} {_are(relayed)} at the vault"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
