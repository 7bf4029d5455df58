"""The journal: what the box intends and what it did, in SQLite, by one writer connection in one thread.

One connection only: SQLite before 3.51.3 can corrupt a WAL that two connections write or checkpoint. The commands
therefore ask the daemon and never open this file beside it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from appliance.errors import SlipwayError
from appliance.ports import Row, Value

log = logging.getLogger("slipway.journal")

T = TypeVar("T")
BUSY_TIMEOUT_S = 5.0  # a box that is restarted may still be closing the journal
FULL_PAUSE_S = 1.0  # between two looks at a disk that is full
FORGETTING = "forget_"  # statements named so take secrets away: not one byte of them may stay


class JournalError(SlipwayError):
    code = "journal_failed"
    hint = "Check the disk under [spool] path; the journal is journal.db there. Another `slipway run` may hold it."


class _FullError(JournalError):
    """The disk has no room. Nothing of the transaction has happened, and it may be tried again."""


def _read_sql(name: str, mark: str) -> dict[str, str]:
    """The parts of an SQL file, in order, by what follows their `mark`."""
    text = files("appliance.adapters").joinpath(name).read_text(encoding="utf-8")
    parts = text.split(mark)[1:]
    return {part.partition("\n")[0].strip(): part.partition("\n")[2] for part in parts}


def read_statements() -> dict[str, str]:
    return _read_sql("journal.sql", "-- name: ")


def read_steps() -> dict[str, str]:
    return _read_sql("journal_schema.sql", "-- step: ")


def migrate(connection: sqlite3.Connection, steps: Mapping[str, str]) -> list[str]:
    """Bring a journal to the present schema, wholly or not at all; the names of the steps that it took.

    JournalError for one that a newer program has written. One that has tables and no version is from before there
    were versions: the first step makes only what is missing.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(steps):
        raise JournalError(
            f"the journal is of version {version}, and this program knows versions up to {len(steps)}",
            hint="A newer Slipway has written it: install that one again. Nothing was changed.",
        )
    missing = list(steps)[version:]
    if missing:
        script = "".join(steps[name] for name in missing)
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version={len(steps)}; COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return missing


class SqliteTransaction:
    """Named statements within one transaction (see journal.sql)."""

    def __init__(self, connection: sqlite3.Connection, statements: dict[str, str]) -> None:
        self._connection = connection
        self._statements = statements
        self.has_forgotten = False
        self._undo: list[Callable[[], object]] = []

    def do(self, name: str, **values: Value) -> None:
        self._connection.execute(self._statements[name], values)
        self.has_forgotten = self.has_forgotten or name.startswith(FORGETTING)

    def all(self, name: str, **values: Value) -> list[Row]:
        return list(map(dict, self._connection.execute(self._statements[name], values).fetchall()))

    def first(self, name: str, **values: Value) -> Row | None:
        row = self._connection.execute(self._statements[name], values).fetchone()
        return None if row is None else dict(row)

    def one(self, name: str, **values: Value) -> Row:
        row = self.first(name, **values)
        if row is None:
            raise JournalError(f"the journal has no row for {name}")
        return row

    def if_undone(self, undo: Callable[[], object]) -> None:
        self._undo.append(undo)

    def undo(self) -> None:
        if self._connection.in_transaction:  # SQLite may have taken it back already
            self._connection.execute("ROLLBACK")
        while self._undo:
            self._undo.pop()()


class SqliteJournal:
    def __init__(
        self, path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S, full_pause_s: float = FULL_PAUSE_S
    ) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._full_pause_s = full_pause_s
        self._full = False
        self._unwiped = True  # a crash may have come between what was forgotten and the log's emptying
        self._statements = read_statements()
        self._executor = ThreadPoolExecutor(1, "journal")
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, self._open)

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Before SQLite does it: the write-ahead log takes over the mode that the journal is created with.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._path.chmod(0o600)
            connection = sqlite3.connect(
                self._path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=True
            )
        except (sqlite3.Error, OSError) as error:
            raise JournalError(f"the journal cannot be opened: {error}") from error
        try:
            self._prepare(connection)
        except sqlite3.Error as error:
            connection.close()
            raise JournalError(f"the journal cannot be opened: {error}") from error
        except JournalError:
            connection.close()
            raise
        self._connection = connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        # EXCLUSIVE keeps every other connection out, and WAL without shared memory with it.
        for pragma in (
            "locking_mode=EXCLUSIVE",
            "journal_mode=WAL",
            "synchronous=FULL",
            "secure_delete=ON",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")
        steps = migrate(connection, read_steps())
        if steps:
            log.info("the journal went through %s", ", ".join(steps))
        connection.execute("PRAGMA foreign_keys=ON")

    async def run(self, work: Callable[[SqliteTransaction], T]) -> T:
        """Run `work` in the journal's thread, in one transaction that is on the disk when this returns.

        A full disk is waited out: `work` is then undone and run again.
        """
        loop, waited = asyncio.get_running_loop(), False
        while True:
            try:
                result = await loop.run_in_executor(self._executor, self._run, work)
            except _FullError as error:
                if not self._full:
                    log.error("%s. Free space on its disk; the box goes on by itself", error.summary)
                self._full = waited = True
                await asyncio.sleep(self._full_pause_s)
            else:
                if waited and self._full:  # others may only have read
                    log.info("the journal has room again")
                    self._full = False
                return result

    def _run(self, work: Callable[[SqliteTransaction], T]) -> T:
        connection = self._connection
        if connection is None:
            raise JournalError("the journal is not open")
        transaction = SqliteTransaction(connection, self._statements)
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(transaction)
                connection.execute("COMMIT")
            except BaseException:
                transaction.undo()
                raise
        except sqlite3.Error as error:
            failed = _FullError if _is_full(error) else JournalError
            raise failed(f"the journal cannot be written: {error}") from error
        self._unwiped = self._unwiped or transaction.has_forgotten
        if self._unwiped:
            self._wipe(connection)
        return result

    def _wipe(self, connection: sqlite3.Connection) -> None:
        """secure_delete wipes the pages, but the log keeps their earlier images until it is emptied.

        On a full disk that is left to the next transaction: this one has happened and must not be run again.
        """
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            if not _is_full(error):
                raise JournalError(f"the journal's log cannot be emptied: {error}") from error
        else:
            self._unwiped = False

    async def close(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self._close)
        self._executor.shutdown()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
