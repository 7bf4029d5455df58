"""When a held share goes out, and as what: by itself with a slip of its own, or into the share that its patient has.

Why it is held is `placing`; what people say of it is `share_desk`. Nothing here decides whose images they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from enum import StrEnum

from appliance.core.completeness import STUDIES, StudyEvent, StudyState
from appliance.core.identity import Identity, Match, compare, normal_date
from appliance.core.release_rules import NEVER, ReleaseRules, Rule, waiting_for
from appliance.core.share import ShareEvent, ShareState
from appliance.daemon import notes
from appliance.daemon.minting import open_share, seal_share
from appliance.daemon.transitions import SHORT_ID_CHARS, Transitions
from appliance.errors import NotPossibleError
from appliance.formats.audit import Kind
from appliance.formats.sealed import Sealer
from appliance.ports import Row, Transaction

GROWING = (ShareState.OPEN, ShareState.HELD)
UNKNOWN_PROFILE = ReleaseRules(approvals=1)  # what its shares wait for is in their rows


class Decision(StrEnum):
    """Of a share in doubt: whose its images are."""

    SAME_PERSON = "same-person"
    TWO_PEOPLE = "two-people"
    DISCARD = "discard"


class Releasing:
    def __init__(
        self,
        rules: Mapping[str, ReleaseRules],
        transitions: Transitions,
        sealer: Sealer,
        clock: Callable[[], float],
    ) -> None:
        self._rules = rules
        self._transitions = transitions
        self._sealer = sealer
        self._clock = clock

    # -- what a share waits for ------------------------------------------------------------------------------------

    def waits_for(self, tx: Transaction, share: Row) -> list[str]:
        """Its rules that are not fulfilled yet, in words. A doubt about it comes before all of them."""
        rules = rules_in(share)
        unreported = tx.one("count_unreported", share=share["id"])["n"] if Rule.REPORT in rules else 0
        return waiting_for(rules, unreported=unreported, people=self.people_needed(share) - len(approvals(share)))

    def people_needed(self, share: Row) -> int:
        return self._rules.get(share["profile"], UNKNOWN_PROFILE).people_needed(rules_in(share))

    def add_rules(self, tx: Transaction, share: int, rules: Iterable[Rule]) -> None:
        row = tx.one("share", id=share)
        tx.do("set_share_rules", id=share, rules=encode_rules(rules_in(row) | frozenset(rules)))

    def waive_report(self, tx: Transaction, share: Row) -> None:
        tx.do("set_share_rules", id=share["id"], rules=encode_rules(rules_in(share) - {Rule.REPORT}))

    def approve(self, tx: Transaction, share: Row, person: str) -> bool:
        """False: this person has done so already, and counts once."""
        before = approvals(share)
        if person in before:
            return False
        tx.do("set_share_approvals", id=share["id"], approvals=json.dumps([*before, person]))
        return True

    def forget_approvals(self, tx: Transaction, share: int, why: str) -> None:
        """They were for what was there then."""
        if approvals(tx.one("share", id=share)):
            tx.do("set_share_approvals", id=share, approvals="[]")
            self._transitions.note(tx, share, f"approvals are void: {why}")

    def decide(self, tx: Transaction, share: Row, decision: Decision, rival: int | None) -> None:
        """What people said of it before counts only where they said the same."""
        if share["decided"] and (share["decided"], share["rival"]) != (decision, rival):
            self.forget_approvals(tx, share["id"], "it was decided otherwise")
        tx.do("set_share_decision", id=share["id"], decided=str(decision), rival=rival)

    # -- going out -------------------------------------------------------------------------------------------------

    def settle(self, tx: Transaction, share: int, why: str = "", *, by: str = "") -> bool:
        """Hand it out if nobody doubts it and all that it waits for is here; whether it went."""
        row = tx.one("share", id=share)
        if row["state"] != ShareState.HELD or row["doubt"] or self.waits_for(tx, row):
            return False
        if NEVER & rules_in(row):
            tx.do("allow_studies", share=share)
        into = self._patients_share(tx, row)
        if into is None:
            self._transitions.share(tx, share, ShareEvent.RELEASED, why, by=by)
        else:
            self._transitions.audit(tx, Kind.SHARE_RELEASED, share, why=why, by=by)
            self.join(tx, row, into, by=by)
        return True

    def _patients_share(self, tx: Transaction, row: Row) -> Row | None:
        """That of the same patient, as somebody said; or, where nobody doubted that, the one that is out already and of
        which this one was held back by a rule for all studies.
        """
        rival = tx.first("share", id=row["rival"])
        if row["decided"] == Decision.SAME_PERSON:
            return rival if rival is not None and rival["state"] in GROWING else None
        if row["decided"] or rival is None or rival["state"] != ShareState.OPEN or NEVER & rules_in(row):
            return None
        known, own = (open_share(one, self._sealer).identity for one in (rival, row))
        return rival if known == own or compare(known, own) is Match.SAME else None

    def set_identity(self, tx: Transaction, share: Row, identity: Identity) -> None:
        sealed = seal_share(
            share["share_id"], replace(open_share(share, self._sealer), identity=identity), self._sealer
        )
        keys = {"patient_key": patient_key(identity, self._sealer), "birth_key": birth_key(identity, self._sealer)}
        tx.do("set_share_identity", id=share["id"], sealed=sealed, **keys)

    # -- one share into another ------------------------------------------------------------------------------------

    def join(self, tx: Transaction, share: Row, into: Row, *, by: str = "") -> None:
        """All of a held share into another; the link of that one grows. NotPossibleError once any of it has left."""
        if tx.one("count_at_vault", share=share["id"])["n"]:
            raise NotPossibleError(
                f"images of share {_short(share)} are at the vault already and cannot join another share",
                hint="Discard it, and send its images to the box again.",
            )
        before = tx.one("count_instances", share=into["id"])["received"]
        for study in tx.all("studies", share=share["id"]):
            self._move(tx, study, into["id"])
        if into["state"] == ShareState.HELD:
            self.add_rules(tx, into["id"], rules_in(share))
            self.forget_approvals(tx, into["id"], f"share {_short(share)} joined")
        self._transitions.note(tx, into["id"], notes.joined(_short(share), before), by=by)
        self._over(tx, share, into, by=by)
        self.settle(tx, into["id"], "its report is here")  # if it waited for that alone

    def move_study(self, tx: Transaction, share: int, study_key: bytes, into: int) -> None:
        """One study of a held share into another one; without any, a share is over."""
        study = tx.first("study", share=share, study_key=study_key)
        if study is not None:
            self._move(tx, study, into)
        if not tx.all("studies", share=share):
            self._over(tx, tx.one("share", id=share), tx.one("share", id=into))
        else:
            self.settle(tx, share, "the study without a report is held by itself")

    def _over(self, tx: Transaction, share: Row, into: Row, *, by: str = "") -> None:
        self._transitions.share(tx, share["id"], ShareEvent.JOINED, _short(into), by=by)
        tx.do("follow_rival", share=share["id"], into=into["id"], rival=share["rival"])

    def _move(self, tx: Transaction, study: Row, into: int) -> None:
        there, now = tx.first("study", share=into, study_key=study["study_key"]), self._clock()
        tx.do("mark_copies", share=study["share"], study=study["id"], into=into)
        if there is None:
            tx.do("move_study", id=study["id"], into=into)
        else:
            state, _ = STUDIES.advance(StudyState(there["state"]), StudyEvent.GREW)
            tx.do("set_study_state", id=there["id"], state=str(state), source="")
            tx.do("study_grown", id=there["id"], now=now)
            tx.do("take_over_study", id=there["id"], reported=study["reported"], allowed=study["allowed"])
        into_study = study["id"] if there is None else there["id"]
        tx.do("move_instances", share=study["share"], study=study["id"], into=into, into_study=into_study)
        if there is not None:
            tx.do("drop_study", id=study["id"])
        tx.do("share_grown", id=into, now=now)
        self._transitions.share(tx, into, ShareEvent.GREW)


def rules_in(share: Row) -> frozenset[Rule]:
    return frozenset(map(Rule, json.loads(share["rules"])))


def encode_rules(rules: Iterable[Rule]) -> str:
    return json.dumps(sorted(rules))


def patient_key(identity: Identity, sealer: Sealer) -> bytes:
    return sealer.index("patient", identity.patient_id)


def birth_key(identity: Identity, sealer: Sealer) -> bytes:
    return sealer.index("birth", normal_date(identity.birth_date))


def approvals(share: Row) -> list[str]:
    found: list[str] = json.loads(share["approvals"])
    return found


def _short(share: Row) -> str:
    short: str = share["share_id"].hex()[:SHORT_ID_CHARS]
    return short
