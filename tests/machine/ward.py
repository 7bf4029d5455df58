"""A ward where a slip comes out only when its patient's wristband was scanned."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from appliance.errors import SlipwayError
from appliance.formats.audit import Kind
from tests.daemon.house import PATIENT_ID
from tests.machine.oracle import STAFF
from tests.machine.visitors import REFUSED, Visited

BANDS = {"A": f"{PATIENT_ID}-A", "B": f" {PATIENT_ID}-B ", "nobody": "4711"}


class Ward(Visited):
    @precondition(lambda self: self.box.settings.wristband)
    @rule(whose=st.sampled_from([*"AAB", "nobody"]), which=st.integers(-2, 2))
    def a_wristband_is_scanned(self, whose: str, which: int) -> None:
        """For all of its patient's slips, or for one that waits, its patient's or not."""
        waiting = self._waiting()
        number = waiting[which] if 0 <= which < len(waiting) else ""
        before = {one: set(self.oracle.unlocked[one]) for one in waiting}
        for one in [number] if number else waiting:
            self.oracle.unlocked[one].add(BANDS[whose].strip())
        arguments = {"number": number, "wristband": BANDS[whose]}
        answer = self.run(self._asked("slips-release-wristband", None, arguments))
        if answer is REFUSED:
            self.oracle.unlocked.update(before)
        elif answer is None:
            self.oracle.perhaps[Kind.SLIP_RELEASED] += len(waiting)
        else:
            self.oracle.asked[Kind.SLIP_RELEASED] += len(answer["released"])
        self._then(0.5)

    def _waiting(self) -> list[str]:
        rows = self.box.journal.look("SELECT number FROM slip WHERE state = 'queued' AND wristband = 1 ORDER BY id")
        return [row["number"] for row in rows]

    async def _attend(self, left: list[str]) -> None:
        """Nurses bring each slip to its patient."""
        await super()._attend(left)
        for number in self._waiting():
            for band in (BANDS["A"], BANDS["B"]):
                self.oracle.unlocked[number].add(band.strip())
                with suppress(SlipwayError):  # it is the other patient's
                    arguments = {"number": number, "wristband": band, "by": STAFF[0]}
                    told = await self.box.house.operating.command("slips-release-wristband", arguments)
                    self.oracle.asked[Kind.SLIP_RELEASED] += len(told["released"])
