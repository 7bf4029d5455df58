from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vault.database import Database, Session
from vault.errors import BrokenError, SettingsError, UnavailableError


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "ledger.db")
    await database.migrate()
    yield database
    await database.close()


def pragma(name: str) -> object:
    return lambda session: session._connection.execute(f"PRAGMA {name}").fetchone()[0]


@pytest.mark.parametrize(
    ("name", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("secure_delete", 1)]
)
async def test_the_connection_is_durable_and_wipes_what_it_deletes(
    database: Database, name: str, value: object
) -> None:
    assert await database.run(pragma(name)) == value


async def test_work_that_raises_leaves_no_trace(database: Database) -> None:
    def work(session: Session) -> None:
        session.change("add_code", code_id="AAAA", code_key=b"k", name="x", good_until=10)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.run(work)
    assert await database.run(lambda session: session.one("code", code_id="AAAA", now=0)) is None


async def test_after_a_failed_sync_the_ledger_answers_nothing_until_a_new_start(database: Database) -> None:
    def work(_session: Session) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error

    with pytest.raises(UnavailableError):
        await database.run(work)
    with pytest.raises(BrokenError):
        await database.run(lambda session: session.one("device", device_id=b""))


async def test_a_full_disk_is_no_reason_to_stop(database: Database) -> None:
    def work(_session: Session) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with pytest.raises(UnavailableError):
        await database.run(work)
    await database.run(lambda session: session.one("device", device_id=b""))


async def test_a_ledger_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    database = Database(tmp_path / "ledger.db")
    with pytest.raises(SettingsError, match="version 99"):
        await database.migrate()
    await database.close()


async def test_migrating_twice_changes_nothing(database: Database) -> None:
    assert await database.migrate() == 1
