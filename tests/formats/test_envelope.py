"""Factor, proof and envelope."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import FactorWrongError, FormatError
from appliance.formats import base64url, envelope
from appliance.formats.envelope import ENVELOPE_BYTES, FactorKind, LinkKeys, factor_bytes

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "envelope.json").read_text())
KEYS = LinkKeys(bytes(range(16)), os.urandom(32), os.urandom(32), b"birth-date:19700131")
SHARE_ID, DATA_KEY = bytes(range(200, 216)), os.urandom(32)


def hkdf(ikm: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    """RFC 5869 by its definition, with HMAC alone."""
    key, block, out = hmac.digest(salt, ikm, "sha256"), b"", b""
    for n in range(1, -(-size // 32) + 1):
        block = hmac.digest(key, block + info + bytes([n]), "sha256")
        out += block
    return out[:size]


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["kind"])
def test_the_shared_vectors_are_made_and_opened(case):
    value = {name: base64url.decode(text) for name, text in case.items() if name not in ("kind", "value")}
    factor = factor_bytes(FactorKind(case["kind"]), case["value"])
    keys = LinkKeys(value["link_id"], value["secret"], value["share_key"], factor)
    assert envelope.proof(keys.secret, keys.link_id, factor) == value["proof"]
    assert envelope.verifier(keys.secret, keys.link_id, factor) == value["verifier"]
    assert keys.wrap(value["share_id"], value["data_key"], value["envelope"][49:61]) == value["envelope"]
    assert keys.unwrap(value["envelope"]) == (value["share_id"], value["data_key"])


def test_proof_and_verifier_are_the_documented_ones():
    key = hkdf(KEYS.secret, KEYS.link_id, b"slipway/1 proof", 32)
    proof = hmac.digest(key, KEYS.factor, "sha256")
    assert envelope.proof(KEYS.secret, KEYS.link_id, KEYS.factor) == proof
    assert envelope.verifier(KEYS.secret, KEYS.link_id, KEYS.factor) == hashlib.sha256(proof).digest()


def test_the_envelope_is_the_documented_one():
    sealed = KEYS.wrap(SHARE_ID, DATA_KEY)
    okm = hkdf(KEYS.secret + KEYS.share_key + KEYS.factor, KEYS.link_id, b"slipway/1 link", 64)
    assert sealed[:1] == b"\x01"
    assert sealed[1:17] == SHARE_ID
    assert sealed[17:49] == okm[32:]
    aad = b"slipway/1 envelope" + KEYS.link_id + SHARE_ID
    assert AESGCM(okm[:32]).decrypt(sealed[49:61], sealed[61:], aad) == DATA_KEY


@given(*(st.binary(min_size=n, max_size=n) for n in (16, 32, 32, 16, 32)), st.binary(max_size=40))
def test_an_envelope_opens_under_its_own_link(link_id, secret, share_key, share_id, data_key, factor):
    keys = LinkKeys(link_id, secret, share_key, factor)
    sealed = keys.wrap(share_id, data_key)
    assert len(sealed) == ENVELOPE_BYTES == 109
    assert keys.unwrap(sealed) == (share_id, data_key)


def test_two_envelopes_of_the_same_key_differ():
    assert KEYS.wrap(SHARE_ID, DATA_KEY)[49:] != KEYS.wrap(SHARE_ID, DATA_KEY)[49:]


@pytest.mark.parametrize(
    "wrong",
    [
        replace(KEYS, link_id=bytes(16)),
        replace(KEYS, secret=bytes(32)),
        replace(KEYS, share_key=bytes(32)),
        replace(KEYS, factor=b"birth-date:19700130"),
        replace(KEYS, factor=b"pin:19700131"),
        replace(KEYS, factor=b""),
    ],
    ids=["link", "secret", "share key", "factor", "kind of factor", "no factor"],
)
def test_whatever_is_wrong_about_a_link_is_noticed_by_the_commitment_before_anything_is_decrypted(wrong):
    with pytest.raises(FormatError, match="does not belong to this link"):
        wrong.unwrap(KEYS.wrap(SHARE_ID, DATA_KEY))


def test_every_bit_of_an_envelope_counts():
    sealed = KEYS.wrap(SHARE_ID, DATA_KEY)
    for at in range(len(sealed)):
        for bit in range(8):
            altered = bytearray(sealed)
            altered[at] ^= 1 << bit
            with pytest.raises(FormatError):
                KEYS.unwrap(bytes(altered))


def test_an_envelope_with_another_shares_id_is_refused():
    sealed = KEYS.wrap(SHARE_ID, DATA_KEY)
    with pytest.raises(FormatError, match="altered"):
        KEYS.unwrap(sealed[:1] + bytes(16) + sealed[17:])


@pytest.mark.parametrize("size", [0, 1, 61, 108])
def test_an_envelope_that_is_cut_short_is_refused(size):
    with pytest.raises(FormatError):
        KEYS.unwrap(KEYS.wrap(SHARE_ID, DATA_KEY)[:size])


def test_an_envelope_with_something_after_it_is_refused():
    with pytest.raises(FormatError):
        KEYS.unwrap(KEYS.wrap(SHARE_ID, DATA_KEY) + b"\0")


def test_the_proof_of_another_factor_link_or_secret_is_another():
    proofs = {
        envelope.proof(secret, link_id, factor)
        for secret in (KEYS.secret, bytes(32))
        for link_id in (KEYS.link_id, bytes(16))
        for factor in (b"birth-date:19700131", b"birth-date:19700130", b"pin:19700131", b"none:")
    }
    assert len(proofs) == 16


# -- the factor ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "canonical"),
    [
        (FactorKind.BIRTH_DATE, "19700131", b"birth-date:19700131"),
        (FactorKind.PIN, "123456", b"pin:123456"),
        (FactorKind.PIN, "0000", b"pin:0000"),
        (FactorKind.NONE, "", b"none:"),
    ],
)
def test_a_factor_has_one_canonical_form(kind, value, canonical):
    assert factor_bytes(kind, value) == canonical


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (FactorKind.BIRTH_DATE, ""),
        (FactorKind.BIRTH_DATE, "1970131"),
        (FactorKind.BIRTH_DATE, "1970-01-31"),
        (FactorKind.BIRTH_DATE, "19700131\n"),
        (FactorKind.BIRTH_DATE, "١٩٧٠٠١٣١"),
        (FactorKind.BIRTH_DATE, "１９７００１３１"),
        (FactorKind.PIN, ""),
        (FactorKind.PIN, "12a456"),
        (FactorKind.PIN, "123456\n"),
        (FactorKind.PIN, "१२३४५६"),
        (FactorKind.NONE, "x"),
    ],
)
def test_what_cannot_be_a_factor_is_refused_before_it_costs_a_try(kind, value):
    with pytest.raises(FactorWrongError):
        factor_bytes(kind, value)


@given(st.sampled_from(FactorKind), st.text(max_size=12) | st.text("0123456789", max_size=12))
def test_any_input_gives_ascii_bytes_or_is_refused(kind, value):
    try:
        assert factor_bytes(kind, value).decode("ascii") == f"{kind}:{value}"
    except FactorWrongError:
        assert value or kind is not FactorKind.NONE


def test_the_keys_of_a_link_are_in_no_printed_form():
    assert KEYS.secret.hex() not in repr(KEYS)
    assert "19700131" not in repr(KEYS)
