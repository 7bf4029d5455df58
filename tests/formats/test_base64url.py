from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import FormatError
from appliance.formats.base64url import decode, encode

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(st.binary(max_size=100))
def test_bytes_come_back(value):
    assert decode(encode(value)) == value
    assert decode(encode(value), len(value)) == value


@given(st.binary(max_size=100))
def test_it_is_what_the_standard_library_writes_without_padding(value):
    assert encode(value) == base64.urlsafe_b64encode(value).decode().replace("=", "")


@given(st.text(alphabet=ALPHABET, max_size=40))
def test_a_value_has_one_spelling_only(text):
    try:
        value = decode(text)
    except FormatError:
        return
    assert encode(value) == text


@pytest.mark.parametrize(
    "text", ["A", "AAAAA", "AA==", "AA=", "A+", "A/", "AA AA", "AAAA\n", "\nAAAA", "Ａ", "AB", "AAB"]
)
def test_what_is_no_base64url_is_refused(text):
    with pytest.raises(FormatError):
        decode(text)


@given(st.text(max_size=20))
def test_any_text_is_decoded_or_refused(text):
    try:
        decode(text)
    except FormatError:
        assert text


@pytest.mark.parametrize("size", [0, 1, 15, 17])
def test_another_size_than_the_expected_one_is_refused(size):
    with pytest.raises(FormatError):
        decode(encode(bytes(16)), size)


def test_a_refusal_does_not_repeat_the_text_as_it_may_be_a_secret():
    with pytest.raises(FormatError) as caught:
        decode("a-secret-that-must-not-be-logged=")
    assert "secret" not in str(caught.value)
