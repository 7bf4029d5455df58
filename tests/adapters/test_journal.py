"""The journal: whole transactions, one process, nothing left of what it forgot."""

# ruff: noqa: ASYNC240  (tests may block their loop)
from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.adapters.journal import JournalError, SqliteJournal, migrate, read_statements, read_steps
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
        await journal.run(lambda tx: tx.one("add_study", share=99, study_key=b"k", uid=None, now=1.0))


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


# -- a full disk -------------------------------------------------------------------------------------------------------


def set_room(journal: SqliteJournal, pages: int) -> int:
    """As if the disk had room for so many pages; how many that are at present, as fewer cannot be had."""
    assert journal._connection is not None
    return int(journal._connection.execute(f"PRAGMA max_page_count={pages}").fetchone()[0])


async def test_a_full_disk_is_waited_out_and_nothing_is_done_twice(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db", full_pause_s=0.01)
    await journal.open()
    loop, tries, remembered = asyncio.get_running_loop(), asyncio.Semaphore(0), [0]

    def work(tx: Transaction) -> None:
        loop.call_soon_threadsafe(tries.release)
        remembered.append(remembered[-1] + 1)
        tx.if_undone(remembered.pop)
        add_share(tx, sealed=bytes(100_000))

    await loop.run_in_executor(journal._executor, set_room, journal, 1)
    waiting = asyncio.create_task(journal.run(work))
    for _ in range(3):
        await tries.acquire()
    assert not waiting.done()
    assert await journal.run(lambda tx: tx.all("shares", limit=9)) == [], "reading goes on meanwhile"
    await loop.run_in_executor(journal._executor, set_room, journal, 1 << 20)
    await waiting
    assert remembered == [0, 1]
    assert len(await journal.run(lambda tx: tx.all("shares", limit=9))) == 1
    await journal.close()


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


async def test_what_was_forgotten_just_before_a_crash_is_gone_after_the_next_start(tmp_path: Path) -> None:
    """The crash came between the commit and the log's emptying."""
    (tmp_path / "crashed").mkdir()
    before = SqliteJournal(tmp_path / "journal.db")
    await before.open()
    share = await before.run(lambda tx: add_share(tx, sealed=SECRET))
    forget = read_statements()["forget_share_keys"]
    await before.run(lambda tx: tx._connection.execute(forget, {"id": share}) and None)
    for path in tmp_path.glob("journal.db*"):
        (tmp_path / "crashed" / path.name).write_bytes(path.read_bytes())
    await before.close()
    assert SECRET[:200] in raw_bytes(tmp_path / "crashed")
    after = SqliteJournal(tmp_path / "crashed" / "journal.db")
    await after.open()
    await after.run(lambda tx: tx.first("get_meta", key="a"))
    assert SECRET[:200] not in raw_bytes(tmp_path / "crashed")
    await after.close()


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


def test_every_statement_is_valid_sql() -> None:
    """SQLite compiles each against the schema, with nothing bound."""
    connection = sqlite3.connect(":memory:")
    migrate(connection, read_steps())
    for text in read_statements().values():
        parameters = dict.fromkeys(re.findall(r":(\w+)", text))
        connection.execute(f"EXPLAIN {text}", parameters)
    connection.close()


# -- versions ----------------------------------------------------------------------------------------------------------


def version(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


async def opened(path: Path) -> SqliteJournal:
    journal = SqliteJournal(path, busy_timeout_s=0.1)
    await journal.open()
    return journal


def first_journal(path: Path) -> None:
    """As the first program made it: the tables of the first step and no version."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(read_steps()["first_light"])
        connection.execute(
            "INSERT INTO share (share_id, state, profile, patient_key, display, opened_at, grown_at, visit_ends_at)"
            " VALUES (x'11', 'open', 'SHARE', x'22', x'33', 1, 1, 2)"
        )
        connection.commit()


async def test_a_new_journal_is_of_the_newest_version(tmp_path: Path) -> None:
    journal = await opened(tmp_path / "journal.db")
    await journal.close()
    assert version(tmp_path / "journal.db") == len(read_steps())


async def test_a_journal_from_before_there_were_versions_goes_on_with_what_is_in_it(tmp_path: Path) -> None:
    first_journal(tmp_path / "journal.db")
    journal = await opened(tmp_path / "journal.db")
    (share,) = await journal.run(lambda tx: tx.all("shares", limit=9))
    await journal.close()
    assert share["share_id"] == b"\x11"
    assert version(tmp_path / "journal.db") == len(read_steps())


async def test_an_old_and_a_new_journal_have_the_same_tables(tmp_path: Path) -> None:
    first_journal(tmp_path / "old.db")
    for name in ("old.db", "new.db"):
        await (await opened(tmp_path / name)).close()
    schemas = []
    for name in ("old.db", "new.db"):
        with contextlib.closing(sqlite3.connect(tmp_path / name)) as connection:
            schemas.append(connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY 1, 2").fetchall())
    assert schemas[0] == schemas[1]


OLD_REASONS = {
    "the same Patient ID came with another name, birth date or issuer": "same-id-other-name",
    "a study with the same Study Instance UID belongs to another patient": "study-of-another-patient",
    "the images carry no Patient ID": "no-patient-id",
    "the images could not be read: A number of the dataset is not one.": "unreadable",
    "an image with the same SOP Instance UID but other contents is here already": "same-uid-other-bytes",
    "the vault refused its link": "link-refused",
    "the images carry no usable birth date, which this profile asks the patient for": "held-back",
}


def test_what_an_older_program_held_is_still_for_a_person() -> None:
    steps = read_steps()
    names = list(steps)
    newer = names[names.index("sharing") :]
    older = {name: step for name, step in steps.items() if name not in newer}
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        migrate(connection, older)
        for number, because in enumerate([*OLD_REASONS, ""]):
            connection.execute(
                "INSERT INTO share (share_id, state, profile, patient_key, display, held_because, opened_at, grown_at,"
                " visit_ends_at) VALUES (?, ?, 'SHARE', x'00', x'00', ?, 0, 0, 0)",
                (b"%d" % number, "held" if because else "open", because),
            )
        assert migrate(connection, steps) == newer
        found = connection.execute("SELECT doubt FROM share ORDER BY id").fetchall()
    assert [doubt for (doubt,) in found] == [*OLD_REASONS.values(), ""]


async def test_a_journal_of_a_newer_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await (await opened(path)).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=4711")
    with pytest.raises(JournalError, match="version 4711") as raised:
        await opened(path)
    assert "newer" in raised.value.hint
    assert version(path) == 4711


@pytest.mark.parametrize("bad", ["ALTER TABLE nowhere ADD COLUMN x", "CREATE TABLE half (a INTEGER); nonsense"])
def test_a_step_that_fails_leaves_the_journal_at_its_version(bad: str) -> None:
    steps = read_steps()
    connection = sqlite3.connect(":memory:")
    migrate(connection, steps)
    before = connection.execute("SELECT sql FROM sqlite_schema").fetchall()
    with pytest.raises(sqlite3.Error):
        migrate(connection, steps | {"good": "CREATE TABLE another (a INTEGER);", "bad": bad})
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(steps)
    assert connection.execute("SELECT sql FROM sqlite_schema").fetchall() == before
    connection.close()


def test_each_step_is_taken_once_and_in_order() -> None:
    connection = sqlite3.connect(":memory:")
    steps = {"one": "CREATE TABLE t (a INTEGER);", "two": "ALTER TABLE t ADD COLUMN b INTEGER;"}
    assert migrate(connection, {"one": steps["one"]}) == ["one"]
    assert migrate(connection, steps) == ["two"]
    assert migrate(connection, steps) == []
    connection.close()
