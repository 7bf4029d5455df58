"""Text from outside, before anything is drawn."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.formats.slip_text import StaffHalf, clean, clean_remark
from tests.pictures import REQUESTED


@settings(deadline=None)
@given(st.text())
def test_cleaned_text_is_one_line_without_controls_that_any_encoder_takes(text):
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert "\n" not in cleaned
    assert "  " not in cleaned
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in cleaned)


def test_what_turns_text_round_is_dropped_and_what_spells_words_is_kept():
    assert clean("\u202eAda\u2066\u2069") == "Ada"
    assert clean("می\u200cشود") == "می\u200cشود"


def test_accents_do_not_tower_and_those_that_a_script_needs_stay():
    assert len(clean("e" + "\u0300" * 150)) <= 6
    assert len(clean("e" + "\u0300\u200d" * 90)) <= 6
    for word in ("শান্তি", "क्षीरसागर", "שָׁלוֹם", "Nguyễn", "می\u200cشود", "น้ำ"):
        assert clean(word) == unicodedata.normalize("NFC", word)


def test_a_strangers_text_loses_its_lines_and_every_sign_that_a_code_could_be_drawn_with():
    assert clean_remark("CT chest,\r\n\r\n for Monday\x1b@ \u202e") == "CT chest; for Monday @"
    assert clean_remark("A█▌▐⣿🮀■B № 5 °C 放射線科 (3 + 4)") == "AB № 5 °C 放射線科 (3 + 4)"
    assert len(clean_remark("x\n" * 100_000)) <= 2 * 200


@pytest.mark.parametrize("secret", ["A.R.", "1970", "#", "12 Jan", "Mill Lane", "clinic", "ACC2027"])
def test_a_face_hides_the_link_and_the_patient_from_logs(secret):
    assert secret not in repr(REQUESTED)
    assert secret not in repr(StaffHalf("en", "12 Jan 2027 · CT"))
