from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from vault import wire
from vault.errors import BadRequestError, SignatureWrongError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()


@given(st.binary(max_size=64))
def test_base64url_comes_back(raw: bytes) -> None:
    assert wire.unb64u(wire.b64u(raw), len(raw)) == raw


@pytest.mark.parametrize("text", ["AAA=", "AA", "AAB", "A+A", "A/A", "A A", "AA\n", "", "AAAA", "AAé", "A"])
def test_base64url_has_one_spelling(text: str) -> None:
    with pytest.raises(BadRequestError):
        wire.unb64u(text, 2)


def test_a_request_is_signed_over_exactly_these_bytes() -> None:
    """The base of RFC 9421 section 2.5, written out."""
    parameters = (
        '("@method" "@path" "content-digest");created=1795000000;nonce="AAAAAAAAAAAAAAAAAAAAAA"'
        ';keyid="AQEBAQEBAQEBAQEBAQEBAQ";alg="ed25519"'
    )
    base = (
        b'"@method": PUT\n'
        b'"@path": /device/v1/shares/AAAAAAAAAAAAAAAAAAAAAA\n'
        b'"content-digest": sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:\n'
        b'"@signature-params": ' + parameters.encode()
    )
    signature = base64.b64encode(KEY.sign(base)).decode()
    given_ = wire.parse_request_signature(f"slipway={parameters}", f"slipway=:{signature}:")
    assert (given_.created, given_.nonce, given_.device_id) == (1795000000, bytes(16), b"\x01" * 16)
    given_.verify(PUBLIC, "PUT", "/device/v1/shares/AAAAAAAAAAAAAAAAAAAAAA", wire.content_digest(b"{}"))
    with pytest.raises(SignatureWrongError):
        given_.verify(PUBLIC, "PUT", "/device/v1/shares/AAAAAAAAAAAAAAAAAAAAAB", wire.content_digest(b"{}"))


def test_an_answer_is_signed_over_exactly_these_bytes() -> None:
    headers = wire.sign_answer(KEY, status=201, body=b"{}", created=1795000000, request_signature=bytes(64))
    parameters = (
        '("@status" "content-digest" "signature";req;key="slipway");created=1795000000;keyid="vault";alg="ed25519"'
    )
    base = (
        b'"@status": 201\n'
        b'"content-digest": sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:\n'
        b'"signature";req;key="slipway": :' + b"A" * 86 + b"==:\n"
        b'"@signature-params": ' + parameters.encode()
    )
    assert headers["Signature-Input"] == f"slipway={parameters}"
    KEY.public_key().verify(wire.signature_bytes(headers["Signature"]), base)


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_in_the_signature_headers_is_read_or_refused(signature_input: str, signature: str) -> None:
    with pytest.raises(SignatureWrongError):
        wire.parse_request_signature(signature_input, signature)


@pytest.mark.parametrize(
    ("typed", "normal"), [("7k3f-9m2q", "7K3F9M2Q"), (" O0o-iIlL1 ", "00011111"), ("ABCD EFGH", "ABCDEFGH")]
)
def test_a_code_is_read_as_people_type_it(typed: str, normal: str) -> None:
    assert wire.normal_code(typed) == normal


# The vectors that the box reads too: docs/wire.md, tests/vectors/wire.json.
VECTOR = json.loads((Path(__file__).parent.parent / "vectors/wire.json").read_text())


def key_of(seed: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(wire.unb64u(VECTOR[seed], 32))


def test_the_vectors_request_is_believed() -> None:
    request = VECTOR["request"]
    headers = request["headers"]
    given_ = wire.parse_request_signature(headers["Signature-Input"], headers["Signature"])
    assert wire.b64u(given_.device_id) == VECTOR["device_id"]
    digest = wire.content_digest(request["body"].encode())
    assert digest == headers["Content-Digest"]
    given_.verify(key_of("device_seed").public_key().public_bytes_raw(), request["method"], request["path"], digest)


def test_the_vectors_answer_is_what_this_vault_gives() -> None:
    answer, request = VECTOR["answer"], VECTOR["request"]
    headers = wire.sign_answer(
        key_of("vault_seed"),
        status=answer["status"],
        body=answer["body"].encode(),
        created=answer["created"],
        request_signature=wire.signature_bytes(request["headers"]["Signature"]),
    )
    assert headers == answer["headers"]


def test_the_vectors_enrolment_has_the_right_macs() -> None:
    enrolment = VECTOR["enrolment"]
    key = wire.code_key(wire.normal_code(enrolment["code"])[4:])
    public_key = key_of("device_seed").public_key().public_bytes_raw()
    assert wire.b64u(wire.device_mac(key, public_key)) == enrolment["request"]["mac"]
    vault_key = key_of("vault_seed").public_key().public_bytes_raw()
    mac = wire.vault_mac(key, public_key, wire.unb64u(VECTOR["device_id"], 16), vault_key)
    assert wire.b64u(mac) == enrolment["answer"]["mac"]
