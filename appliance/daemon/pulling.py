"""Fetches from the PACS what requests name and is not here: all of a study, or single instances; an accession number
is looked up first.

What comes enters as from any sender (`fetching`); `placing` and `requesting` do the rest. Progress is not journalled:
after a restart what is missing is looked up again. Who asks for a pull, and how it is told of, is `pull_desk`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from appliance.core.completeness import Source
from appliance.core.request import RequestEvent, RequestState
from appliance.daemon.bell import Bell
from appliance.daemon.fetching import Fetching
from appliance.daemon.finding import Finding, are_several_patients, study_uids
from appliance.daemon.judging import Claims, Named
from appliance.daemon.requesting import NOT_SUPPORTED, TRIES
from appliance.daemon.requests import Request, Requests
from appliance.errors import NothingFoundError, PacsRefusedError, SlipwayError
from appliance.ports import Journal, Retrieved, Row, Transaction, Wanted

log = logging.getLogger("slipway.pulling")

POLL_S = 1.0
ON_THEIR_WAY_S = 15.0  # what others name is mostly being sent already: asked for only when nothing more has come
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 300.0  # between two tries
GIVEN_UP_AFTER_S = 12 * 3600.0  # of a PACS that cannot be reached
REMEMBERED = 200  # requests whose progress can be asked for
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
        finding: Finding,
        fetching: Fetching,
        requests: Requests,
        claims: Claims,
        bell: Bell,
        clock: Callable[[], float],
        *,
        poll_s: float = POLL_S,
        on_trouble: Callable[[Request, SlipwayError], None] = lambda _, __: None,
    ) -> None:
        """`on_trouble` is told once of each request that the PACS refuses."""
        self._journal = journal
        self._finding = finding
        self._fetching = fetching
        self._requests = requests
        self._claims = claims
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
        """A pull goes on when its slip is out already: late images join the same share."""
        unfinished = [self._requests.of(row) for row in tx.all("pulls_with_slips", tries=TRIES)]
        unfinished = [request for request in unfinished if request.is_pull]
        wanted = [*self._requests.in_states(tx, RequestState.PENDING), *unfinished]
        return next((one for one in wanted if self._is_due(tx, one)), None)

    def _is_due(self, tx: Transaction, request: Request) -> bool:
        row, now = request.row, self._clock()
        if row["tried"] >= TRIES or now < row["not_before"] <= now + WAIT_MOST_S:
            return False
        if request.is_pull:
            return True
        shares = self._shares(tx, request)
        waited_s = now - max((share["grown_at"] for share in shares), default=row["at"])
        return waited_s >= ON_THEIR_WAY_S and bool(self._missing(tx, request) or self._absent(tx, request))

    def _shares(self, tx: Transaction, request: Request) -> list[Row]:
        return tx.all("shares_of_claim", claim_key=self._key(request), profile=request.row["profile"])

    def _key(self, request: Request) -> bytes:
        return self._claims.key(Source.MEDIA_CREATION, request.uid)

    def _missing(self, tx: Transaction, request: Request) -> list[Named]:
        if not request.wish.named:
            return []
        return self._claims.missing(tx, Source.MEDIA_CREATION, request.uid, request.row["profile"])

    def _absent(self, tx: Transaction, request: Request) -> list[str]:
        """Studies that it wants whole and of which nothing is here; of a pull, all: some of it may be."""
        if request.is_pull:
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
            _ = work.cancelled() or work.exception()  # nobody wants it any more, nor how it ended

    async def fetch(self, request: Request) -> Retrieved:
        """What is not here of what a request names."""
        if request.wish.is_to_be_looked_up:
            request = await self._looked_up(request)
        studies, named = await self._journal.run(lambda tx: (self._absent(tx, request), self._missing(tx, request)))
        profile, wanted = request.row["profile"], list[Wanted]()
        here = images = 0
        for uid in studies:
            study = await self._fetching.study(uid, profile)
            here, images = here + study.images - study.missing, images + study.images
            wanted += study.wanted
        if named:
            beside = await self._journal.run(lambda tx: self._studies(tx, request))
            wanted += await self._fetching.wanted(named, beside)

        def told(so_far: Retrieved) -> None:
            before = self.progress(request.id) if not so_far.completed else Progress()  # trouble is over
            done = here + so_far.completed
            of = max(images, done + so_far.failed + so_far.remaining)
            self._note_progress(request, replace(before, done=done, of=of))

        told(Retrieved(0, 0))
        return await self._fetching.retrieve(wanted, profile, request.row["asked_by"], told)

    async def _looked_up(self, request: Request) -> Request:
        """With the studies of its accession number; all the errors of `Finding.find`. Several patients: it fails."""
        found = await self._finding.find("accession", request.wish.accession, request.row["asked_by"])

        def work(tx: Transaction) -> Request:
            now = self._requests.of(tx.one("request", id=request.id))
            if now.state is not RequestState.PENDING:
                return now
            if are_several_patients(found):
                self._requests.advance(tx, now, RequestEvent.FAILED, NOT_SUPPORTED)
                return now
            wish = replace(now.wish, studies=study_uids(found))
            self._requests.rewish(tx, now, wish)
            tx.do("request_tried", id=now.id, tried=now.row["tried"], not_before=self._clock())  # it has begun
            return replace(now, wish=wish)

        return await self._journal.run(work)

    def _studies(self, tx: Transaction, request: Request) -> list[str]:
        """Where instances that come without their study's UID are looked for first: beside the others of the list."""
        return self._fetching.uids(
            row for share in self._shares(tx, request) for row in tx.all("studies", share=share["id"])
        )

    # -- how it went -----------------------------------------------------------------------------------------------

    async def _settle(self, request: Request, work: asyncio.Task[Retrieved]) -> None:
        tried, error = request.row["tried"], work.exception()
        if error is None and not work.result().failed:
            tried = TRIES  # there is nothing more to ask for
            log.info("request %d: %d image(s) came from the PACS", request.id, work.result().completed)
            await asyncio.sleep(self._poll_s)  # what came is durable, and about to be placed
        elif error is None:
            tried += 1
            self._note(request, SlipwayError(f"{work.result().failed} image(s) could not be sent", hint=""))
        elif not isinstance(error, SlipwayError):
            raise error
        elif isinstance(error, NothingFoundError):
            tried = tried + 1 if request.wish.is_to_be_looked_up else TRIES  # it may not have come there yet
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
        self._note_progress(request, replace(before, trouble=error.summary, hint=error.hint))

    def _note_progress(self, request: Request, progress: Progress) -> None:
        self._progress[request.id] = progress
        if len(self._progress) > REMEMBERED:
            del self._progress[min(self._progress)]

    def _put_off(self, tx: Transaction, request: Request, tried: int) -> None:
        """Ever longer: as long again as it has waited already."""
        waited_s = self._clock() - request.row["at"]
        pause_s = min(max(FIRST_PAUSE_S, waited_s), LONGEST_PAUSE_S)
        tx.do("request_tried", id=request.id, tried=tried, not_before=self._clock() + pause_s)


def _is_wanted(tx: Transaction, request: Request) -> bool:
    row = tx.first("request", id=request.id)
    return row is not None and row["state"] not in (RequestState.CANCELLED, RequestState.FAILURE)
