"""One SQLite connection in one worker thread, and the named statements. Knows nothing of links or shares.

One connection, because SQLite 3.7.0 to 3.51.2 can corrupt a database in WAL mode when two connections write at once,
and Debian 12 has 3.40.1. One thread, so that every piece of work given to `run` is alone: transactions never wait for
each other's locks.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import TypeVar

from vault.errors import BrokenError, SettingsError, UnavailableError

T = TypeVar("T")
SCHEMA_VERSION = 1


def _statements(text: str) -> dict[str, str]:
    parts = text.split("-- name: ")[1:]
    return {name.strip(): sql.strip() for name, _, sql in (part.partition("\n") for part in parts)}


_FILES = resources.files("vault")
_SCHEMA = _FILES.joinpath("schema.sql").read_text("utf-8")
_STATEMENTS = _statements(_FILES.joinpath("statements.sql").read_text("utf-8"))


class Session:
    """What a piece of work sees of the database: statements by name, inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def one(self, name: str, /, **values: object) -> sqlite3.Row | None:
        rows = self.all(name, **values)
        return rows[0] if rows else None

    def all(self, name: str, /, **values: object) -> list[sqlite3.Row]:
        return self._connection.execute(_STATEMENTS[name], values).fetchall()

    def change(self, name: str, /, **values: object) -> int:
        """Rows changed."""
        return self._connection.execute(_STATEMENTS[name], values).rowcount


class Database:
    """Owns the connection. Every failure of SQLite comes out as UnavailableError, with its cause."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._connection: sqlite3.Connection | None = None
        self._broken = False

    async def run(self, work: Callable[[Session], T], *, erase: bool = False) -> T:
        """Does `work` in one transaction, on the disk when this returns; an exception from it rolls back.

        `erase` also empties the write-ahead log, where deleted secrets would else outlive their rows.
        """
        return await self._in_thread(lambda: self._transact(work, erase=erase))

    async def migrate(self) -> int:
        """Makes or updates the schema. Raises SettingsError when the file is a newer version's."""
        return await self._in_thread(self._migrate)

    async def close(self) -> None:
        await self._in_thread(self._close)
        self._thread.shutdown()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR:
                self._broken = True
            raise UnavailableError from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            connection = sqlite3.connect(self._path, isolation_level=None)
            connection.row_factory = sqlite3.Row
            # FULL: an answer of 201 must survive a power cut. secure_delete: a revoked S is overwritten, not just
            # unlinked.
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
                connection.execute(f"PRAGMA {pragma}").fetchall()
            self._connection = connection
        return self._connection

    def _transact(self, work: Callable[[Session], T], *, erase: bool) -> T:
        if self._broken:  # a commit after a failed fsync could build on pages that never reached the disk
            raise BrokenError
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            outcome = work(Session(connection))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        if erase:
            self._empty_log(connection)
        return outcome

    @staticmethod
    def _empty_log(connection: sqlite3.Connection) -> None:
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise UnavailableError("Another process reads the ledger's file, so deleted secrets cannot be wiped yet.")

    def _migrate(self) -> int:
        connection = self._open()
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise SettingsError(
                f"The ledger is of version {version}; this program knows up to {SCHEMA_VERSION}.",
                hint="Run the newer slipway-vault that made it, or restore the backup from before the update.",
            )
        if version == 0:
            connection.executescript(f"BEGIN;{_SCHEMA};PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")
        return SCHEMA_VERSION

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._connection.close()
            self._connection = None
