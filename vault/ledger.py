"""The embedded ledger: SQLite for one clinic, behind the ports that a PostgreSQL adapter will implement for a thousand.

This file holds devices and upkeep; links and shares are in their own. Rules are core's tables, asked inside the
transaction.
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from vault import wire
from vault.core import CODE_GOOD_S, LINKLESS_SHARE_KEPT_S, MAX_WRONG_MACS
from vault.database import Database, Session
from vault.errors import CodeWrongError
from vault.ledger_links import LinkLedger
from vault.ledger_shares import ShareLedger, bury_share
from vault.ports import Device, Swept


class DeviceLedger:
    _database: Database

    async def add_code(self, code_id: str, code_key: bytes, name: str, now: float) -> bool:
        def work(session: Session) -> bool:
            session.change("forget_codes", now=int(now))
            good_until = int(now) + CODE_GOOD_S
            values = {"code_id": code_id, "code_key": code_key, "name": name, "good_until": good_until}
            return session.change("add_code", **values) == 1

        return await self._database.run(work)

    async def enrol(self, code_id: str, public_key: bytes, mac: bytes, device_id: bytes, now: float) -> bytes:
        def work(session: Session) -> bytes | None:
            code = session.one("code", code_id=code_id, now=now)
            if code is None:
                return None
            key: bytes = code["code_key"]
            if not hmac.compare_digest(wire.device_mac(key, public_key), mac):
                _count_wrong_mac(session, code_id)
                return None
            session.change("spend_code", code_id=code_id)
            session.change(
                "add_device", device_id=device_id, name=code["device_name"], public_key=public_key, now=int(now)
            )
            return key

        key = await self._database.run(work)
        if key is None:  # raised out here, so that the count is committed
            raise CodeWrongError
        return key

    async def device(self, device_id: bytes) -> Device | None:
        def work(session: Session) -> Device | None:
            row = session.one("device", device_id=device_id)
            return _device(row) if row else None

        return await self._database.run(work)

    async def devices(self) -> Sequence[Device]:
        return await self._database.run(lambda session: [_device(row) for row in session.all("devices")])

    async def revoke_device(self, device_id: bytes, now: float) -> bool:
        def work(session: Session) -> bool:
            return session.change("revoke_device", device_id=device_id, now=int(now)) == 1

        return await self._database.run(work)

    async def admit(self, device_id: bytes, nonce: bytes, forget_at: float, now: float) -> bool:
        def work(session: Session) -> bool:
            if not session.change("remember_nonce", device_id=device_id, nonce=nonce, forget_at=int(forget_at)):
                return False
            session.change("device_seen", device_id=device_id, now=int(now))
            return True

        return await self._database.run(work)


class UpkeepLedger:
    _database: Database

    async def expire(self, now: float) -> Swept:
        def work(session: Session) -> Swept:
            links = session.change("destroy_outlived_links", now=int(now))
            shares = session.all("unreachable_shares", linkless_since=int(now) - LINKLESS_SHARE_KEPT_S)
            for row in shares:
                bury_share(session, row["share_id"], now)
            session.change("forget_nonces", now=int(now))
            session.change("forget_codes", now=int(now))
            return Swept(links, len(shares))

        return await self._database.run(work, erase=True)

    async def unpurged(self) -> Sequence[bytes]:
        return await self._database.run(lambda session: [row["share_id"] for row in session.all("unpurged_shares")])

    async def purged(self, share_id: bytes) -> None:
        await self._database.run(lambda session: session.change("mark_share_purged", share_id=share_id))

    async def migrate(self) -> int:
        return await self._database.migrate()

    async def check(self) -> None:
        await self._database.run(lambda session: session.one("device", device_id=b""))

    async def close(self) -> None:
        await self._database.close()


class SqliteLedger(DeviceLedger, ShareLedger, LinkLedger, UpkeepLedger):
    """Implements ports.Ledger. The file and its folder are made when missing, readable by the service alone."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path)


def _device(row: sqlite3.Row) -> Device:
    return Device(**{name: row[name] for name in row.keys()})  # noqa: SIM118 - a Row iterates over its values


def _count_wrong_mac(session: Session, code_id: str) -> None:
    row = session.one("count_wrong_mac", code_id=code_id)
    if row is not None and row["wrong_macs"] >= MAX_WRONG_MACS:
        session.change("spend_code", code_id=code_id)
