"""Disks with one behaviour a class, each around a real one."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from appliance.adapters.disk_queue import DiskQueue, Done


class FailingWriteDisk(DiskQueue):
    """The write with this number fails, and leaves nothing on the disk; the others are written."""

    def __init__(self, number: int, error: int = errno.EIO) -> None:
        super().__init__()
        self._number = number
        self._error = error
        self.writes = 0

    def write(self, fd: int, address: int, length: int, offset: int, done: Done) -> None:
        self.writes += 1
        if self.writes == self._number:
            super().sync(fd, lambda _: done(-self._error))
        else:
            super().write(fd, address, length, offset, done)


class ShortWriteDisk(DiskQueue):
    """Writes half of what it is asked for, as the kernel may; less than two blocks it writes whole."""

    def write(self, fd: int, address: int, length: int, offset: int, done: Done) -> None:
        super().write(fd, address, length if length < 8192 else length // 2 // 4096 * 4096 + 512, offset, done)


class FailingSyncDisk(DiskQueue):
    """The sync with this number fails once; the others are as good as they say. Folders are counted with the files."""

    def __init__(self, number: int, error: int = errno.EIO) -> None:
        super().__init__()
        self._number = number
        self._error = error
        self.syncs = 0

    def _fails(self) -> bool:
        self.syncs += 1
        return self.syncs == self._number

    def sync(self, fd: int, done: Done, *, folder: bool = False) -> None:
        failed = self._fails()
        super().sync(fd, (lambda _: done(-self._error)) if failed else done, folder=folder)

    def sync_now(self, fd: int) -> None:
        if self._fails():
            raise OSError(self._error, "injected")
        super().sync_now(fd)


class FailingFolderSyncDisk(DiskQueue):
    """Files are synced; the folder that names them cannot be, from its sync with this number on."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        self._syncs = 0

    def sync(self, fd: int, done: Done, *, folder: bool = False) -> None:
        self._syncs += folder
        failed = folder and self._syncs >= self._number
        super().sync(fd, (lambda _: done(-errno.EIO)) if failed else done, folder=folder)


class SlowDisk(DiskQueue):
    """Answers nothing until `catch_up`."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[Callable[[], None]] = []
        self._slow = True

    def write(self, fd: int, address: int, length: int, offset: int, done: Done) -> None:
        super().write(fd, address, length, offset, lambda result: self._held.append(lambda: done(result)))

    def sync(self, fd: int, done: Done, *, folder: bool = False) -> None:
        super().sync(fd, lambda result: self._held.append(lambda: done(result)), folder=folder)

    @property
    def under_way(self) -> int:
        return super().under_way + len(self._held)

    def reap(self, at_least: int = 0, within_s: float = 0.0) -> int:
        super().reap(0 if self._held else at_least, within_s)
        held, self._held = (self._held, []) if not self._slow else ([], self._held)
        for answer in held:
            answer()
        return len(held)

    def catch_up(self) -> None:
        self._slow = False
        os.eventfd_write(self.event_fd, 1)
