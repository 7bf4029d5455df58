"""Staff at the control socket: shares, slips and requests."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from appliance.formats.audit import Kind
from tests.machine.oracle import STAFF
from tests.machine.visitors import REFUSED, Visited

WEEK_DAYS = 7
RECORDS = {
    "shares-revoke": Kind.SHARE_REVOKED,
    "shares-show": Kind.SHARE_SHOWN,
    "shares-extend": Kind.LINK_EXTENDED,
    "slips-reprint": Kind.SLIP_REPRINTED,
}
persons = st.sampled_from(STAFF)


class Staff(Visited):
    # -- shares --------------------------------------------------------------------------------------------------------

    @rule(which=st.integers(0, 5), what=st.sampled_from(["shares-revoke", "shares-show"]))
    def staff_ask_for_a_share(self, what: str, which: int) -> None:
        share_id = self._share(which)
        if share_id is None:
            return
        if what == "shares-revoke":
            self.oracle.revoked.add(share_id)
        answer = self._ask(what, RECORDS[what], id=share_id.hex())
        if what == "shares-revoke" and answer not in (None, REFUSED):
            self.oracle.surely_revoked.add(share_id)

    @rule(which=st.integers(0, 5))
    def staff_extend_a_share(self, which: int) -> None:
        share_id = self._share(which)
        if share_id is None:
            return
        asked_at = self.run(self._true_now())
        self.oracle.extended.setdefault(share_id, asked_at)
        answer = self._ask("shares-extend", RECORDS["shares-extend"], id=share_id.hex(), days=WEEK_DAYS)
        if answer not in (None, REFUSED):
            self.oracle.surely_extended[share_id] = asked_at

    async def _true_now(self) -> float:
        return self.time.true_now()

    @rule(
        which=st.integers(0, 5),
        by=st.sampled_from([STAFF, *((one,) for one in STAFF)]),
        without_report=st.booleans(),
    )
    def staff_release_a_share(self, which: int, by: tuple[str, ...], without_report: bool) -> None:
        """One after the other."""
        share_id = self._share(which, held_first=True)
        for one in by if share_id is not None else ():
            self._release(share_id, one, without_report=without_report)

    def _release(self, share_id: bytes, by: str, *, without_report: bool) -> None:
        before = self._approves(share_id, by)
        if without_report:
            self.oracle.waived |= self._studies_of(share_id)
        answer = self._ask(
            "shares-release", Kind.SHARE_RELEASED, id=share_id.hex(), by=by, without_report=without_report
        )
        if answer is REFUSED:
            self.oracle.approved.update(before)

    @rule(
        which=st.integers(0, 5),
        what=st.sampled_from(["same-person", "two-people", "discard", "hold", "print"]),
        by=persons,
    )
    def staff_decide_about_a_share(self, what: str, which: int, by: str) -> None:
        share_id = self._share(which, held_first=True)
        if share_id is None:
            return
        if what == "discard":
            self.oracle.revoked.add(share_id)
        before = self._approves(share_id, by)
        self.oracle.perhaps.update([Kind.SHARE_RELEASED, Kind.SHARE_REVOKED])
        self.oracle.one_person = self.oracle.one_person or what == "same-person"
        if what == "print":
            self.oracle.by_hand.add(share_id)
        command = f"shares-{what}" if what in ("hold", "print") else "shares-resolve"
        answer = self._ask(command, None, id=share_id.hex(), decision=what, by=by)
        if what in ("hold", "print", "discard") or answer is REFUSED:
            self.oracle.approved.update(before)
        if what == "discard" and answer not in (None, REFUSED):
            self.oracle.surely_revoked.add(share_id)

    def _share(self, which: int, *, held_first: bool = False) -> bytes | None:
        rows = self.box.journal.look(
            "SELECT share_id FROM share ORDER BY (state = 'held' AND ?) DESC, id DESC", int(held_first)
        )
        return bytes(rows[which % len(rows)]["share_id"]) if rows else None

    def _approves(self, share_id: bytes, by: str) -> dict[str, set[str]]:
        """Of what is there now, and only while it is held; who had approved it before."""
        held = self.box.journal.look("SELECT 1 FROM share WHERE share_id = ? AND state = 'held'", share_id)
        approved = self.oracle.approved
        before = {study: set(approved[study]) for study in self._studies_of(share_id)}
        for study in before if held else ():
            approved[study].add(by)
        return before

    def _studies_of(self, share_id: bytes) -> set[str]:
        """As the journal has them: what was durable and never acknowledged is there as well."""
        rows = self.box.journal.look(
            "SELECT study_key FROM study JOIN share ON share.id = study.share WHERE share_id = ?", share_id
        )
        return self.truth.promises.study_uids(row["study_key"] for row in rows)

    # -- slips ---------------------------------------------------------------------------------------------------------

    @rule(
        which=st.integers(0, 5), what=st.sampled_from(["slips-reprint", "slips-confirm", "slips-lost", "slips-release"])
    )
    def staff_ask_for_a_slip(self, what: str, which: int) -> None:
        rows = self.box.journal.look(
            "SELECT number, share_id FROM slip JOIN share ON share.id = slip.share ORDER BY slip.id DESC"
        )
        if rows:
            slip = rows[which % len(rows)]
            if what == "slips-reprint":
                self.oracle.by_hand.add(slip["share_id"])
            self._ask(what, RECORDS.get(what), number=slip["number"], why="lost")

    # -- requests ------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.oracle.wishes)
    @rule(which=st.integers(0, 3))
    def staff_cancel_a_request(self, which: int) -> None:
        rows = self.box.journal.look("SELECT id, uid_key FROM request ORDER BY id DESC")
        if not rows:
            return
        row = rows[which % len(rows)]
        answer = self.run(self._asked("requests-cancel", None, {"id": row["id"]}))
        said = None if answer is None else answer is not REFUSED and answer["state"] == "cancelled"
        for wish in self.oracle.wishes:
            if wish.number == row["id"] or self.truth.promises.request_key(wish.uid) == row["uid_key"]:
                wish.taken_back(said, self.loop.time())
        self._then(0.5)

    @rule()
    def staff_look_at_the_status(self) -> None:
        self._ask("status", None)
