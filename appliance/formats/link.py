"""The link on the slip: PUBLIC_URL/#TOKEN (docs/envelope.md, "Link")."""

from __future__ import annotations

import binascii
from dataclasses import dataclass

from appliance.errors import FormatError, LinkMistypedError
from appliance.formats import base64url

ID_BYTES = 16
SECRET_BYTES = 32
TOKEN_CHARS = 67  # 16 + 32 + 2 bytes in base64url


@dataclass(frozen=True)
class Link:
    public_url: str
    link_id: bytes
    secret: bytes

    def __repr__(self) -> str:  # the secret must not reach a log through a traceback or a debugger
        return f"Link({self.public_url}, …)"

    @property
    def token(self) -> str:
        body = self.link_id + self.secret
        return base64url.encode(body + _check(body))

    @property
    def url(self) -> str:
        return f"{self.public_url.rstrip('/')}/#{self.token}"


def parse(url: str) -> Link:
    """Read a link strictly; what follows the token is ignored, as scanner apps append to it."""
    public_url, mark, fragment = url.strip().partition("#")
    token = fragment[:TOKEN_CHARS]
    if not mark or len(token) < TOKEN_CHARS:
        raise LinkMistypedError("the link is incomplete: its part after # is too short")
    try:
        value = base64url.decode(token)
    except FormatError as error:
        raise LinkMistypedError("the link has a character that does not belong there") from error
    body, check = value[: ID_BYTES + SECRET_BYTES], value[ID_BYTES + SECRET_BYTES :]
    if _check(body) != check:
        raise LinkMistypedError("the link has a typing error: its check sum does not fit")
    return Link(public_url.rstrip("/"), body[:ID_BYTES], body[ID_BYTES:])


def _check(body: bytes) -> bytes:
    return binascii.crc_hqx(body, 0xFFFF).to_bytes(2, "big")
