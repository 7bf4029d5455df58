"""An instance on its way into the spool, and the pieces of work that it hands to whoever writes them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from appliance.adapters.spool_buffer import AlignedBuffer, BufferPool
from appliance.formats import stream
from appliance.formats.sealed import Sealer
from appliance.formats.spool_frame import HEADER_BYTES, Arrival, Location, Receipt, seal_receipt


@dataclass(eq=False)
class Writing:
    """What one instance has on the disk so far; touched by the writer thread only."""

    stream_id: bytes
    segments: list[Location]
    failure: Exception | None = None


@dataclass
class Job:
    """One segment to write and, at the end of an instance, its receipt and whom to tell when all of it is durable."""

    writing: Writing
    index: int
    buffer: AlignedBuffer  # room for the frame's header, then its payload
    receipt: Callable[[], bytes] | None = None
    done: Callable[[Exception | None], None] | None = None

    @property
    def size(self) -> int:
        return len(self.buffer.view)


class Writer(Protocol):
    """What an instance needs of the spool that it goes into."""

    sealer: Sealer
    buffers: BufferPool

    def submit(self, job: Job) -> None: ...


class IncomingInstance:
    """One instance on its way in: each fragment is encrypted as it comes, so no plaintext is kept at all.

    Which segment is the last is part of how it is encrypted, but only known at the end. The guess is that an instance
    has one segment; a segment that was guessed wrong, two of a large instance, is encrypted once more.
    """

    def __init__(self, spool: Writer) -> None:
        self._spool = spool
        self._key = os.urandom(stream.KEY_BYTES)
        self.writing = Writing(os.urandom(16), [])
        self._cipher = stream.SegmentCipher.new(self._key, stream.instance_aad(self.writing.stream_id))
        self._index = 0
        self._size = 0
        self._fingerprints = b""
        self._begin_segment()

    def _begin_segment(self) -> None:
        self._guess_last = self._index == 0
        self._room = stream.FIRST_PLAIN_BYTES if self._index == 0 else stream.PLAIN_BYTES
        self._encryptor = self._cipher.encryptor(self._index, last=self._guess_last)
        self._fingerprinter = self._spool.sealer.fingerprinter(self._index)
        self._buffer = self._spool.buffers.take()
        self._buffer.used = HEADER_BYTES  # the writer fills it in, when it knows the file
        if self._index == 0:
            self._buffer.add(self._cipher.header)
        self._start = self._buffer.used

    def write(self, value: memoryview) -> None:
        """Take a fragment. A full segment is sealed only when more comes, as the last one is marked."""
        self._size += len(value)
        while value:
            if self._room == 0:
                self._spool.submit(self._sealed_job(last=False))
                self._index += 1
                self._begin_segment()
            piece, value = value[: self._room], value[self._room :]
            buffer = self._buffer
            self._encryptor.update_into(piece, buffer.view[buffer.used :])
            self._fingerprinter.authenticate_additional_data(piece)
            buffer.used += len(piece)
            self._room -= len(piece)

    def finish(self, arrival: Arrival, done: Callable[[Receipt | None, Exception | None], None]) -> None:
        """End the dataset. `done` is called in the event loop when it is durable, or with the error."""
        receipts: list[Receipt] = []
        writing, sealer = self.writing, self._spool.sealer

        def receipt() -> bytes:
            fingerprint = sealer.join_fingerprints(self._fingerprints)
            segments = tuple(writing.segments)
            receipts.append(Receipt(writing.stream_id, self._key, self._size, fingerprint, segments, arrival))
            return seal_receipt(receipts[0], sealer)

        def report(error: Exception | None) -> None:
            done(receipts[0] if error is None else None, error)

        job = self._sealed_job(last=True)
        job.receipt, job.done = receipt, report
        self._spool.submit(job)

    def _sealed_job(self, *, last: bool) -> Job:
        buffer = self._buffer
        self._encryptor.finalize()
        buffer.add(self._encryptor.tag)
        if last != self._guess_last:
            self._encrypt_again(last=last)
        self._fingerprinter.finalize()
        self._fingerprints += self._fingerprinter.tag
        return Job(self.writing, self._index, buffer)

    def _encrypt_again(self, *, last: bool) -> None:
        buffer = self._buffer
        plain = self._cipher.open(self._index, buffer.view[self._start : buffer.used], last=self._guess_last)
        buffer.used = self._start
        buffer.add(self._cipher.seal(self._index, plain, last=last))
