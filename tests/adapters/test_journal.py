"""The journal: whole transactions, one process, nothing left of what it forgot."""

# ruff: noqa: ASYNC240  (tests may block their loop)
from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.adapters.journal import JournalError, SqliteJournal
from appliance.ports import Transaction

SOURCE = Path(__file__).parents[2] / "appliance"


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    journal = SqliteJournal(tmp_path / "journal.db")
    await journal.open()
    yield journal
    await journal.close()


def raw_bytes(folder: Path) -> bytes:
    """The journal as a thief of the disk sees it: the database, its log, and whatever else SQLite put there."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("journal.db*")))


def add_share(
    tx: Transaction, *, share_id: bytes = b"s" * 16, sealed: bytes = b"sealed", profile: str = "SHARE"
) -> int:
    row = tx.one(
        "add_share",
        share_id=share_id,
        state="open",
        profile=profile,
        patient_key=b"k" * 16,
        sealed=sealed,
        display=b"display",
        held_because="",
        now=1.0,
        visit_ends_at=2.0,
    )
    return int(row["id"])


# -- transactions ------------------------------------------------------------------------------------------------------


class PowerWentError(Exception):
    pass


async def test_a_transaction_that_fails_leaves_nothing_behind(journal: SqliteJournal) -> None:
    def work(tx: Transaction) -> None:
        add_share(tx)
        tx.do("put_meta", key="a", value="1")
        raise PowerWentError

    with pytest.raises(PowerWentError):
        await journal.run(work)
    assert await journal.run(lambda tx: tx.all("shares", limit=9)) == []
    assert await journal.run(lambda tx: tx.first("get_meta", key="a")) is None


async def test_a_transaction_that_breaks_a_rule_of_the_schema_leaves_nothing_behind(journal: SqliteJournal) -> None:
    def work(tx: Transaction) -> None:
        add_share(tx)
        add_share(tx)  # the same share id twice

    with pytest.raises(JournalError):
        await journal.run(work)
    assert await journal.run(lambda tx: tx.all("shares", limit=9)) == []


async def test_a_row_without_its_parent_is_refused(journal: SqliteJournal) -> None:
    with pytest.raises(JournalError):
        await journal.run(lambda tx: tx.one("add_study", share=99, study_key=b"k", now=1.0))


async def test_what_was_committed_is_there_after_reopening(tmp_path: Path) -> None:
    first = SqliteJournal(tmp_path / "journal.db")
    await first.open()
    share = await first.run(add_share)
    await first.close()
    second = SqliteJournal(tmp_path / "journal.db")
    await second.open()
    assert (await second.run(lambda tx: tx.one("share", id=share)))["share_id"] == b"s" * 16
    await second.close()


async def test_many_transactions_at_once_are_done_one_after_the_other(journal: SqliteJournal) -> None:
    def count(tx: Transaction) -> int:
        row = tx.first("get_meta", key="n")
        n = int(row["value"]) + 1 if row else 1
        tx.do("put_meta", key="n", value=str(n))
        return n

    assert sorted(await asyncio.gather(*(journal.run(count) for _ in range(50)))) == list(range(1, 51))


async def test_a_missing_row_is_an_error_that_names_the_statement_only(journal: SqliteJournal) -> None:
    with pytest.raises(JournalError, match="no row for share"):
        await journal.run(lambda tx: tx.one("share", id=4711))


# -- one process only --------------------------------------------------------------------------------------------------


async def test_a_second_process_is_kept_out(journal: SqliteJournal, tmp_path: Path) -> None:
    await journal.run(add_share)
    program = (
        "import asyncio, sys; from pathlib import Path; from appliance.adapters.journal import *\n"
        "async def main():\n"
        "    journal = SqliteJournal(Path(sys.argv[1]), busy_timeout_s=0.1)\n"
        "    try: await journal.open()\n"
        "    except JournalError: print('kept out')\n"
        "asyncio.run(main())"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path / "journal.db"), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    assert out.strip() == b"kept out"
    assert len(await journal.run(lambda tx: tx.all("shares", limit=9))) == 1


async def test_a_file_that_is_no_journal_is_an_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"not a database, but long enough to be taken for one" * 100)
    journal = SqliteJournal(tmp_path / "journal.db")
    with pytest.raises(JournalError) as raised:
        await journal.open()
    assert raised.value.hint
    await journal.close()


async def test_a_journal_that_was_never_opened_says_so(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db")
    with pytest.raises(JournalError, match="not open"):
        await journal.run(lambda tx: tx.all("peers"))
    await journal.close()


async def test_the_journal_and_its_log_are_for_their_owner_only(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        journal = SqliteJournal(tmp_path / "journal.db")
        await journal.open()
        await journal.run(add_share)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("journal.db*")}
    finally:
        os.umask(before)
        await journal.close()
    assert modes == {"journal.db": 0o600, "journal.db-wal": 0o600}


# -- forgetting --------------------------------------------------------------------------------------------------------

SECRET = b"this sealed secret must not be found once it was forgotten " * 40  # larger than one page's cell


async def test_a_forgotten_secret_is_gone_from_the_bytes(journal: SqliteJournal, tmp_path: Path) -> None:
    share = await journal.run(lambda tx: add_share(tx, sealed=SECRET))
    for n in range(20):  # so that other pages and earlier images of the same one are in the log as well
        await journal.run(lambda tx, n=n: tx.do("share_grown", id=share, now=float(n)))  # type: ignore[misc]
    assert SECRET[:59] in raw_bytes(tmp_path)
    await journal.run(lambda tx: tx.do("forget_share_keys", id=share))
    assert SECRET[:59] not in raw_bytes(tmp_path)


async def test_a_short_secret_is_gone_from_the_bytes(journal: SqliteJournal, tmp_path: Path) -> None:
    def mint(tx: Transaction) -> int:
        share = add_share(tx)
        values = {"link_id": b"l" * 16, "factor": "pin", "pin": b"PINPINPIN", "expires_in_s": 1.0, "grace_s": 1.0}
        return int(tx.one("add_link", share=share, sealed=b"SEALEDSEALED", now=1.0, **values)["id"])

    await journal.run(mint)
    assert b"SEALEDSEALED" in raw_bytes(tmp_path)
    await journal.run(lambda tx: tx.do("forget_link_secrets_of_share", id=1))
    assert b"SEALEDSEALED" not in raw_bytes(tmp_path)
    assert b"PINPINPIN" not in raw_bytes(tmp_path)


# -- the statements ----------------------------------------------------------------------------------------------------


def statement_names() -> set[str]:
    return set(re.findall(r"^-- name: (\w+)$", (SOURCE / "adapters/journal.sql").read_text(), re.MULTILINE))


def python_sources() -> str:
    return "\n".join(path.read_text() for path in SOURCE.rglob("*.py"))


def test_every_statement_is_used() -> None:
    sources = python_sources()
    assert {name for name in statement_names() if f'"{name}"' not in sources} == set()


def test_every_statement_that_is_called_exists() -> None:
    called = set(re.findall(r"\btx\.(?:do|all|first|one)\(\s*\"(\w+)\"", python_sources()))
    assert called
    assert called - statement_names() == set()


async def test_every_statement_is_valid_sql(journal: SqliteJournal, tmp_path: Path) -> None:
    """SQLite compiles each against the schema, with nothing bound."""
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        parts = (SOURCE / "adapters/journal.sql").read_text().split("-- name: ")[1:]
        for part in parts:
            name, _, text = part.partition("\n")
            if name.strip() == "schema":
                connection.executescript(text)
            else:
                parameters = dict.fromkeys(re.findall(r":(\w+)", text))
                connection.execute(f"EXPLAIN {text}", parameters)
    connection.close()
