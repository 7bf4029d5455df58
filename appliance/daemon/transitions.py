"""Applies the core's tables to the journal's rows: state, event and effects in one transaction.

Effects inside the journal are carried out here and now; effects on the outside world become outbox rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from appliance.core.identity import BECAUSE, Doubt
from appliance.core.link import LINKS, LinkEvent, LinkState
from appliance.core.share import SHARES, ShareEvent, ShareState
from appliance.core.slip import SLIPS, SlipEvent, SlipState
from appliance.core.table import Effect
from appliance.daemon.auditing import Trail
from appliance.daemon.keeping import keep
from appliance.daemon.minting import STRICT_TERMS, LinkTerms, When, mint, open_share
from appliance.errors import NotFoundError
from appliance.formats.audit import Event, Kind, Outcome
from appliance.formats.sealed import Sealer
from appliance.ports import Row, Transaction

PAPER_LEFT = (SlipState.UNCONFIRMED, SlipState.PRINTED, SlipState.UNKNOWN, SlipState.VOID)
OUTSIDE = frozenset(
    {
        Effect.REGISTER_LINK,
        Effect.DESTROY_LINK,
        Effect.RENEW_LINK,
        Effect.DELETE_SHARE,
        Effect.PRINT_SLIP,
        Effect.PRINT_STAFF_SLIP,
    }
)

LINK_REFUSED = BECAUSE[Doubt.LINK_REFUSED]
SHORT_ID_CHARS = 8  # hexadecimal digits of a share id: what people type
REVOKED_MEANWHILE = "its link was revoked while it was at the printer"
DOUBTFUL = "nobody knows whether it came out, and its link was revoked"
ASKED_FOR = {
    ShareEvent.RELEASED: Kind.SHARE_RELEASED,
    ShareEvent.REVOKED: Kind.SHARE_REVOKED,
    ShareEvent.HELD_BACK: Kind.SHARE_HELD,
    ShareEvent.REPRINTED: Kind.SLIP_REPRINTED,
}


class Transitions:
    def __init__(self, terms: Mapping[str, LinkTerms], sealer: Sealer, clock: Callable[[], float]) -> None:
        self._terms = terms
        self._sealer = sealer
        self._clock = clock
        self.trail = Trail(sealer, clock)

    def share(
        self, tx: Transaction, share: int, event: ShareEvent, why: str = "", *, by: str = "", slip: str = ""
    ) -> None:
        """NotPossibleError when the table has no row for it. `by`: who asked; `slip`: in place of which another is."""
        row = self._row(tx, "share", share)
        state, effects = SHARES.advance(ShareState(row["state"]), event)
        if event in ASKED_FOR and (state != row["state"] or event is ShareEvent.REPRINTED):
            self.audit(tx, ASKED_FOR[event], share, why=why, by=by, slip=slip)
        if state != row["state"]:
            tx.do("set_share_state", id=share, state=str(state))
        if event is not ShareEvent.GREW:
            self.note(tx, share, f"share {event}" + (f": {why}" if why else ""), by=by)
        for effect in effects:
            self._carry_out(tx, effect, share)

    def link(self, tx: Transaction, link: int, event: LinkEvent) -> None:
        row = self._row(tx, "link", link)
        state, effects = LINKS.advance(LinkState(row["state"]), event)
        if state != row["state"] or event is LinkEvent.MINTED:
            tx.do("set_link_state", id=link, state=str(state))
            self.note(tx, row["share"], f"link {event}")
            if event is LinkEvent.REVOKED:
                self.audit(tx, Kind.LINK_REVOKED, row["share"])
        for effect in effects:
            self._carry_out(tx, effect, row["share"], link)

    def slip(self, tx: Transaction, slip: int, event: SlipEvent, *, by: str = "") -> SlipState:
        row = self._row(tx, "slip", slip)
        state, effects = SLIPS.advance(SlipState(row["state"]), event)
        self._audit_paper(tx, row, state, event)
        if state != row["state"]:
            tx.do("set_slip_state", id=slip, state=str(state))
            self.note(tx, row["share"], f"slip {row['number']} {event}", by=by)
        if row["state"] == SlipState.PRINTING and state in (SlipState.PRINTED, SlipState.UNCONFIRMED):
            tx.do("slip_printed", id=slip, now=self._clock())
        for effect in effects:
            self._carry_out(tx, effect, row["share"], row["link"], slip)
        return state

    def _audit_paper(self, tx: Transaction, slip: Row, state: SlipState, event: SlipEvent) -> None:
        """Paper left the printer, or may have. One record: a crash may come before what the printer says of it."""
        if slip["state"] != SlipState.PRINTING or state not in PAPER_LEFT:
            return
        why = {SlipEvent.LOST: DOUBTFUL, SlipEvent.VOIDED: REVOKED_MEANWHILE}.get(event, "")
        outcome = Outcome.MINOR_FAILURE if why else Outcome.SUCCESS
        self.audit(tx, Kind.SLIP_PRINTED, slip["share"], slip=slip["number"], outcome=outcome, why=why)

    def at_vault(self, tx: Transaction, share: int) -> None:
        """The vault has said that it knows this share; it may say so more than once."""
        if not self._row(tx, "share", share)["at_vault"]:
            tx.do("share_at_vault", id=share)
            self.audit(tx, Kind.SHARE_UPLOADED, share)

    def vault_refuses(self, tx: Transaction, share: int, because: str = LINK_REFUSED) -> None:
        """For good: asking again would change nothing, so a person decides what becomes of it."""
        tx.do("hold_share_because", id=share, held_because=because, doubt=Doubt.LINK_REFUSED)
        self.share(tx, share, ShareEvent.LINK_REFUSED)

    def audit(self, tx: Transaction, kind: Kind, share: int, **facts: Any) -> None:
        """A record about a share: whose, and which studies, while the box still knows."""
        row = self._row(tx, "share", share)
        patient = open_share(row, self._sealer).identity.patient_id if row["sealed"] else ""
        uids = [(study["study_key"], study["uid"]) for study in tx.all("studies", share=share) if study["uid"]]
        studies = tuple(self._sealer.open(b"study" + key, uid).decode() for key, uid in uids)
        share_id = row["share_id"].hex()[:SHORT_ID_CHARS]
        self.trail.record(tx, Event(kind, share=share_id, patient=patient, studies=studies, **facts))

    def note(self, tx: Transaction, share: int | None, what: str, *, by: str = "") -> None:
        """A line of a share's story, for staff (daemon/story.py tells it). `what` never holds a patient's data."""
        tx.do("add_event", share=share, what=what, by=by, now=self._clock())

    def mint_now(self, tx: Transaction, share: int) -> None:
        """One link, whoever asked for one and however often: those that wait for the study to be complete are done."""
        row = self._row(tx, "share", share)
        self._drop_waiting_mints(tx, share)
        link, _ = mint(tx, row, self._terms_of(row), self._sealer, self._clock())
        self.link(tx, link, LinkEvent.MINTED)

    def _carry_out(
        self, tx: Transaction, effect: Effect, share: int, link: int | None = None, slip: int | None = None
    ) -> None:
        if effect in OUTSIDE:
            self._post(tx, effect, share, link, slip)
        elif link is not None and effect in (Effect.REVOKE_LINK, Effect.VOID_SLIPS, Effect.FORGET_SECRET):
            self._carry_out_on_link(tx, effect, link)
        elif effect is Effect.MINT_LINK:
            self._mint_or_wait(tx, share)
        elif effect is Effect.REPLACE_LINK:
            self.share(tx, share, ShareEvent.LINK_LOST)
        elif effect is Effect.HOLD_SHARE:
            self.vault_refuses(tx, share)
        elif effect is Effect.REVOKE_LINKS:
            self._drop_waiting_mints(tx, share)
            for row in tx.all("links", share=share):
                self.link(tx, row["id"], LinkEvent.REVOKED)
        elif effect is Effect.KEEP_AT_VAULT:
            self._keep_at_vault(tx, share)
        elif effect is Effect.FORGET_KEYS:
            self._forget_keys(tx, share)

    def _keep_at_vault(self, tx: Transaction, share: int) -> None:
        if tx.all("links", share=share):  # else the vault never heard of it
            row = self._row(tx, "share", share)
            self.link(tx, keep(tx, row, self._terms_of(row), self._sealer, self._clock()), LinkEvent.MINTED)

    def _carry_out_on_link(self, tx: Transaction, effect: Effect, link: int) -> None:
        if effect is Effect.REVOKE_LINK:
            self.link(tx, link, LinkEvent.REVOKED)
        elif effect is Effect.FORGET_SECRET:
            tx.do("forget_link_secret", id=link)
        else:
            for row in tx.all("slips_of_link", link=link):
                self.slip(tx, row["id"], SlipEvent.VOIDED)

    def _post(self, tx: Transaction, effect: Effect, share: int, link: int | None, slip: int | None) -> None:
        slips = [slip]
        if effect is Effect.PRINT_STAFF_SLIP and not tx.one("link", id=link)["pin"]:
            return
        if effect is Effect.PRINT_SLIP and slip is None:  # the link was registered: its queued slips may go
            slips = [row["id"] for row in tx.all("slips_of_link", link=link) if row["state"] == SlipState.QUEUED]
        for one in slips:
            tx.do("add_effect", kind=str(effect), share=share, link=link, slip=one)

    def _mint_or_wait(self, tx: Transaction, share: int) -> None:
        when = self._terms_of(self._row(tx, "share", share)).when
        if when is When.REQUEST and not tx.all("links", share=share):
            return  # whoever asks for the first slip calls `mint_now`; those in its place come as with other profiles
        arriving = any(study["state"] == "arriving" for study in tx.all("studies", share=share))
        # Only the first: with its last link the vault deletes a share, so the one in its place must not wait.
        if not (when is When.COMPLETE and arriving and not tx.all("links", share=share)):
            self.mint_now(tx, share)
        elif not self._waiting_mints(tx, share):
            self._post(tx, Effect.MINT_LINK, share, None, None)

    def mint_waiting(self, tx: Transaction, share: int) -> None:
        """The study is complete: a profile that prints then has been waiting for this."""
        if self._waiting_mints(tx, share):
            self.mint_now(tx, share)

    def mint_requested(self, tx: Transaction, share: int) -> None:
        """Somebody asks for it now: a profile that prints on request has been waiting for this."""
        if self._prints_on_request(tx, share):
            self.mint_first(tx, share)

    def mint_first(self, tx: Transaction, share: int) -> bool:
        """A slip, whatever its profile waits for; False where a link is on paper already, or on its way there."""
        live = self._live_links(tx, share)
        if any(tx.all("slips_of_link", link=link) for link in live):
            return False
        self.mint_now(tx, share)
        for link in live:  # that kept it at the vault
            self.link(tx, link, LinkEvent.REVOKED)
        return True

    def unmint_requested(self, tx: Transaction, share: int) -> None:
        """Nobody asks for it any more: a profile that prints on request waits again."""
        live = self._live_links(tx, share)
        if self._prints_on_request(tx, share) and live:
            for link in live:
                self.link(tx, link, LinkEvent.REVOKED)
            self._keep_at_vault(tx, share)  # somebody else may still ask for it

    def _prints_on_request(self, tx: Transaction, share: int) -> bool:
        return self._terms_of(self._row(tx, "share", share)).when is When.REQUEST

    @staticmethod
    def _live_links(tx: Transaction, share: int) -> list[int]:
        return [row["id"] for row in tx.all("links", share=share) if row["state"] != LinkState.DESTROYED]

    def _drop_waiting_mints(self, tx: Transaction, share: int) -> None:
        for effect in self._waiting_mints(tx, share):
            tx.do("effect_done", id=effect["id"])

    @staticmethod
    def _waiting_mints(tx: Transaction, share: int) -> list[Row]:
        return [effect for effect in tx.all("effects_of_share", share=share) if effect["kind"] == Effect.MINT_LINK]

    def _terms_of(self, share: Row) -> LinkTerms:
        return self._terms.get(share["profile"], STRICT_TERMS)

    def _forget_keys(self, tx: Transaction, share: int) -> None:
        tx.do("forget_link_secrets_of_share", id=share)
        tx.do("forget_instance_keys", id=share)
        tx.do("forget_share_keys", id=share)
        tx.do("forget_study_uids", id=share)
        self._drop_waiting_mints(tx, share)

    @staticmethod
    def _row(tx: Transaction, noun: str, row_id: int) -> Row:
        row = tx.first(noun, id=row_id)
        if row is None:
            raise NotFoundError(f"there is no such {noun}")
        return row
