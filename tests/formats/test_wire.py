"""What the box signs and checks, held to an independent reading of RFC 9421, RFC 9530 and docs/wire.md."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from appliance.formats import base64url, wire
from appliance.formats.wire import AnswerNotGenuineError, EnrolmentError

BOX, VAULT = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
DEVICE_ID, NONCE = base64url.encode(bytes(range(16))), base64url.encode(bytes(16))
PATH = "/device/v1/shares/AAAAAAAAAAAAAAAAAAAAAA/objects/3"


def signed(method: str = "PUT", path: str = PATH, body: bytes = b"ciphertext") -> wire.SignedHeaders:
    return wire.sign_request(method, path, body, key=BOX, device_id=DEVICE_ID, created=1795000000, nonce=NONCE)


def signature_base(headers: dict[str, str], values: dict[str, str]) -> bytes:
    """RFC 9421 section 2.5, for whichever components Signature-Input lists, in their order."""
    label, _, params = headers["Signature-Input"].partition("=")
    assert label == "slipway"
    components = re.match(r"\(([^)]*)\)", params)[1].split()
    lines = [f"{component}: {values[component]}" for component in components]
    return "\n".join([*lines, f'"@signature-params": {params}']).encode()


def signature_of(headers: dict[str, str]) -> bytes:
    """A byte sequence of RFC 8941 section 3.3.5, under our label."""
    return base64.b64decode(re.fullmatch(r"slipway=:([A-Za-z0-9+/]+=*):", headers["Signature"])[1], validate=True)


# -- requests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"{}", os.urandom(1000)])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_a_request_is_signed_as_the_rfc_has_it(method, body):
    headers = signed(method, PATH, body).headers
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    assert headers["Content-Digest"] == f"sha-256=:{digest}:"
    values = {'"@method"': method, '"@path"': PATH, '"content-digest"': headers["Content-Digest"]}
    BOX.public_key().verify(signature_of(headers), signature_base(headers, values))


def test_the_signature_names_what_the_vault_needs_to_judge_it():
    assert signed().headers["Signature-Input"] == (
        'slipway=("@method" "@path" "content-digest");created=1795000000;'
        f'nonce="{NONCE}";keyid="{DEVICE_ID}";alg="ed25519"'
    )


@pytest.mark.parametrize(
    ("component", "other"),
    [('"@method"', "DELETE"), ('"@path"', PATH + "0"), ('"content-digest"', wire.content_digest(b"other"))],
)
def test_a_signature_is_good_for_nothing_else(component, other):
    headers = signed().headers
    values = {'"@method"': "PUT", '"@path"': PATH, '"content-digest"': headers["Content-Digest"]} | {component: other}
    with pytest.raises(InvalidSignature):
        BOX.public_key().verify(signature_of(headers), signature_base(headers, values))


def test_the_empty_body_has_a_digest_too():
    assert wire.content_digest(b"") == "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"


def test_the_signature_that_the_answer_covers_is_the_one_that_was_sent():
    request = signed()
    assert request.headers["Signature"] == f"slipway={request.signature}"


# -- answers -------------------------------------------------------------------------------------------------------

REQUEST = signed().signature
OTHER_REQUEST = signed(body=b"other").signature
PARAMS = '("@status" "content-digest" "signature";req;key="slipway");created=1795000000;keyid="vault";alg="ed25519"'


def answer(
    status: int = 200,
    body: bytes = b'{"now": 1}',
    *,
    to: str = REQUEST,
    key: Ed25519PrivateKey = VAULT,
    params: str = PARAMS,
) -> dict[str, str]:
    """An answer's headers as docs/wire.md has the vault write them."""
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
    base = (
        f'"@status": {status}\n"content-digest": {digest}\n'
        f'"signature";req;key="slipway": {to}\n"@signature-params": {params}'
    )
    return {
        "Content-Digest": digest,
        "Signature-Input": f"slipway={params}",
        "Signature": f"slipway=:{base64.b64encode(key.sign(base.encode())).decode()}:",
    }


def check(headers: dict[str, str], status: int = 200, body: bytes = b'{"now": 1}', to: str = REQUEST) -> None:
    wire.check_answer(status, headers, body, request_signature=to, vault_key=VAULT.public_key())


@pytest.mark.parametrize("status", [200, 201, 401, 410, 500])
@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\0"])
def test_the_vaults_own_answer_passes(status, body):
    check(answer(status, body), status, body)


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
def test_proxies_may_change_the_case_of_header_names(spell):
    check({spell(name): value for name, value in answer().items()})


def test_an_answer_to_another_request_is_refused():
    with pytest.raises(AnswerNotGenuineError):
        check(answer(to=OTHER_REQUEST))


def test_an_answer_that_was_kept_and_is_played_again_is_refused():
    kept = answer()
    check(kept)
    with pytest.raises(AnswerNotGenuineError):
        check(kept, to=OTHER_REQUEST)


