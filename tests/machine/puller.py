"""An archive that has studies, and whoever has the box fetch them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from appliance.formats.audit import Kind
from tests.machine.archive import Temper, accession
from tests.machine.box import PROFILES
from tests.machine.pictures import Twist, picture
from tests.machine.visitors import REFUSED, Visited
from tests.machine.wishes import Wish


class Puller(Visited):
    @rule(patient=st.sampled_from("AAB"), study=st.sampled_from("112"), images=st.integers(1, 3))
    def the_archive_gets_a_study(self, patient: str, study: str, images: int) -> None:
        self._keep(patient, study, images)
        self._then()

    def _keep(self, patient: str, study: str, images: int) -> None:
        for number in range(1, images + 1):
            self.archive.keep(picture(patient, study, number, Twist.NONE, "SHARE", "PACS"))

    @rule(temper=st.sampled_from(Temper))
    def the_archive(self, temper: Temper) -> None:
        self.archive.turn(temper)
        self._then(0.5)

    @precondition(lambda self: self.box.settings.archive)
    @rule(
        by_what=st.sampled_from(["accession", "accession", "study", "patient"]),
        patient=st.sampled_from("AAB"),
        study=st.sampled_from("112"),
        images=st.integers(0, 3),
        profile=st.sampled_from([*PROFILES]),
        all_=st.booleans(),
    )
    def somebody_pulls(self, by_what: str, patient: str, study: str, images: int, profile: str, all_: bool) -> None:
        """As soon as the archive has it, or before."""
        self._keep(patient, study, images)
        found, example = self.archive.studies(), picture(patient, study, 1, Twist.NONE, profile, "PACS")
        of = {"accession": accession(example), "study": example.study_uid, "patient": example.wristband}
        value = of[by_what]
        meant = [it for it in found if value in (it.accession_number, it.study_uid, it.patient_id)]
        wish = Wish("", profile, studies=tuple(it.study_uid for it in meant))
        self.oracle.pulls.append(wish)
        wish.perhaps_initiated = True
        requests = self._newest_request()
        answer = self._ask("pull", Kind.PACS_QUERIED, **{by_what: value}, profile=profile, all=all_)
        if answer is None:
            return
        if answer is REFUSED or "choose" in answer:
            self.oracle.pulls.remove(wish)
            assert self._newest_request() == requests or self.box.lives > 1, "refused, and yet there is a request"
            return
        assert len({(it.patient_id, it.patient_name) for it in meant}) == 1, "pulled for several patients at once"
        wish.number, wish.created, wish.initiated = answer.get("id", 0), True, True
        if not wish.number:  # all of it is here, and its slip is out or on its way
            wish.old = True

    @precondition(lambda self: any(wish.number for wish in self.oracle.pulls))
    @rule(which=st.integers(0, 2))
    def somebody_asks_how_the_pull_is(self, which: int) -> None:
        pulls = [wish for wish in self.oracle.pulls if wish.number]
        wish = pulls[-1 - which % len(pulls)]
        answer: Any = self._ask("pull-show", None, id=wish.number)
        if answer not in (None, REFUSED):
            self.truth.promises.believes_pull(wish, answer["state"])

    def _newest_request(self) -> int:
        return int(self.box.journal.look("SELECT coalesce(max(id), 0) AS id FROM request")[0]["id"])
