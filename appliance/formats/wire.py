"""What the box signs and checks when it talks to the vault (docs/wire.md; RFC 9421, RFC 9530). No I/O."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from appliance.errors import FormatError, SlipwayError
from appliance.formats import base64url

LABEL = "slipway"
_RESPONSE_HEADERS = ("content-digest", "signature-input", "signature")
_RESPONSE_COMPONENTS = f'("@status" "content-digest" "signature";req;key="{LABEL}")'
_CROCKFORD = re.compile(r"[0-9A-HJKMNP-TV-Z]{16}\Z")


class EnrolmentError(SlipwayError):
    code = "enrolment_failed"
    hint = (
        "Ask the vault's operator for a new code: slipway-vault enrol-code NAME. A code is good once, for 15 minutes."
    )


class AnswerNotGenuineError(SlipwayError):
    """The answer is not the vault's: altered, invented, or another request's."""

    code = "answer_not_genuine"
    hint = "Something between the box and the vault answers in its place: a captive portal or an inspecting proxy."
    retry = True


@dataclass(frozen=True)
class SignedHeaders:
    headers: dict[str, str]
    signature: str  # the serialized byte sequence, `:…:`, that the answer's signature covers


def content_digest(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def sign_request(
    method: str, path: str, body: bytes, *, key: Ed25519PrivateKey, device_id: str, created: int, nonce: str
) -> SignedHeaders:
    digest = content_digest(body)
    params = f'("@method" "@path" "content-digest");created={created};nonce="{nonce}";keyid="{device_id}";alg="ed25519"'
    base = f'"@method": {method}\n"@path": {path}\n"content-digest": {digest}\n"@signature-params": {params}'
    signature = f":{base64.b64encode(key.sign(base.encode())).decode()}:"
    headers = {
        "Content-Digest": digest,
        "Signature-Input": f"{LABEL}={params}",
        "Signature": f"{LABEL}={signature}",
    }
    return SignedHeaders(headers, signature)


def check_answer(
    status: int, headers: Mapping[str, str], body: bytes, *, request_signature: str, vault_key: Ed25519PublicKey
) -> None:
    """AnswerNotGenuineError unless the vault itself gave this answer to that request."""
    found = {name.lower(): value for name, value in headers.items()}  # proxies change the case of names
    digest, signature_input, signature = (found.get(name, "") for name in _RESPONSE_HEADERS)
    if not signature_input.startswith(f"{LABEL}={_RESPONSE_COMPONENTS}"):
        raise AnswerNotGenuineError("an answer came that the vault did not sign")
    if digest != content_digest(body):
        raise AnswerNotGenuineError("an answer was altered on its way")
    params = signature_input.removeprefix(f"{LABEL}=")
    base = (
        f'"@status": {status}\n"content-digest": {digest}\n'
        f'"signature";req;key="{LABEL}": {request_signature}\n"@signature-params": {params}'
    )
    try:
        vault_key.verify(_signature_bytes(signature), base.encode())
    except (InvalidSignature, ValueError) as error:
        raise AnswerNotGenuineError("an answer came that the vault did not sign") from error


def _signature_bytes(header: str) -> bytes:
    """ValueError unless the header is our label and one byte sequence, in the only way to write it."""
    value = base64.b64decode(header.removeprefix(f"{LABEL}=:").removesuffix(":"), validate=True)
    if header != f"{LABEL}=:{base64.b64encode(value).decode()}:":
        raise ValueError
    return value


@dataclass(frozen=True, repr=False)
class EnrolmentCode:
    """The code that the technician types; the secret half never leaves the box."""

    code_id: str
    key: bytes

    def request(self, public_key: bytes) -> dict[str, str]:
        mac = hmac.digest(self.key, b"slipway/1 enrol device" + public_key, "sha256")
        return {
            "code_id": self.code_id,
            "public_key": base64url.encode(public_key),
            "mac": base64url.encode(mac),
        }

    def check_answer(self, public_key: bytes, answer: Mapping[str, object]) -> tuple[str, bytes]:
        """(device id, vault's public key). AnswerNotGenuineError unless it knows the code too."""
        try:
            device_id, vault_key = str(answer["device_id"]), base64url.decode(str(answer["vault_key"]), 32)
            mac = base64url.decode(str(answer["mac"]), 32)
            message = b"slipway/1 enrol vault" + public_key + base64url.decode(device_id, 16) + vault_key
        except (KeyError, FormatError) as error:
            raise AnswerNotGenuineError("the answer to the enrolment is not the vault's") from error
        if not hmac.compare_digest(mac, hmac.digest(self.key, message, "sha256")):
            raise AnswerNotGenuineError("the answer to the enrolment is not the vault's")
        return device_id, vault_key


def parse_code(text: str) -> EnrolmentCode:
    """Read a code as people type it (docs/wire.md, "Enrolment"). EnrolmentError when it cannot be one."""
    code = text.upper().replace("-", "").replace(" ", "").translate(str.maketrans("OIL", "011"))
    if not _CROCKFORD.match(code):
        raise EnrolmentError("an enrolment code is 16 letters and digits, XXXX-XXXX-XXXX-XXXX")
    key = HKDF(hashes.SHA256(), 32, b"", b"slipway/1 enrol").derive(code[4:].encode())
    return EnrolmentCode(code[:4], key)
