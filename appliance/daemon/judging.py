"""How many images a study should have: claims in the journal, and the verdicts that follow from them.

The ladder of sources is core/completeness.py's. Who claims what comes in by `serving`, `requesting` and `checking`;
that nothing more comes is `sweeping`'s to find out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from appliance.core.completeness import STUDIES, Claim, Source, StudyEvent, StudyState, Verdict, judge, together
from appliance.daemon.transitions import Transitions
from appliance.formats.sealed import Sealer
from appliance.ports import Row, Transaction

KEPT_S = 3 * 86400.0  # an archive announces studies that are sent here days later, or never

MOST_NAMED = 100_000  # instances of studies that are not here: 25 MB of the journal


@dataclass(frozen=True, repr=False)
class Named:
    """An instance that a source names; "" where it does not say."""

    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str = ""
    study_uid: str = ""


def encode_verdict(verdict: Verdict) -> str:
    """For the column study.verdict."""
    return json.dumps(asdict(verdict), separators=(",", ":"))


def verdicts(studies: Iterable[Row]) -> list[Verdict]:
    """Those that stand, of studies as the journal has them."""
    values = [json.loads(study["verdict"]) for study in studies if study["verdict"]]
    return [Verdict(**(value | {"source": Source(value["source"])})) for value in values]


def verdict_on(studies: Sequence[Row]) -> Verdict | None:
    """Of all of them together; None while one of them has none, as its images still come in."""
    found = verdicts(studies)
    return together(found) if len(found) == len(studies) else None


class Claims:
    """What sources say, as the journal keeps it. A source's later word replaces its earlier one."""

    def __init__(self, sealer: Sealer, clock: Callable[[], float]) -> None:
        self._sealer = sealer
        self._clock = clock

    def study_key(self, study_uid: str) -> bytes:
        return self._sealer.index("study", study_uid)

    def key(self, source: Source, uid: str) -> bytes:
        """Of who says it: the UID of a request, a notification or a performed step.

        A request's is that of its row: what it lists is kept for as long as it is.
        """
        return self._sealer.index("request" if source is Source.MEDIA_CREATION else f"claim {source}", uid)

    def name(
        self, tx: Transaction, source: Source, uid: str, study_uid: str, named: Sequence[Named], *, ended: bool = True
    ) -> None:
        """`study_uid` "": the source does not say of which study its instances are; several may be."""
        self._put(tx, source, self.key(source, uid), self.study_key(study_uid) if study_uid else None, named, ended)

    def has_ended(self, tx: Transaction, source: Source, uid: str) -> bool | None:
        """Whether it has said its last word; None when nothing is known of it."""
        row = tx.first("claim_by_key", source=str(source), claim_key=self.key(source, uid))
        return None if row is None else bool(row["ended"])

    def name_anew(self, tx: Transaction, source: Source, uid: str, named: Sequence[Named]) -> None:
        """The same source, of the same study, with another list; its last word is not said yet."""
        key = self.key(source, uid)
        study_key = tx.one("claim_by_key", source=str(source), claim_key=key)["study_key"]
        self._put(tx, source, key, study_key, named, ended=False)

    def end(self, tx: Transaction, source: Source, uid: str) -> list[bytes]:
        """Its list counts from now on; keys of the studies that this concerns."""
        tx.do("end_claim", source=str(source), claim_key=self.key(source, uid))
        return self.concerned(tx, source, uid)

    def concerned(self, tx: Transaction, source: Source, uid: str) -> list[bytes]:
        """Keys of the studies of which it says something."""
        key = self.key(source, uid)
        row = tx.first("claim_by_key", source=str(source), claim_key=key)
        if row is not None and row["study_key"] is not None:
            return [row["study_key"]]
        return [row["study_key"] for row in tx.all("studies_of_claim", source=str(source), claim_key=key)]

    def forget_old(self, tx: Transaction) -> None:
        """What was said of studies that never came, or have gone."""
        tx.do("drop_old_claims", before=self._clock() - KEPT_S)
        tx.do("drop_claims_without_request")
        tx.do("drop_excess_claims", most=MOST_NAMED)

    def _put(
        self,
        tx: Transaction,
        source: Source,
        key: bytes,
        study_key: bytes | None,
        named: Sequence[Named],
        ended: bool,
    ) -> None:
        tx.do("drop_claim", source=str(source), claim_key=key, study_key=study_key)
        unique = {one.sop_instance_uid: one for one in named}
        claim = self._add(tx, source, key, study_key, len(unique), listed=True, ended=ended)
        for one in unique.values():
            sop_key = self._sealer.index("instance", one.sop_instance_uid)
            sealed = self._sealer.seal_json(b"claimed" + sop_key, [*vars(one).values()])
            tx.do("add_claimed", claim=claim, sop_key=sop_key, sealed=sealed)

    def count(self, tx: Transaction, study_key: bytes, expected: int, *, ended: bool) -> None:
        """A number only: what the PACS says of a study."""
        tx.do("drop_claim", source=str(Source.QUERY), claim_key=study_key, study_key=study_key)
        self._add(tx, Source.QUERY, study_key, study_key, expected, listed=False, ended=ended)

    def retract(self, tx: Transaction, study_uid: str, sop_instance_uids: Sequence[str]) -> None:
        """What earlier notifications announced of a study and cannot be had any more."""
        for uid in sop_instance_uids:
            sop_key, study_key = self._sealer.index("instance", uid), self.study_key(study_uid)
            tx.do("retract_announced", sop_key=sop_key, study_key=study_key)

    def withdraw(self, tx: Transaction, source: Source, uid: str) -> list[bytes]:
        """It claims nothing any more; keys of the studies that others have to be heard about."""
        concerned = self.concerned(tx, source, uid)
        tx.do("drop_claims", source=str(source), claim_key=self.key(source, uid))
        return concerned

    def of_study(self, tx: Transaction, study: Row) -> list[Claim]:
        """One a source: lists of several notifications or performed steps are parts of one."""
        rows = tx.all("claims_of_study", study=study["id"], study_key=study["study_key"])
        return [
            Claim(Source(row["source"]), row["expected"], row["missing"], bool(row["listed"]), bool(row["ended"]))
            for row in rows
        ]

    def named(self, tx: Transaction, source: Source, uid: str) -> list[Named]:
        return self._opened(tx.all("named_by_claim", source=str(source), claim_key=self.key(source, uid)))

    def missing(self, tx: Transaction, source: Source, uid: str, profile: str) -> list[Named]:
        """What it names and is in no share of that profile that may still go out."""
        key = self.key(source, uid)
        return self._opened(tx.all("missing_of_claim", source=str(source), claim_key=key, profile=profile))

    def announced_and_missing(self, tx: Transaction, study: Row) -> list[Named]:
        """What notifications name of a study and its share does not have."""
        return self._opened(tx.all("announced_and_missing", study_key=study["study_key"], share=study["share"]))

    def _opened(self, rows: Iterable[Row]) -> list[Named]:
        return [Named(*self._sealer.open_json(b"claimed" + row["sop_key"], row["sealed"])) for row in rows]

    def _add(
        self,
        tx: Transaction,
        source: Source,
        key: bytes,
        study_key: bytes | None,
        expected: int,
        *,
        listed: bool,
        ended: bool,
    ) -> int:
        row = tx.one(
            "add_claim",
            source=str(source),
            claim_key=key,
            study_key=study_key,
            expected=expected,
            listed=int(listed),
            ended=int(ended),
            now=self._clock(),
        )
        return int(row["id"])


