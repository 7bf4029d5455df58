"""The spool: where arriving instances become durable, encrypted, before anybody is told so.

What arrives is encrypted in `spool_incoming` and written in `spool_log`. Reading back is `read`; recovery is `scan`.
Nothing here looks inside an instance.

After a failed write or sync the spool takes nothing more: the error may have dropped pages that a second fsync would
call clean. A full disk is different: nothing was acknowledged, so the spool goes on when there is space.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Container, Iterator
from pathlib import Path

from appliance.adapters.disk_queue import DiskQueue
from appliance.adapters.spool_files import SpoolFiles, free_bytes
from appliance.adapters.spool_incoming import IncomingInstance, Writing
from appliance.adapters.spool_log import Disk, SpoolLog
from appliance.errors import FormatError, SpoolBrokenError, SpoolFullError
from appliance.formats import stream
from appliance.formats.sealed import Sealer
from appliance.formats.spool_frame import FrameType, Location, Receipt, open_receipt

FILE_BYTES = 64 << 20  # small enough that a file is soon free, large enough that folder syncs are rare
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
        disk: Callable[[], Disk] = DiskQueue,
    ) -> None:
        self._sealer = sealer
        self._file_bytes = file_bytes
        self._reserve_bytes = reserve_bytes
        self._open_disk = disk
        self._log: SpoolLog | None = None
        self._arriving: weakref.WeakSet[Writing] = weakref.WeakSet()  # an association that breaks off drops its own
        self._prepared: IncomingInstance | None = None
        self._unopened = 0
        self.unfinished = 0  # receipts that `scan` found and whose instances were not whole: no sync had covered them
        try:
            self._files = SpoolFiles(folder, file_bytes, spare_files)
        except OSError as error:
            raise SpoolBrokenError(f"the spool's folder {folder} cannot be made: {error.strerror}") from error
        numbers = self.files()
        self._first_number = numbers[-1] + 1 if numbers else 1  # never write to a file from before a restart

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        try:
            self._files.prepare()
            self._log = SpoolLog(self._files, self._open_disk(), self._first_number, self._file_bytes)
        except OSError as error:
            raise SpoolBrokenError(f"the spool's disk takes no file: {error.strerror}") from error

    def stop(self) -> None:
        """Write what was handed on, then end."""
        if self._log is not None:
            log, self._log, self._prepared = self._log, None, None
            log.close()

    # -- receiving -------------------------------------------------------------------------------------------------

    def begin(self, expected_bytes: int = 0) -> IncomingInstance:
        """Room for one instance, whose dataset may have `expected_bytes`: a right guess saves encrypting the end twice.

        SpoolFullError or SpoolBrokenError when no room can be promised.
        """
        if self._log is None:
            raise SpoolBrokenError("the spool is not open")
        if self._log.broken is not None:
            raise self._log.broken
        if free_bytes(self._files.folder) < self._reserve_bytes:
            raise SpoolFullError("the spool's disk is nearly full")
        incoming, self._prepared = self._prepared, None
        if incoming is None or not incoming.expects(expected_bytes):
            incoming = IncomingInstance(self._log, self._sealer, expected_bytes, self._prepare)
        self._arriving.add(incoming.writing)
        return incoming

    def _prepare(self, expected_bytes: int) -> None:
        """The next one's keys and ciphers, made while the sender still reads our answer to this one."""
        if self._log is not None:
            self._prepared = IncomingInstance(self._log, self._sealer, expected_bytes, self._prepare)

    @property
    def congested(self) -> bool:
        return self._log is not None and self._log.congested

    @property
    def broken(self) -> bool:
        return self._log is not None and self._log.broken is not None

    def when_relieved(self, callback: Callable[[], None]) -> None:
        """Call back once, when the disk has caught up."""
        if self._log is not None:
            self._log.when_relieved(callback)

    # -- reading back ----------------------------------------------------------------------------------------------

    @property
    def unreadable(self) -> int:
        """What `scan` found damaged so far: frames, or receipts that this box's key does not open."""
        return self._files.unreadable + self._unopened

    def files(self) -> list[int]:
        return self._files.numbers()

    def read(self, location: Location) -> bytes:
        """One piece of ciphertext. FormatError when the disk has lost it, or a part of it."""
        return self._files.read(location)

    def remove(self, file_number: int) -> None:
        """Forget a file that the journal no longer needs. Kept if an instance that is still arriving began in it."""
        begun = [writing.pieces[0].file_number for writing in self._arriving if writing.pieces]
        if file_number < min([self._log.oldest_number if self._log else self._first_number, *begun]):
            self._files.remove(file_number)

    def scan(self, known: Container[bytes]) -> Iterator[Receipt]:
        """Receipts from before this start whose stream ids are not `known`, each verified piece by piece.

        What follows the last whole frame of a file was never acknowledged. A damaged frame in between costs the
        instances that it belongs to and no others. Instances whose bytes do not verify are counted in `unfinished`.
        """
        for number in self.files():
            if number < self._first_number:
                yield from self._scan_file(number, known)

    def _scan_file(self, number: int, known: Container[bytes]) -> Iterator[Receipt]:
        for header, location in self._files.frames(number):
            if header.type is not FrameType.RECEIPT or header.stream_id in known:
                continue
            try:
                receipt = open_receipt(header.stream_id, self.read(location), self._sealer)
            except FormatError:
                self._unopened += 1
                continue
            try:
                self._verify(receipt)
            except FormatError:
                self.unfinished += 1  # its other pieces were not written yet, or could not be
                continue
            yield receipt

    def _verify(self, receipt: Receipt) -> None:
        pieces = (self.read(piece) for piece in receipt.pieces)
        for _ in stream.open_segments(receipt.key, stream.instance_aad(receipt.stream_id), pieces):
            pass
