"""A PACS that wants discs burnt, and announces what it has."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.machine import pacs
from tests.machine.box import PROFILES
from tests.machine.pictures import Twist, picture
from tests.machine.visitors import Visited
from tests.machine.wishes import Announcement, Wish


class Burner(Visited):
    @rule(
        profile=st.sampled_from(["ROBOT", "ROBOT", *PROFILES]),
        patient=st.sampled_from("AAB"),
        study=st.sampled_from("112"),
        images=st.integers(1, 3),
        of_two_patients=st.sampled_from([False, False, False, True]),
        at_once=st.booleans(),
    )
    def the_pacs_wants_a_disc(
        self, profile: str, patient: str, study: str, images: int, of_two_patients: bool, at_once: bool = False
    ) -> None:
        numbers = range(1, images + 1)
        several = [picture(patient, study, number, Twist.NONE, profile, "CT1") for number in numbers]
        if of_two_patients:
            several.append(picture("A" if patient == "B" else "B", study, 1, Twist.NONE, profile, "CT1"))
        disc = Wish(f"1.2.826.4711.9.{len(self.oracle.discs)}", profile, tuple(several))
        self.oracle.discs.append(disc)
        disc.created = self._succeeds(pacs.create(self.box.house.serving, disc)) is True
        if at_once:
            self._initiate(disc)
        self._then(0.5)

    @precondition(lambda self: self.oracle.discs)
    @rule(which=st.integers(0, 2))
    def the_pacs_initiates(self, which: int) -> None:
        self._initiate(self._disc(which))
        self._then(0.5)

    def _initiate(self, disc: Wish) -> None:
        before, disc.perhaps_initiated = disc.perhaps_initiated, True
        said = self._succeeds(pacs.act(self.box.house.serving, disc, pacs.INITIATE))
        disc.initiated = disc.initiated or said is True
        disc.perhaps_initiated = before or said is not False

    @precondition(lambda self: self.oracle.discs)
    @rule(which=st.integers(0, 2))
    def the_pacs_cancels(self, which: int) -> None:
        disc = self._disc(which)
        said = self._succeeds(pacs.act(self.box.house.serving, disc, pacs.CANCEL))
        disc.taken_back(said, self.loop.time())
        self._then(0.5)

    @precondition(lambda self: self.oracle.discs)
    @rule(which=st.integers(0, 2))
    def the_pacs_asks_how_far_it_is(self, which: int) -> None:
        disc = self._disc(which)
        answer = self.run(self._answered(pacs.progress(self.box.house.serving, disc)))
        if answer is not None:
            self._then(0.0)
            self.truth.promises.believes(disc, answer)
        self._then(0.5)

    @rule(patient=st.sampled_from("AAB"), study=st.sampled_from("112"), images=st.integers(1, 3))
    def the_pacs_announces(self, patient: str, study: str, images: int) -> None:
        several = [picture(patient, study, number, Twist.NONE, "SHARE", "CT1") for number in range(1, images + 1)]
        what = Announcement(tuple(several))
        self.announcements += 1
        self.oracle.perhaps_announced.append(what)
        if self._succeeds(pacs.announce(self.box.house.serving, what, f"1.2.826.4711.8.{self.announcements}")):
            self.oracle.announced.append(what)
        self._then(0.5)

    def _disc(self, which: int) -> Wish:
        return self.oracle.discs[-1 - which % len(self.oracle.discs)]
