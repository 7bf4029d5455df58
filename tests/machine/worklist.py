"""A RIS that pushes workitems (UPS), and those who want to hear of them."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from appliance.dicom.workitem import ALL_WORKITEMS
from tests.machine import pacs
from tests.machine.box import PROFILES, RECEIVERS
from tests.machine.pictures import Twist, picture
from tests.machine.visitors import Visited
from tests.machine.wishes import Wish


class Worklist(Visited):
    @rule(
        profile=st.sampled_from(["ROBOT", "ROBOT", *PROFILES]),
        patient=st.sampled_from("AAB"),
        study=st.sampled_from("112"),
        images=st.integers(0, 3),
    )
    def the_ris_pushes_a_workitem(self, profile: str, patient: str, study: str, images: int) -> None:
        """Without images: for the whole study."""
        several = [picture(patient, study, number + 1, Twist.NONE, profile, "CT1") for number in range(max(images, 1))]
        uid = f"1.2.826.4711.6.{len(self.oracle.workitems)}"
        wish = Wish(uid, profile, tuple(several)) if images else Wish(uid, profile, studies=(several[0].study_uid,))
        self.oracle.workitems.append(wish)
        wish.perhaps_initiated = True
        said = self._succeeds(pacs.push(self.box.house.serving, wish))
        wish.created = wish.initiated = said is True
        self._then(0.5)

    @precondition(lambda self: self.oracle.workitems)
    @rule(which=st.integers(0, 2))
    def the_ris_cancels(self, which: int) -> None:
        wish = self._workitem(which)
        answer = self.run(self._answered(pacs.cancel_workitem(self.box.house.serving, wish)))
        wish.taken_back(None if answer is None else answer.status == 0, self.loop.time())
        self._then(0.5)

    @precondition(lambda self: self.oracle.workitems)
    @rule(which=st.integers(0, 2))
    def the_ris_asks_how_far_it_is(self, which: int) -> None:
        wish = self._workitem(which)
        answer = self.run(self._answered(pacs.workitem(self.box.house.serving, wish)))
        if answer is not None:
            self._then(0.0)
            self.truth.promises.believes_step(wish, answer)
        self._then(0.5)

    @rule(
        which=st.integers(0, 3),
        receiver=st.sampled_from(RECEIVERS),
        action=st.sampled_from([pacs.SUBSCRIBE, pacs.SUBSCRIBE, pacs.UNSUBSCRIBE]),
    )
    def somebody_wants_to_hear(self, which: int, receiver: str, action: int) -> None:
        """Of all workitems, or of one."""
        uid = self._workitem(which).uid if which and self.oracle.workitems else ALL_WORKITEMS
        self._succeeds(pacs.subscribe(self.box.house.serving, uid, receiver, action))
        self._then(0.5)

    @rule(deaf=st.booleans())
    def the_subscribers_are(self, deaf: bool) -> None:
        self.ear.deaf = deaf
        self._then(0.5)

    def _workitem(self, which: int) -> Wish:
        return self.oracle.workitems[-1 - which % len(self.oracle.workitems)]
