"""A department of a hospital with a box in it: senders, disk, clocks, line, printer and mains, as steps.

Who asks the box for something (staff, the PACS) is in `visitors`.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from appliance.errors import SlipwayError
from appliance.formats.spool_frame import Receipt
from appliance.ports import Incoming, Peer
from tests.fakes.spool import arrival
from tests.machine.archive import Archive, Ear, Temper
from tests.machine.box import PROFILES, Box, Settings
from tests.machine.invariants import Invariants
from tests.machine.oracle import Acknowledged, Oracle
from tests.machine.pictures import Picture, Twist, picture
from tests.machine.world import Line, Moment, Mood, StrictVault, Time, Tray
from tests.printing.virtual_time import VirtualLoop

SETTLED_WITHIN_S = 1800.0  # of the box's time, once all faults have ended
ANSWERED_WITHIN_S = 5.0
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
MEMORY = Path("/dev/shm")

AGES = {"half an hour and more": 35 * MINUTE, "a visit": 13 * HOUR, "a week": 8 * DAY, "a month": 22 * DAY}
JUMPS = {"an hour": HOUR, "an hour back": -HOUR, "ten years": 3650 * DAY, "ten years back": -3650 * DAY}
twists = st.sampled_from([Twist.NONE] * 8 + list(Twist)[1:])
soon = st.sampled_from([0.0, 0.0, 0.5, 2.0])
seldom = st.sampled_from([False, False, True])
boxes = st.builds(
    Settings,
    wristband=seldom,
    report=seldom,
    approvals=st.sampled_from([0, 0, 1, 2]),
    quotas=seldom,
    archive=st.sampled_from([True, True, False]),
)


class Department(RuleBasedStateMachine):
    """A box, its senders, its vault, its printer and its staff."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="slipway-", dir=MEMORY if MEMORY.is_dir() else None))
        self.loop = VirtualLoop()
        self.time, self.tray = Time(), Tray()
        self.oracle = Oracle()
        self.peers: list[Peer] = []
        self.announcements = 0
        self.archive, self.ear = Archive(), Ear()
        self.box = Box(self.folder, StrictVault(self.time), self.tray, self.time, self.archive, self.ear)
        self.box.deliver = self._deliver
        self.truth = Invariants(self.box, self.oracle)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @initialize(settings=boxes)
    def the_box_is_switched_on(self, settings: Settings) -> None:
        self.box.settings = settings
        self.run(self.box.start())

    # -- senders -------------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.peers) < 3)
    @rule(sender=st.sampled_from(["CT1", "MR1"]), profile=st.sampled_from([*PROFILES]))
    def associate(self, sender: str, profile: str) -> None:
        self.peers.append(self.box.house.call(sender, profile))
        self._then()

    @rule(
        profile=st.sampled_from([*PROFILES]),
        patient=st.sampled_from("AAB"),
        study=st.sampled_from("112"),
        images=st.integers(1, 3),
        twist=twists,
        then=soon,
        power_fails=st.sampled_from([None] * 8 + [*Moment]),
    )
    def a_study_arrives(
        self,
        profile: str,
        patient: str,
        study: str,
        images: int,
        twist: Twist,
        then: float,
        power_fails: Moment | None = None,
    ) -> None:
        self.box.mains.strikes_at = power_fails or self.box.mains.strikes_at
        several = [picture(patient, study, number, twist, profile, "CT1") for number in range(1, images + 1)]
        self.run(self._send(profile, several, "CT1"))
        self._then(then)

    async def _send(self, profile: str, several: list[Picture], sender: str) -> None:
        """On an association of its own."""
        peer = self.box.house.call(sender, profile)
        for one in several:
            await self._store(peer, one)
        self.box.house.receiving.closed(peer)

    @precondition(lambda self: self.peers)
    @rule(
        on=st.integers(0, 2),
        patient=st.sampled_from("AAB"),
        study=st.sampled_from("112"),
        number=st.integers(1, 3),
        twist=twists,
        then=soon,
    )
    def store(self, on: int, patient: str, study: str, number: int, twist: Twist, then: float) -> None:
        peer = self.peers[on % len(self.peers)]
        self.run(self._store(peer, picture(patient, study, number, twist, peer.called_ae_title, peer.calling_ae_title)))
        self._then(then)

    async def _store(self, peer: Peer, what: Picture) -> asyncio.Future[None] | None:
        """Whose result is there when the image is acknowledged; None: the box refuses it."""
        receiving = self.box.house.receiving
        refusal = receiving.refuse(peer)
        self.truth.promises.has_room(peer, refused=refusal is not None)
        if refusal is not None:
            receiving.complained(peer.address, refusal, peer)
            return None
        incoming = self.box.spool.begin()
        incoming.write(memoryview(what.data))
        self.oracle.send(what)
        return self._finish(incoming, what, peer)

    def _finish(self, incoming: Incoming, what: Picture, peer: Peer) -> asyncio.Future[None]:
        box = self.box
        titles = {"called_ae_title": peer.called_ae_title, "calling_ae_title": peer.calling_ae_title}
        circumstances = arrival(what.uid, sop_class_uid=what.sop_class, address=peer.address, **titles)
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(receipt: Receipt | None, error: Exception | None) -> None:
            assert receipt is not None, error
            box.house.receiving.stored(receipt, peer)
            ciphertext = b"".join(map(box.spool.read, receipt.pieces))
            self.oracle.acknowledge(Acknowledged(what, receipt, ciphertext))
            if not answered.done():  # else whoever waited for it is gone
                answered.set_result(None)

        incoming.finish(circumstances, done)
        return answered

    async def _deliver(self, what: Picture) -> bool:
        """By the archive, on an association of its own."""
        peer = self.box.house.call(what.sender, what.profile, "10.20.0.9")
        try:
            answered = await self._store(peer, what)
            if answered is not None:
                await answered
        finally:
            self.box.house.receiving.closed(peer)
        return answered is not None

    @rule()
    def the_disk_stalls(self) -> None:
        self.box.spool.disk.holding = True
        self._then()

    @precondition(lambda self: self.box.spool.disk.holding)
    @rule()
    def the_disk_catches_up(self) -> None:
        self.run(self._catch_up())
        self._then(0.5)

    async def _catch_up(self) -> None:
        self.box.spool.catch_up()

    @precondition(lambda self: self.peers)
    @rule(on=st.integers(0, 2), then=soon)
    def release(self, on: int, then: float) -> None:
        self.run(self._hang_up(on))
        self._then(then)

    async def _hang_up(self, on: int) -> None:
        self.box.house.receiving.closed(self.peers.pop(on % len(self.peers)))

    @precondition(lambda self: self.peers)
    @rule(on=st.integers(0, 2), number=st.integers(1, 3))
    def abort_in_the_middle_of_an_image(self, on: int, number: int) -> None:
        self.run(self._abort(on, number))
        self._then(0.5)

    async def _abort(self, on: int, number: int) -> None:
        peer = self.peers[on % len(self.peers)]
        what = picture("A", "1", number, Twist.NONE, peer.called_ae_title, peer.calling_ae_title)
        incoming = self.box.spool.begin()
        incoming.write(memoryview(what.data)[: len(what.data) // 2])
        await self._hang_up(on)

    # -- time ----------------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1.0, 5.0, 35.0]))
    def seconds_pass(self, seconds: float) -> None:
        self._then(seconds)

    @rule(what=st.sampled_from([*AGES, "half an hour and more", "a visit"]))
    def nobody_comes_for(self, what: str) -> None:
        self.time.advance(AGES[what])
        if AGES[what] > HOUR:
            self.oracle.days_pass()
        self._then(2.0)

    @rule(by=st.sampled_from([*JUMPS, "to 1970"]))
    def our_clock_jumps(self, by: str) -> None:
        self.run(self._jump(by))
        self._then(2.0)

    async def _jump(self, by: str) -> None:
        self.oracle.days_pass()
        self.time.jump(max(JUMPS.get(by, -self.time.now()), -self.time.now()))  # no clock shows less than 1970

    # -- faults --------------------------------------------------------------------------------------------------------

    @rule(line=st.sampled_from(Line))
    def the_line_to_the_vault_is(self, line: Line) -> None:
        self.box.vault.turn(line)
        self._then(0.5)

    @rule(mood=st.sampled_from(Mood))
    def the_printer_is(self, mood: Mood) -> None:
        self.tray.turn(mood)
        self._then(0.5)

    @rule(kept=st.integers(0, 9), returns=st.booleans())
    def the_power_fails(self, kept: int, returns: bool) -> None:
        self.run(self._lose_power(kept, returns=returns))
        self._then()

    async def _lose_power(self, kept: int = 0, *, returns: bool = False) -> None:
        self.peers.clear()
        await self.box.lose_power(kept=kept, returns=returns)
        await self.box.start()

    @rule(transactions=st.integers(0, 9))
    def the_power_will_fail_after(self, transactions: int) -> None:
        self.box.mains.cut_after(transactions)
        self._then()

    @rule(moment=st.sampled_from(Moment))
    def the_power_will_fail(self, moment: Moment) -> None:
        self.box.mains.strikes_at = moment
        self._then()

    @rule(requests=st.integers(0, 6))
    def the_line_will_break_after(self, requests: int) -> None:
        self.box.vault.turn(Line.UP)
        self.box.vault.requests_left = requests
        self._then()

    @rule()
    def restart(self) -> None:
        self.run(self._restart())
        self._then()

    async def _restart(self) -> None:
        self.box.mains.spare()  # an orderly end: mains that fail in the midst of it are `the_power_fails`
        for _ in range(len(self.peers)):
            await self._hang_up(0)
        await self.box.stop()
        await self.box.start()

    # -- what follows --------------------------------------------------------------------------------------------------

    def _then(self, seconds: float = 0.0) -> None:
        """So much time passes after each step, and then everything must be as it must be."""
        self.run(self._work(seconds))

    async def _work(self, seconds: float) -> None:
        if seconds:
            await self.box.work(seconds)
        if self.box.mains.is_cut:
            await self._lose_power()
        self.truth.check()

    def teardown(self) -> None:
        try:
            if self.box.lives:
                self.run(self._end())
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.run(asyncio.sleep(0))
            self.loop.close()
            shutil.rmtree(self.folder)

    async def _end(self) -> None:
        """All faults end, everybody goes home, and the box comes to rest."""
        if self.box.mains.is_cut:
            await self._lose_power()
        self.box.mains.spare()
        self.box.vault.turn(Line.UP)
        self.tray.turn(Mood.GOOD)
        self.archive.turn(Temper.GOOD)
        self.ear.deaf = False
        await self._catch_up()
        while self.peers:
            await self._hang_up(0)
        await self._settle()
        self.truth.check()
        self.truth.all_is_delivered()
        self._all_may_send()
        await self.truth.verify_trail()
        await self.box.stop()

    def _all_may_send(self) -> None:
        """But for what a person must decide first."""
        for sender in ("CT1", "MR1"):
            peer = self.box.house.call(sender, "SHARE")
            refused = self.box.house.receiving.refuse(peer) is not None
            self.truth.promises.has_room(peer, refused=refused, settled=True)
            self.box.house.receiving.closed(peer)

    async def _settle(self) -> None:
        end = self.loop.time() + SETTLED_WITHIN_S
        while left := self.truth.settled():
            assert self.loop.time() < end, f"the box does not come to rest: {left}"
            await self.box.work(10.0)
            await self._attend(left)

    async def _attend(self, left: list[str]) -> None:
        """Staff do what the box waits for."""
        for number in [one.split()[1] for one in left if one.endswith(("overdue", "unconfirmed"))]:
            said = "slips-release" if f"slip {number} overdue" in left else "slips-confirm"
            with suppress(SlipwayError):  # it was voided meanwhile, or waits for a wristband
                await self.box.house.operating.command(said, {"number": number})
