"""The audit trail: appends a record in the transaction of what it records, reads, verifies and shortens the trail.

Who records what is where it happens: transitions, transfers, operating. Delivery to a repository is `delivering`.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from appliance.formats import audit, base64url
from appliance.formats.audit import CHAIN_START, Event, Kind, Record
from appliance.formats.sealed import Sealer
from appliance.ports import Journal, Row, Transaction

log = logging.getLogger("slipway.auditing")

DAY_S = 86400.0
MOST_BYTES = 1_000_000_000  # of the trail: a year of a busy box is a tenth of that
ROW_BYTES = 100  # of a record beside what is sealed
PAGE = 500  # records a transaction: bounds how long reception's own wait
FAULTS_TOLD = 20
NO_ENDS: Row = {"first": 1, "before": CHAIN_START, "last": 0, "bytes": 0}


@dataclass
class Verdict:
    first: int = 1
    last: int = 0
    checked: int = 0
    faults: list[str] = field(default_factory=list)


class Trail:
    def __init__(self, sealer: Sealer, clock: Callable[[], float]) -> None:
        self._sealer = sealer
        self._clock = clock

    def record(self, tx: Transaction, event: Event) -> None:
        """Exactly one record, on the disk with everything else of this transaction."""
        ends = tx.first("audit_ends") or NO_ENDS | {"mac": self._ends_mac(NO_ENDS)}
        newest = tx.first("newest_audit")
        number = max(ends["last"], newest["id"] if newest else 0) + 1
        at, kind = self._clock(), str(event.kind)
        sealed = audit.seal(number, event, self._sealer)
        before = newest["mac"] if newest else ends["before"]
        mac = audit.record_mac(before, number, at, kind, sealed, self._sealer)
        tx.do("add_audit", id=number, at=at, kind=kind, sealed=sealed, mac=mac)
        self._set_ends(tx, ends, {**ends, "last": number, "bytes": ends["bytes"] + len(sealed) + ROW_BYTES})

    def read(self, tx: Transaction, after: int, limit: int = PAGE) -> list[Record]:
        return [self._open(row) for row in tx.all("audit_after", after=after, limit=limit)]

    def _open(self, row: Row) -> Record:
        return audit.unseal(row["id"], row["at"], row["kind"], row["sealed"], self._sealer)

    def span(self, tx: Transaction) -> tuple[int, int]:
        """Numbers of the oldest and the newest record; (1, 0) before there is one."""
        ends = tx.first("audit_ends") or NO_ENDS
        return ends["first"], ends["last"]

    def first_since(self, tx: Transaction, at: float) -> int:
        """The number of the first record from then on, in a trail whose clock never went back."""
        low, high = self.span(tx)
        high += 1
        while low < high:
            middle = (low + high) // 2
            rows = tx.all("audit_after", after=middle - 1, limit=1)
            if rows and rows[0]["at"] < at:
                low = middle + 1
            else:
                high = middle
        return low

    # -- both ends -------------------------------------------------------------------------------------------------

    def _ends_mac(self, ends: Row) -> bytes:
        return audit.ends_mac(ends["first"], ends["before"], ends["last"], ends["bytes"], self._sealer)

    def _set_ends(self, tx: Transaction, old: Row, new: Row) -> None:
        # Ends that somebody altered stay so: a record that came after must not make them good again.
        mac = self._ends_mac(new) if hmac.compare_digest(self._ends_mac(old), old["mac"]) else b""
        tx.do("set_audit_ends", **(new | {"mac": mac}))

    # -- shortening ------------------------------------------------------------------------------------------------

    def shorten(self, tx: Transaction, older_than: float | None, most_bytes: int = MOST_BYTES) -> int:
        """Give up the oldest records, a page at most; how many. The rest stays verifiable."""
        ends = tx.first("audit_ends")
        if ends is None:
            return 0
        new, count = dict(ends), 0
        for row in tx.all("audit_after", after=ends["first"] - 1, limit=PAGE):
            if not (new["bytes"] > most_bytes or (older_than is not None and row["at"] < older_than)):
                break
            size = len(row["sealed"]) + ROW_BYTES
            new |= {"first": row["id"] + 1, "before": row["mac"], "bytes": max(0, new["bytes"] - size)}
            count += 1
        if count:
            self._set_ends(tx, ends, new)
            tx.do("drop_audit", first=new["first"])
        return count

    # -- verifying -------------------------------------------------------------------------------------------------

    async def verify(self, journal: Journal) -> Verdict:
        """Whether every record is there, in its place and as it was written."""
        walk = _Walk(self._sealer)
        while await journal.run(lambda tx: self._verify_page(tx, walk)):
            pass
        return walk.verdict

    def _verify_page(self, tx: Transaction, walk: _Walk) -> bool:
        ends = tx.first("audit_ends")
        if ends is None:
            return False
        if walk.next < ends["first"]:  # the walk begins, or the sweeper overtook it
            walk.begin_at(ends["first"], ends["before"])
        rows = tx.all("audit_after", after=walk.next - 1, limit=PAGE)
        for row in rows:
            walk.step(row)
        if len(rows) == PAGE:
            return True
        if walk.next <= ends["last"]:
            walk.find(_missing(walk.next, ends["last"]))
        if not hmac.compare_digest(self._ends_mac(ends), ends["mac"]):
            walk.find("the note of where the trail begins and ends was altered")
        walk.verdict.last = ends["last"]
        return False


class _Walk:
    """From record to record; `before` is None where the one before is missing."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self.verdict = Verdict()
        self.next = 0
        self._before: bytes | None = None

    def begin_at(self, number: int, before: bytes) -> None:
        if self.next == 0:
            self.verdict.first = number
        self.next, self._before = number, before

    def step(self, row: Row) -> None:
        if row["id"] > self.next:
            self.find(_missing(self.next, row["id"] - 1))
            self._before = None
        if self._before is not None:
            due = audit.record_mac(self._before, row["id"], row["at"], row["kind"], row["sealed"], self._sealer)
            if not hmac.compare_digest(due, row["mac"]):
                self.find(f"record {row['id']} was altered, or the one before it")
        self.next, self._before = row["id"] + 1, row["mac"]
        self.verdict.checked += 1

    def find(self, fault: str) -> None:
        if len(self.verdict.faults) < FAULTS_TOLD:
            self.verdict.faults.append(fault)


