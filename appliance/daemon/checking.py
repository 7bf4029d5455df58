"""Asks the PACS how many images each study has, twice: the ladder's rung below what others announce.

Number of Study Related Instances is as old as the archive makes it, so one answer is none. Two that agree, with
nothing arriving in between, are a claim (`judging`); a study that grows is asked about anew. A PACS that is down or
slow holds up nobody: `is_pending` is bounded, and false at once while it cannot be asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from appliance.core.completeness import StudyState
from appliance.daemon.bell import Bell
from appliance.daemon.judging import Claims, Judging
from appliance.daemon.transfers import Transfers
from appliance.errors import NothingFoundError, PacsRefusedError, PacsUnreachableError
from appliance.formats.sealed import Sealer
from appliance.ports import Journal, Pacs, Row, Transaction

EVERY_S = 1.0
SILENT_S = 3.0  # before the first question: most pauses of a sender are shorter
GRACE_S = 15.0  # that a slip waits for the second answer
AT_ONCE = 2  # questions under way
FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 300.0  # while it cannot be asked


@dataclass
class Question:
    """About a study as it was when it last grew."""

    study_key: bytes
    study_uid: str
    grown_at: float
    since: float  # monotonic, like all that follow: when it last grew, or was being sent
    due_at: float
    count: int | None = None  # the last answer
    done: bool = False
    under_way: bool = False


class Checking:
    def __init__(
        self,
        journal: Journal,
        pacs: Pacs,
        claims: Claims,
        judging: Judging,
        transfers: Transfers,
        sealer: Sealer,
        bell: Bell,
        monotonic: Callable[[], float],
        *,
        again_s: float,
        every_s: float = EVERY_S,
    ) -> None:
        self._journal = journal
        self._pacs = pacs
        self._claims = claims
        self._judging = judging
        self._transfers = transfers
        self._sealer = sealer
        self._bell = bell
        self._monotonic = monotonic
        self._again_s = again_s
        self._every_s = every_s
        self._questions: dict[bytes, Question] = {}
        self._under_way = 0
        self._failures = 0  # in a row
        self._not_before = 0.0

    def is_pending(self, study_key: bytes) -> bool:
        """Whether silence is no verdict on that study yet, as the PACS is still being asked."""
        question, now = self._questions.get(study_key), self._monotonic()
        if question is None or question.done or now < self._not_before:
            return False
        return now < question.since + self._again_s + GRACE_S

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(self._every_s)
                await self._journal.run(self._look)
                for question in self._due():
                    question.under_way = True
                    self._under_way += 1
                    group.create_task(self._ask(question))

    # -- what to ask -----------------------------------------------------------------------------------------------

    def _look(self, tx: Transaction) -> None:
        now, seen = self._monotonic(), dict[bytes, Question]()
        for key, rows in _by_key(tx.all("arriving_studies")).items():
            known, grown_at = self._questions.get(key), max(row["grown_at"] for row in rows)
            if known is None or grown_at != known.grown_at:
                tx.do("reopen_query_claim", study_key=key)
                uid = self._uid(rows[0])
                known = Question(key, uid, grown_at, now, now + SILENT_S, done=not uid)
            elif self._transfers.is_sending(key):
                known.since, known.due_at = now, max(known.due_at, now + SILENT_S)
            seen[key] = known
        self._questions = seen

    def _uid(self, row: Row) -> str:
        return self._sealer.open(b"study" + row["study_key"], row["uid"]).decode() if row["uid"] else ""

    def _due(self) -> list[Question]:
        now, questions = self._monotonic(), self._questions.values()
        if now < self._not_before:
            return []
        due = [one for one in questions if one.due_at <= now and not (one.done or one.under_way)]
        return due[: AT_ONCE - self._under_way]

    # -- asking ----------------------------------------------------------------------------------------------------

    async def _ask(self, question: Question) -> None:
        try:
            found = await self._pacs.find_studies(study_uid=question.study_uid)
        except (PacsUnreachableError, PacsRefusedError):
            pause_s = min(FIRST_PAUSE_S * 2**self._failures, LONGEST_PAUSE_S)
            self._failures, self._not_before = min(self._failures + 1, 10), self._monotonic() + pause_s
            return
        except NothingFoundError:  # its UID is none
            question.done = True
            return
        finally:
            question.under_way = False
            self._under_way -= 1
            question.due_at = self._monotonic() + self._again_s
        self._failures = 0
        if len(found) != 1:
            return  # it may not have come there yet
        if found[0].instances is None:
            question.done = True  # this PACS does not count
        else:
            await self._heard(question, found[0].instances)

    async def _heard(self, question: Question, count: int) -> None:
        agreed = question.count == count
        question.count = count
        question.done = await self._journal.run(lambda tx: self._claim(tx, question, count, agreed))
        if agreed:
            self._bell.ring()

    def _claim(self, tx: Transaction, question: Question, count: int, agreed: bool) -> bool:
        """Whether that was the last word: both answers agree, and the PACS knows of no fewer than are here."""
        studies = tx.all("studies_by_key", study_key=question.study_key)
        arriving = [study["grown_at"] for study in studies if study["state"] == StudyState.ARRIVING]
        if max(arriving, default=0.0) != question.grown_at:
            return False  # what arrived meanwhile begins a new question
        self._claims.count(tx, question.study_key, count, ended=agreed)
        if agreed:
            self._judging.heard(tx, question.study_key)
        received = max((tx.one("count_study", study=study["id"])["n"] for study in studies), default=0)
        return agreed and count >= received


def _by_key(studies: list[Row]) -> dict[bytes, list[Row]]:
    """One study may lie in several shares: of two patients, where a person must decide."""
    found: dict[bytes, list[Row]] = {}
    for study in studies:
        found.setdefault(study["study_key"], []).append(study)
    return found
