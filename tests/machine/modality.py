"""A modality that reports what it has made (MPPS), and whoever writes the reports."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.machine import pacs
from tests.machine.box import PROFILES
from tests.machine.department import soon
from tests.machine.pictures import Twist, picture, report
from tests.machine.visitors import Visited
from tests.machine.wishes import Step

NOTHING: frozenset[str] = frozenset()


class Modality(Visited):
    @rule(
        patient=st.sampled_from("AAB"),
        study=st.sampled_from("112"),
        of_two=st.sampled_from([False, False, True]),
        images=st.integers(0, 3),
    )
    def a_step_begins(self, patient: str, study: str, of_two: bool, images: int) -> None:
        """With images it is over at once."""
        studies = dict.fromkeys(
            picture(patient, one, 1, Twist.NONE, "SHARE", "CT1").study_uid for one in (study, "2" if of_two else study)
        )
        step = Step(f"1.2.826.4711.7.{len(self.oracle.steps)}", tuple(studies))
        self.oracle.steps.append(step)
        step.begun = self._succeeds(pacs.begin_step(self.box.house.serving, step)) is True
        step.listed = (NOTHING,)
        if images:
            self._change(step, "COMPLETED", _uids(patient, study, images))
        self._then(0.5)

    @precondition(lambda self: self.oracle.steps)
    @rule(
        which=st.integers(0, 2),
        status=st.sampled_from(["", "COMPLETED", "COMPLETED", "DISCONTINUED"]),
        patient=st.sampled_from("AAB"),
        study=st.sampled_from("112"),
        images=st.integers(0, 3),
    )
    def a_step_goes_on(self, which: int, status: str, patient: str, study: str, images: int) -> None:
        """Without images: what it listed before holds."""
        step = self.oracle.steps[-1 - which % len(self.oracle.steps)]
        self._change(step, status, _uids(patient, study, images))
        self._then(0.5)

    def _change(self, step: Step, status: str, uids: frozenset[str]) -> None:
        was_over, before = step.over, step.listed
        step.perhaps_completed = step.perhaps_completed or status == "COMPLETED"
        step.listed = (*before, uids) if uids else before
        said = self._succeeds(pacs.change_step(self.box.house.serving, step, status, uids))
        assert said is not True or not step.surely_over or step.old, "a step that is over was changed"
        assert said is not False or was_over or not step.begun or step.old, "a step that goes on was refused"
        if said is False:
            step.listed = before
        elif said and uids and status != "DISCONTINUED":
            step.listed = (uids,)
        step.over = step.over or (bool(status) and said is not False)
        step.surely_over = step.surely_over or (bool(status) and said is True)
        step.completed = step.completed or (said is True and status == "COMPLETED")

    @rule(
        profile=st.sampled_from(["LATER", *PROFILES]),
        patient=st.sampled_from("AAB"),
        study=st.sampled_from("112"),
        then=soon,
    )
    def a_report_is_written(self, profile: str, patient: str, study: str, then: float) -> None:
        self.run(self._send(profile, [report(patient, study, profile, "RIS")], "RIS"))
        self._then(then)


def _uids(patient: str, study: str, images: int) -> frozenset[str]:
    return frozenset(picture(patient, study, n + 1, Twist.NONE, "SHARE", "CT1").uid for n in range(images))