class Judging:
    def __init__(self, claims: Claims, transitions: Transitions) -> None:
        self._claims = claims
        self._transitions = transitions

    def judge(self, tx: Transaction, study: Row) -> bool:
        """By what the sources say now; whether anything changed. Silence is told by `fell_quiet`."""
        verdict = self._verdict(tx, study)
        if verdict is None or encode_verdict(verdict) == study["verdict"]:
            return False
        if verdict.complete:
            self._settle(tx, study, StudyEvent.VERIFIED, verdict)
        elif study["state"] == StudyState.COMPLETE:
            self._reopen(tx, study, verdict)
        elif study["state"] == StudyState.QUIET:
            self._settle(tx, study, StudyEvent.FELL_QUIET, verdict)
        else:
            return False
        return True

    def fell_quiet(self, tx: Transaction, study: Row, quiet_s: float) -> None:
        verdict = self._verdict(tx, study)
        if verdict is None:
            received = tx.one("count_study", study=study["id"])["n"]
            verdict = Verdict(Source.QUIET, received, quiet_s=quiet_s)
        self._settle(tx, study, StudyEvent.VERIFIED if verdict.complete else StudyEvent.FELL_QUIET, verdict)

    def heard(self, tx: Transaction, study_key: bytes) -> None:
        """A source has spoken of a study."""
        for study in tx.all("studies_by_key", study_key=study_key):
            self.judge(tx, study)

    def _verdict(self, tx: Transaction, study: Row) -> Verdict | None:
        claims = self._claims.of_study(tx, study)
        return judge(tx.one("count_study", study=study["id"])["n"], claims) if claims else None

    def _reopen(self, tx: Transaction, study: Row, verdict: Verdict) -> None:
        """What is missing may be on its way: no verdict stands until it is quiet once more."""
        state, _ = STUDIES.advance(StudyState(study["state"]), StudyEvent.FOUND_WANTING)
        tx.do("set_study_state", id=study["id"], state=str(state), source="")
        tx.do("share_dirty", id=study["share"])
        self._transitions.note(tx, study["share"], verdict.sentence)

    def _settle(self, tx: Transaction, study: Row, event: StudyEvent, verdict: Verdict) -> None:
        state, _ = STUDIES.advance(StudyState(study["state"]), event)
        tx.do(
            "set_study_verdict",
            id=study["id"],
            state=str(state),
            source=verdict.sentence,
            verdict=encode_verdict(verdict),
        )
        tx.do("share_dirty", id=study["share"])
        self._transitions.note(tx, study["share"], verdict.sentence)
        if not any(other["state"] == StudyState.ARRIVING for other in tx.all("studies", share=study["share"])):
            self._transitions.mint_waiting(tx, study["share"])
