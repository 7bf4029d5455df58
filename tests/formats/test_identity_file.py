"""The box's identity on its disk."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.errors import FormatError
from appliance.formats.identity_file import Enrolment, decode, encode

VAULT = Ed25519PrivateKey.generate()
ENROLMENT = Enrolment(
    "https://v.example.org", "AAAAAAAAAAAAAAAAAAAAAA", Ed25519PrivateKey.generate(), VAULT.public_key()
)


def test_an_identity_comes_back():
    found = decode(encode(ENROLMENT))
    assert (found.url, found.device_id) == (ENROLMENT.url, ENROLMENT.device_id)
    assert found.key.private_bytes_raw() == ENROLMENT.key.private_bytes_raw()
    found.vault_key.verify(VAULT.sign(b"x"), b"x")


@pytest.mark.parametrize(
    ("member", "wrong"),
    [(member, wrong) for member in ("url", "device_id", "key", "vault_key") for wrong in (None, 3, "", ["x"])]
    + [("key", "AAAA"), ("vault_key", "AAAA")],
)
def test_a_damaged_member_is_an_error_that_says_to_enrol_again(member, wrong):
    value = json.loads(encode(ENROLMENT))
    value[member] = wrong
    with pytest.raises(FormatError) as caught:
        decode(json.dumps(value).encode())
    assert "enrol" in caught.value.hint


@pytest.mark.parametrize("member", ["url", "device_id", "key", "vault_key"])
def test_a_missing_member_is_an_error_that_says_to_enrol_again(member):
    value = json.loads(encode(ENROLMENT))
    del value[member]
    with pytest.raises(FormatError) as caught:
        decode(json.dumps(value).encode())
    assert "enrol" in caught.value.hint


@pytest.mark.parametrize("data", [b"", b"\0" * 300, b"\xff", b"[]", b"3", b'"x"', b"null", b"{"])
def test_a_file_that_is_something_else_is_an_error_that_says_to_enrol_again(data):
    with pytest.raises(FormatError) as caught:
        decode(data)
    assert "enrol" in caught.value.hint


def test_a_file_cut_anywhere_is_refused():
    whole = encode(ENROLMENT).rstrip()
    for size in range(len(whole)):
        with pytest.raises(FormatError):
            decode(whole[:size])


def test_the_device_key_is_in_no_printed_form():
    assert ENROLMENT.key.private_bytes_raw().hex() not in repr(ENROLMENT)
