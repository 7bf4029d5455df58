"""Fetches from the PACS what requests name and is not here: all of a study, or single instances.

What comes enters as from any sender, so `placing` and `requesting` do the rest. Progress is not journalled: after a
restart what is missing is looked up again. Who asks for a pull, and how it is told of, is `pull_desk`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from appliance.core.completeness import Source
from appliance.core.request import UNSETTLED, RequestKind, RequestState
from appliance.daemon.auditing import Trail
from appliance.daemon.bell import Bell
from appliance.daemon.judging import Claims, Named
from appliance.daemon.requesting import TRIES
from appliance.daemon.requests import Request, Requests
from appliance.errors import NothingFoundError, PacsRefusedError, SlipwayError
from appliance.formats.audit import Event, Kind
from appliance.formats.sealed import Sealer
from appliance.ports import FoundInstance, Journal, Pacs, Retrieved, Row, Transaction, Wanted

log = logging.getLogger("slipway.pulling")

POLL_S = 1.0
ON_THEIR_WAY_S = 15.0  # what others name is mostly being sent already: asked for only when nothing more has come
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 300.0  # between two tries
GIVEN_UP_AFTER_S = 12 * 3600.0  # of a PACS that cannot be reached
WAIT_MOST_S = 600.0  # nothing is put off longer: the clock was wrong


@dataclass(frozen=True)
class Progress:
    """Images of a request, as far as the PACS has told."""

    done: int = 0
    of: int = 0
    trouble: str = ""  # of the last try: one sentence, and what to do
    hint: str = ""


class Pulling:
    def __init__(
        self,
        journal: Journal,
        pacs: Pacs,
        requests: Requests,
        claims: Claims,
        trail: Trail,
        sealer: Sealer,
        bell: Bell,
        clock: Callable[[], float],
        *,
        poll_s: float = POLL_S,
        on_trouble: Callable[[Request, SlipwayError], None] = lambda _, __: None,
    ) -> None:
        """`on_trouble` is told once of each request that the PACS refuses."""
        self._journal = journal
        self._pacs = pacs
        self._requests = requests
        self._claims = claims
        self._trail = trail
        self._sealer = sealer
        self._bell = bell
        self._clock = clock
        self._poll_s = poll_s
        self.on_trouble = on_trouble
        self._progress: dict[int, Progress] = {}

    def progress(self, request: int) -> Progress:
        return self._progress.get(request, Progress())

    async def run(self) -> None:
        listener = self._bell.listener()
        while True:
            request = await self._journal.run(self._next)
            if request is None:
                await listener.wait(self._poll_s)
            else:
                await self._serve(request)

    # -- which -----------------------------------------------------------------------------------------------------

    def _next(self, tx: Transaction) -> Request | None:
        pending = self._requests.in_states(tx, RequestState.PENDING)
        known = {request.id for request in self._requests.in_states(tx, *UNSETTLED)}
        self._progress = {id_: one for id_, one in self._progress.items() if id_ in known}
        return next((request for request in pending if self._is_due(tx, request)), None)

    def _is_due(self, tx: Transaction, request: Request) -> bool:
        row, now = request.row, self._clock()
        if row["tried"] >= TRIES or now < row["not_before"] <= now + WAIT_MOST_S:
            return False
        if request.kind is RequestKind.PULL:
            return True
        shares = self._shares(tx, request)
        waited_s = now - max((share["grown_at"] for share in shares), default=row["at"])
        return waited_s >= ON_THEIR_WAY_S and bool(self._missing(tx, request) or self._absent(tx, request))

    def _shares(self, tx: Transaction, request: Request) -> list[Row]:
        return tx.all("shares_of_claim", claim_key=self._key(request), profile=request.row["profile"])

    def _key(self, request: Request) -> bytes:
        return self._claims.key(Source.MEDIA_CREATION, request.uid)

    def _missing(self, tx: Transaction, request: Request) -> list[Named]:
        return self._claims.missing(tx, Source.MEDIA_CREATION, request.uid) if request.wish.named else []

    def _absent(self, tx: Transaction, request: Request) -> list[str]:
        """Studies that it wants whole and of which nothing is here; of a pull, all: some of it may be."""
        if request.kind is RequestKind.PULL:
            return list(request.wish.studies)
        profile = request.row["profile"]
        return [
            uid
            for uid in request.wish.studies
            if not tx.all("shares_of_study", study_key=self._claims.study_key(uid), profile=profile)
        ]

    # -- fetching --------------------------------------------------------------------------------------------------

    async def _serve(self, request: Request) -> None:
        """Until it is fetched or has failed, or nobody wants it any more."""
        work = asyncio.create_task(self.fetch(request))
        try:
            while not (await asyncio.wait([work], timeout=self._poll_s))[0]:
                if not await self._journal.run(lambda tx: _is_wanted(tx, request)):
                    return
            await self._settle(request, work)
        finally:
            work.cancel()
            await asyncio.wait([work])

    async def fetch(self, request: Request) -> Retrieved:
        """What is not here of what a request names."""
        studies, named = await self._journal.run(lambda tx: (self._absent(tx, request), self._missing(tx, request)))
        wanted = [one for uid in studies for one in await self._of_study(request, uid)]
        wanted += await self.wanted(named, await self._journal.run(lambda tx: self._studies(tx, request)))
        return await self.retrieve(wanted, request)

    async def _of_study(self, request: Request, study_uid: str) -> list[Wanted]:
        """All of it; what is missing where some is here, as after a restart."""
        found = await self._pacs.find_instances(study_uid)
        if not found:
            raise NothingFoundError("the PACS has nothing of this study any more")
        missing = await self._journal.run(lambda tx: self._not_here(tx, found, request.row["profile"]))
        before = self.progress(request.id)
        here = len(found) - len(missing)
        self._progress[request.id] = replace(before, of=before.of + len(found), done=before.done + here)
        if not missing:
            return []
        return [Wanted(study_uid, tuple(missing) if here else ())]

    def _not_here(self, tx: Transaction, found: Sequence[FoundInstance], profile: str) -> list[FoundInstance]:
        return [
            one
            for one in found
            if not tx.first(
                "instance_is_here", sop_key=self._sealer.index("instance", one.sop_instance_uid), profile=profile
            )
        ]

    def _studies(self, tx: Transaction, request: Request) -> list[str]:
        """Where instances that come without their study's UID are looked for first: beside the others of the list."""
        rows = [row for share in self._shares(tx, request) for row in tx.all("studies", share=share["id"])]
        return [self._sealer.open(b"study" + row["study_key"], row["uid"]).decode() for row in rows if row["uid"]]

    async def wanted(self, named: Iterable[Named], studies: Sequence[str]) -> list[Wanted]:
        """Where in the PACS these are: as they say, in one of `studies`, or wherever it finds them."""
        left = {one.sop_instance_uid: one for one in named}
        found: list[FoundInstance] = []
        for study_uid in dict.fromkeys([*(one.study_uid for one in left.values() if one.study_uid), *studies, ""]):
            if left:
                more = await self._pacs.find_instances(study_uid, list(left))
                found += more
                left = {uid: one for uid, one in left.items() if uid not in {it.sop_instance_uid for it in more}}
        by_study: dict[str, list[FoundInstance]] = {}
        for one in found:
            by_study.setdefault(one.study_uid, []).append(one)
        return [Wanted(uid, tuple(several)) for uid, several in by_study.items()]

    async def retrieve(self, wanted: Sequence[Wanted], request: Request) -> Retrieved:
        completed, failed, profile = 0, 0, request.row["profile"]
        if wanted:
            await self._journal.run(lambda tx: self._record(tx, request, wanted))
        begun = self.progress(request.id)

        def told(so_far: Retrieved) -> None:
            done = begun.done + completed + so_far.completed
            of = max(begun.of, done + so_far.failed + so_far.remaining)
            self._progress[request.id] = replace(begun, done=done, of=of)

        for one in wanted:
            result = await self._pacs.retrieve(one, profile, told)
            completed, failed = completed + result.completed, failed + result.failed
        return Retrieved(completed, failed)

    def _record(self, tx: Transaction, request: Request, wanted: Sequence[Wanted]) -> None:
        studies = tuple(dict.fromkeys(one.study_uid for one in wanted if one.study_uid))
        about = f"{len(studies)} " + ("study" if len(studies) == 1 else "studies")
        self._trail.record(
            tx,
            Event(Kind.PULLED, by=request.row["asked_by"], about=about, called=request.row["profile"], studies=studies),
        )

    # -- how it went -----------------------------------------------------------------------------------------------

    async def _settle(self, request: Request, work: asyncio.Task[Retrieved]) -> None:
        tried, error = request.row["tried"], work.exception()
        if error is None and not work.result().failed:
            tried = TRIES  # there is nothing more to ask for
            log.info("request %d: %d image(s) came from the PACS", request.id, work.result().completed)
        elif error is None:
            tried += 1
            self._note(request, SlipwayError(f"{work.result().failed} image(s) could not be sent", hint=""))
        elif not isinstance(error, SlipwayError):
            raise error
        elif isinstance(error, NothingFoundError):
            tried = TRIES
            self._note(request, error)
        elif isinstance(error, PacsRefusedError) or self._clock() - request.row["at"] > GIVEN_UP_AFTER_S:
            tried += 1
            self._note(request, error)
        else:
            self._note(request, error)
        await self._journal.run(lambda tx: self._put_off(tx, request, tried))
        self._bell.ring()

    def _note(self, request: Request, error: SlipwayError) -> None:
        log.warning("request %d: %s. %s", request.id, error.summary, error.hint)
        before = self.progress(request.id)
        if not before.trouble:
            self.on_trouble(request, error)
        self._progress[request.id] = Progress(trouble=error.summary, hint=error.hint)

    def _put_off(self, tx: Transaction, request: Request, tried: int) -> None:
        """Ever longer: as long again as it has waited already."""
        waited_s = self._clock() - request.row["at"]
        pause_s = min(max(FIRST_PAUSE_S, waited_s), LONGEST_PAUSE_S)
        tx.do("request_tried", id=request.id, tried=tried, not_before=self._clock() + pause_s)


def _is_wanted(tx: Transaction, request: Request) -> bool:
    row = tx.first("request", id=request.id)
    return row is not None and row["state"] in UNSETTLED
