from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.formats.slip_text import SlipFace, clean, words, wrap

FACE = SlipFace("St Mary's", "https://v.example.org/#x", "K7-0042", "A. R.", "1970", "Thursday 28 January 2027")


@pytest.mark.parametrize(
    ("factor", "step"), [("birth-date", "date of birth"), ("pin", "PIN"), ("none", "See your images")]
)
def test_the_last_step_asks_for_the_factor_that_the_share_has(factor, step):
    assert step in words(replace(FACE, factor=factor)).steps[2]


def test_there_are_three_steps():
    assert len(words(FACE).steps) == 3


def test_staff_can_compare_initials_and_year_of_birth():
    assert ("Patient, born", "A. R. · 1970") in words(FACE).facts


@pytest.mark.parametrize(("initials", "year", "shown"), [("A. R.", "", "A. R."), ("", "1970", "1970"), ("", "", "–")])
def test_a_missing_name_or_year_leaves_no_stray_mark(initials, year, shown):
    assert words(replace(FACE, initials=initials, birth_year=year)).facts[1][1] == shown


def test_only_a_copy_says_that_it_is_one():
    assert words(FACE).copy == ""
    assert words(replace(FACE, copy=3)).copy == "COPY 3"


def test_without_a_telephone_number_nobody_is_told_to_call():
    assert words(FACE).help == ""
    assert "01234" in words(replace(FACE, phone="01234")).help


@given(st.text())
def test_cleaned_text_is_one_line_without_controls_that_any_encoder_takes(text):
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert "\n" not in cleaned
    assert "  " not in cleaned
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in cleaned)


@given(st.text(st.characters(codec="utf-8"), max_size=80), st.integers(2, 30), st.integers(1, 3))
def test_wrapped_text_never_leaves_its_box(text, width, lines):
    wrapped = wrap(clean(text), width, len, lines)
    assert len(wrapped) <= lines
    assert all(len(line) <= width for line in wrapped)


@given(st.lists(st.text("abc", min_size=1, max_size=8), max_size=6))
def test_text_that_fits_loses_no_word(parts):
    text = " ".join(parts)
    assert " ".join(wrap(text, 8, len, 60)) == text


def test_text_that_does_not_fit_ends_in_an_ellipsis():
    assert wrap("one two three four", 9, len, 1) == ["one two…"]


def test_a_word_too_long_for_a_line_is_broken():
    assert wrap("abcdefghij", 4, len, 3) == ["abcd", "efgh", "ij"]
