"""Text from outside, before anything is drawn."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.formats.slip_text import StaffHalf, clean
from tests.pictures import FACE


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


@pytest.mark.parametrize("secret", ["A.R.", "1970", "#", "402771", "12 Jan"])
def test_a_face_hides_the_link_and_the_patient_from_logs(secret):
    assert secret not in repr(FACE)
    assert secret not in repr(StaffHalf("en", "12 Jan 2027 · CT", "402771"))
