"""Small secrets and patients' data at rest on the box: sealed under the spool key, found again by keyed hashes.

Not the spool's streams (formats/stream.py) and nothing that leaves the box.
"""

from __future__ import annotations

import hmac
import json
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import AEADEncryptionContext, Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from appliance.errors import FormatError

KEY_BYTES = 32
_NONCE_BYTES = 12


class Sealer:
    """Seals values with AES-256-GCM under a key derived from the spool key; `label` says what a value is for."""

    def __init__(self, spool_key: bytes) -> None:
        self._gcm = AESGCM(_derive(spool_key, b"slipway/1 seal"))
        self._index_key = _derive(spool_key, b"slipway/1 index")
        self._chain_key = _derive(spool_key, b"slipway/1 chain")
        self._fingerprint_key = AES(_derive(spool_key, b"slipway/1 fingerprint"))

    def seal(self, label: bytes, plain: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._gcm.encrypt(nonce, plain, label)

    def open(self, label: bytes, sealed: bytes) -> bytes:
        """FormatError when the value was altered, is another's, or was sealed under another spool key."""
        try:
            return self._gcm.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], label)
        except (InvalidTag, ValueError) as error:  # ValueError: too short to hold even a nonce
            raise FormatError("a sealed record does not open with this box's spool key") from error

    def seal_json(self, label: bytes, value: Any) -> bytes:
        return self.seal(label, json.dumps(value, separators=(",", ":")).encode())

    def open_json(self, label: bytes, sealed: bytes) -> Any:
        return json.loads(self.open(label, sealed))

    def index(self, label: str, *parts: str) -> bytes:
        """A keyed hash to look a value up by without storing it; 16 bytes."""
        text = "\0".join((label, *parts)).encode()
        return hmac.digest(self._index_key, text, "sha256")[:16]

    def chained(self, label: bytes, *parts: bytes) -> bytes:
        """A keyed hash over all parts, where one ends and the next begins included; 32 bytes."""
        text = b"".join(len(part).to_bytes(8, "big") + part for part in (label, *parts))
        return hmac.digest(self._chain_key, text, "sha256")

    def fingerprinter(self, index: int) -> AEADEncryptionContext:
        """For a segment that comes in pieces: `authenticate_additional_data` each, `finalize`; `tag` is 16 bytes that
        are equal for equal segments. GMAC, several times as fast as a hash.

        The nonce repeats, which GMAC forgives only while nobody sees its tags: keep them sealed.
        """
        return Cipher(self._fingerprint_key, GCM(index.to_bytes(_NONCE_BYTES, "big"))).encryptor()

    def join_fingerprints(self, parts: bytes) -> bytes:
        return hmac.digest(self._index_key, parts, "sha256")[:16]


def _derive(key: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), KEY_BYTES, None, info).derive(key)