def _missing(first: int, last: int) -> str:
    return f"record {first} is missing" if first == last else f"records {first} to {last} are missing"


# -- the box's own life ------------------------------------------------------------------------------------------------


def box_started(tx: Transaction, trail: Trail, sealer: Sealer, settings: dict[str, Any], version: str) -> None:
    """Application Activity; and what has changed in the settings since the last start."""
    running = tx.first("get_meta", key="running")
    crashed = running is not None and running["value"] == "1"
    why = "it had ended without being told to" if crashed else ""
    trail.record(tx, Event(Kind.STARTED, why=why, about=version))
    tx.do("put_meta", key="running", value="1")
    known, flat = tx.first("get_meta", key="settings"), _flat(settings)
    if known is not None:
        old = sealer.open_json(b"settings", base64url.decode(known["value"]))
        changed = sorted(key for key in flat.keys() | old.keys() if flat.get(key) != old.get(key))
        if changed:
            trail.record(tx, Event(Kind.SETTINGS_CHANGED, about=", ".join(changed)))
    tx.do("put_meta", key="settings", value=base64url.encode(sealer.seal_json(b"settings", flat)))


def box_stopped(tx: Transaction, trail: Trail) -> None:
    trail.record(tx, Event(Kind.STOPPED))
    tx.do("put_meta", key="running", value="0")


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """By key as people write it: section.key."""
    flat: dict[str, Any] = {}
    for section, value in settings.items():
        if isinstance(value, dict):
            flat |= {f"{section}.{key}": inner for key, inner in value.items()}
        else:
            flat[section] = value
    return flat
