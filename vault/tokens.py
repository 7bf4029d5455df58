"""Bearer tokens for a patient's page.

Nothing is stored: a token names its link, and the link's row says whether it lives.
"""

from __future__ import annotations

import hmac

from vault import wire
from vault.errors import BadRequestError, TokenUnknownError

_MAC_BYTES = 32
_TOKEN_BYTES = wire.ID_BYTES + 8 + _MAC_BYTES


class Tokens:
    """token = base64url( link id(16) ‖ u64(good until) ‖ HMAC-SHA-256(key, both) )"""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, link_id: bytes, good_until: int) -> str:
        named = link_id + good_until.to_bytes(8, "big")
        return wire.b64u(named + hmac.digest(self._key, named, "sha256"))

    def link_id(self, authorization: str, now: float) -> bytes:
        """From an Authorization header. Raises TokenUnknownError for anything but a token of ours in its time."""
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise TokenUnknownError
        try:
            token = wire.unb64u(text.strip(), _TOKEN_BYTES)
        except BadRequestError:
            raise TokenUnknownError from None
        named, mac = token[:-_MAC_BYTES], token[-_MAC_BYTES:]
        right = hmac.compare_digest(hmac.digest(self._key, named, "sha256"), mac)
        if not right or now >= int.from_bytes(named[wire.ID_BYTES :], "big"):
            raise TokenUnknownError
        return named[: wire.ID_BYTES]
