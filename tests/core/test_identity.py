"""Whose images these are."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.identity import Candidate, Identity, Match, compare, normal_name, place, valid_date

ADA = Identity("1234", "", "Rivers^Ada", "19700131", "F")
BEN = Identity("9876", "", "Stone^Ben", "19551224", "M")


# -- names, PS3.5 section 6.2.1 ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "RIVERS^ADA",
        "rivers^ada",
        "Rivers^Ada^",
        "Rivers^Ada^^^",
        "Rivers^Ada ",
        " Rivers^Ada",
        "Rivers ^ Ada",
        "Rivers^Ada=",
        "Rivers^Ada==",
        "Rivers^Ada^^^ =^^=",
        "Rivers^Ada^ ^",
        "Ｒｉｖｅｒｓ＾Ａｄａ",
        "Rivers^Ada＾＝",
    ],
)
def test_names_that_differ_only_in_what_does_not_count_are_the_same(name):
    assert compare(ADA, replace(ADA, name=name)) is Match.SAME


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller^Jörg", "Mu\u0308ller^Jo\u0308rg"),
        ("MÜLLER^JÖRG", "müller^jörg"),
        ("Groß^Eva", "GROSS^EVA"),
        ("Van  der   Berg^Jo", "Van der Berg^Jo"),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", "ヤマダ^タロウ"),
        ("Yamada^Tarou=山田^太郎", "YAMADA^TAROU=山田^太郎^"),
        ("山田　太郎", "山田 太郎"),
        ("Οδυσσεύς^Α", "ΟΔΥΣΣΕΎΣ^Α"),
        ("Μαΐου^Ζωή", "ΜΑΪ\u0301ΟΥ^ΖΩΉ"),
        ("Rivers^Ada¨", "Rivers^Ada \u0308"),
    ],
)
def test_the_same_name_written_in_two_ways_is_the_same(one, other):
    assert normal_name(one) == normal_name(other)


@pytest.mark.parametrize(
    "name", ["Rivers^Adam", "Rivers Ada", "Ada^Rivers", "Rivers^^Ada", "=Rivers^Ada", "Rivers^Ada=X", "Rivers", ""]
)
def test_another_name_under_the_same_id_is_a_conflict(name):
    assert compare(ADA, replace(ADA, name=name)) is Match.CONFLICT


LETTERS = st.characters(codec="utf-8", categories=("L", "M", "Zs")) | st.sampled_from("＾＝¨´゠ ")


@given(st.text(LETTERS | st.sampled_from("^= ")))
def test_comparing_a_compared_name_changes_nothing(name):
    assert normal_name(normal_name(name)) == normal_name(name)


@given(st.text(st.characters(codec="utf-8", categories=("Lu", "Ll")) | st.sampled_from("^= ")))
def test_a_name_is_the_same_in_capitals(name):
    assert normal_name(name.upper()) == normal_name(name.upper().lower()) == normal_name(name.upper().casefold())


@given(st.text(LETTERS | st.sampled_from("^= ")), st.sampled_from(["", " ", "^", "^^", "=", "=^", " ^ "]))
def test_padding_at_the_end_of_a_name_never_counts(name, padding):
    assert normal_name(name + padding) == normal_name(name)


# -- two identities ------------------------------------------------------------------------------------------------


def test_another_patient_id_is_another_patient_whatever_else_agrees():
    assert compare(ADA, replace(ADA, patient_id="1235")) is Match.DIFFERENT


def test_patient_ids_are_compared_to_the_letter():
    assert compare(replace(ADA, patient_id="a1"), replace(ADA, patient_id="A1")) is Match.DIFFERENT


@pytest.mark.parametrize("birth_date", ["19700201", "", "1970"])
def test_the_same_id_with_another_birth_date_is_a_conflict(birth_date):
    assert compare(ADA, replace(ADA, birth_date=birth_date)) is Match.CONFLICT


def test_two_issuers_that_gave_out_the_same_id_mean_two_patients():
    assert compare(replace(ADA, issuer="A"), replace(ADA, issuer="B")) is Match.DIFFERENT


def test_an_issuer_on_one_side_only_is_a_conflict():
    assert compare(replace(ADA, issuer="A"), ADA) is Match.CONFLICT
    assert compare(ADA, replace(ADA, issuer="A")) is Match.CONFLICT


def test_without_an_id_nobody_is_the_same_as_anybody():
    nobody = replace(ADA, patient_id="")
    assert compare(nobody, nobody) is Match.DIFFERENT
    assert compare(ADA, nobody) is Match.DIFFERENT
    assert compare(nobody, ADA) is Match.DIFFERENT


def test_sex_does_not_tell_two_patients_apart():
    assert compare(ADA, replace(ADA, sex="O")) is Match.SAME


IDENTITIES = st.builds(
    Identity,
    patient_id=st.sampled_from(["", "1", "2"]),
    issuer=st.sampled_from(["", "A", "B"]),
    name=st.sampled_from(["", "Rivers^Ada", "RIVERS^ADA", "Stone^Ben"]),
    birth_date=st.sampled_from(["", "19700131", "19551224"]),
)


@given(IDENTITIES, IDENTITIES)
def test_a_comparison_does_not_depend_on_who_came_first(one, other):
    assert compare(one, other) is compare(other, one)


@given(IDENTITIES, IDENTITIES, IDENTITIES)
def test_sameness_carries_over(a, b, c):
    if compare(a, b) is Match.SAME and compare(b, c) is Match.SAME:
        assert compare(a, c) is Match.SAME


# -- what the slip shows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "initials"),
    [
        ("Rivers^Ada", "A.R."),
        ("rivers^ada^x", "A.R."),
        ("Rivers", "R."),
        ("^Ada", "A."),
        ("", ""),
        ("^^^=山田^太郎", "山○"),
        (" Rivers ^ Ada ", "A.R."),
        ("Yamada^Tarou=山田^太郎", "T.Y."),
    ],
)
def test_initials_are_of_the_first_name_group_given_name_first(name, initials):
    assert replace(ADA, name=name).initials == initials


@pytest.mark.parametrize(
    ("birth_date", "year"), [("19700131", "1970"), ("", ""), ("1970", ""), ("00000000", ""), ("19701331", "")]
)
def test_the_year_of_birth_is_shown_only_when_the_date_can_be_one(birth_date, year):
    assert replace(ADA, birth_date=birth_date).birth_year == year


@pytest.mark.parametrize("text", ["18000101", "20991231", "19700131"])
def test_a_date_that_can_be_is_valid(text):
    assert valid_date(text)


@pytest.mark.parametrize(
    "text",
    ["", "1970", "19700132", "19701301", "19700001", "17991231", "21000101", "1970-01-31", "19700131 ", "19700131\n"],
)
def test_a_date_that_cannot_be_is_not_valid(text):
    assert not valid_date(text)


@pytest.mark.parametrize("text", ["19٧٠0131", "１９７００１３１", "1970013१"])
def test_digits_of_other_scripts_are_no_date(text):
    """The factor is ASCII: such a date could never be proved."""
    assert not valid_date(text)


def test_an_identity_says_nothing_of_the_patient_when_it_is_printed():
    assert "Rivers" not in repr(ADA)
    assert "1234" not in f"{Candidate(1, ADA, True)}"


# -- placement -----------------------------------------------------------------------------------------------------


def share(identity: Identity = ADA, number: int = 1, *, has_study: bool = False, held: bool = False) -> Candidate:
    return Candidate(number, identity, has_study, held)


def test_a_new_patient_gets_a_new_share():
    placement = place(ADA, [])
    assert (placement.share, placement.held_because) == (None, "")


def test_another_study_of_the_same_patient_joins_the_open_share():
    assert place(ADA, [share()]).share == 1


def test_another_patient_gets_another_share():
    placement = place(BEN, [share()])
    assert (placement.share, placement.held_because) == (None, "")


def test_the_share_that_holds_the_study_comes_before_another_of_the_same_patient():
    assert place(ADA, [share(number=1), share(number=2, has_study=True)]).share == 2


@pytest.mark.parametrize(
    "new", [replace(ADA, birth_date="19700201"), replace(ADA, name="Rivers^Adam"), replace(ADA, issuer="B")]
)
def test_the_same_id_with_other_facts_is_held(new):
    placement = place(new, [share()])
    assert placement.share is None
    assert "same Patient ID" in placement.held_because


def test_a_study_uid_of_another_patient_is_held():
    placement = place(BEN, [share(has_study=True)])
    assert placement.share is None
    assert "another patient" in placement.held_because


def test_a_name_that_changes_within_a_study_is_held():
    assert place(replace(ADA, name="Rivers^Adam"), [share(has_study=True)]).held_because


def test_images_without_a_patient_id_are_held():
    placement = place(replace(ADA, patient_id=""), [share()])
    assert placement.share is None
    assert "no Patient ID" in placement.held_because


def test_images_without_an_id_join_the_held_share_of_their_own_study():
    nobody = replace(ADA, patient_id="")
    assert place(nobody, [share(nobody, has_study=True, held=True)]).share == 1


@pytest.mark.parametrize("change", [{"name": "RIVERS^ADA"}, {"birth_date": ""}, {"sex": ""}])
def test_within_a_study_without_an_id_everything_must_agree_to_the_letter(change):
    nobody = replace(ADA, patient_id="")
    assert place(replace(nobody, **change), [share(nobody, has_study=True, held=True)]).share is None


def test_a_held_share_gathers_more_of_its_own_study():
    assert place(ADA, [share(has_study=True, held=True)]).share == 1


def test_a_held_share_gathers_no_other_study():
    placement = place(ADA, [share(held=True)])
    assert (placement.share, placement.held_because) == (None, "")


def test_a_held_conflict_does_not_hold_what_belongs_to_the_open_share():
    other = replace(ADA, birth_date="19700201")
    assert place(ADA, [share(), share(other, 2, held=True)]).share == 1


def test_the_share_that_agrees_wins_over_one_that_conflicts():
    other = replace(ADA, birth_date="19700201")
    assert place(ADA, [share(other, 1), share(ADA, 2)]).share == 2


def test_what_cannot_be_read_is_held_with_the_reason():
    placement = place(ADA, [share(), share(number=2, has_study=True)], unreadable="a sequence without an end")
    assert placement.share is None
    assert "a sequence without an end" in placement.held_because


def test_what_cannot_be_read_joins_the_held_share_of_its_own_study():
    assert place(ADA, [share(has_study=True, held=True)], unreadable="x").share == 1


@pytest.mark.parametrize("birth_date", ["", "1970", "19701331"])
def test_a_profile_that_asks_for_the_birth_date_holds_images_without_one(birth_date):
    new = replace(ADA, birth_date=birth_date)
    assert "birth date" in place(new, [], needs_birth_date=True).held_because
    assert place(new, []).held_because == ""


def test_a_profile_that_asks_for_the_birth_date_takes_images_with_one():
    assert place(ADA, [], needs_birth_date=True).held_because == ""


# -- many patients at once -----------------------------------------------------------------------------------------


class Shares:
    """Shares in memory, as `daemon/placing.py` asks for them."""

    def __init__(self) -> None:
        self.identities: list[Identity] = []
        self.held: list[str] = []
        self.studies: list[set[str]] = []
        self.images: list[list[tuple[Identity, str]]] = []

    def take(self, identity: Identity, study: str) -> None:
        candidates = [
            Candidate(n, known, study in self.studies[n], bool(self.held[n]))
            for n, known in enumerate(self.identities)
            if known.patient_id == identity.patient_id or study in self.studies[n]
        ]
        placement = place(identity, candidates)
        n = placement.share
        if n is None:
            n = len(self.identities)
            self.identities.append(identity)
            self.held.append(placement.held_because)
            self.studies.append(set())
            self.images.append([])
        self.studies[n].add(study)
        self.images[n].append((identity, study))


@pytest.mark.parametrize("seed", range(500))
def test_two_patients_whose_images_come_mixed_never_meet(seed):
    chance, shares = random.Random(seed), Shares()
    images = [(ADA, f"a{n % 3}") for n in range(20)] + [(BEN, f"b{n % 2}") for n in range(20)]
    chance.shuffle(images)
    for identity, study in images:
        spelled = replace(identity, name=chance.choice([identity.name, identity.name.upper(), identity.name + "^"]))
        shares.take(spelled, study)
    assert len(shares.images) == 2
    assert not any(shares.held)
    assert all(len({identity.patient_id for identity, _ in share_}) == 1 for share_ in shares.images)
    assert [len(share_) for share_ in shares.images] == [20, 20]


@given(st.lists(st.tuples(IDENTITIES, st.sampled_from(["s1", "s2", "s3"])), max_size=30))
def test_a_share_never_holds_two_identities_that_are_not_the_same(images):
    shares = Shares()
    for identity, study in images:
        shares.take(identity, study)
    for share_ in shares.images:
        first = share_[0][0]
        assert all(other == first or compare(first, other) is Match.SAME for other, _ in share_)
    assert sum(map(len, shares.images)) == len(images)


@given(st.lists(st.tuples(IDENTITIES, st.sampled_from(["s1", "s2"])), max_size=20))
def test_nothing_without_a_patient_id_is_ever_in_an_open_share(images):
    shares = Shares()
    for identity, study in images:
        shares.take(identity, study)
    for held, share_ in zip(shares.held, shares.images, strict=True):
        assert held or all(identity.patient_id for identity, _ in share_)
