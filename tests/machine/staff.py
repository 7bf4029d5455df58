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

    @rule(which=st.integers(0, 5), by=persons, without_report=st.booleans())
    def staff_release_a_share(self, which: int, by: str, without_report: bool) -> None:
        share_id = self._share(which, held_first=True)
        if share_id is None:
            return
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
        self.truth.note_journal()
        return {picture.study_uid for picture in self.truth.promises.pictures_of(share_id)}

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
        answer = self._ask("requests-cancel", None, id=row["id"])
        said = None if answer is None else answer is not REFUSED and answer["state"] == "cancelled"
        for wish in self.oracle.wishes:
            if wish.number == row["id"] or self.truth.promises.request_key(wish.uid) == row["uid_key"]:
                wish.taken_back(said)

    @rule()
    def staff_look_at_the_status(self) -> None:
        self._ask("status", None)
