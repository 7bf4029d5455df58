"""The box's identity at its vault, as kept on disk: device key, device id, and the vault's key that it trusts."""

from __future__ import annotations

import json
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from appliance.errors import FormatError
from appliance.formats import base64url


@dataclass(frozen=True, repr=False)
class Enrolment:
    url: str
    device_id: str
    key: Ed25519PrivateKey
    vault_key: Ed25519PublicKey


def encode(enrolment: Enrolment) -> bytes:
    value = {
        "url": enrolment.url,
        "device_id": enrolment.device_id,
        "key": base64url.encode(enrolment.key.private_bytes_raw()),
        "vault_key": base64url.encode(enrolment.vault_key.public_bytes_raw()),
    }
    return json.dumps(value, indent=1).encode() + b"\n"


def decode(data: bytes) -> Enrolment:
    """FormatError when the file was damaged."""
    try:
        value = json.loads(data)
        return Enrolment(
            url=_text(value["url"]),
            device_id=_text(value["device_id"]),
            key=Ed25519PrivateKey.from_private_bytes(base64url.decode(value["key"], 32)),
            vault_key=Ed25519PublicKey.from_public_bytes(base64url.decode(value["vault_key"], 32)),
        )
    except (ValueError, KeyError, TypeError, FormatError) as error:
        raise FormatError("the enrolment file is damaged", hint="Enrol again: slipway enrol URL CODE.") from error


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value
