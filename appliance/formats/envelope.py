"""Factor, proof and envelope: how a link opens a share (docs/envelope.md, "Factor" and "Envelope")."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from dataclasses import dataclass
from enum import StrEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from appliance.errors import FactorWrongError, FormatError

VERSION = 1
ID_BYTES = 16
KEY_BYTES = 32
NONCE_BYTES = 12
ENVELOPE_BYTES = 1 + ID_BYTES + 32 + NONCE_BYTES + KEY_BYTES + 16


class FactorKind(StrEnum):
    BIRTH_DATE = "birth-date"
    PIN = "pin"
    NONE = "none"


_FORMS = {
    FactorKind.BIRTH_DATE: (re.compile(r"[0-9]{8}"), "a birth date is eight digits, YYYYMMDD"),
    FactorKind.PIN: (re.compile(r"[0-9]{4,12}"), "a PIN is digits only"),
    FactorKind.NONE: (re.compile(r""), "this link wants no second factor"),
}


def factor_bytes(kind: FactorKind, value: str) -> bytes:
    """The factor's canonical bytes. FactorWrongError if `value` cannot be one of this kind."""
    form, complaint = _FORMS[kind]
    if not form.fullmatch(value):
        raise FactorWrongError(complaint)
    return f"{kind}:{value}".encode("ascii")


def proof(secret: bytes, link_id: bytes, factor: bytes) -> bytes:
    """What the patient's page shows the vault instead of the factor; without `secret` no guess can be tested."""
    return hmac.digest(_hkdf(secret, link_id, b"slipway/1 proof", 32), factor, "sha256")


def verifier(secret: bytes, link_id: bytes, factor: bytes) -> bytes:
    return hashlib.sha256(proof(secret, link_id, factor)).digest()


@dataclass(frozen=True, repr=False)
class LinkKeys:
    """All that wraps a share's data key under one link."""

    link_id: bytes
    secret: bytes  # F: on paper only
    share_key: bytes  # S: in the vault only
    factor: bytes

    def _derive(self) -> tuple[bytes, bytes]:
        okm = _hkdf(self.secret + self.share_key + self.factor, self.link_id, b"slipway/1 link", 64)
        return okm[:32], okm[32:]

    def wrap(self, share_id: bytes, data_key: bytes, nonce: bytes | None = None) -> bytes:
        """The envelope, 109 bytes. `nonce` is for test vectors only."""
        wrap_key, commitment = self._derive()
        nonce = nonce or os.urandom(NONCE_BYTES)
        sealed = AESGCM(wrap_key).encrypt(nonce, data_key, _aad(self.link_id, share_id))
        return bytes([VERSION]) + share_id + commitment + nonce + sealed

    def unwrap(self, envelope: bytes) -> tuple[bytes, bytes]:
        """(share id, data key). FormatError when the envelope is not this link's or was altered."""
        if len(envelope) != ENVELOPE_BYTES or envelope[0] != VERSION:
            raise FormatError("the envelope is of another version or length")
        share_id, commitment = envelope[1:17], envelope[17:49]
        wrap_key, expected = self._derive()
        if not hmac.compare_digest(commitment, expected):
            raise FormatError("the envelope does not belong to this link")
        try:
            data_key = AESGCM(wrap_key).decrypt(envelope[49:61], envelope[61:], _aad(self.link_id, share_id))
        except InvalidTag as error:
            raise FormatError("the envelope was altered") from error
        return share_id, data_key


def _aad(link_id: bytes, share_id: bytes) -> bytes:
    return b"slipway/1 envelope" + link_id + share_id


def _hkdf(key: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    return HKDF(hashes.SHA256(), size, salt, info).derive(key)