def test_another_status_is_refused():
    with pytest.raises(AnswerNotGenuineError):
        check(answer(status=410), status=200)


@pytest.mark.parametrize("body", [b"", b'{"now": 2}', b'{"now": 1} '])
def test_another_body_is_refused(body):
    with pytest.raises(AnswerNotGenuineError):
        check(answer(), body=body)


def test_another_body_with_its_own_digest_is_refused():
    headers = answer() | {"Content-Digest": wire.content_digest(b"other")}
    with pytest.raises(AnswerNotGenuineError):
        check(headers, body=b"other")


def test_an_answer_that_somebody_else_signed_is_refused():
    with pytest.raises(AnswerNotGenuineError):
        check(answer(key=Ed25519PrivateKey.generate()))


@pytest.mark.parametrize("missing", ["Content-Digest", "Signature-Input", "Signature"])
def test_an_answer_without_one_of_its_headers_is_refused(missing):
    headers = answer()
    del headers[missing]
    with pytest.raises(AnswerNotGenuineError):
        check(headers)


def test_a_captive_portals_answer_is_refused():
    with pytest.raises(AnswerNotGenuineError):
        check({"Content-Type": "text/html"}, body=b"<html>Please log in</html>")


@pytest.mark.parametrize(
    "params",
    [
        '("@status" "content-digest");created=1795000000;keyid="vault";alg="ed25519"',
        '("content-digest" "signature";req;key="slipway");created=1795000000;keyid="vault";alg="ed25519"',
        '("@status" "signature";req;key="slipway");created=1795000000;keyid="vault";alg="ed25519"',
        '();created=1795000000;keyid="vault";alg="ed25519"',
    ],
)
def test_a_right_signature_over_less_than_everything_is_refused(params):
    with pytest.raises(AnswerNotGenuineError):
        check(answer(params=params))


@pytest.mark.parametrize(
    "change",
    [
        {"Signature-Input": f"slipway={PARAMS.replace('1795000000', '1795000001')}"},
        {"Signature-Input": f"slipway={PARAMS};expires=1"},
        {"Signature": "slipway=::"},
        {"Signature": "slipway=:AAAA:"},
        {"Signature": "slipway=:" + "A" * 86 + "==:"},
        {"Signature": "slipway=:not base64:"},
        {"Signature": "other=" + answer()["Signature"].removeprefix("slipway=")},
        {"Signature": "slipway=:é:"},
        {"Content-Digest": "é"},
        {"Content-Digest": "sha-256=:\udcff:"},
        {"Signature-Input": "é"},
        {"Signature-Input": f"slipway={PARAMS}\udcff"},
    ],
)
def test_an_altered_header_is_refused(change):
    with pytest.raises(AnswerNotGenuineError):
        check(answer() | change)


@given(st.sampled_from(["Content-Digest", "Signature-Input", "Signature"]), st.data())
def test_one_changed_character_in_any_header_is_refused(name, data):
    headers = answer()
    at = data.draw(st.integers(0, len(headers[name]) - 1))
    char = data.draw(st.characters().filter(lambda char: char != headers[name][at]))
    with pytest.raises(AnswerNotGenuineError):
        check(headers | {name: headers[name][:at] + char + headers[name][at + 1 :]})


@given(*[st.text(max_size=60)] * 3, st.integers(0, 999), st.binary(max_size=20))
def test_whatever_a_proxy_answers_is_refused_and_nothing_else_goes_wrong(digest, params, signature, status, body):
    headers = {"Content-Digest": digest, "Signature-Input": f"slipway={params}", "Signature": signature}
    with pytest.raises(AnswerNotGenuineError):
        check(headers, status, body)


def test_an_answer_that_is_not_the_vaults_is_as_good_as_none():
    """Whoever tries again when the vault is away must try again here: a portal may be gone in an hour."""
    assert AnswerNotGenuineError.retry
    assert "portal" in AnswerNotGenuineError.hint


# -- enrolment -----------------------------------------------------------------------------------------------------

CODE = "7K3M0QZT1XVBW9RD"


@pytest.mark.parametrize(
    "typed",
    [
        "7K3M0QZT1XVBW9RD",
        "7K3M-0QZT-1XVB-W9RD",
        "7k3m-0qzt-1xvb-w9rd",
        "7K3M 0QZT 1XVB W9RD",
        " 7K3M0QZT1XVBW9RD ",
        "7K3M-OQZT-IXVB-W9RD",
        "7k3m-oqzt-lxvb-w9rd",
        "7-K-3-M0QZT1XVBW9RD",
    ],
)
def test_a_code_is_read_as_people_type_it(typed):
    assert wire.parse_code(typed) == wire.parse_code(CODE)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        CODE[:-1],
        CODE + "0",
        CODE[:-1] + "U",
        CODE[:-1] + "*",
        CODE[:-1] + "é",
        CODE[:-1] + "٣",
        "-" * 16,
        CODE + "\n0",
    ],
)
def test_what_cannot_be_a_code_is_refused(typed):
    with pytest.raises(EnrolmentError):
        wire.parse_code(typed)


