"""Where in the PACS what is wanted lies, and its retrieval: for whoever knows that it is wanted.

What is here already is not fetched again. What comes enters as from any sender.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from appliance.daemon.auditing import Trail
from appliance.daemon.judging import Named
from appliance.errors import NothingFoundError, PacsRefusedError
from appliance.formats.audit import Event, Kind
from appliance.formats.sealed import Sealer
from appliance.ports import FoundInstance, Journal, Pacs, Retrieved, Row, Transaction, Wanted


@dataclass(frozen=True, repr=False)
class Study:
    """As the PACS has it, and what of it is not here."""

    images: int
    missing: int
    wanted: tuple[Wanted, ...]


class Fetching:
    def __init__(self, journal: Journal, pacs: Pacs, trail: Trail, sealer: Sealer) -> None:
        self._journal = journal
        self._pacs = pacs
        self._trail = trail
        self._sealer = sealer

    async def study(self, study_uid: str, profile: str) -> Study:
        found = await self._pacs.find_instances(study_uid)
        if not found:  # some answer no question below the study: whether it has anything shows when it is asked to send
            return Study(0, 0, (Wanted(study_uid),))
        missing = await self._journal.run(lambda tx: self._not_here(tx, found, profile))
        one_by_one = missing if len(missing) < len(found) else ()
        wanted = (Wanted(study_uid, tuple(one_by_one)),) if missing else ()
        return Study(len(found), len(missing), wanted)

    def _not_here(self, tx: Transaction, found: Sequence[FoundInstance], profile: str) -> list[FoundInstance]:
        return [one for one in found if not self._is_here(tx, one, profile)]

    def _is_here(self, tx: Transaction, one: FoundInstance, profile: str) -> bool:
        sop_key = self._sealer.index("instance", one.sop_instance_uid)
        return tx.first("instance_is_here", sop_key=sop_key, profile=profile) is not None

    async def wanted(self, named: Iterable[Named], beside: Sequence[str]) -> list[Wanted]:
        """Where these are: in the study that they say, in one of `beside`, or wherever the PACS finds them."""
        left = {one.sop_instance_uid: one for one in named}
        found: list[FoundInstance] = []
        for study_uid in dict.fromkeys([*(one.study_uid for one in left.values() if one.study_uid), *beside, ""]):
            if left:
                found += await self._look(study_uid, list(left), found)
                left = {uid: one for uid, one in left.items() if uid not in {it.sop_instance_uid for it in found}}
        by_study: dict[str, list[FoundInstance]] = {}
        for one in found:
            by_study.setdefault(one.study_uid, []).append(one)
        return [Wanted(uid, tuple(several)) for uid, several in by_study.items()]

    async def _look(self, study_uid: str, wanted: Sequence[str], found: Sequence[FoundInstance]) -> list[FoundInstance]:
        """Not every PACS can look everywhere; what was found beside comes all the same."""
        try:
            return await self._pacs.find_instances(study_uid, wanted)
        except PacsRefusedError:
            if study_uid or not found:
                raise
            return []

    def uids(self, studies: Iterable[Row]) -> list[str]:
        """Of studies as the journal has them."""
        return [self._sealer.open(b"study" + row["study_key"], row["uid"]).decode() for row in studies if row["uid"]]

    async def retrieve(
        self, wanted: Sequence[Wanted], profile: str, by: str, told: Callable[[Retrieved], None] = lambda _: None
    ) -> Retrieved:
        """`told` is called with the sum so far. What the PACS does not send of one study keeps no other away."""
        if wanted:
            await self._journal.run(lambda tx: self._record(tx, wanted, profile, by))
        done, refused, nothing = Retrieved(0, 0), list[PacsRefusedError](), list[NothingFoundError]()
        for one in wanted:
            try:
                done = _sum(done, await self._pacs.retrieve(one, profile, partial(_tell, told, done)))
            except PacsRefusedError as error:
                refused.append(error)
            except NothingFoundError as error:
                nothing.append(error)
        if refused:
            raise refused[0]
        if nothing and not done.failed:  # what could not be sent may be asked for again
            raise nothing[0]
        return done

    def _record(self, tx: Transaction, wanted: Sequence[Wanted], profile: str, by: str) -> None:
        studies = tuple(dict.fromkeys(one.study_uid for one in wanted if one.study_uid))
        about = "1 study" if len(studies) == 1 else f"{len(studies)} studies"
        self._trail.record(tx, Event(Kind.PULLED, by=by, about=about, called=profile, studies=studies))


def _tell(told: Callable[[Retrieved], None], before: Retrieved, so_far: Retrieved) -> None:
    told(_sum(before, so_far))


def _sum(one: Retrieved, other: Retrieved) -> Retrieved:
    return Retrieved(one.completed + other.completed, one.failed + other.failed, other.remaining)
