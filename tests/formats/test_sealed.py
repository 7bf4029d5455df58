"""Secrets at rest on the box."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import FormatError
from appliance.formats.sealed import Sealer

KEY = os.urandom(32)
SEALER = Sealer(KEY)


@given(st.binary(max_size=20), st.binary(max_size=200))
def test_a_value_comes_back_under_its_label_even_after_a_restart(label, value):
    assert Sealer(KEY).open(label, SEALER.seal(label, value)) == value


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_json_comes_back(value):
    assert SEALER.open_json(b"x", SEALER.seal_json(b"x", value)) == value


def test_another_spool_key_opens_nothing():
    with pytest.raises(FormatError):
        Sealer(os.urandom(32)).open(b"x", SEALER.seal(b"x", b"value"))


@pytest.mark.parametrize("label", [b"", b"share1", b"share", b"Share0", b"share0 "])
def test_another_label_opens_nothing(label):
    with pytest.raises(FormatError):
        SEALER.open(label, SEALER.seal(b"share0", b"value"))


def test_every_bit_of_a_sealed_value_counts():
    sealed = SEALER.seal(b"x", bytes(100))
    for at in range(len(sealed)):
        for bit in range(8):
            altered = bytearray(sealed)
            altered[at] ^= 1 << bit
            with pytest.raises(FormatError):
                SEALER.open(b"x", bytes(altered))


@pytest.mark.parametrize("size", range(45))
def test_a_sealed_value_cut_anywhere_is_refused(size):
    with pytest.raises(FormatError):
        SEALER.open(b"x", SEALER.seal(b"x", bytes(17))[:size])


def test_the_same_value_never_looks_the_same_twice():
    assert SEALER.seal(b"x", b"Rivers^Ada") != SEALER.seal(b"x", b"Rivers^Ada")


def test_a_sealed_value_is_a_nonce_of_twelve_bytes_the_ciphertext_and_its_tag():
    sealed = SEALER.seal(b"x", b"Rivers^Ada")
    key = HKDF(hashes.SHA256(), 32, None, b"slipway/1 seal").derive(KEY)
    assert AESGCM(key).decrypt(sealed[:12], sealed[12:], b"x") == b"Rivers^Ada"


def test_a_sealed_value_does_not_hold_the_value():
    assert b"Rivers" not in SEALER.seal(b"x", b"Rivers^Ada")


# -- keyed hashes --------------------------------------------------------------------------------------------------


def test_an_index_is_the_same_after_a_restart():
    assert SEALER.index("patient", "1234") == Sealer(KEY).index("patient", "1234")


def test_an_index_says_nothing_without_the_key():
    assert SEALER.index("patient", "1234") != Sealer(os.urandom(32)).index("patient", "1234")


@given(st.text(max_size=10), st.text(max_size=10))
def test_an_index_is_equal_only_for_equal_values(one, other):
    assert (SEALER.index("study", one) == SEALER.index("study", other)) is (one == other)


def test_keyed_hashes_have_sixteen_bytes():
    assert len(SEALER.index("patient", "1234")) == len(SEALER.join_fingerprints(b"")) == 16


def test_an_index_of_a_study_is_not_that_of_a_patient():
    assert SEALER.index("study", "1.2") != SEALER.index("patient", "1.2")


def fingerprint(sealer: Sealer, index: int, *pieces: bytes | bytearray) -> bytes:
    maker = sealer.fingerprinter(index)
    for piece in pieces:
        maker.authenticate_additional_data(piece)
    maker.finalize()
    return maker.tag


def test_a_fingerprint_does_not_depend_on_how_the_bytes_were_cut():
    assert fingerprint(SEALER, 3, b"pix", b"els") == fingerprint(SEALER, 3, b"pixels")


def test_a_fingerprint_is_equal_for_equal_bytes_at_the_same_place():
    assert fingerprint(SEALER, 3, b"pixels") == fingerprint(Sealer(KEY), 3, bytearray(b"pixels"))


def test_a_fingerprint_tells_bytes_places_and_boxes_apart():
    prints = {
        fingerprint(SEALER, 0, b"pixels"),
        fingerprint(SEALER, 1, b"pixels"),
        fingerprint(SEALER, 0, b"pixelz"),
        fingerprint(SEALER, 0, b"pixels\0"),
        fingerprint(Sealer(os.urandom(32)), 0, b"pixels"),
    }
    assert len(prints) == 5
    assert {len(value) for value in prints} == {16}


def test_joined_fingerprints_depend_on_every_part_and_their_order():
    one, other = (fingerprint(SEALER, n, b"x") for n in (0, 1))
    assert len({SEALER.join_fingerprints(parts) for parts in (one, other, one + other, other + one, b"")}) == 5