@given(st.text(max_size=24))
def test_any_text_is_a_code_or_refused(text):
    try:
        code = wire.parse_code(text)
    except EnrolmentError:
        return
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{4}", code.code_id)


@given(st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=16, max_size=16))
def test_every_code_of_the_alphabet_is_read(text):
    assert wire.parse_code(text).code_id == text[:4]


def mac(label: bytes, message: bytes) -> bytes:
    """By docs/wire.md: keyed with the twelve characters that never cross the wire."""
    key = HKDF(hashes.SHA256(), 32, b"", b"slipway/1 enrol").derive(CODE[4:].encode())
    return hmac.digest(key, label + message, "sha256")


def test_the_request_proves_the_code_and_does_not_hold_its_secret():
    request = wire.parse_code(CODE).request(bytes(32))
    assert request == {
        "code_id": "7K3M",
        "public_key": base64url.encode(bytes(32)),
        "mac": base64url.encode(mac(b"slipway/1 enrol device", bytes(32))),
    }
    assert CODE[4:] not in str(request)


def enrolled(**changes: object) -> dict[str, object]:
    device_id, vault_key = bytes(range(16)), bytes(range(32))
    return {
        "device_id": base64url.encode(device_id),
        "vault_key": base64url.encode(vault_key),
        "mac": base64url.encode(mac(b"slipway/1 enrol vault", bytes(32) + device_id + vault_key)),
        "now": 1795000000,
        "added_later": True,
    } | changes


def test_an_answer_that_knows_the_code_is_believed():
    found = wire.parse_code(CODE).check_answer(bytes(32), enrolled())
    assert found == (DEVICE_ID, bytes(range(32)))


@pytest.mark.parametrize(
    "change",
    [
        {"vault_key": base64url.encode(bytes(32))},
        {"device_id": base64url.encode(bytes(16))},
        {"mac": base64url.encode(bytes(32))},
        {"mac": base64url.encode(mac(b"slipway/1 enrol device", bytes(32)))},
        {"mac": ""},
        {"mac": None},
        {"vault_key": 3},
        {"device_id": "../../x"},
        {"device_id": {}},
    ],
)
def test_an_answer_that_was_altered_is_not_believed(change):
    with pytest.raises(AnswerNotGenuineError):
        wire.parse_code(CODE).check_answer(bytes(32), enrolled(**change))


@pytest.mark.parametrize("missing", ["device_id", "vault_key", "mac"])
def test_an_answer_that_lacks_something_is_not_believed(missing):
    value = enrolled()
    del value[missing]
    with pytest.raises(AnswerNotGenuineError):
        wire.parse_code(CODE).check_answer(bytes(32), value)


def test_the_vaults_answer_to_another_box_is_not_believed():
    with pytest.raises(AnswerNotGenuineError):
        wire.parse_code(CODE).check_answer(bytes([1]) * 32, enrolled())


def test_the_vaults_answer_for_another_code_is_not_believed():
    with pytest.raises(AnswerNotGenuineError):
        wire.parse_code(CODE[:-1] + "0").check_answer(bytes(32), enrolled())


def test_the_code_is_in_no_printed_form():
    assert wire.parse_code(CODE).key.hex() not in repr(wire.parse_code(CODE))


# -- the vectors that the vault reads too ---------------------------------------------------------------------------


VECTOR = json.loads((Path(__file__).parent.parent / "vectors/wire.json").read_text())


def key_of(seed: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(base64url.decode(VECTOR[seed], 32))


def test_the_vectors_request_is_what_this_box_sends():
    given = VECTOR["request"]
    signed_ = wire.sign_request(
        given["method"],
        given["path"],
        given["body"].encode(),
        key=key_of("device_seed"),
        device_id=VECTOR["device_id"],
        created=given["created"],
        nonce=given["nonce"],
    )
    assert signed_.headers == given["headers"]


def test_the_vectors_answer_is_believed():
    answer, request = VECTOR["answer"], VECTOR["request"]
    wire.check_answer(
        answer["status"],
        answer["headers"],
        answer["body"].encode(),
        request_signature=request["headers"]["Signature"].removeprefix("slipway="),
        vault_key=key_of("vault_seed").public_key(),
    )


def test_the_vectors_enrolment_is_asked_and_believed():
    enrolment = VECTOR["enrolment"]
    code, public_key = wire.parse_code(enrolment["code"]), key_of("device_seed").public_key().public_bytes_raw()
    assert code.request(public_key) == enrolment["request"]
    device_id, vault_key = code.check_answer(public_key, enrolment["answer"])
    assert device_id == VECTOR["device_id"]
    assert vault_key == key_of("vault_seed").public_key().public_bytes_raw()
