"""The spool's writing end: frames behind one another in numbered files, and when they are safe.

Pieces go to the disk as they come. An instance is durable when all its writes have ended and a sync has covered them;
one sync serves all that were ready for it (group commit). A quick disk is waited for; for a slow one the event loop
goes on, and comes back when the disk has answered.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from appliance.adapters.disk_queue import Done
from appliance.adapters.spool_buffer import ALIGN_BYTES, AlignedBuffer, BufferPool
from appliance.adapters.spool_files import SpoolFiles
from appliance.adapters.spool_incoming import Writing
from appliance.errors import SpoolBrokenError, SpoolFullError
from appliance.formats.spool_frame import HEADER_BYTES, FrameHeader, FrameType, Location

QUEUE_BYTES = 8 << 20  # unwritten ciphertext at which senders are made to wait
REAP_FROM = 4  # writes under way from which it is worth asking which have ended
WAIT_BELOW_S = 0.001  # a disk this quick is waited for: a turn of the event loop would cost as much again
PATIENCE_S = 0.003  # with a quick disk that is slow for once
PACE_WEIGHT = 0.2  # of the newest instance in the pace that is kept
FULL = (errno.ENOSPC, errno.EDQUOT)


class Disk(Protocol):
    """What `disk_queue.DiskQueue` does; tests bring disks that fail."""

    event_fd: int

    @property
    def under_way(self) -> int: ...

    def write(self, fd: int, address: int, length: int, offset: int, done: Done) -> None: ...

    def sync(self, fd: int, done: Done, *, folder: bool = False) -> None: ...

    def sync_now(self, fd: int) -> None: ...

    def reap(self, at_least: int = 0, within_s: float = 0.0) -> int: ...

    def close(self) -> None: ...


@dataclass(eq=False)
class _File:
    number: int
    fd: int
    under_way: int = 0  # writes that have not ended
    unsynced: bool = False  # a write has ended since the last sync began


@dataclass(eq=False)
class _Write:
    writing: Writing
    file: _File
    buffer: AlignedBuffer
    offset: int
    length: int
    written: int = 0


class SpoolLog:
    """Of the event loop's thread. A failed write or sync breaks it for good; a full disk fails one instance."""

    def __init__(self, files: SpoolFiles, disk: Disk, number: int, file_bytes: int) -> None:
        """Open file `number`. SpoolBrokenError or SpoolFullError when the disk takes none."""
        self.buffers = BufferPool()
        self.broken: SpoolBrokenError | None = None
        self._files = files
        self._disk = disk
        self._file_bytes = file_bytes
        self._loop = asyncio.get_running_loop()
        self._folder_fd = os.open(files.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._folder_unsynced = False
        self._open: list[_File] = []  # the last one is written to
        self._at = 0  # where in it
        self._queued = 0  # bytes handed to the disk and not written yet
        self._ending: list[Writing] = []  # whose last piece is on its way
        self._ready: list[Writing] = []  # all written: for the next sync
        self._syncing: list[Writing] = []  # for the sync that is under way
        self._syncs = 0  # files that it still waits for
        self._pace_s = 2 * WAIT_BELOW_S  # from the last piece to the answer; until the disk has shown better
        self._watching = False
        self._relieved: list[Callable[[], None]] = []
        self._open_file(number)

    @property
    def file_number(self) -> int:
        return self._open[-1].number

    @property
    def oldest_number(self) -> int:
        """Of the files that may still be written to or synced."""
        return self._open[0].number

    @property
    def congested(self) -> bool:
        return self._queued > QUEUE_BYTES

    def when_relieved(self, callback: Callable[[], None]) -> None:
        self._relieved.append(callback)

    def close(self) -> None:
        """Write what was handed on, report it, then end."""
        self._advance()
        while self._disk.under_way:
            self._disk.reap(1, 60)
            self._advance()
        if self._watching:
            self._loop.remove_reader(self._disk.event_fd)
        self._disk.close()
        for file in self._open:
            os.close(file.fd)
        os.close(self._folder_fd)

    # -- writing ---------------------------------------------------------------------------------------------------

    def append(self, writing: Writing, buffer: AlignedBuffer) -> None:
        """Write a piece, whose header is filled in here, behind whatever was appended before it."""
        if self._frame(writing, buffer):
            self._write(writing, buffer)
        else:
            self.buffers.release(buffer)
        if self._disk.under_way >= REAP_FROM:
            self._disk.reap()
            self._advance()
        if self.congested:
            self._attend()

    def end(
        self,
        writing: Writing,
        buffer: AlignedBuffer,
        receipt: Callable[[], bytes],
        done: Callable[[Exception | None], None],
    ) -> None:
        """The same with the last piece and, behind it, the receipt; `done(error)` when all of it is durable."""
        writing.began, writing.done = time.monotonic(), done
        if self._frame(writing, buffer):
            self._write(writing, self._add_receipt(writing, buffer, receipt()))
        else:
            self.buffers.release(buffer)
        self._ending.append(writing)
        self._advance()
        if self._pace_s < WAIT_BELOW_S:
            self._wait(writing.began + PATIENCE_S)
        self._attend()

    def _frame(self, writing: Writing, buffer: AlignedBuffer) -> bool:
        """Give the piece its place and its header; False when its instance has failed already, or fails now."""
        writing.failure = writing.failure or self.broken
        if writing.failure is None and self._at >= self._file_bytes:
            try:
                self._open_file(self.file_number + 1)
            except (SpoolFullError, SpoolBrokenError) as error:
                writing.failure = error
        if writing.failure is not None:
            return False
        length = buffer.used - HEADER_BYTES
        header = FrameHeader(FrameType.PIECE, self.file_number, writing.stream_id, len(writing.pieces), length)
        buffer.view[:HEADER_BYTES] = header.encode()
        writing.pieces.append(Location(self.file_number, self._at + HEADER_BYTES, length))
        return True

    def _add_receipt(self, writing: Writing, buffer: AlignedBuffer, payload: bytes) -> AlignedBuffer:
        """In the same write; in one of its own when it names too many pieces."""
        header = FrameHeader(FrameType.RECEIPT, self.file_number, writing.stream_id, 0, len(payload)).encode()
        if buffer.room < len(header) + len(payload):
            self._write(writing, buffer)
            buffer = AlignedBuffer(len(header) + len(payload))
            buffer.holders = 1
        buffer.add(header, payload)
        return buffer

    def _write(self, writing: Writing, buffer: AlignedBuffer) -> None:
        write = _Write(writing, self._open[-1], buffer, self._at, buffer.finish())
        self._at += write.length
        self._queued += write.length
        write.file.under_way += 1
        writing.under_way += 1
        self._submit(write)

    def _submit(self, write: _Write) -> None:
        done, left = write.written, write.length - write.written
        try:
            self._disk.write(
                write.file.fd, write.buffer.address + done, left, write.offset + done, partial(self._written, write)
            )
        except OSError as error:
            self._end_write(write, error.errno or errno.EIO)

    def _written(self, write: _Write, result: int) -> None:
        write.written += max(0, result)
        if result > 0 and write.written < write.length:
            write.written -= write.written % ALIGN_BYTES
            self._submit(write)  # the next one says what is wrong: ENOSPC, most likely
        else:
            self._end_write(write, -result if result < 0 else 0 if result else errno.EIO)

    def _end_write(self, write: _Write, error: int) -> None:
        if error:
            write.writing.failure = self._failed(write, error)
        write.file.unsynced = True
        write.file.under_way -= 1
        write.writing.under_way -= 1
        self._queued -= write.length
        self.buffers.release(write.buffer)

    def _failed(self, write: _Write, error: int) -> SpoolBrokenError | SpoolFullError:
        if error not in FULL:
            return self._break(error)
        if write.file is self._open[-1] and write.offset + write.length == self._at:
            self._at = write.offset  # nothing lies behind it: no hole remains
        return SpoolFullError("the spool's disk is full")

    def _open_file(self, number: int) -> None:
        """Go on in a new file. A disk that is too full for one leaves the old one as it is, for the next try."""
        try:
            fd = self._files.create(number)
        except OSError as error:
            if error.errno in FULL:
                raise SpoolFullError("the spool's disk is full") from error
            raise self._break(error.errno or errno.EIO) from error
        self._folder_unsynced = True  # its name can vanish although its bytes are safe
        self._open.append(_File(number, fd))
        self._at = 0

    def _break(self, error: int) -> SpoolBrokenError:
        if self.broken is None:
            self.broken = SpoolBrokenError(f"the spool's disk failed: {os.strerror(error)}")
        return self.broken

    # -- making durable --------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Report what has failed, and sync what is written if no sync is under way."""
        if self._ending:
            ended = [writing for writing in self._ending if not writing.under_way]
            self._ending = [writing for writing in self._ending if writing.under_way]
            for writing in ended:
                writing.failure = writing.failure or self.broken
                if writing.failure is None:
                    self._ready.append(writing)
                else:
                    self._report(writing, writing.failure)
        if self._ready and not self._syncing:
            self._sync()
        if self._relieved and not self.congested:
            relieved, self._relieved = self._relieved, []
            for callback in relieved:
                callback()

    def _sync(self) -> None:
        self._syncing, self._ready = self._ready, []
        files = [file for file in self._open if file.unsynced]
        self._syncs = len(files) + self._folder_unsynced
        if not self._syncs:  # the sync before this one covered all of them
            self._synced_all()
        if self._folder_unsynced:
            self._folder_unsynced = False
            self._begin_sync(self._folder_fd, folder=True)
        for file in files:
            file.unsynced = False
            self._begin_sync(file.fd)

    def _begin_sync(self, fd: int, *, folder: bool = False) -> None:
        try:
            if self._pace_s >= WAIT_BELOW_S or folder:
                self._disk.sync(fd, self._synced, folder=folder)
                return
            self._disk.sync_now(fd)
        except OSError as error:
            self._synced(-(error.errno or errno.EIO))
        else:
            self._synced(0)

    def _synced(self, result: int) -> None:
        """Whatever the reason of a failure, ENOSPC too: the kernel may have dropped what it could not write."""
        if result < 0:
            self._break(-result)
        self._syncs -= 1
        if not self._syncs:
            self._synced_all()

    def _synced_all(self) -> None:
        synced, self._syncing = self._syncing, []
        for writing in synced:
            self._report(writing, self.broken)
        for file in self._open[:-1]:
            if not file.under_way and not file.unsynced:
                os.close(file.fd)
                self._open.remove(file)

    def _report(self, writing: Writing, failure: Exception | None) -> None:
        self._pace_s += PACE_WEIGHT * (time.monotonic() - writing.began - self._pace_s)
        assert writing.done is not None  # noqa: S101 - only what was ended is reported
        writing.done(failure)

    def _wait(self, until: float) -> None:
        while (self._ending or self._syncing) and time.monotonic() < until:
            self._disk.reap(1, PATIENCE_S)
            self._advance()

    def _attend(self) -> None:
        """Watch for the disk's answers while anybody waits for one."""
        watch = bool(self._disk.under_way and (self._ending or self._syncing or self._relieved or self.congested))
        if watch and not self._watching:
            self._loop.add_reader(self._disk.event_fd, self._answered)
        elif self._watching and not watch:
            self._loop.remove_reader(self._disk.event_fd)
        self._watching = watch

    def _answered(self) -> None:
        os.eventfd_read(self._disk.event_fd)
        self._disk.reap()
        self._advance()
        self._attend()
