"""Who asks the box for something: its staff by commands, a PACS over the network, as steps of the department."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from appliance.errors import SlipwayError
from appliance.formats.audit import Kind
from appliance.ports import ServiceAnswer
from tests.machine import pacs
from tests.machine.box import PROFILES
from tests.machine.department import ANSWERED_WITHIN_S, Department
from tests.machine.oracle import STAFF
from tests.machine.pacs import Announcement, Disc
from tests.machine.pictures import Twist, picture

RECORDS = {
    "shares-revoke": Kind.SHARE_REVOKED,
    "shares-release": Kind.SHARE_RELEASED,
    "shares-show": Kind.SHARE_SHOWN,
    "shares-extend": Kind.LINK_EXTENDED,
    "slips-reprint": Kind.SLIP_REPRINTED,
}


class VisitedDepartment(Department):
    # -- the PACS ------------------------------------------------------------------------------------------------------

    @rule(
        profile=st.sampled_from(["ROBOT", "ROBOT", *PROFILES]),
        patient=st.sampled_from("AAB"),
        study=st.sampled_from("112"),
        images=st.integers(1, 3),
        of_two_patients=st.sampled_from([False, False, False, True]),
    )
    def the_pacs_wants_a_disc(self, profile: str, patient: str, study: str, images: int, of_two_patients: bool) -> None:
        numbers = range(1, images + 1)
        several = [picture(patient, study, number, Twist.NONE, profile, "CT1") for number in numbers]
        if of_two_patients:
            several.append(picture("A" if patient == "B" else "B", study, 1, Twist.NONE, profile, "CT1"))
        disc = Disc(f"1.2.826.4711.9.{len(self.oracle.discs)}", profile, tuple(several))
        self.oracle.discs.append(disc)
        disc.created = self._succeeds(pacs.create(self.box.house.serving, disc)) is True
        self._then(0.5)

    @precondition(lambda self: self.oracle.discs)
    @rule(which=st.integers(0, 2))
    def the_pacs_initiates(self, which: int) -> None:
        disc = self._disc(which)
        said = self._succeeds(pacs.act(self.box.house.serving, disc, pacs.INITIATE))
        disc.initiated = disc.initiated or said is True
        disc.perhaps_initiated = disc.perhaps_initiated or said is not False
        self._then(0.5)

    @precondition(lambda self: self.oracle.discs)
    @rule(which=st.integers(0, 2))
    def the_pacs_cancels(self, which: int) -> None:
        disc = self._disc(which)
        disc.cancelled = (
            self._succeeds(pacs.act(self.box.house.serving, disc, pacs.CANCEL)) is not False or disc.cancelled
        )
        self._then(0.5)

    @precondition(lambda self: self.oracle.discs)
    @rule(which=st.integers(0, 2))
    def the_pacs_asks_how_far_it_is(self, which: int) -> None:
        disc = self._disc(which)
        answer = self.run(self._answered(pacs.progress(self.box.house.serving, disc)))
        if answer is not None:
            self._then(0.0)
            self.truth.believes(disc, answer)
        self._then(0.5)

    @rule(patient=st.sampled_from("AAB"), study=st.sampled_from("112"), images=st.integers(1, 3))
    def the_pacs_announces(self, patient: str, study: str, images: int) -> None:
        several = [picture(patient, study, number, Twist.NONE, "SHARE", "CT1") for number in range(1, images + 1)]
        what = Announcement(tuple(several))
        self.announcements += 1
        if self._succeeds(pacs.announce(self.box.house.serving, what, f"1.2.826.4711.8.{self.announcements}")):
            self.oracle.announced.append(what)
        self._then(0.5)

    def _disc(self, which: int) -> Disc:
        return self.oracle.discs[-1 - which % len(self.oracle.discs)]

    def _succeeds(self, asking: Coroutine[Any, Any, ServiceAnswer]) -> bool | None:
        """None: no answer came."""
        answer = self.run(self._answered(asking))
        return None if answer is None else answer.status == 0

    async def _answered(self, asking: Coroutine[Any, Any, ServiceAnswer]) -> ServiceAnswer | None:
        task = asyncio.create_task(asking)
        await asyncio.wait([task], timeout=ANSWERED_WITHIN_S)
        if task.done():
            return task.result()
        assert self.box.mains.is_cut, "the PACS gets no answer"
        task.cancel()
        return None

    # -- staff ---------------------------------------------------------------------------------------------------------

    @rule(
        which=st.integers(0, 5),
        what=st.sampled_from(["shares-revoke", "shares-release", "shares-show", "shares-extend"]),
    )
    def staff_ask_for_a_share(self, what: str, which: int) -> None:
        rows = self.box.journal.look("SELECT share_id, state FROM share ORDER BY id DESC")
        if rows:
            row = rows[which % len(rows)]
            if what == "shares-revoke":
                self.oracle.revoked.add(row["share_id"])
            self._ask(what, RECORDS[what], id=row["share_id"].hex(), days=7)

    @rule(which=st.integers(0, 5), what=st.sampled_from(["same-person", "two-people", "discard", "hold", "print"]))
    def staff_decide_about_a_share(self, what: str, which: int) -> None:
        rows = self.box.journal.look("SELECT share_id, state FROM share ORDER BY state = 'held' DESC, id DESC")
        if not rows:
            return
        share_id = rows[which % len(rows)]["share_id"]
        if what == "discard":
            self.oracle.revoked.add(share_id)
        self.oracle.perhaps.update([Kind.SHARE_RELEASED, Kind.SHARE_REVOKED])
        self.oracle.one_person = self.oracle.one_person or what == "same-person"
        self.oracle.unasked = self.oracle.unasked or what == "print"
        command = f"shares-{what}" if what in ("hold", "print") else "shares-resolve"
        self._ask(command, None, id=share_id.hex(), decision=what)

    @rule(
        which=st.integers(0, 5), what=st.sampled_from(["slips-reprint", "slips-confirm", "slips-lost", "slips-release"])
    )
    def staff_ask_for_a_slip(self, what: str, which: int) -> None:
        rows = self.box.journal.look("SELECT number FROM slip ORDER BY id DESC")
        if rows:
            self._ask(what, RECORDS.get(what), number=rows[which % len(rows)]["number"], why="lost")

    @rule()
    def staff_look_at_the_status(self) -> None:
        self._ask("status", None)

    def _ask(self, command: str, record: Kind | None, **arguments: Any) -> None:
        self.run(self._asked(command, record, arguments))
        self._then(0.5)

    async def _asked(self, command: str, record: Kind | None, arguments: dict[str, Any]) -> None:
        asking = asyncio.create_task(self.box.house.operating.command(command, arguments | {"by": STAFF}))
        await asyncio.wait([asking], timeout=ANSWERED_WITHIN_S)
        if not asking.done():
            assert self.box.mains.is_cut, f"{command} is not answered"
            asking.cancel()
        elif (error := asking.exception()) is None:
            self._count(record)
            return
        elif not isinstance(error, SlipwayError):
            raise error
        if record is not None and self.box.mains.is_cut:
            self.oracle.perhaps[record] += 1

    def _count(self, record: Kind | None) -> None:
        if record in (Kind.SHARE_RELEASED, Kind.SHARE_REVOKED):
            self.oracle.perhaps[record] += 1  # said of a share that was so already, it is nothing new
        elif record is not None:
            self.oracle.asked[record] += 1
