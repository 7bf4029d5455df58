"""The spool's folder: numbered files of frames, made, read and taken away. Not what the frames mean (`spool`)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from appliance.errors import FormatError
from appliance.formats.spool_frame import HEADER_BYTES, MAGIC, FrameHeader, Location, decode_header

RESYNC_BYTES = 1 << 20  # read at once in search of the next frame after a damaged one
SUFFIX = ".spool"


class SpoolFiles:
    def __init__(self, folder: Path) -> None:
        """OSError when the folder is not there and cannot be made."""
        self.folder = folder
        self.unreadable = 0  # damaged stretches that `frames` had to pass over
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def numbers(self) -> list[int]:
        return sorted(int(path.stem, 16) for path in self.folder.glob(f"*{SUFFIX}"))

    def path(self, number: int) -> Path:
        return self.folder / f"{number:016x}{SUFFIX}"

    def create(self, number: int) -> int:
        """A new file, open for writing; `sync_folder` makes its name durable."""
        return os.open(self.path(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def sync_folder(self) -> None:
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def remove(self, number: int) -> None:
        self.path(number).unlink(missing_ok=True)

    def read(self, location: Location) -> bytes:
        """FormatError when the disk has lost it, or a part of it."""
        try:
            with self.path(location.file_number).open("rb", buffering=0) as file:
                data = os.pread(file.fileno(), location.length, location.offset)
        except OSError as error:
            raise FormatError(f"a spool file cannot be read: {error.strerror}") from error
        if len(data) != location.length:
            raise FormatError("a spool file is shorter than what was written to it")
        return data

    def frames(self, number: int) -> Iterator[tuple[FrameHeader, Location]]:
        """Headers of a file, each with the place of its payload; over damaged stretches to the next whole one."""
        try:
            with self.path(number).open("rb", buffering=0) as file:
                at: int | None = 0
                end = os.fstat(file.fileno()).st_size
                while at is not None:
                    header = decode_header(os.pread(file.fileno(), HEADER_BYTES, at))
                    if header is None or header.file_number != number:
                        at = _next_frame(file.fileno(), at + 1, number)
                        self.unreadable += at is not None  # a file's torn end is nothing to complain of
                        continue
                    location = Location(number, at + HEADER_BYTES, header.length)
                    at = location.offset + location.length
                    if at > end:
                        return  # torn: it was never acknowledged
                    yield header, location
        except OSError:
            self.unreadable += 1  # the disk does not give the rest of this file back


def _next_frame(fd: int, at: int, number: int) -> int | None:
    """Where the next whole header of file `number` begins, from `at` on; None where there is none."""
    while len(chunk := os.pread(fd, RESYNC_BYTES, at)) >= HEADER_BYTES:
        found = chunk.find(MAGIC)
        while found >= 0:
            header = decode_header(os.pread(fd, HEADER_BYTES, at + found))
            if header is not None and header.file_number == number:
                return at + found
            found = chunk.find(MAGIC, found + 1)
        at += len(chunk) - len(MAGIC) + 1  # a mark may lie across two chunks
    return None
