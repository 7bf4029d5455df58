"""Into which share an image goes, and each named outcome where that is in doubt."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.identity import Doubt, Identity, completed, normal_name
from appliance.core.placement import (
    ABOUT_IMAGES,
    Candidate,
    Circumstances,
    Placement,
    Standing,
    place,
    place_other_bytes,
)
from tests.core.test_identity import ADA, BEN, IDENTITIES

OUT, WAITING, APART = Standing.OUT, Standing.WAITING, Standing.APART
NEW = Placement()
NOBODY = replace(ADA, patient_id="")


def share(identity: Identity = ADA, number: int = 1, **facts: object) -> Candidate:
    return Candidate(number, identity, **({"has_study": False} | facts))  # type: ignore[arg-type]


def held(
    identity: Identity = ADA, number: int = 1, doubt: Doubt | None = Doubt.SAME_ID_OTHER_NAME, **facts: object
) -> Candidate:
    return share(identity, number, standing=APART, doubt=doubt, **facts)


# -- the same patient ----------------------------------------------------------------------------------------------


def test_a_new_patient_gets_a_new_share():
    assert place(ADA, []) == NEW


def test_another_study_of_the_same_patient_joins_the_open_share():
    assert place(ADA, [share()]) == Placement(1)


def test_another_patient_gets_another_share():
    assert place(BEN, [share()]) == NEW


def test_the_share_that_has_the_study_comes_before_another_of_the_same_patient():
    assert place(ADA, [share(number=1), share(number=2, has_study=True)]) == Placement(2)


def test_the_share_that_agrees_wins_over_one_that_is_in_doubt():
    other = replace(ADA, birth_date="19700201")
    assert place(ADA, [share(other, 1), share(ADA, 2)]) == Placement(2)


def test_after_the_visit_only_its_own_study_joins_a_share():
    assert place(ADA, [share(in_visit=False)]) == NEW
    assert place(ADA, [share(in_visit=False, has_study=True)]) == Placement(1)


def test_no_doubt_comes_of_a_visit_that_is_over():
    assert place(replace(ADA, name="Rivers^Adam"), [share(in_visit=False)]) == NEW


# -- each doubt ----------------------------------------------------------------------------------------------------

BETWEEN_STUDIES = {
    Doubt.SAME_ID_OTHER_NAME: replace(ADA, name="Rivers^Adam"),
    Doubt.SAME_ID_OTHER_BIRTH_DATE: replace(ADA, birth_date="19700201"),
    Doubt.SAME_ID_OTHER_SEX: replace(ADA, sex="M"),
    Doubt.ISSUER_MISSING: replace(ADA, issuer="HOSP"),
    Doubt.SIMILAR_ID: replace(ADA, patient_id="1243"),
}
WITHIN_A_STUDY = {
    **{doubt: other for doubt, other in BETWEEN_STUDIES.items() if doubt is not Doubt.SIMILAR_ID},
    Doubt.ID_CHANGED_IN_STUDY: replace(ADA, patient_id="998877"),
    Doubt.STUDY_OF_ANOTHER_PATIENT: BEN,
    Doubt.NO_PATIENT_ID: NOBODY,
}


@pytest.mark.parametrize("doubt", BETWEEN_STUDIES)
def test_a_study_in_doubt_is_held_beside_the_share_that_it_may_belong_with(doubt):
    assert place(BETWEEN_STUDIES[doubt], [share(BEN, 1), share(ADA, 2)]) == Placement(doubt=doubt, rival=2)


@pytest.mark.parametrize("doubt", WITHIN_A_STUDY)
def test_an_image_in_doubt_within_a_study_is_held_beside_the_study(doubt):
    assert place(WITHIN_A_STUDY[doubt], [share(has_study=True)]) == Placement(doubt=doubt, rival=1)


def test_a_similar_id_within_a_study_is_an_id_that_changed():
    other = replace(ADA, patient_id="1243")
    assert place(other, [share(has_study=True)]) == Placement(doubt=Doubt.ID_CHANGED_IN_STUDY, rival=1)


def test_a_study_under_two_issuers_is_held_although_two_issuers_are_two_patients():
    one, other = replace(ADA, issuer="A"), replace(ADA, issuer="B")
    assert place(other, [share(one)]) == NEW
    assert place(other, [share(one, has_study=True)]) == Placement(doubt=Doubt.ID_CHANGED_IN_STUDY, rival=1)


def test_two_issuers_that_differ_are_two_patients_without_a_doubt():
    assert place(replace(ADA, issuer="B"), [share(replace(ADA, issuer="A"))]) == NEW


@pytest.mark.parametrize("doubt", BETWEEN_STUDIES)
def test_what_is_held_gathers_more_of_its_own_study_and_no_other(doubt):
    identity = BETWEEN_STUDIES[doubt]
    assert place(identity, [share(), held(identity, 2, doubt, has_study=True)]) == Placement(2)
    assert place(identity, [held(identity, 2, doubt)]) == NEW


def test_what_is_held_does_not_hold_what_belongs_to_the_open_share():
    assert place(ADA, [share(), held(replace(ADA, sex="M"), 2)]) == Placement(1)


def test_an_image_that_fits_both_versions_of_its_study_is_held_with_the_doubtful_one():
    """It leaves the sex open; the open share says F, the held one M."""
    known = [share(ADA, 1, has_study=True), held(replace(ADA, sex="M"), 2, Doubt.SAME_ID_OTHER_SEX, has_study=True)]
    assert place(replace(ADA, sex=""), known) == Placement(2)
    assert place(ADA, known) == Placement(1)


# -- without a Patient ID ------------------------------------------------------------------------------------------


def test_images_without_a_patient_id_are_held_and_join_nobody():
    assert place(NOBODY, [share(), share(NOBODY, 2)]) == Placement(doubt=Doubt.NO_PATIENT_ID)


def test_where_the_profile_shares_them_each_study_without_an_id_has_a_share_of_its_own():
    around = Circumstances(without_id=True)
    assert place(NOBODY, [share(NOBODY)], around) == NEW
    assert place(NOBODY, [share(NOBODY, has_study=True)], around) == Placement(1)


@pytest.mark.parametrize("change", [{"name": "RIVERS^ADA"}, {"birth_date": ""}, {"sex": ""}])
def test_within_a_study_without_an_id_everything_must_agree_to_the_letter(change):
    placed = place(replace(NOBODY, **change), [share(NOBODY, has_study=True)], Circumstances(without_id=True))
    assert placed == Placement(doubt=Doubt.NO_PATIENT_ID, rival=1)


def test_an_id_that_comes_to_a_study_which_had_none_is_held():
    assert place(ADA, [share(NOBODY, has_study=True)]).doubt is Doubt.ID_CHANGED_IN_STUDY


UNKNOWN = replace(ADA, patient_id="UNKNOWN", name="UNKNOWN^MALE", birth_date="")


def test_two_unknown_patients_are_two_and_their_studies_wait_for_a_person():
    assert place(UNKNOWN, [share(UNKNOWN)]) == Placement(doubt=Doubt.ID_OF_NOBODY)
    assert place(UNKNOWN, [share(UNKNOWN, has_study=True)]) == Placement(1)
    assert place(UNKNOWN, [share(UNKNOWN)], Circumstances(without_id=True)) == NEW
    assert place(UNKNOWN, [share(ADA, has_study=True)]) == Placement(doubt=Doubt.ID_OF_NOBODY, rival=1)


# -- damaged images ------------------------------------------------------------------------------------------------

DAMAGED = Circumstances(unreadable=True)


def test_what_cannot_be_read_is_held_beside_its_study():
    assert place(ADA, [share(has_study=True)], DAMAGED) == Placement(doubt=Doubt.UNREADABLE, rival=1)
    assert place(ADA, [share()], DAMAGED) == Placement(doubt=Doubt.UNREADABLE)


def test_what_cannot_be_read_gathers_with_its_like():
    assert place(ADA, [share(has_study=True), held(ADA, 2, Doubt.UNREADABLE, has_study=True)], DAMAGED).share == 2


@pytest.mark.parametrize("doubt", ABOUT_IMAGES)
def test_a_damaged_image_does_not_hold_back_the_rest_of_its_study(doubt):
    assert place(ADA, [held(ADA, 1, doubt, has_study=True)]) == NEW


def test_other_bytes_under_a_known_uid_are_held_once_for_each_share():
    known = [share(has_study=True)]
    assert place_other_bytes(ADA, known, 1) == Placement(doubt=Doubt.SAME_UID_OTHER_BYTES, rival=1)
    apart = held(ADA, 2, Doubt.SAME_UID_OTHER_BYTES, has_study=True)
    assert place_other_bytes(ADA, [*known, apart], 1) == Placement(2)


def test_other_bytes_never_join_what_is_held_of_somebody_else():
    known = [share(has_study=True), held(BEN, 2, Doubt.STUDY_OF_ANOTHER_PATIENT, has_study=True)]
    assert place_other_bytes(ADA, known, 1) == Placement(doubt=Doubt.SAME_UID_OTHER_BYTES, rival=1)


# -- rules ---------------------------------------------------------------------------------------------------------

RESTRICTED, WAITS = Circumstances(restricted=True), Circumstances(waits=True)


def test_a_study_that_is_never_handed_out_is_by_itself_also_when_the_patient_has_a_share():
    assert place(ADA, [share()], RESTRICTED) == Placement(rival=1)
    assert place(ADA, [share(standing=WAITING)], RESTRICTED) == Placement(rival=1)
    assert place(ADA, [], RESTRICTED) == NEW


def test_more_of_such_a_study_joins_it_whether_it_shows_the_rule_or_not():
    apart = [share(), share(number=2, standing=APART, has_study=True)]
    assert place(ADA, apart, RESTRICTED) == Placement(2)
    assert place(ADA, apart) == Placement(2)


def test_an_image_that_shows_it_late_is_held_alone_where_its_study_is_out():
    assert place(ADA, [share(has_study=True)], RESTRICTED) == Placement(rival=1)
    both = [share(has_study=True), share(number=2, standing=APART, has_study=True)]
    assert place(ADA, both, RESTRICTED) == Placement(2)
    assert place(ADA, both) == Placement(1)


def test_an_image_that_shows_it_late_takes_its_study_along_where_nothing_is_out():
    assert place(ADA, [share(standing=WAITING, has_study=True)], RESTRICTED) == Placement(with_study_of=1)


def test_once_a_person_let_it_out_the_study_is_one_like_others():
    assert place(ADA, [share(has_study=True, study_allowed=True)], RESTRICTED) == Placement(1)


def test_a_doubt_comes_before_a_rule():
    assert place(replace(ADA, sex="M"), [share()], RESTRICTED).doubt is Doubt.SAME_ID_OTHER_SEX


def test_a_share_that_waits_gathers_the_visit():
    assert place(ADA, [share(standing=WAITING)], WAITS) == Placement(1)


@pytest.mark.parametrize("doubt", [None, Doubt.LINK_REFUSED, Doubt.HELD_BACK])
def test_a_doubt_is_noticed_beside_a_share_that_is_apart_for_another_reason(doubt):
    assert place(replace(ADA, sex="M"), [held(ADA, 1, doubt)]) == Placement(doubt=Doubt.SAME_ID_OTHER_SEX, rival=1)
    assert place(ADA, [held(ADA, 1, doubt)]) == NEW


def test_a_study_that_was_taken_back_stays_where_it_is_when_an_image_shows_the_rule_late():
    back = share(standing=WAITING, doubt=Doubt.HELD_BACK, has_study=True)
    assert place(ADA, [back], RESTRICTED) == Placement(1)


def test_where_shares_wait_a_new_study_of_an_open_one_waits_beside_it():
    assert place(ADA, [share()], WAITS) == Placement(rival=1)
    assert place(ADA, [share(), share(number=2, standing=WAITING)], WAITS) == Placement(2)
    assert place(ADA, [share(has_study=True)], WAITS) == Placement(1)


# -- many patients at once -----------------------------------------------------------------------------------------


class Shares:
    """Shares in memory, as `daemon/placing.py` asks for them."""

    def __init__(self) -> None:
        self.identities: list[Identity] = []
        self.doubts: list[Doubt | None] = []
        self.studies: list[set[str]] = []
        self.images: list[list[tuple[Identity, str]]] = []

    def take(self, identity: Identity, study: str) -> None:
        candidates = [self._candidate(n, study) for n in range(len(self.identities))]
        placement = place(identity, candidates)
        n = placement.share
        if n is None:
            n = len(self.identities)
            self.identities.append(identity)
            self.doubts.append(placement.doubt)
            self.studies.append(set())
            self.images.append([])
        self.identities[n] = completed(self.identities[n], identity)
        self.studies[n].add(study)
        self.images[n].append((identity, study))

    def _candidate(self, n: int, study: str) -> Candidate:
        standing = APART if self.doubts[n] else OUT
        return Candidate(n, self.identities[n], study in self.studies[n], standing, self.doubts[n])


@pytest.mark.parametrize("seed", range(500))
def test_two_patients_whose_images_come_mixed_never_meet(seed):
    chance, shares = random.Random(seed), Shares()
    images = [(ADA, f"a{n % 3}") for n in range(20)] + [(BEN, f"b{n % 2}") for n in range(20)]
    chance.shuffle(images)
    for identity, study in images:
        spelled = replace(identity, name=chance.choice([identity.name, identity.name.upper(), identity.name + "^"]))
        shares.take(spelled, study)
    assert len(shares.images) == 2
    assert not any(shares.doubts)
    assert all(len({identity.patient_id for identity, _ in share_}) == 1 for share_ in shares.images)
    assert [len(share_) for share_ in shares.images] == [20, 20]


@given(st.lists(st.tuples(IDENTITIES, st.sampled_from(["s1", "s2", "s3"])), max_size=30))
def test_a_share_never_holds_two_identities_that_contradict_each_other(images):
    shares = Shares()
    for identity, study in images:
        shares.take(identity, study)
    assert sum(map(len, shares.images)) == len(images)
    for share_ in shares.images:
        first = share_[0][0]
        for other, _ in share_:
            assert (other.patient_id, other.issuer, other.birth_date) == (
                first.patient_id,
                first.issuer,
                first.birth_date,
            )
        said = [normal_name(identity.name).split("=") for identity, _ in share_]
        assert len({names[0] for names in said} - {""}) <= 1
        assert {identity.sex for identity, _ in share_} & {"M", "F"} != {"M", "F"}


@given(st.lists(st.tuples(IDENTITIES, st.sampled_from(["s1", "s2"])), max_size=20))
def test_nothing_without_a_patient_id_is_ever_in_an_open_share(images):
    shares = Shares()
    for identity, study in images:
        shares.take(identity, study)
    for doubt, share_ in zip(shares.doubts, shares.images, strict=True):
        assert doubt or all(identity.patient_id for identity, _ in share_)
