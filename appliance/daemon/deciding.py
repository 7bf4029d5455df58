"""What people decide of shares: who a held one belongs to, that it may go out, or that one must come back.

Each decision is one transaction, so images that arrive meanwhile are before it or after it. When a share may go out is
`releasing`; what the commands say and show is `share_desk`.
"""

from __future__ import annotations

from appliance.core.identity import BECAUSE, Doubt
from appliance.core.release_rules import NEVER, because, person_of
from appliance.core.share import ShareEvent, ShareState
from appliance.daemon.releasing import GROWING, Decision, Releasing, encode_rules, rules_in
from appliance.daemon.transitions import SHORT_ID_CHARS, Transitions
from appliance.errors import NotPossibleError
from appliance.formats.audit import Kind
from appliance.ports import Row, Transaction


class Deciding:
    """Each decision answers with a sentence for whoever decided."""

    def __init__(self, transitions: Transitions, releasing: Releasing) -> None:
        self._transitions = transitions
        self._releasing = releasing

    def release(self, tx: Transaction, share: Row, by: str, why: str, *, without_report: bool = False) -> str:
        """Hand it out as it is. Where more than one person must, this is one of them."""
        if share["state"] == ShareState.OPEN:
            return "It is out already."
        if share["state"] != ShareState.HELD:
            short = _short(share)
            raise NotPossibleError(
                f"share {short} is {share['state']}: only a held one is released",
                hint=f"`slipway shares show {short}` says what can be done.",
            )
        if share["doubt"]:  # as it is: by itself
            self._releasing.decide(tx, share, Decision.TWO_PEOPLE, share["rival"])
        counted = self._count(tx, share["id"], by)
        if without_report:
            self._releasing.waive_report(tx, share)
        self._clear_doubt(tx, share)
        if self._releasing.settle(tx, share["id"], why, by=by):
            return self._where(tx, share)
        return self._still_waits(tx, share, by, why, counted=counted)

    def resolve(
        self, tx: Transaction, share: Row, decision: Decision, by: str, why: str, rival: Row | None = None
    ) -> str:
        """Whose images a held share has. `rival`: which share they belong with, where the box does not know."""
        short = _short(share)
        if share["state"] != ShareState.HELD:
            raise NotPossibleError(
                f"share {short} is {share['state']}: only a held one is resolved",
                hint=f"`slipway shares hold {short}` takes an open one back.",
            )
        self._transitions.audit(tx, Kind.SHARE_RESOLVED, share["id"], by=by, why=why, about=decision.replace("-", " "))
        if decision is Decision.DISCARD:
            self._transitions.share(tx, share["id"], ShareEvent.REVOKED, why, by=by)
            return "It is discarded: none of it leaves the box."
        if decision is Decision.TWO_PEOPLE:
            self._releasing.decide(tx, share, decision, share["rival"])
            return self.release(tx, tx.one("share", id=share["id"]), by, why)
        return self._same_person(tx, share, rival or self.rival(tx, share), by, why)

    def hold(self, tx: Transaction, share: Row, by: str, why: str) -> str:
        if share["state"] == ShareState.CLOSED:
            short = _short(share)
            raise NotPossibleError(
                f"share {short} is delivered, and the box has forgotten its keys",
                hint=f"`slipway shares revoke {short}` ends it for good.",
            )
        self._transitions.share(tx, share["id"], ShareEvent.HELD_BACK, why, by=by)
        held_because = BECAUSE[Doubt.HELD_BACK] + (f": {why}" if why else "")
        tx.do("set_share_doubt", id=share["id"], doubt=Doubt.HELD_BACK, held_because=held_because)
        tx.do("set_share_approvals", id=share["id"], approvals="[]")
        tx.do("set_share_decision", id=share["id"], decided="", rival=share["rival"])
        return "Its slip opens nothing any more. Released again, it gets a new one."

    def print_now(self, tx: Transaction, share: Row, by: str, why: str) -> str:
        """The first slip of a share whose profile waits for a request, or for the whole study."""
        short = _short(share)
        if share["state"] != ShareState.OPEN:
            raise NotPossibleError(
                f"share {short} is {share['state']}: no slip can be printed for it",
                hint=f"`slipway shares show {short}` says what can be done.",
            )
        if not self._transitions.mint_first(tx, share["id"]):
            number = tx.all("slips_of_share", share=share["id"])[-1]["number"]
            raise NotPossibleError(
                f"share {short} has slip {number}",
                hint=f"`slipway slips reprint {number}` prints another, and the old one stops working.",
            )
        self._transitions.note(tx, share["id"], "slip asked for" + (f": {why}" if why else ""), by=by)
        self._transitions.audit(tx, Kind.SHARE_REQUESTED, share["id"], by=by, why=why, about="by hand")
        return "Its slip comes out now."

    def rival(self, tx: Transaction, share: Row) -> Row | None:
        """The share that it may belong with: as placed, or one that has a study of it by now."""
        if share["rival"] is not None:
            return tx.first("share", id=share["rival"])
        others = tx.all("shares_with_studies_of", share=share["id"], profile=share["profile"])
        return tx.one("share", id=others[0]["share"]) if others else None

    # -- steps -----------------------------------------------------------------------------------------------------

    def _same_person(self, tx: Transaction, share: Row, rival: Row | None, by: str, why: str) -> str:
        if rival is None or rival["id"] == share["id"]:
            raise NotPossibleError(
                f"nothing says with which other share {_short(share)} belongs",
                hint="Name it with --with ID; `slipway shares list` shows them.",
            )
        if rival["state"] not in GROWING:
            said = self.release(tx, share, by, why)
            return f"Share {_short(rival)} is {rival['state']} by now, so this one gets a slip of its own. {said}"
        self._releasing.decide(tx, share, Decision.SAME_PERSON, rival["id"])
        counted = self._count(tx, share["id"], by)
        self._clear_doubt(tx, share)
        tx.do("allow_studies", share=share["id"])  # a person wants them with the others
        tx.do("set_share_rules", id=share["id"], rules=encode_rules(rules_in(share) - NEVER))
        if rival["state"] == ShareState.HELD:
            self._releasing.join(tx, tx.one("share", id=share["id"]), rival, by=by)
        elif not self._releasing.settle(tx, share["id"], why, by=by):
            return self._still_waits(tx, share, by, why, counted=counted, said=f"same person as share {_short(rival)}")
        return f"Its images are in share {_short(rival)} now; no second slip is printed."

    def _where(self, tx: Transaction, share: Row) -> str:
        """After it went."""
        if tx.one("share", id=share["id"])["state"] == ShareState.OPEN:
            return "It goes out."
        into = tx.one("share", id=share["rival"])
        if into["state"] == ShareState.OPEN:
            return "Its images are behind the slip that the patient has."
        return f"Its images are in share {_short(into)} now, which is held."

    def _count(self, tx: Transaction, share_id: int, by: str) -> bool:
        """False: this person counted before."""
        share = tx.one("share", id=share_id)
        if not self._releasing.people_needed(share):
            return True
        if not by:
            raise NotPossibleError("nobody knows who decides", hint="Ask on the box: `slipway shares release`.")
        return self._releasing.approve(tx, share, person_of(by))

    def _clear_doubt(self, tx: Transaction, share: Row) -> None:
        tx.do("set_share_doubt", id=share["id"], doubt="", held_because=because(rules_in(share)))

    def _still_waits(self, tx: Transaction, before: Row, by: str, why: str, *, counted: bool, said: str = "") -> str:
        share = tx.one("share", id=before["id"])
        waits = " and ".join(self._releasing.waits_for(tx, share))
        if not counted:
            return f"{person_of(by)} counts already. It waits for {waits}: somebody else must."
        if not before["doubt"] and not self._releasing.people_needed(share):
            short = _short(share)
            raise NotPossibleError(
                f"share {short} waits for {waits}",
                hint=f"It goes out by itself then. `slipway shares release {short} --without-report` hands it out now.",
            )
        self._transitions.audit(tx, Kind.SHARE_APPROVED, share["id"], by=by, why=why)
        words = ", ".join(filter(None, (said, why)))
        self._transitions.note(tx, share["id"], "share approved" + (f": {words}" if words else ""), by=by)
        return f"It waits for {waits}."


def _short(share: Row) -> str:
    short: str = share["share_id"].hex()[:SHORT_ID_CHARS]
    return short
