"""An instance on its way into the spool: encrypted as it comes, handed on in pieces while the rest arrives."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from appliance.adapters.spool_buffer import FIRST_PIECE_BYTES, PIECE_BYTES, AlignedBuffer, BufferPool
from appliance.formats import stream
from appliance.formats.sealed import Sealer
from appliance.formats.spool_frame import HEADER_BYTES, Arrival, Location, Receipt, seal_receipt


@dataclass(eq=False)
class Writing:
    """What one instance has on the disk, or on its way there."""

    stream_id: bytes
    pieces: list[Location] = field(default_factory=list)
    under_way: int = 0  # writes that have not ended
    failure: Exception | None = None
    began: float = 0.0  # when its last write was handed on, by the monotonic clock
    done: Callable[[Exception | None], None] | None = None  # whom to tell when all of it is durable


class Writer(Protocol):
    """What an instance needs of the spool that it goes into."""

    buffers: BufferPool

    def append(self, writing: Writing, buffer: AlignedBuffer) -> None:
        """Write a piece, whose header is filled in here, behind whatever was appended before it."""

    def end(
        self,
        writing: Writing,
        buffer: AlignedBuffer,
        receipt: Callable[[], bytes],
        done: Callable[[Exception | None], None],
    ) -> None:
        """The same with the last piece and, behind it, the receipt; `done(error)` when all of it is durable."""


class IncomingInstance:
    """One instance on its way in: each fragment is encrypted as it comes, so no plaintext is kept at all.

    Which segment is the last is part of how it is encrypted, but only known at the end. The guess is that an instance
    is as long as the one before it, as the slices of a series are. A segment that was guessed wrong, two at most, is
    encrypted and written once more; what was written of it in vain is named by no receipt.
    """

    def __init__(self, spool: Writer, sealer: Sealer, expected_bytes: int, then: Callable[[int], None]) -> None:
        """`then` is called at the end with the bytes of the dataset, after whoever waits for it has been told."""
        self._spool = spool
        self._then = then
        self._sealer = sealer
        self._key = os.urandom(stream.KEY_BYTES)
        self.writing = Writing(os.urandom(16))
        self._cipher = stream.SegmentCipher.new(self._key, stream.instance_aad(self.writing.stream_id))
        self._last_guess = stream.segment_count(expected_bytes) - 1
        self._index = 0
        self._size = 0
        self._fingerprints = b""
        self._begin_segment()

    def _begin_segment(self) -> None:
        self._guessed_last = self._index == self._last_guess
        self._room = stream.FIRST_PLAIN_BYTES if self._index == 0 else stream.PLAIN_BYTES
        self._encryptor = self._cipher.encryptor(self._index, last=self._guessed_last)
        self._fingerprinter = self._sealer.fingerprinter(self._index)
        self._piece_bytes = PIECE_BYTES if self._index else FIRST_PIECE_BYTES
        self._full = HEADER_BYTES + self._piece_bytes
        self._written: list[AlignedBuffer] = []  # of this segment, in case that the guess was wrong
        self._kept = len(self.writing.pieces)  # those of the segments before
        self._piece = self._spool.buffers.take(self._piece_bytes)
        if self._index == 0:
            self._piece.add(self._cipher.header)

    def expects(self, expected_bytes: int) -> bool:
        """Whether it was made for a dataset of about so many bytes."""
        return self._last_guess == stream.segment_count(expected_bytes) - 1

    def write(self, value: memoryview) -> None:
        """Take a fragment. A full segment is sealed only when more comes, as the last one is marked."""
        self._size += len(value)
        while value:
            if self._room == 0:
                self._seal_segment(last=False)
                self._spool.append(self.writing, self._piece)
                self._index += 1
                self._begin_segment()
            elif self._piece.used == self._full:
                self._hand_on()
            piece = self._piece
            part = value[: min(self._room, self._full - piece.used)]
            value = value[len(part) :]
            self._encryptor.update_into(part, piece.view[piece.used :])
            self._fingerprinter.authenticate_additional_data(part)
            piece.used += len(part)
            self._room -= len(part)

    def finish(self, arrival: Arrival, done: Callable[[Receipt | None, Exception | None], None]) -> None:
        """End the dataset. `done` is called in the event loop when it is durable, or with the error."""
        receipts: list[Receipt] = []
        writing, sealer = self.writing, self._sealer

        def receipt() -> bytes:
            fingerprint = sealer.join_fingerprints(self._fingerprints)
            pieces = tuple(writing.pieces)
            receipts.append(Receipt(writing.stream_id, self._key, self._size, fingerprint, pieces, arrival))
            return seal_receipt(receipts[0], sealer)

        def report(error: Exception | None) -> None:
            done(receipts[0] if error is None else None, error)

        self._seal_segment(last=True)
        self._spool.end(writing, self._piece, receipt, report)
        self._then(self._size)

    def _hand_on(self) -> None:
        self._piece.holders += 1  # the disk, and this instance until its segment is sealed
        self._written.append(self._piece)
        self._spool.append(self.writing, self._piece)
        self._piece = self._spool.buffers.take(self._piece_bytes)

    def _release_written(self) -> None:
        for buffer in self._written:
            self._spool.buffers.release(buffer)
        self._written.clear()

    def _seal_segment(self, *, last: bool) -> None:
        self._encryptor.finalize()
        self._piece.add(self._encryptor.tag)
        if last != self._guessed_last:
            self._encrypt_again(last=last)
        self._release_written()
        self._fingerprinter.finalize()
        self._fingerprints += self._fingerprinter.tag

    def _encrypt_again(self, *, last: bool) -> None:
        """In other buffers: the disk may be reading these."""
        sealed = b"".join(buffer.view[HEADER_BYTES : buffer.used] for buffer in (*self._written, self._piece))
        skip = stream.HEADER_BYTES if self._index == 0 else 0
        plain = self._cipher.open(self._index, memoryview(sealed)[skip:], last=self._guessed_last)
        sealed = sealed[:skip] + self._cipher.seal(self._index, plain, last=last)
        self._release_written()
        self._spool.buffers.release(self._piece)
        del self.writing.pieces[self._kept :]
        pieces = self._cut(memoryview(sealed))
        for self._piece in pieces[:-1]:
            self._spool.append(self.writing, self._piece)
        self._piece = pieces[-1]

    def _cut(self, sealed: memoryview) -> list[AlignedBuffer]:
        """Into pieces; a tag alone would make a poor last one."""
        size = self._piece_bytes
        count = max(1, -(-(len(sealed) - stream.TAG_BYTES) // size))
        pieces = []
        for number in range(count):
            end = len(sealed) if number == count - 1 else (number + 1) * size
            buffer = self._spool.buffers.take(size)
            buffer.add(sealed[number * size : end])
            pieces.append(buffer)
        return pieces
