"""What dm-log-writes has recorded, and the disks that a power cut could have left of it.

A disk that loses its power keeps all that it confirmed a flush for, all that was written with FUA, and of the rest
whatever it likes, in pieces of its own choosing. The log says which write was which (drivers/md/dm-log-writes.c).
"""

from __future__ import annotations

import mmap
import os
import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntFlag

from tests.power.kernel import SECTOR_BYTES

_SUPER = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")
_MAGIC = 0x6A736677736872
_ROOM = 8 << 20  # the largest single write that is expected
TORN_AT = (512, 4096)  # bytes that a disk writes whole
WHOLE, TORN = 0.4, 0.7  # of the writes that were not flushed, four in ten were there all the same, three in part


class Flag(IntFlag):
    FLUSH = 1
    FUA = 2
    DISCARD = 4
    MARK = 8
    METADATA = 16


@dataclass(frozen=True)
class Entry:
    sector: int  # of the disk that was recorded
    sectors: int
    flags: Flag
    at: int  # byte of the log where its contents lie
    mark: str = ""


def read_log(device: str) -> Iterator[Entry]:
    fd = os.open(device, os.O_RDONLY)
    try:
        magic, _, count, sector_bytes = _SUPER.unpack(os.pread(fd, _SUPER.size, 0))
        if magic != _MAGIC or sector_bytes != SECTOR_BYTES:
            raise ValueError("this is no log of dm-log-writes with sectors of 512 bytes")
        at = SECTOR_BYTES
        for _ in range(count):
            head = os.pread(fd, SECTOR_BYTES, at)
            sector, sectors, flags, length = _ENTRY.unpack_from(head)
            mark = head[_ENTRY.size : _ENTRY.size + length].rstrip(b"\0").decode() if flags & Flag.MARK else ""
            at += SECTOR_BYTES
            yield Entry(sector, sectors, Flag(flags), at, mark)
            at += 0 if flags & Flag.DISCARD else sectors * SECTOR_BYTES
    finally:
        os.close(fd)


@dataclass
class Moment:
    """Between two flushes: what was written, in its order, and what the box had said when it ends."""

    writes: list[Entry] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)


def moments(entries: Iterator[Entry]) -> Iterator[Moment]:
    """A moment ends before a flush; a write that flushes first (a commit) is the first of the next."""
    moment = Moment()
    for entry in entries:
        if entry.flags & Flag.FLUSH:
            yield moment
            moment = Moment()
        if entry.flags & Flag.MARK:
            moment.marks.append(entry.mark)
        elif entry.sectors and not entry.flags & Flag.DISCARD:
            moment.writes.append(entry)
    yield moment


class Copier:
    """Carries contents from the log to a disk, around the page cache: what reads that disk does the same."""

    def __init__(self, log: str) -> None:
        self._log = os.open(log, os.O_RDONLY | os.O_DIRECT)
        self._buffer = memoryview(mmap.mmap(-1, _ROOM))

    def copy(self, entries: list[Entry], device: str) -> None:
        with _open(device) as target:
            for entry in entries:
                self._copy(target, entry, 0, entry.sectors * SECTOR_BYTES)

    def copy_some(self, entries: list[Entry], device: str, chance: random.Random, *, loose: bool) -> None:
        """What was written with FUA. The rest, where `loose`, each whole, in pieces, or not at all; else none."""
        with _open(device) as target:
            for entry in entries:
                fate = 0.0 if entry.flags & Flag.FUA else chance.random() if loose else 1.0
                if fate < WHOLE:
                    self._copy(target, entry, 0, entry.sectors * SECTOR_BYTES)
                elif fate < TORN:
                    self._copy_torn(target, entry, chance)

    def _copy_torn(self, target: int, entry: Entry, chance: random.Random) -> None:
        # ext4 writes its superblock in place and trusts the disk with the whole of it: half of one mounts nowhere.
        holds_superblock = entry.sector * SECTOR_BYTES < max(TORN_AT)
        size, piece = entry.sectors * SECTOR_BYTES, max(TORN_AT) if holds_superblock else chance.choice(TORN_AT)
        kept = chance.random()
        start = None
        for at in range(0, size, piece):  # neighbours go together: one call for a run of pieces
            keep = chance.random() < kept
            if keep and start is None:
                start = at
            elif not keep and start is not None:
                self._copy(target, entry, start, at)
                start = None
        if start is not None:
            self._copy(target, entry, start, size)

    def _copy(self, target: int, entry: Entry, start: int, end: int) -> None:
        for at in range(start, end, _ROOM):
            room = self._buffer[: min(end - at, _ROOM)]
            os.preadv(self._log, [room], entry.at + at)
            os.pwritev(target, [room], entry.sector * SECTOR_BYTES + at)


@contextmanager
def _open(device: str) -> Iterator[int]:
    fd = os.open(device, os.O_WRONLY | os.O_DIRECT)
    try:
        yield fd
    finally:
        os.close(fd)
