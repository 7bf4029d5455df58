"""What a slip shows of a name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.initials import initials


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Rivers^Ada", "A.R."),
        ("rivers^ada^middle^Dr.^jr", "A.R."),
        ("^^Ada", ""),
        ("(Rivers)^'Ada'", "A.R."),
        ("ßen^öde", "Ö.ß."),
        ("Їжакевич^Ґалина", "Ґ.Ї."),
        ("O\u0301lafsson^E\u0301va", "É.Ó."),
    ],
)
def test_given_name_first_in_capitals_without_what_is_no_letter(name, shown):
    assert initials(name) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "T.Y."),
        ("=山田^太郎=やまだ^たろう", "山○"),
        ("==やまだ^たろう", "や○"),
        ("^=^=ヤマダ^タロウ", "ヤ○"),
        ("12^34=山田^太郎", "山○"),
    ],
)
def test_the_first_group_with_a_letter_counts(name, shown):
    assert initials(name) == shown


@pytest.mark.parametrize(
    ("name", "shown"), [("王^小东", "王○"), ("王小东", "王○"), ("홍^길동", "홍○"), ("ﾔﾏﾀﾞ^ﾀﾛｳ", "ﾔ○"), ("^太郎", "太○")]
)
def test_an_east_asian_name_shows_its_first_character_only(name, shown):
    assert initials(name) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("क्षीरसागर^प्रिया", "प्रि.क्षी."),
        ("চট্টোপাধ্যায়^স্নেহা", "স্নে.চ."),
        ("الأنصاري^عَبْدُ الله", "عَ.ا."),
        ("שִׁירָה^", "שִׁ."),
    ],
)
def test_a_letter_keeps_the_signs_that_belong_to_it(name, shown):
    assert initials(name) == shown


@settings(deadline=None)
@given(st.text())
def test_any_name_gives_little_and_never_a_control(name):
    shown = initials(name)
    assert len(shown) <= 2 * len(name) + 2
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in shown)


@pytest.mark.parametrize("name", ["Rivers^Ada", "王^小东", "山田太郎", "홍^길동"])
def test_no_name_is_shown_whole(name):
    assert name.replace("^", "") not in initials(name)
