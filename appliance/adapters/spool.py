"""The spool: where arriving instances become durable, encrypted, before anybody is told so.

One writer thread, direct writes, one fdatasync for all that is waiting (group commit). The event loop seals segments
and queues them; the thread writes, syncs and reports back. Nothing here looks inside an instance. Reading back is
`read`; recovery is `scan`.

After a failed write or sync the file is never touched again: the error may have dropped pages that a second fsync
would call clean. A full disk is different: nothing was acknowledged, so the spool goes on when there is space.
"""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Container, Iterator
from pathlib import Path

from appliance.adapters.spool_buffer import ALIGN_BYTES, AlignedBuffer, BufferPool
from appliance.adapters.spool_files import SpoolFiles, free_bytes
from appliance.adapters.spool_incoming import IncomingInstance, Job, Writing
from appliance.errors import FormatError, SpoolBrokenError, SpoolFullError
from appliance.formats import stream
from appliance.formats.sealed import Sealer
from appliance.formats.spool_frame import (
    HEADER_BYTES,
    FrameHeader,
    FrameType,
    Location,
    Receipt,
    open_receipt,
)

FILE_BYTES = 64 << 20  # small enough that a file is soon free, large enough that folder syncs are rare
QUEUE_BYTES = 16 << 20  # unwritten ciphertext at which senders are made to wait
INLINE_BELOW_S = 0.001  # a disk this quick is not worth waking another thread for; a stall ends it for a while
PACE_WEIGHT = 0.2  # of the newest write in the pace that is kept
RESERVE_BYTES = 512 << 20  # kept free for the journal and for what is already arriving


