"""The spool's folder: numbered files of frames, made, read and taken away. Not what the frames mean (`spool`).

A file that is no longer needed is kept as a spare and written over: its blocks are there already, so a write is
durable without the file system's own journal. Frames say which file they belong to: old ones are not taken for new.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from appliance.adapters.spool_buffer import LARGEST_BYTES, AlignedBuffer, padded
from appliance.errors import FormatError
from appliance.formats.spool_frame import HEADER_BYTES, MAGIC, FrameHeader, Location, decode_header

RESYNC_BYTES = 1 << 20  # read at once in search of the next frame after a damaged one
SUFFIX = ".spool"
SPARE_SUFFIX = ".spare"
SPARE_FREE_BYTES = 4 << 30  # spares are a luxury: not on a disk that has little left


class SpoolFiles:
    def __init__(self, folder: Path, file_bytes: int, spares: int) -> None:
        """`spares` files of `file_bytes` are kept to be written over. OSError when the folder cannot be made."""
        self.folder = folder
        self.unreadable = 0  # damaged stretches that `frames` had to pass over
        self._size = padded(file_bytes) + LARGEST_BYTES  # the last write may go over
        self._spares = spares
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def numbers(self) -> list[int]:
        return sorted(int(path.stem, 16) for path in self.folder.glob(f"*{SUFFIX}"))

    def path(self, number: int) -> Path:
        return self.folder / f"{number:016x}{SUFFIX}"

    def prepare(self) -> None:
        """Make the spares that are missing: once in a box's life, before anybody sends. Less where space is short."""
        for begun in self.folder.glob("new-*"):  # by a start that was killed
            begun.unlink()
        for missing in range(len(self._spare_paths()), self._spares):
            if free_bytes(self.folder) < SPARE_FREE_BYTES + self._size:
                return
            path = self.folder / f"new-{missing}"
            fd = _open_direct(path, os.O_CREAT | os.O_TRUNC)
            try:
                zeros = AlignedBuffer(LARGEST_BYTES).view
                for at in range(0, self._size, len(zeros)):
                    os.pwrite(fd, zeros, at)
                os.fsync(fd)
            finally:
                os.close(fd)
            path.rename(self._spare_path())

    def create(self, number: int) -> int:
        """A file to write, open; a sync of the folder makes its name durable."""
        spares = self._spare_paths()
        if spares:
            spares[0].rename(self.path(number))
            return _open_direct(self.path(number))
        fd = _open_direct(self.path(number), os.O_CREAT | os.O_EXCL)
        try:
            os.posix_fallocate(fd, 0, self._size)  # a file that grew would make each write wait for the disk
        except OSError:
            os.ftruncate(fd, 0)  # too little space for all of it, or a file system without: then it grows
        return fd

    def remove(self, number: int) -> None:
        """Take a file away; a full-grown one becomes a spare while they are few."""
        path = self.path(number)
        try:
            if len(self._spare_paths()) < self._spares and path.stat().st_size >= self._size - LARGEST_BYTES:
                path.rename(self._spare_path())
            else:
                path.unlink()
        except FileNotFoundError:
            return  # a crash came between

    def _spare_paths(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{SPARE_SUFFIX}"))

    def _spare_path(self) -> Path:
        taken = {path.name for path in self._spare_paths()}
        names = (f"{number}{SPARE_SUFFIX}" for number in range(self._spares + 1))
        return self.folder / next(name for name in names if name not in taken)

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
                fd, at, end = file.fileno(), 0, os.fstat(file.fileno()).st_size
                while (found := _find_frame(fd, at, number)) is not None:
                    header, start = found
                    self.unreadable += _lost_frame(os.pread(fd, min(start - at, RESYNC_BYTES), at), number)
                    location = Location(number, start + HEADER_BYTES, header.length)
                    at = location.offset + location.length
                    if at > end:
                        return  # torn: it was never acknowledged
                    yield header, location
        except OSError:
            self.unreadable += 1  # the disk does not give the rest of this file back


def free_bytes(folder: Path) -> int:
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


def _open_direct(path: Path, flags: int = 0) -> int:
    """Open for writing, around the page cache where the file system can: nobody reads the spool while it is written."""
    flags |= os.O_WRONLY | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_DIRECT, 0o600)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return os.open(path, flags & ~os.O_EXCL, 0o600)  # the refused try may have made it


def _header(fd: int, at: int, number: int) -> FrameHeader | None:
    header = decode_header(os.pread(fd, HEADER_BYTES, at))
    return header if header is not None and header.file_number == number else None


def _lost_frame(between: bytes, number: int) -> bool:
    """Whether what lies between two whole frames of file `number` holds the rest of a third.

    Else it is padding, or what the file held before it was used again: at a crash the disk may have written what came
    later and not yet what came before.
    """
    if number.to_bytes(8, "big") in between:
        return True
    at = between.find(MAGIC)
    while at >= 0:
        if decode_header(between[at : at + HEADER_BYTES]) is None:
            return True
        at = between.find(MAGIC, at + 1)
    return False


def _find_frame(fd: int, at: int, number: int) -> tuple[FrameHeader, int] | None:
    """The next whole header of file `number` from `at` on, and its place: at once, at the next write, or anywhere."""
    for place in (at, padded(at)):
        header = _header(fd, place, number)
        if header is not None:
            return header, place
    while len(chunk := os.pread(fd, RESYNC_BYTES, at)) >= HEADER_BYTES:
        found = chunk.find(MAGIC)
        while found >= 0:
            header = _header(fd, at + found, number)
            if header is not None:
                return header, at + found
            found = chunk.find(MAGIC, found + 1)
        at += len(chunk) - len(MAGIC) + 1  # a mark may lie across two chunks
    return None
