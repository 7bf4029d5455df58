"""Where lines end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.formats.slip_lines import balanced, isolated, unbreakable, wrap
from appliance.formats.slip_text import clean


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=80), st.integers(2, 30), st.integers(1, 3))
def test_wrapped_text_never_leaves_its_box(text, width, lines):
    for wrapped in (wrap(clean(text), width, len, lines), balanced(clean(text), width, len, lines)):
        assert len(wrapped) <= lines
        assert all(len(line) <= width for line in wrapped)


@settings(deadline=None)
@given(st.lists(st.text("abc", min_size=1, max_size=8), max_size=6), st.sampled_from([wrap, balanced]))
def test_text_that_fits_loses_no_word(parts, how):
    text = " ".join(parts)
    assert " ".join(how(text, 8, len, 60)) == text


def test_text_that_does_not_fit_ends_in_an_ellipsis():
    assert wrap("one two three four", 9, len, 1) == ["one two…"]


def test_a_word_too_long_for_a_line_is_broken():
    assert wrap("abcdefghij", 4, len, 3) == ["abcd", "efgh", "ij"]


def test_no_word_stands_alone_on_the_last_line():
    assert wrap("aaa bbb ccc ddd", 11, len, 3) == ["aaa bbb ccc", "ddd"]
    assert balanced("aaa bbb ccc ddd", 11, len, 3) == ["aaa bbb", "ccc ddd"]


def test_making_lines_even_breaks_no_word():
    assert balanced("Röntgenpraxis Weg", 15, len, 2) == ["Röntgenpraxis", "Weg"]


def test_a_compound_may_end_a_line_at_its_hyphen_and_a_number_may_not():
    assert unbreakable("Röntgen-Abteilung") == ["Röntgen-", "Abteilung"]
    assert unbreakable("S-00042") == ["S-00042"]


def test_what_runs_by_itself_does_so_on_every_line():
    assert isolated(["\u2068Dr Hill,", "12 Mill Lane\u2069"]) == ["\u2068Dr Hill,\u2069", "\u206812 Mill Lane\u2069"]
    assert isolated(["a \u2066b\u2069", "c"]) == ["a \u2066b\u2069", "c"]
    assert isolated(["plain", "text"]) == ["plain", "text"]
    assert isolated([]) == []


def test_chinese_breaks_between_characters_but_no_line_starts_with_a_full_stop():
    assert wrap("输入您的出生日期。", 8, len, 3) == ["输入您的出生日", "期。"]


def test_a_number_keeps_its_measure_word():
    assert "28日" in unbreakable("2027年1月28日")


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("カメラをコードに向けてください。", ["カメラを", "コードに", "向けてください。"]),
        ("生年月日を入力してください。", ["生年月日を", "入力してください。"]),
    ],
)
def test_japanese_breaks_between_phrases(text, pieces):
    assert unbreakable(text) == pieces


def test_korean_breaks_at_its_spaces():
    assert unbreakable("코드에 맞춰 주세요.") == ["코드에", "맞춰", "주세요."]


def test_a_broken_word_keeps_vowel_signs_and_joined_consonants_with_their_letter():
    lines = wrap("क्षक्षक्षक्ष", 4, len, 5)
    assert lines == ["क्ष", "क्ष", "क्ष", "क्ष"]
