"""What people and the scanner ask of the PACS: a study by its number. Finds it, and makes the request that `pulling`
fetches.

Nothing is guessed: several patients are refused, and of several studies of a patient a person says which.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.core.identity import Identity
from appliance.core.link import LinkState
from appliance.core.request import UNSETTLED, RequestKind, RequestState
from appliance.core.share import ShareState
from appliance.core.slip import SlipState
from appliance.daemon.bell import Bell
from appliance.daemon.finding import BY_WHAT, Finding, are_several_patients, study_uids
from appliance.daemon.judging import Claims, verdict_on
from appliance.daemon.pulling import Progress, Pulling
from appliance.daemon.request_desk import WHY_FAILED
from appliance.daemon.requesting import NO_INSTANCE, TRIES, Requesting
from appliance.daemon.requests import Request, Requests, Wish, new_uid
from appliance.daemon.transitions import SHORT_ID_CHARS
from appliance.errors import NotFoundError, NothingFoundError
from appliance.ports import FoundStudy, Journal, Row, Transaction

log = logging.getLogger("slipway.pulling")

LIVE = (LinkState.REGISTERING, LinkState.ACTIVE, LinkState.EXPIRED)
DEAD = (SlipState.VOID, SlipState.UNKNOWN)
SEVERAL_PATIENTS = "several patients have this number: nothing is pulled. Ask for one study by itself: --study UID"
SEVERAL_STUDIES = "which of them? Ask for one with --study UID, or for --all"


@dataclass(frozen=True)
class Here:
    """What is here already of the studies that somebody asks for."""

    share: Row | None = None  # open or held
    whole: bool = False  # all that the PACS says there is
    request: int = 0  # one for the same that is under way


class PullDesk:
    def __init__(
        self,
        journal: Journal,
        finding: Finding,
        pulling: Pulling,
        requests: Requests,
        requesting: Requesting,
        claims: Claims,
        bell: Bell,
        clock: Callable[[], float],
        profiles: Collection[str],
    ) -> None:
        """`profiles`: the first is meant where none is named."""
        self._journal = journal
        self._finding = finding
        self._pulling = pulling
        self._requests = requests
        self._requesting = requesting
        self._claims = claims
        self._bell = bell
        self._clock = clock
        self._profiles = list(profiles)

    @property
    def commands(self) -> Mapping[str, Callable[[dict[str, Any]], Awaitable[Any]]]:
        return {"pull": self._pull, "pull-show": self._show, "pull-list": self._list}

    # -- asking ----------------------------------------------------------------------------------------------------

    async def _pull(self, arguments: dict[str, Any]) -> dict[str, Any]:
        asked = {what: str(arguments.get(what, "")).strip() for what in BY_WHAT}
        by_what = [what for what, value in asked.items() if value]
        if len(by_what) != 1:
            raise NothingFoundError("give one of an accession number, a Study Instance UID and a Patient ID")
        profile, by = str(arguments.get("profile", "")), str(arguments.get("by", ""))
        return await self.pull(by_what[0], asked[by_what[0]], profile, by, all_=bool(arguments.get("all")))

    async def pull(self, what: str, value: str, profile: str, by: str, *, all_: bool = False) -> dict[str, Any]:
        """`what`: a key of BY_WHAT. "choose" in the answer: nothing was asked for, as a person must say which.

        NothingFoundError, PacsUnreachableError, PacsRefusedError; NotFoundError for a profile that there is not.
        """
        profile = profile or self._profiles[0]
        if profile not in self._profiles:
            raise NotFoundError(f"there is no profile {profile}", hint=f"There are {', '.join(self._profiles)}.")
        found = await self._finding.find(what, value, by)
        why = SEVERAL_PATIENTS if are_several_patients(found) else ""
        if what == "patient" and len(found) > 1 and not all_:
            why = why or SEVERAL_STUDIES
        if why:
            return {"choose": [_study(one) for one in found], "why": why}
        told = await self._journal.run(lambda tx: self._ask(tx, found, profile, by))
        self._bell.ring()
        return told

    def _ask(self, tx: Transaction, found: Sequence[FoundStudy], profile: str, by: str) -> dict[str, Any]:
        here = self._here(tx, found, profile)
        if here.request:
            return self._tell(tx, self._requests.of(tx.one("request", id=here.request))) | {"already": True}
        if here.whole and here.share is not None and self._has_link(tx, here.share):
            return self._of_share(tx, here.share) | {"already": True, "profile": profile}
        wish = Wish(studies=study_uids(found))
        request = self._requests.add(tx, RequestKind.PULL, new_uid(), profile, by, wish, RequestState.PENDING)
        return self._tell(tx, request) | {"already": False}

    def _here(self, tx: Transaction, found: Sequence[FoundStudy], profile: str) -> Here:
        studies = {one.study_uid for one in found}
        for request in self._requests.in_states(tx, *UNSETTLED):
            same = request.kind is RequestKind.PULL and request.row["profile"] == profile
            if same and studies <= set(request.wish.studies):
                return Here(request=request.id)
        shares, whole, fetched = {}, True, self._fetched(tx, profile)
        for one in found:
            key, is_whole = self._claims.study_key(one.study_uid), False
            for row in tx.all("shares_of_study", study_key=key, profile=profile):
                if row["visit_ends_at"] > self._clock():
                    shares[row["id"]] = row
                    counted = one.instances and self._count(tx, row["id"], key) >= one.instances
                    is_whole = (
                        is_whole or bool(counted) or (not one.instances and (one.study_uid, row["id"]) in fetched)
                    )
            whole = whole and is_whole
        share = next(iter(shares.values())) if len(shares) == 1 else None
        return Here(share, whole)

    def _fetched(self, tx: Transaction, profile: str) -> set[tuple[str, int]]:
        """Studies, and the shares into which all that the PACS has of them came: not every PACS counts."""
        return {
            (uid, request.row["share"])
            for request in self._requests.in_states(tx, RequestState.DONE)
            if request.kind is RequestKind.PULL and request.row["profile"] == profile and request.row["tried"] >= TRIES
            for uid in request.wish.studies
        }

    @staticmethod
    def _count(tx: Transaction, share: int, study_key: bytes) -> int:
        return int(tx.one("count_study", study=tx.one("study", share=share, study_key=study_key)["id"])["n"])

    @staticmethod
    def _has_link(tx: Transaction, share: Row) -> bool:
        return any(link["state"] in LIVE for link in tx.all("links", share=share["id"]))

    # -- telling ---------------------------------------------------------------------------------------------------

    async def _show(self, arguments: dict[str, Any]) -> dict[str, Any]:
        def work(tx: Transaction) -> dict[str, Any]:
            row = tx.first("request", id=int(arguments["id"]))
            if row is None:
                raise NotFoundError(f"there is no request {arguments['id']}", hint="See `slipway pull list`.")
            return self._tell(tx, self._requests.of(row))

        return await self._journal.run(work)

    async def _list(self, _: dict[str, Any]) -> list[dict[str, Any]]:
        def work(tx: Transaction) -> list[dict[str, Any]]:
            requests = [self._requests.of(row) for row in tx.all("requests", limit=200)]
            return [self._tell(tx, request) for request in requests if request.kind is RequestKind.PULL]

        return await self._journal.run(work)

    def _tell(self, tx: Transaction, request: Request) -> dict[str, Any]:
        progress = self._pulling.progress(request.id)
        trouble, hint = progress.trouble, progress.hint
        if request.state is RequestState.FAILURE and not trouble:
            trouble, hint = _why_failed(request, progress)
        told = {
            "id": request.id,
            "state": str(request.state),
            "profile": request.row["profile"],
            "asked_by": request.row["asked_by"],
            "images": progress.done,
            "of": progress.of,
            "trouble": trouble,
            "hint": hint,
        }
        shares = self._requesting.gathered(tx, request).shares
        if request.row["share"] is not None:
            shares = (tx.one("share", id=request.row["share"]),)
        return told | (self._of_share(tx, shares[0]) if len(shares) == 1 else NO_SHARE)

    def _of_share(self, tx: Transaction, share: Row) -> dict[str, Any]:
        slips = [slip for slip in tx.all("slips_of_share", share=share["id"]) if slip["state"] not in DEAD]
        verdict = verdict_on(tx.all("studies", share=share["id"]))
        return {
            "share": share["share_id"].hex()[:SHORT_ID_CHARS],
            "held": share["state"] == ShareState.HELD,
            "slips": [{"number": slip["number"], "state": slip["state"]} for slip in slips],
            "verdict": verdict.sentence if verdict else "",
        }


NO_SHARE: dict[str, Any] = {"share": "", "held": False, "slips": [], "verdict": ""}


def _why_failed(request: Request, progress: Progress) -> tuple[str, str]:
    """Where no try has failed: what is wrong, and what to do."""
    if request.row["info"] == NO_INSTANCE and progress.done:
        said = f"the PACS says that it sent {progress.done} image(s), but they did not come here"
        return said, f"Check the address and port in its entry for {request.row['profile']}: docs/pacs.md."
    what, _, hint = WHY_FAILED.get(str(request.row["info"]), str(request.row["info"])).partition("; ")
    return what, f"{hint[:1].upper()}{hint[1:]}." if hint else ""


def _study(one: FoundStudy) -> dict[str, Any]:
    """For somebody to choose by: initials only of the patient."""
    who = Identity(one.patient_id, "", one.patient_name, one.birth_date)
    day = one.study_date
    return {
        "study": one.study_uid,
        "date": f"{day[:4]}-{day[4:6]}-{day[6:8]}" if len(day) == len("YYYYMMDD") else day,
        "modality": one.modalities,
        "description": one.description,
        "images": one.instances,
        "patient": f"{who.initials} {who.birth_year}".strip(),
    }
