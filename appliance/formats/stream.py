"""The encrypted stream: Tink's AES-GCM-HKDF streaming, 1 MiB segments (docs/envelope.md, "Stream").

Not here: where the bytes lie. Segments are sealed and opened one at a time, in any order.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import AEADEncryptionContext, Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
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
        derived = HKDF(hashes.SHA256(), KEY_BYTES, header[1 : 1 + SALT_BYTES], aad).derive(key)
        self._gcm = AESGCM(derived)
        self._aes = AES(derived)

    @classmethod
    def new(cls, key: bytes, aad: bytes) -> SegmentCipher:
        """A fresh stream: salt and nonce prefix are random, so a key may serve more than one."""
        return cls(key, aad, bytes([HEADER_BYTES]) + os.urandom(SALT_BYTES + PREFIX_BYTES))

    def nonce(self, index: int, *, last: bool) -> bytes:
        return self._prefix + index.to_bytes(4, "big") + (b"\x01" if last else b"\x00")

    def encryptor(self, index: int, *, last: bool) -> AEADEncryptionContext:
        """For a segment that comes in pieces: `update_into` each, then `finalize`, and `tag` belongs at the end."""
        return Cipher(self._aes, GCM(self.nonce(index, last=last))).encryptor()

    def seal(self, index: int, plain: bytes, *, last: bool) -> bytes:
        return self._gcm.encrypt(self.nonce(index, last=last), plain, None)

    def open(self, index: int, sealed: bytes | memoryview, *, last: bool) -> bytes:
        """Plaintext of one segment (header already taken off segment 0). FormatError if one bit is not as written."""
        try:
            return self._gcm.decrypt(self.nonce(index, last=last), sealed, None)
        except InvalidTag as error:
            raise FormatError(f"segment {index} of an encrypted stream is not as it was written") from error


def segment_count(plain_bytes: int) -> int:
    """Ciphertext segments of a stream that holds `plain_bytes` of plaintext."""
    return 1 if plain_bytes <= FIRST_PLAIN_BYTES else 1 + -(-(plain_bytes - FIRST_PLAIN_BYTES) // PLAIN_BYTES)


def seal(key: bytes, aad: bytes, plain: bytes, header: bytes | None = None) -> bytes:
    """A whole stream in memory: for manifests and tests. `header` is for test vectors only."""
    cipher = SegmentCipher.new(key, aad) if header is None else SegmentCipher(key, aad, header)
    chunks = [plain[:FIRST_PLAIN_BYTES]]
    chunks += [plain[at : at + PLAIN_BYTES] for at in range(FIRST_PLAIN_BYTES, len(plain), PLAIN_BYTES)]
    last = len(chunks) - 1
    return cipher.header + b"".join(cipher.seal(i, chunk, last=i == last) for i, chunk in enumerate(chunks))


class StreamOpener:
    """Opens a stream whose ciphertext comes in pieces of any size.

    What `feed` returns is authentic, but only `finish` knows that nothing is missing: trust the whole after it.
    """

    def __init__(self, key: bytes, aad: bytes) -> None:
        self._key = key
        self._aad = aad
        self._cipher: SegmentCipher | None = None
        self._pending = bytearray()
        self._index = 0

    def feed(self, piece: bytes) -> list[bytes]:
        self._pending += piece
        if self._cipher is None:
            if len(self._pending) < HEADER_BYTES:
                return []
            self._cipher = SegmentCipher(self._key, self._aad, bytes(self._pending[:HEADER_BYTES]))
        opened = []
        while len(self._pending) > SEGMENT_BYTES:  # more follows, so this one is not the last
            opened.append(self._open(SEGMENT_BYTES, last=False))
        return opened

    def finish(self) -> bytes:
        """The last segment. FormatError when the stream was cut short or its end is not its end."""
        if self._cipher is None:
            raise FormatError("an encrypted stream ended within its header")
        return self._open(len(self._pending), last=True)

    def _open(self, size: int, *, last: bool) -> bytes:
        assert self._cipher is not None  # noqa: S101 - both callers checked
        skip = HEADER_BYTES if self._index == 0 else 0
        plain = self._cipher.open(self._index, bytes(self._pending[skip:size]), last=last)
        del self._pending[:size]
        self._index += 1
        return plain


def open_segments(key: bytes, aad: bytes, sealed: Iterator[bytes]) -> Iterator[bytes]:
    """Plaintext segment by segment; exhaust it before trusting the whole."""
    opener = StreamOpener(key, aad)
    for piece in sealed:
        yield from opener.feed(piece)
    yield opener.finish()


def open_whole(key: bytes, aad: bytes, sealed: bytes) -> bytes:
    return b"".join(open_segments(key, aad, iter([sealed])))


def instance_aad(stream_id: bytes) -> bytes:
    return b"slipway/1 instance" + stream_id


def manifest_aad(share_id: bytes, generation: int) -> bytes:
    return b"slipway/1 manifest" + share_id + generation.to_bytes(4, "big")
