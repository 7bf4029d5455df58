"""The link on the slip."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import LinkMistypedError
from appliance.formats import base64url
from appliance.formats.link import TOKEN_CHARS, Link, parse

ALPHABET = string.ascii_letters + string.digits + "-_"
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "link.json").read_text())
LINK = Link("https://vault.example.org", bytes(range(16)), bytes(range(100, 132)))
LINKS = st.builds(
    Link, st.just("https://vault.example.org"), st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32)
)


@pytest.mark.parametrize("case", VECTORS["good"], ids=lambda case: case["url"][-12:])
def test_a_good_shared_vector_is_read(case):
    link = parse(case["url"])
    assert link.public_url == "https://vault.example.org"
    assert base64url.encode(link.link_id) == case["link_id"]
    assert base64url.encode(link.secret) == case["secret"]


@pytest.mark.parametrize("url", VECTORS["bad"])
def test_a_bad_shared_vector_is_refused(url):
    with pytest.raises(LinkMistypedError):
        parse(url)


@given(LINKS)
def test_a_link_comes_back(link):
    assert parse(link.url) == link


@given(LINKS)
def test_a_token_has_67_characters_that_every_scanner_keeps(link):
    assert len(link.token) == TOKEN_CHARS == 67
    assert set(link.token) <= set(ALPHABET)


@given(LINKS, st.text(max_size=30))
def test_what_an_app_appends_is_ignored(link, tail):
    assert parse(link.url + tail) == link


@pytest.mark.parametrize("public_url", ["https://v.example.org", "https://v.example.org/", "https://v.example.org/x/"])
def test_a_slash_at_the_end_of_the_address_makes_no_difference(public_url):
    url = Link(public_url, LINK.link_id, LINK.secret).url
    assert f"{public_url.rstrip('/')}/#" in url
    assert parse(url).public_url == public_url.rstrip("/")


def crc16(value: bytes) -> int:
    """CRC-16/IBM-3740 by its definition, bit by bit."""
    crc = 0xFFFF
    for byte in value:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def test_the_definition_gives_its_published_check_value():
    assert crc16(b"123456789") == 0x29B1


@given(LINKS)
def test_the_check_is_the_documented_one(link):
    body = link.link_id + link.secret
    assert base64url.decode(link.token) == body + crc16(body).to_bytes(2, "big")


def test_one_mistyped_character_is_always_noticed():
    tried = 0
    for at, right in enumerate(LINK.token):
        for wrong in set(ALPHABET) - {right}:
            with pytest.raises(LinkMistypedError):
                parse(f"https://v.example.org/#{LINK.token[:at]}{wrong}{LINK.token[at + 1 :]}")
            tried += 1
    assert tried == 67 * 63


def test_two_neighbours_that_changed_places_are_always_noticed():
    token = LINK.token
    for at in range(TOKEN_CHARS - 1):
        swapped = token[:at] + token[at + 1] + token[at] + token[at + 2 :]
        if swapped != token:
            with pytest.raises(LinkMistypedError):
                parse(f"https://v.example.org/#{swapped}")


@pytest.mark.parametrize("size", range(TOKEN_CHARS))
def test_a_link_that_is_cut_short_is_refused(size):
    with pytest.raises(LinkMistypedError):
        parse(f"https://v.example.org/#{LINK.token[:size]}")


@pytest.mark.parametrize("foreign", [" ", "=", "+", "/", "%", "#", "\n", "Ａ", "é", "\0", "."])
@pytest.mark.parametrize("at", [0, 33, 66])
def test_a_character_outside_the_alphabet_is_refused(at, foreign):
    with pytest.raises(LinkMistypedError):
        parse(f"https://v.example.org/#{LINK.token[:at]}{foreign}{LINK.token[at + 1 :]}")


@given(st.text())
def test_any_text_is_read_or_called_mistyped(text):
    with pytest.raises(LinkMistypedError):
        parse(text)


@given(st.text(st.sampled_from(ALPHABET), min_size=67, max_size=67))
def test_a_made_up_token_passes_only_when_its_check_fits(token):
    try:
        link = parse("#" + token)
    except LinkMistypedError:
        return
    assert link.token == token


def test_the_secret_is_in_no_printed_form_and_in_no_complaint():
    secret = base64url.encode(LINK.secret)
    assert secret[2:-2] not in repr(LINK)
    with pytest.raises(LinkMistypedError) as caught:
        parse(LINK.url[:-1] + "B")
    assert LINK.token[20:40] not in str(caught.value)