class FileSpool:
    """One folder of spool files. All methods but `read` and `scan` belong to the event loop's thread."""

    def __init__(
        self,
        folder: Path,
        sealer: Sealer,
        *,
        file_bytes: int = FILE_BYTES,
        reserve_bytes: int = RESERVE_BYTES,
        spare_files: int = 0,
    ) -> None:
        self.sealer = sealer
        self._file_bytes = file_bytes
        self._reserve_bytes = reserve_bytes
        self._broken: SpoolBrokenError | None = None
        self._jobs: deque[Job] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._busy = False  # the thread has a batch in hand
        self._pace_s = 2 * INLINE_BELOW_S  # of a commit; until the disk has shown better
        self._queued = 0
        self._relieved: list[Callable[[], None]] = []
        self._arriving: weakref.WeakSet[Writing] = weakref.WeakSet()  # an association that breaks off drops its own
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._unverified = 0
        self.buffers = BufferPool()
        self._fd = -1
        self._at = 0
        try:
            self._files = SpoolFiles(folder, file_bytes, spare_files)
        except OSError as error:
            raise SpoolBrokenError(f"the spool's folder {folder} cannot be made: {error.strerror}") from error
        numbers = self.files()
        self.file_number = numbers[-1] + 1 if numbers else 1  # the file being written; never one from before a restart

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            self._files.prepare()
            self._fd = self._open_file(self.file_number)
        except OSError as error:
            raise SpoolBrokenError(f"the spool's disk takes no file: {error.strerror}") from error
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what is queued, then end."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # -- receiving -------------------------------------------------------------------------------------------------

    def begin(self) -> IncomingInstance:
        """Room for one instance. SpoolFullError or SpoolBrokenError when none can be promised."""
        if self._broken is not None:
            raise self._broken
        if free_bytes(self._files.folder) < self._reserve_bytes:
            raise SpoolFullError("the spool's disk is nearly full")
        incoming = IncomingInstance(self)
        self._arriving.add(incoming.writing)
        return incoming

    @property
    def congested(self) -> bool:
        return self._queued > QUEUE_BYTES

    @property
    def broken(self) -> bool:
        return self._broken is not None

    def when_relieved(self, callback: Callable[[], None]) -> None:
        """Call back once, when the disk has caught up."""
        self._relieved.append(callback)

    def submit(self, job: Job) -> None:
        """Have it written: here and now when the disk is quick and nothing waits, else by the thread."""
        self._queued += job.size
        with self._wake:
            now = job.done is not None and not self._jobs and not self._busy and self._pace_s < INLINE_BELOW_S
            if not now:
                self._jobs.append(job)
                self._wake.notify()
        if now:
            self._report(self._commit([job]))

    # -- writing, in the thread or the event loop, never in both -------------------------------------------------------

    def _run(self) -> None:
        try:
            self._write_batches()
        finally:
            if not self._stopping and self._broken is None:  # a bug: without this senders would wait for ever
                self._broken = SpoolBrokenError("the spool's writer ended unexpectedly")

    def _write_batches(self) -> None:
        while True:
            with self._wake:
                while not self._jobs and not self._stopping:
                    self._wake.wait()
                batch = list(self._jobs)
                self._jobs.clear()
                self._busy = bool(batch)
            if not batch:
                return
            outcomes = self._commit(batch)
            with self._wake:
                self._busy = False
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._report, outcomes)

    def _commit(self, batch: list[Job]) -> list[tuple[Job, Exception | None]]:
        began = time.monotonic()
        outcomes = [self._write(job) for job in batch]
        if self._broken is None and any(job.done for job in batch):
            self._sync()
        if self._broken is not None:
            outcomes = [outcome or self._broken for outcome in outcomes]
        self._pace_s += PACE_WEIGHT * (time.monotonic() - began - self._pace_s)
        return list(zip(batch, outcomes, strict=True))

    def _write(self, job: Job) -> Exception | None:
        writing = job.writing
        if self._broken is None and writing.failure is None:
            try:
                self._write_frames(job)
            except SpoolBrokenError as error:
                writing.failure = error
            except OSError as error:
                full = error.errno in (errno.ENOSPC, errno.EDQUOT)
                writing.failure = SpoolFullError("the spool's disk is full") if full else self._break(error)
        return self._broken or writing.failure

    def _write_frames(self, job: Job) -> None:
        if self._at >= self._file_bytes:
            self._rotate()
        writing, buffer = job.writing, job.buffer
        length = buffer.used - HEADER_BYTES
        header = FrameHeader(FrameType.SEGMENT, self.file_number, writing.stream_id, job.index, length)
        buffer.view[:HEADER_BYTES] = header.encode()
        writing.segments.append(Location(self.file_number, self._at + HEADER_BYTES, length))
        if job.receipt is not None:
            buffer = self._add_receipt(buffer, writing.stream_id, job.receipt())
        self._append(buffer)

    def _add_receipt(self, buffer: AlignedBuffer, stream_id: bytes, payload: bytes) -> AlignedBuffer:
        """Behind the last segment, in the same write; in one of its own when there are too many segments to name."""
        header = FrameHeader(FrameType.RECEIPT, self.file_number, stream_id, 0, len(payload)).encode()
        if buffer.room < len(header) + len(payload):
            self._append(buffer)
            buffer = AlignedBuffer(len(header) + len(payload))
        buffer.add(header, payload)
        return buffer

    def _append(self, buffer: AlignedBuffer) -> None:
        data = buffer.finish()
        written = os.pwrite(self._fd, data, self._at)
        while written < len(data):  # the next one says what is wrong: ENOSPC, most likely
            written -= written % ALIGN_BYTES
            written += os.pwrite(self._fd, data[written:], self._at + written)
        self._at += written

    def _sync(self) -> None:
        """Whatever the reason of a failure, ENOSPC too: the kernel may have dropped what it could not write."""
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            self._break(error)

    def _rotate(self) -> None:
        """Go on in a new file. A disk that is too full for one leaves the old one as it is, for the next try."""
        self._sync()
        if self._broken is not None:
            raise self._broken
        fd = self._open_file(self.file_number + 1)
        os.close(self._fd)
        self._fd, self._at = fd, 0
        self.file_number += 1

    def _open_file(self, number: int) -> int:
        fd = self._files.create(number)
        try:
            self._files.sync_folder()  # without this the name can vanish although the bytes are safe
        except OSError as error:
            os.close(fd)
            raise self._break(error) from error
        return fd

    def _break(self, error: OSError) -> SpoolBrokenError:
        self._broken = SpoolBrokenError(f"the spool's disk failed: {os.strerror(error.errno or errno.EIO)}")
        self._broken.__cause__ = error
        return self._broken

    def _report(self, outcomes: list[tuple[Job, Exception | None]]) -> None:
        for job, outcome in outcomes:
            self._queued -= job.size
            self.buffers.give(job.buffer)
            if job.done is not None:
                self._arriving.discard(job.writing)
                job.done(outcome)
        if not self.congested and self._relieved:
            relieved, self._relieved = self._relieved, []
            for callback in relieved:
                callback()

    # -- reading back ----------------------------------------------------------------------------------------------

    @property
    def unreadable(self) -> int:
        """What `scan` found damaged so far."""
        return self._files.unreadable + self._unverified

    def files(self) -> list[int]:
        return self._files.numbers()

    def read(self, location: Location) -> bytes:
        """One ciphertext segment. FormatError when the disk has lost it, or a part of it."""
        return self._files.read(location)

    def remove(self, file_number: int) -> None:
        """Forget a file that the journal no longer needs. Kept if an instance that is still arriving began in it."""
        begun = [writing.segments[0].file_number for writing in self._arriving if writing.segments]
        if file_number < min([self.file_number, *begun]):
            self._files.remove(file_number)

    def scan(self, known: Container[bytes]) -> Iterator[Receipt]:
        """Receipts from before this start whose stream ids are not `known`, each verified segment by segment.

        What follows the last whole frame of a file was never acknowledged. A damaged frame in between costs the
        instances that it belongs to and no others. Instances whose bytes do not verify are counted in `unreadable`.
        """
        for number in self.files():
            if number != self.file_number:
                yield from self._scan_file(number, known)

    def _scan_file(self, number: int, known: Container[bytes]) -> Iterator[Receipt]:
        for header, location in self._files.frames(number):
            if header.type is not FrameType.RECEIPT or header.stream_id in known:
                continue
            try:
                receipt = open_receipt(header.stream_id, self.read(location), self.sealer)
                self._verify(receipt)
            except FormatError:
                self._unverified += 1  # torn by a power cut before its sync, or the disk lost what it had
                continue
            yield receipt

    def _verify(self, receipt: Receipt) -> None:
        pieces = (self.read(segment) for segment in receipt.segments)
        for _ in stream.open_segments(receipt.key, stream.instance_aad(receipt.stream_id), pieces):
            pass
