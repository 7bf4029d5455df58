"""Whose images these are."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.identity import (
    BECAUSE,
    Doubt,
    Identity,
    Match,
    compare,
    completed,
    normal_name,
    same_name,
    similar_ids,
    valid_date,
)
from appliance.dicom.charset import NAME_RESETS, repertoire

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


@pytest.mark.parametrize("name", ["Rivers^Ada=X", "Rivers^Ada==X", "RIVERS^ADA=X=Y"])
def test_a_group_that_one_name_has_alone_is_no_difference(name):
    assert compare(ADA, replace(ADA, name=name)) is Match.SAME


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Yamada^Tarou=山田^太郎", "Yamada^Taro=山田^太郎"),
        ("Yamada^Tarou=山田^太郎", "Yamada^Tarou=山本^太郎"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada^Tarou=山田^太郎=やまだ^じろう"),
    ],
)
def test_each_group_that_both_names_have_must_agree(one, other):
    assert compare(replace(ADA, name=one), replace(ADA, name=other)) is Doubt.SAME_ID_OTHER_NAME


@pytest.mark.parametrize(
    "name", ["Rivers^Adam", "Rivers Ada", "Ada^Rivers", "Rivers^^Ada", "=Rivers^Ada", "Rivers", ""]
)
def test_another_name_under_the_same_id_is_a_doubt(name):
    assert compare(ADA, replace(ADA, name=name)) is Doubt.SAME_ID_OTHER_NAME


def test_a_name_is_the_same_in_iso_2022_and_in_utf_8():
    """As the reader decodes them; the bytes have nothing in common."""
    old = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"
    new = "Yamada^Tarou=山田^太郎".encode()
    names = [
        repertoire(terms).decode(raw, NAME_RESETS)
        for terms, raw in ((("", "ISO 2022 IR 87"), old), (("ISO_IR 192",), new))
    ]
    assert same_name(*names)
    assert names[1] == "Yamada^Tarou=山田^太郎"


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


def test_another_patient_id_is_another_patient():
    assert compare(ADA, replace(ADA, patient_id="7788")) is Match.DIFFERENT
    assert compare(ADA, BEN) is Match.DIFFERENT


@pytest.mark.parametrize("birth_date", ["19700201", "", "1970"])
def test_the_same_id_with_another_birth_date_or_none_is_a_doubt(birth_date):
    assert compare(ADA, replace(ADA, birth_date=birth_date)) is Doubt.SAME_ID_OTHER_BIRTH_DATE


def test_a_birth_date_in_the_older_form_is_the_same_date():
    assert compare(ADA, replace(ADA, birth_date="1970.01.31")) is Match.SAME


def test_the_same_id_with_another_sex_is_a_doubt():
    assert compare(ADA, replace(ADA, sex="M")) is Doubt.SAME_ID_OTHER_SEX


@pytest.mark.parametrize("sex", ["O", "", "f", "unknown"])
def test_a_sex_that_says_nothing_is_no_difference(sex):
    assert compare(ADA, replace(ADA, sex=sex)) is Match.SAME


def test_two_issuers_that_gave_out_the_same_id_mean_two_patients():
    assert compare(replace(ADA, issuer="A"), replace(ADA, issuer="B")) is Match.DIFFERENT


def test_an_issuer_on_one_side_only_is_a_doubt():
    assert compare(replace(ADA, issuer="A"), ADA) is Doubt.ISSUER_MISSING
    assert compare(ADA, replace(ADA, issuer="A")) is Doubt.ISSUER_MISSING


def test_an_issuer_in_another_case_is_a_doubt():
    assert compare(replace(ADA, issuer="Hosp"), replace(ADA, issuer="HOSP")) is Doubt.ISSUER_SPELLED_OTHERWISE


def test_without_an_id_nobody_is_the_same_as_anybody():
    nobody = replace(ADA, patient_id="")
    assert compare(nobody, nobody) is Match.DIFFERENT
    assert compare(ADA, nobody) is Match.DIFFERENT
    assert compare(nobody, ADA) is Match.DIFFERENT


PLACEHOLDERS = [
    *("UNKNOWN", "unknown ", "Unk", "0", "0000000", "00-00", "NONE", "N/A", "NULL", "ANONYMOUS", "Anonymized", "TEST"),
    *('""', "--", "?", ".", "XXX", "99999999", "ＵＮＫＮＯＷＮ", "Unbekannt", "NO ID", "John Doe"),
]


@pytest.mark.parametrize("patient_id", PLACEHOLDERS)
def test_what_is_typed_where_no_id_is_known_is_nobodys_id(patient_id):
    nobody = replace(ADA, patient_id=patient_id)
    assert not nobody.has_id
    assert compare(nobody, nobody) is Match.DIFFERENT
    assert completed(nobody, replace(nobody, name="Rivers^Ada=X")).name == "Rivers^Ada"


@pytest.mark.parametrize(
    "patient_id", ["1", "7", "10", "999", "0007", "UNKNOWN-17", "TEST1", "NO7", "A0", "X1", "NA12"]
)
def test_an_id_that_can_be_somebodys_is_one(patient_id):
    assert replace(ADA, patient_id=patient_id).has_id


# -- similar IDs ---------------------------------------------------------------------------------------------------

SLIPS_OF_THE_HAND = {
    "one digit wrong": ("123456", "123956"),
    "one digit missing": ("123456", "12356"),
    "one digit too many": ("123456", "1233456"),
    "two digits swapped": ("123456", "132456"),
    "zeros in front": ("7788", "0007788"),
    "zeros after letters": ("AB7788", "AB007788"),
    "another case": ("ab-77", "AB-77"),
    "wide digits": ("7788", "７７８８"),
    "zeros in front and one digit wrong": ("7788", "0007789"),
}


@pytest.mark.parametrize("what", SLIPS_OF_THE_HAND)
def test_an_id_that_a_typing_error_explains_is_a_doubt(what):
    one, other = (replace(ADA, patient_id=patient_id) for patient_id in SLIPS_OF_THE_HAND[what])
    assert compare(one, other) is Doubt.SIMILAR_ID
    assert compare(other, one) is Doubt.SIMILAR_ID


@pytest.mark.parametrize(
    ("one", "other"), [("123456", "654321"), ("123456", "123465x"), ("1234", "12"), ("1234", "2143"), ("1234", "1342")]
)
def test_ids_further_apart_are_two_patients(one, other):
    assert compare(replace(ADA, patient_id=one), replace(ADA, patient_id=other)) is Match.DIFFERENT


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Stone^Ben"},
        {"birth_date": "19551224"},
        {"name": ""},
        {"birth_date": ""},
        {"name": "", "birth_date": ""},
    ],
)
def test_a_similar_id_of_somebody_else_is_another_patient(change):
    """What is empty is no evidence: unknown patients get numbers in a row."""
    one = replace(ADA, **{field: "" for field, value in change.items() if not value})
    assert compare(one, replace(ADA, patient_id="1235", **change)) is Match.DIFFERENT


def test_similar_ids_of_two_issuers_are_two_patients():
    assert compare(replace(ADA, issuer="A"), replace(ADA, issuer="B", patient_id="1235")) is Match.DIFFERENT


@given(st.text("0123456789ab", max_size=6), st.text("0123456789ab", max_size=6))
def test_similar_is_one_edit_apart_as_a_slow_count_has_it(one, other):
    assert similar_ids(one, other) == (min(edits(one, other), edits(bare(one), bare(other))) <= 1)


def bare(text: str) -> str:
    return re.sub(r"(?<!\d)0+(?=\d)", "", text)


def edits(one: str, other: str) -> int:
    """Optimal string alignment, by the book."""
    table = [[max(i, j) if not (i and j) else 0 for j in range(len(other) + 1)] for i in range(len(one) + 1)]
    for i, a in enumerate(one, 1):
        for j, b in enumerate(other, 1):
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return table[-1][-1]


# -- what several images say together ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "new", "together"),
    [
        ({"sex": ""}, {"sex": "F"}, {"sex": "F"}),
        ({"sex": "O"}, {"sex": "F"}, {"sex": "F"}),
        ({"sex": "F"}, {"sex": "O"}, {"sex": "F"}),
        ({"name": "Yamada^Tarou"}, {"name": "Yamada^Tarou=山田^太郎"}, {"name": "Yamada^Tarou=山田^太郎"}),
        ({"name": "=山田^太郎"}, {"name": "Yamada^Tarou=山田^太郎"}, {"name": "Yamada^Tarou=山田^太郎"}),
        ({"name": "Rivers^Ada"}, {"name": "RIVERS^ADA^"}, {"name": "Rivers^Ada"}),
    ],
)
def test_what_one_image_leaves_open_another_of_the_same_patient_fills_in(known, new, together):
    one, other = replace(ADA, **known), replace(ADA, **new)
    assert compare(one, other) is Match.SAME
    assert completed(one, other) == replace(ADA, **together)


def test_without_an_id_nothing_is_filled_in():
    nobody = Identity("", "", "Rivers^Ada", "")
    assert completed(nobody, replace(nobody, name="Rivers^Ada=X")).name == "Rivers^Ada"


IDENTITIES = st.builds(
    Identity,
    patient_id=st.sampled_from(["", "1", "2", "777"]),
    issuer=st.sampled_from(["", "A", "a", "B"]),
    name=st.sampled_from(["", "Rivers^Ada", "RIVERS^ADA", "Rivers^Ada=X", "=X", "Stone^Ben"]),
    birth_date=st.sampled_from(["", "19700131", "19551224"]),
    sex=st.sampled_from(["", "M", "F", "O"]),
)


ALIKE = st.builds(
    Identity,
    st.just("1"),
    st.just(""),
    st.sampled_from(["", "Rivers^Ada", "RIVERS^ADA", "Rivers^Ada=X", "Rivers^Ada=Y", "=X", "=Y", "==Z"]),
    st.just("19700131"),
    st.sampled_from(["", "M", "F", "O"]),
)


@given(IDENTITIES, IDENTITIES)
def test_a_comparison_does_not_depend_on_who_came_first(one, other):
    assert compare(one, other) is compare(other, one)


@given(ALIKE, ALIKE, ALIKE)
def test_whoever_is_the_same_as_two_together_contradicts_neither(a, b, c):
    if compare(a, b) is Match.SAME and compare(completed(a, b), c) is Match.SAME:
        for one in (a, b):
            assert {one.sex, c.sex} != {"M", "F"}
            groups = zip(normal_name(one.name).split("="), normal_name(c.name).split("="), strict=False)
            assert all(mine == yours for mine, yours in groups if mine and yours)


def test_every_doubt_has_a_sentence():
    assert set(BECAUSE) == set(Doubt)


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


@pytest.mark.parametrize("text", ["19000102", "20991231", "19700131", "20000229"])
def test_a_date_that_can_be_is_valid(text):
    assert valid_date(text)


@pytest.mark.parametrize(
    "text",
    ["", "1970", "19700132", "19701301", "19700001", "17991231", "21000101", "1970-01-31", "19700131 ", "19700131\n"],
)
def test_a_date_that_cannot_be_is_not_valid(text):
    assert not valid_date(text)


@pytest.mark.parametrize("text", ["19700231", "19710229", "20010431", "18000101", "19000101"])
def test_a_day_that_no_calendar_has_or_on_which_no_patient_was_born_is_no_birth_date(text):
    """A link that asks for it would open for nobody, or for whoever guesses the day that stands for no day."""
    assert not valid_date(text)


@pytest.mark.parametrize("text", ["19٧٠0131", "１９７００１３１", "1970013१"])
def test_digits_of_other_scripts_are_no_date(text):
    """The factor is ASCII: such a date could never be proved."""
    assert not valid_date(text)


def test_an_identity_says_nothing_of_the_patient_when_it_is_printed():
    assert "Rivers" not in repr(ADA)
    assert "1234" not in f"{ADA}"
