"""The part of the SQLite ledger that keeps shares and what lies in them. See ports.Shares."""

from __future__ import annotations

import sqlite3

from vault.core import SHARE, Link, ShareEvent, ShareState, after, ranges
from vault.database import Database, Session
from vault.errors import AlreadyDifferentError
from vault.ports import Kept, ObjectName, ShareFacts, Stored


def check_share(session: Session, device_id: bytes, share_id: bytes, event: ShareEvent) -> ShareState:
    """The state after `event`; raises the table's refusal. Another device's share is as absent as none."""
    row = session.one("share", share_id=share_id)
    if row is None:
        return after(SHARE, ShareState.ABSENT, event)
    if row["device_id"] != device_id:
        return after(SHARE, ShareState.ABSENT, ShareEvent.ASKED)
    return after(SHARE, ShareState.OPEN if row["deleted_at"] is None else ShareState.DELETED, event)


def bury_share(session: Session, share_id: bytes, now: float) -> None:
    """The ledger's half of a deletion; the objects follow, now or at the next sweep."""
    session.change("destroy_links", share_id=share_id, now=int(now))
    session.change("forget_objects", share_id=share_id)
    session.change("forget_manifest", share_id=share_id)
    session.change("mark_share_deleted", share_id=share_id, now=int(now))


def as_link(row: sqlite3.Row) -> Link:
    return Link(
        link_id=row["link_id"],
        share_id=row["share_id"],
        factor=row["factor"] or "",
        expires_at=row["expires_at"],
        grace_s=row["grace_s"],
        tries=row["tries"],
        opened=row["opened"],
        last_opened_at=row["last_opened_at"],
        destroyed_at=row["destroyed_at"],
    )


class ShareLedger:
    _database: Database

    async def make_share(self, device_id: bytes, share_id: bytes, now: float) -> bool:
        def work(session: Session) -> bool:
            check_share(session, device_id, share_id, ShareEvent.PUT)
            if session.one("share", share_id=share_id):
                return False
            session.change("add_share", share_id=share_id, device_id=device_id, now=int(now))
            return True

        return await self._database.run(work)

    async def facts(self, device_id: bytes, share_id: bytes) -> ShareFacts:
        def work(session: Session) -> ShareFacts:
            state = check_share(session, device_id, share_id, ShareEvent.ASKED)
            manifest = session.one("manifest", share_id=share_id)
            return ShareFacts(
                deleted=state is ShareState.DELETED,
                objects=ranges(row["number"] for row in session.all("object_numbers", share_id=share_id)),
                generation=manifest["generation"] if manifest else 0,
                links=[as_link(row) for row in session.all("links", share_id=share_id)],
            )

        return await self._database.run(work)

    async def check_writable(self, device_id: bytes, share_id: bytes) -> None:
        await self._database.run(lambda session: check_share(session, device_id, share_id, ShareEvent.WRITTEN))

    async def delete_share(self, device_id: bytes, share_id: bytes, now: float) -> None:
        def work(session: Session) -> None:
            check_share(session, device_id, share_id, ShareEvent.DELETED)
            bury_share(session, share_id, now)

        await self._database.run(work, erase=True)

    async def keep(self, device_id: bytes, stored: Stored, now: float) -> Kept:
        def work(session: Session) -> Kept:
            check_share(session, device_id, stored.name.share_id, ShareEvent.WRITTEN)
            kept = _keep_object(session, stored) if stored.name.kind == "object" else _keep_manifest(session, stored)
            if kept.new:
                session.change("touch_share", share_id=stored.name.share_id, now=int(now))
            return kept

        return await self._database.run(work)

    async def object(self, share_id: bytes, number: int) -> Stored | None:
        def work(session: Session) -> Stored | None:
            row = session.one("object", share_id=share_id, number=number)
            return Stored(ObjectName(share_id, "object", number, row["digest"]), row["size"]) if row else None

        return await self._database.run(work)

    async def manifest(self, share_id: bytes) -> Stored | None:
        return await self._database.run(lambda session: _manifest(session, share_id))


def _manifest(session: Session, share_id: bytes) -> Stored | None:
    row = session.one("manifest", share_id=share_id)
    return Stored(ObjectName(share_id, "manifest", row["generation"], row["digest"]), row["size"]) if row else None


def _values(stored: Stored) -> dict[str, object]:
    name = stored.name
    return {"share_id": name.share_id, "number": name.number, "digest": name.digest, "size": stored.size}


def _keep_object(session: Session, stored: Stored) -> Kept:
    row = session.one("object", share_id=stored.name.share_id, number=stored.name.number)
    if row is None:
        session.change("add_object", **_values(stored))
        return Kept(new=True)
    if row["digest"] != stored.name.digest:
        raise AlreadyDifferentError
    return Kept(new=False)


def _keep_manifest(session: Session, stored: Stored) -> Kept:
    old = _manifest(session, stored.name.share_id)
    if old is None or old.name.number < stored.name.number:
        session.change("set_manifest", **_values(stored))
        return Kept(new=True, unwanted=old.name if old else None)
    if old.name.number > stored.name.number:
        return Kept(new=False, unwanted=stored.name)
    if old.name.digest != stored.name.digest:
        raise AlreadyDifferentError
    return Kept(new=False)
