"""The part of the SQLite ledger that keeps links: the proof counter, expiry, and destruction. See ports.Links."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from vault.core import LINK, Link, LinkEvent, LinkState, ShareEvent, after
from vault.database import Database, Session
from vault.errors import LinkUnknownError, WrongFactorError
from vault.ledger_shares import as_link, check_share
from vault.ports import NewLink, Opened


class LinkLedger:
    _database: Database

    async def make_link(self, device_id: bytes, link: NewLink, now: float) -> tuple[Link, bool]:
        def work(session: Session) -> tuple[Link, bool]:
            check_share(session, device_id, link.share_id, ShareEvent.WRITTEN)
            row = session.one("link", link_id=link.link_id)
            if row is None:
                session.change("add_link", **vars(link), expires_at=int(now) + link.expires_in_s)
                session.change("touch_share", share_id=link.share_id, now=int(now))
                return as_link(_row(session, link.link_id)), True
            same = all(row[name] == value for name, value in vars(link).items())
            after(LINK, as_link(row).state(now), LinkEvent.PUT if same else LinkEvent.PUT_OTHER)
            return as_link(row), False

        return await self._database.run(work)

    async def renew_link(
        self, device_id: bytes, share_id: bytes, link_id: bytes, expires_in_s: int, now: float
    ) -> Link:
        def work(session: Session) -> Link:
            check_share(session, device_id, share_id, ShareEvent.CHANGED)
            after(LINK, _state(session, share_id, link_id, now), LinkEvent.RENEWED)
            session.change("renew_link", link_id=link_id, expires_at=int(now) + expires_in_s)
            session.change("touch_share", share_id=share_id, now=int(now))
            return as_link(_row(session, link_id))

        return await self._database.run(work)

    async def destroy_link(self, device_id: bytes, share_id: bytes, link_id: bytes, now: float) -> None:
        def work(session: Session) -> None:
            check_share(session, device_id, share_id, ShareEvent.CHANGED)
            state = _state(session, share_id, link_id, now)
            after(LINK, state, LinkEvent.REVOKED)
            statement = "add_tombstone" if state is LinkState.ABSENT else "destroy_link"
            session.change(statement, link_id=link_id, share_id=share_id, now=int(now))

        await self._database.run(work, erase=True)

    async def link(self, link_id: bytes) -> Link | None:
        def work(session: Session) -> Link | None:
            row = session.one("link", link_id=link_id)
            return as_link(row) if row else None

        return await self._database.run(work)

    async def open_link(self, link_id: bytes, is_right: Callable[[bytes], bool], now: float) -> Opened:
        def work(session: Session) -> Opened | int:
            row = session.one("count_try", link_id=link_id, now=now)
            if row is None:  # no such link, or none that can be opened: let the table say which
                found = session.one("link", link_id=link_id)
                after(LINK, as_link(found).state(now) if found else LinkState.ABSENT, LinkEvent.ASKED)
                raise LinkUnknownError  # not reached: an askable link has a try to count
            if not is_right(row["verifier"]):
                return as_link(row).tries_left
            session.change("give_try_back", link_id=link_id, now=int(now))
            return Opened(as_link(_row(session, link_id)), row["share_key"], row["envelope"])

        outcome = await self._database.run(work)
        if isinstance(outcome, int):  # raised out here, so that the count is committed
            raise WrongFactorError(tries_left=outcome)
        return outcome


def _row(session: Session, link_id: bytes) -> sqlite3.Row:
    row = session.one("link", link_id=link_id)
    if row is None:
        raise LinkUnknownError
    return row


def _state(session: Session, share_id: bytes, link_id: bytes, now: float) -> LinkState:
    """Of a link within its share; one of another share is nobody's business."""
    row = session.one("link", link_id=link_id)
    if row is None:
        return LinkState.ABSENT
    if row["share_id"] != share_id:
        raise LinkUnknownError
    return as_link(row).state(now)
