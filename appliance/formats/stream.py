"""The encrypted stream: Tink's AES-GCM-HKDF streaming, 1 MiB segments (docs/envelope.md, "Stream").

Not here: where the bytes lie. Segments are sealed and opened one at a time, in any order.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from appliance.errors import FormatError

SEGMENT_BYTES = 1 << 20  # of ciphertext; the largest that a phone decrypts without a pause
KEY_BYTES = 32
SALT_BYTES = 32
PREFIX_BYTES = 7
TAG_BYTES = 16
HEADER_BYTES = 1 + SALT_BYTES + PREFIX_BYTES
FIRST_PLAIN_BYTES = SEGMENT_BYTES - HEADER_BYTES - TAG_BYTES
PLAIN_BYTES = SEGMENT_BYTES - TAG_BYTES


class SegmentCipher:
    """The cipher of one stream, after its header is known."""

    def __init__(self, key: bytes, aad: bytes, header: bytes) -> None:
        if len(header) != HEADER_BYTES or header[0] != HEADER_BYTES:
            raise FormatError("an encrypted stream does not start with its header")
        self.header = header
        self._prefix = header[1 + SALT_BYTES :]
        self._gcm = AESGCM(HKDF(hashes.SHA256(), KEY_BYTES, header[1 : 1 + SALT_BYTES], aad).derive(key))

    @classmethod
    def new(cls, key: bytes, aad: bytes) -> SegmentCipher:
        """A fresh stream: salt and nonce prefix are random, so a key may serve more than one."""
        return cls(key, aad, bytes([HEADER_BYTES]) + os.urandom(SALT_BYTES + PREFIX_BYTES))

    def nonce(self, index: int, *, last: bool) -> bytes:
        return self._prefix + index.to_bytes(4, "big") + (b"\x01" if last else b"\x00")

    def seal_into(self, index: int, plain: memoryview | bytes | bytearray, out: memoryview, *, last: bool) -> int:
        """Write the segment (tag included, header not) to `out`; bytes written. Holds no GIL while it encrypts."""
        return self._gcm.encrypt_into(self.nonce(index, last=last), plain, None, out)

    def seal(self, index: int, plain: bytes, *, last: bool) -> bytes:
        return self._gcm.encrypt(self.nonce(index, last=last), plain, None)

    def open(self, index: int, sealed: bytes | memoryview, *, last: bool) -> bytes:
        """Plaintext of one segment (header already taken off segment 0). FormatError if one bit is not as written."""
        try:
            return self._gcm.decrypt(self.nonce(index, last=last), sealed, None)
        except InvalidTag as error:
            raise FormatError(f"segment {index} of an encrypted stream is not as it was written") from error


def sealed_size(plain_bytes: int) -> int:
    """Ciphertext length of a stream that holds `plain_bytes` of plaintext."""
    segments = 1 if plain_bytes <= FIRST_PLAIN_BYTES else 1 + -(-(plain_bytes - FIRST_PLAIN_BYTES) // PLAIN_BYTES)
    return HEADER_BYTES + plain_bytes + segments * TAG_BYTES


def seal(key: bytes, aad: bytes, plain: bytes, header: bytes | None = None) -> bytes:
    """A whole stream in memory: for manifests and tests. `header` is for test vectors only."""
    cipher = SegmentCipher.new(key, aad) if header is None else SegmentCipher(key, aad, header)
    chunks = [plain[:FIRST_PLAIN_BYTES]]
    chunks += [plain[at : at + PLAIN_BYTES] for at in range(FIRST_PLAIN_BYTES, len(plain), PLAIN_BYTES)]
    last = len(chunks) - 1
    return cipher.header + b"".join(cipher.seal(i, chunk, last=i == last) for i, chunk in enumerate(chunks))


def open_segments(key: bytes, aad: bytes, sealed: Iterator[bytes]) -> Iterator[bytes]:
    """Plaintext segment by segment from ciphertext that comes in pieces of any size.

    The last flag is checked when the pieces end, so a reader must not trust the whole before this is exhausted.
    """
    cipher: SegmentCipher | None = None
    pending = bytearray()
    index = 0
    for piece in sealed:
        pending += piece
        if cipher is None and len(pending) >= HEADER_BYTES:
            cipher = SegmentCipher(key, aad, bytes(pending[:HEADER_BYTES]))
        while cipher is not None and len(pending) > SEGMENT_BYTES:
            skip = HEADER_BYTES if index == 0 else 0
            yield cipher.open(index, bytes(pending[skip:SEGMENT_BYTES]), last=False)
            del pending[:SEGMENT_BYTES]
            index += 1
    if cipher is None:
        raise FormatError("an encrypted stream ended within its header")
    yield cipher.open(index, bytes(pending[HEADER_BYTES if index == 0 else 0 :]), last=True)


def open_whole(key: bytes, aad: bytes, sealed: bytes) -> bytes:
    return b"".join(open_segments(key, aad, iter([sealed])))


def instance_aad(stream_id: bytes) -> bytes:
    return b"slipway/1 instance" + stream_id


def manifest_aad(share_id: bytes, generation: int) -> bytes:
    return b"slipway/1 manifest" + share_id + generation.to_bytes(4, "big")
