"""base64url without padding (RFC 4648 section 5), read strictly."""

from __future__ import annotations

import base64
import re

from appliance.errors import FormatError

_ALPHABET = re.compile(r"[A-Za-z0-9_-]*\Z")


def encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def decode(text: str, size: int | None = None) -> bytes:
    """The bytes; FormatError for a foreign character, spare bits that are not zero, or another size than `size`."""
    if not _ALPHABET.match(text) or len(text) % 4 == 1:
        raise FormatError("text is not base64url")
    value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(value) != text or (size is not None and len(value) != size):
        raise FormatError("text is not base64url of the expected length")
    return value
