"""Disk and journal of a box whose mains may be cut at any moment: what was not synced is lost, or half there."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from appliance.adapters.disk_queue import Done
from appliance.adapters.journal import SqliteJournal, SqliteTransaction
from appliance.adapters.spool import FileSpool
from appliance.formats.sealed import Sealer
from tests.machine.world import Mains

T = TypeVar("T")
BLOCK = 4096


@dataclass
class _Written:
    fd: int
    offset: int
    length: int


class TornDisk:
    """The port `Disk`: answers at once, or when it is told to (`holding`)."""

    def __init__(self) -> None:
        self.event_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.holding = False
        self._held: list[Callable[[], None]] = []
        self._unsynced: list[_Written] = []
        self.limbo: dict[Path, Path] = {}  # files that were taken away, where they are, until the folder is synced

    @property
    def under_way(self) -> int:
        return len(self._held)

    def write(self, fd: int, address: int, length: int, offset: int, done: Done) -> None:
        os.pwrite(fd, ctypes.string_at(address, length), offset)
        self._unsynced.append(_Written(fd, offset, length))
        self._answer(lambda: done(length))

    def sync(self, fd: int, done: Done, *, folder: bool = False) -> None:
        if folder:
            self.limbo.clear()

        def synced() -> None:
            self.sync_now(fd)
            done(0)

        self._answer(synced)

    def sync_now(self, fd: int) -> None:
        self._unsynced = [one for one in self._unsynced if one.fd != fd]

    def _answer(self, answer: Callable[[], None]) -> None:
        if self.holding:
            self._held.append(answer)
        else:
            answer()

    def reap(self, at_least: int = 0, within_s: float = 0.0) -> int:
        if self.holding:
            return 0
        held, self._held = self._held, []
        for answer in held:
            answer()
        return len(held)

    def die(self, *, kept: int, returns: bool) -> None:
        """Of what was not synced the first `kept` blocks are there; files that were taken away may be again."""
        for one in self._unsynced:
            stays = min(one.length, kept * BLOCK)
            kept -= stays // BLOCK
            os.pwrite(one.fd, bytes(one.length - stays), one.offset + stays)
        if returns:
            for path, where in self.limbo.items():
                where.rename(path)
        self._unsynced, self._held, self.holding = [], [], False

    def close(self) -> None:
        os.close(self.event_fd)


class RestlessSpool(FileSpool):
    """What it takes away is gone for good only when its folder is synced."""

    def __init__(self, folder: Path, sealer: Sealer, **options: Any) -> None:
        super().__init__(folder, sealer, disk=self._plug_in, **options)
        self.disk = TornDisk()

    def _plug_in(self) -> TornDisk:
        return self.disk

    def remove(self, file_number: int) -> None:
        path = self._files.path(file_number)
        limbo = path.parent.parent / "limbo" / path.name
        limbo.parent.mkdir(exist_ok=True)
        if path.exists():
            limbo.unlink(missing_ok=True)
            os.link(path, limbo)
        super().remove(file_number)
        if limbo.exists() and not path.exists():
            self.disk.limbo[path] = limbo

    def catch_up(self) -> None:
        """The disk answers what it held back."""
        self.disk.holding = False
        if self._log is not None and self.disk.under_way:
            os.eventfd_write(self.disk.event_fd, 1)
            self._log._answered()


class CutJournal(SqliteJournal):
    """Others may come between any two of its transactions, and so may the end."""

    def __init__(self, path: Path, mains: Mains) -> None:
        super().__init__(path)
        self._mains = mains

    async def run(self, work: Callable[[SqliteTransaction], T]) -> T:
        await self._mains.flow()
        result = await super().run(work)
        self._mains.transaction()
        await asyncio.sleep(0)
        await self._mains.flow()
        return result

    def look(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """The test's own look into the tables, past everything that the box makes of them."""
        assert self._connection is not None
        return list(map(dict, self._connection.execute(statement, values)))
