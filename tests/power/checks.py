"""What must hold of a disk after a power cut, seen from outside: with the product's readers and a copy of the journal.

Nothing here changes the disk: what a check tidied up, the box would not have to survive.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Container, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from appliance.adapters.spool import FileSpool
from appliance.formats.sealed import Sealer
from appliance.formats.spool_frame import Receipt
from tests.fakes.spool import read_back

Problems = list[str]


def sealer_of(state: Path) -> Sealer | None:
    """None on a disk that died before the box had ever answered."""
    key = state / "spool.key"
    return Sealer(key.read_bytes()) if key.exists() else None


def read_spool(folder: Path, sealer: Sealer, known: Container[bytes]) -> Iterator[tuple[Receipt, str]]:
    """Receipts, each with the SHA-256 of the dataset that it leads to."""
    spool = FileSpool(folder, sealer)
    for receipt in spool.scan(known):
        yield receipt, hashlib.sha256(read_back(spool, receipt)).hexdigest()


def compare(found: Mapping[str, str], sent: Mapping[str, str], acknowledged: Collection[str]) -> Problems:
    """`found` and `sent` are SHA-256 by UID."""
    lost = [uid for uid in acknowledged if uid not in found]
    torn = [uid for uid, digest in found.items() if sent.get(uid) != digest]
    return [f"acknowledged, and lost: {uid}" for uid in lost] + [f"not as it was sent: {uid}" for uid in torn]


@contextmanager
def journal_of(state: Path) -> Iterator[sqlite3.Connection | None]:
    """A copy, with its log: to be opened, a journal in WAL mode has to be written."""
    if not (state / "journal.db").exists():
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        for path in state.glob("journal.db*"):
            shutil.copy(path, folder)
        with closing(sqlite3.connect(Path(folder) / "journal.db")) as connection:
            yield connection


def check_journal(connection: sqlite3.Connection, streams: Collection[bytes], paper: Collection[str]) -> Problems:
    """`streams` are on the disk, `paper` is what had come out of the printer before the cut."""
    try:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if verdict != "ok":
        return [f"the journal is damaged: {verdict}"]
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'slip'").fetchone():
        return [f"slip {number} is on paper, and the journal has no slips" for number in paper]
    rows = connection.execute("SELECT stream_id FROM instance")
    problems = [f"journalled, and not on the disk: {row[0].hex()[:8]}" for row in rows if row[0] not in streams]
    slips = dict(connection.execute("SELECT number, state FROM slip"))
    unknown = [number for number in paper if slips.get(number, "queued") == "queued"]
    problems += [f"slip {number} is on paper, and the journal says {slips.get(number)}" for number in unknown]
    unregistered = """
        SELECT number FROM slip JOIN link ON link.id = slip.link
        WHERE slip.state = 'printed' AND link.state = 'registering'"""
    return problems + [
        f"slip {row[0]} is printed, and its link not registered" for row in connection.execute(unregistered)
    ]


def check_vault(ledger: Path) -> Problems:
    """Never two live links of one share, whatever the box went through."""
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT hex(share_id), count(*) FROM link WHERE destroyed_at IS NULL GROUP BY share_id HAVING count(*) > 1"
        )
        return [f"share {share[:8]} has {count} live links" for share, count in rows]
