"""The wire's bytes: base64url, RFC 9421 signatures, RFC 9530 digests. No I/O; docs/wire.md is the authority.

Only the one form that docs/wire.md fixes is read. Whatever else RFC 9421 would allow is refused: less to get wrong.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault.errors import BadRequestError, DigestWrongError, SignatureWrongError

LABEL = "slipway"
ID_BYTES = 16
KEY_BYTES = 32
ENVELOPE_BYTES = 109
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

_COMPONENTS = '("@method" "@path" "content-digest")'
_PARAMETER = re.compile(r';([a-z]+)=(?:"([A-Za-z0-9_\-]*)"|([0-9]{1,12}))')
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")
_MEMBER = re.compile(r"(?:^|,)[ \t]*" + LABEL + r"=([^,]*)")
_SIGNATURE = re.compile(r":([A-Za-z0-9+/]{86}==):")


def b64u(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64u(text: str, length: int) -> bytes:
    """Strict: only the alphabet, no padding, no spare bits, exactly `length` bytes; else BadRequestError."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadRequestError("A value is not base64url.") from None
    if len(raw) != length or b64u(raw) != text:
        raise BadRequestError(f"A value is not the base64url of {length} bytes.")
    return raw


@dataclass(frozen=True)
class RequestSignature:
    """A parsed, not yet verified, signature of a request."""

    parameters: str  # as received; they are part of what is signed
    created: int
    nonce: bytes
    device_id: bytes
    signature: bytes

    def verify(self, public_key: bytes, method: str, path: str, content_digest: str) -> None:
        """Raises SignatureWrongError."""
        base = _base(
            ('"@method"', method), ('"@path"', path), ('"content-digest"', content_digest), parameters=self.parameters
        )
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(self.signature, base)
        except (InvalidSignature, ValueError) as error:
            raise SignatureWrongError from error


def parse_request_signature(signature_input: str, signature: str) -> RequestSignature:
    """From the two headers' values; other labels (a proxy's) are ignored. Raises SignatureWrongError."""
    parameters = _member(signature_input)
    if not parameters.startswith(_COMPONENTS):
        raise SignatureWrongError(f"The request's signature must cover {_COMPONENTS}, in this order.")
    given = _parameters(parameters.removeprefix(_COMPONENTS))
    try:
        if given["alg"] != "ed25519":
            raise SignatureWrongError("The request's signature must be of alg ed25519.")
        nonce, device_id = (unb64u(given[name], ID_BYTES) for name in ("nonce", "keyid"))
        return RequestSignature(parameters, int(given["created"]), nonce, device_id, signature_bytes(signature))
    except (KeyError, ValueError, BadRequestError) as error:
        raise SignatureWrongError("Signature-Input needs created, nonce, keyid and alg.") from error


def signature_bytes(signature: str) -> bytes:
    """The 64 bytes under our label of a Signature header. Raises SignatureWrongError."""
    match = _SIGNATURE.fullmatch(_member(signature).strip(" \t"))
    if match is None:
        raise SignatureWrongError("The Signature header has no readable slipway member.")
    return base64.b64decode(match[1])


def _member(header: str) -> str:
    found: list[str] = _MEMBER.findall(header)
    if len(found) != 1:
        raise SignatureWrongError("The request has not exactly one signature under the label slipway.")
    return found[0].rstrip(" \t")


def _parameters(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None or match[1] in found:
            raise SignatureWrongError("Signature-Input is malformed.")
        found[match[1]] = match[2] if match[2] is not None else match[3]
        at = match.end()
    return found


def _base(*lines: tuple[str, str], parameters: str) -> bytes:
    """The signature base of RFC 9421 section 2.5."""
    return "\n".join(f"{name}: {value}" for name, value in (*lines, ('"@signature-params"', parameters))).encode()


def sign_answer(
    key: Ed25519PrivateKey, *, status: int, body: bytes, created: int, request_signature: bytes
) -> dict[str, str]:
    """The three headers that bind an answer to its status, its body and the request that it answers."""
    parameters = (
        f'("@status" "content-digest" "signature";req;key="{LABEL}");created={created};keyid="vault";alg="ed25519"'
    )
    digest = content_digest(body)
    base = _base(
        ('"@status"', str(status)),
        ('"content-digest"', digest),
        (f'"signature";req;key="{LABEL}"', _sf_bytes(request_signature)),
        parameters=parameters,
    )
    return {
        "Content-Digest": digest,
        "Signature-Input": f"{LABEL}={parameters}",
        "Signature": f"{LABEL}={_sf_bytes(key.sign(base))}",
    }


def _sf_bytes(raw: bytes) -> str:
    return f":{base64.b64encode(raw).decode()}:"


def content_digest(body: bytes) -> str:
    return f"sha-256={_sf_bytes(hashlib.sha256(body).digest())}"


def parse_content_digest(header: str) -> bytes:
    """The 32 bytes; raises DigestWrongError."""
    match = _DIGEST.fullmatch(header)
    if match is None:
        raise DigestWrongError("Content-Digest must be one sha-256.")
    return base64.b64decode(match[1])


def hkdf(ikm: bytes, info: bytes) -> bytes:
    """HKDF-SHA-256 with an empty salt, 32 bytes."""
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=info).derive(ikm)


def code_key(secret: str) -> bytes:
    """From the 12 secret characters of an enrolment code."""
    return hkdf(secret.encode("ascii"), b"slipway/1 enrol")


def device_mac(key: bytes, public_key: bytes) -> bytes:
    return hmac.digest(key, b"slipway/1 enrol device" + public_key, "sha256")


def vault_mac(key: bytes, public_key: bytes, device_id: bytes, vault_key: bytes) -> bytes:
    return hmac.digest(key, b"slipway/1 enrol vault" + public_key + device_id + vault_key, "sha256")


def normal_code(text: str) -> str:
    """As a person types it: any case, hyphens, spaces, O for 0, I and L for 1."""
    return text.upper().translate(str.maketrans("OIL", "011", "- "))
