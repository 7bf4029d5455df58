"""What time alone brings about: studies fall quiet, links expire, shares close, spool files become free."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence

from appliance.core.completeness import fell_quiet
from appliance.core.link import LinkEvent, LinkState
from appliance.core.share import ShareEvent
from appliance.daemon.bell import Bell
from appliance.daemon.judging import Judging
from appliance.daemon.receiving import Receiving
from appliance.daemon.transfers import Transfers
from appliance.daemon.transitions import Transitions
from appliance.ports import Journal, Row, SpoolReader, Transaction

log = logging.getLogger("slipway.sweeping")

EVERY_S = 1.0
FILES_EVERY = 10  # sweeps between two looks at the spool's files
JUDGED_AFTER_S = 1.0  # while images come in, counting them each second would only slow them down
TRAIL_EVERY = 60  # sweeps between two looks at the old end of whatever is not kept for ever

CLOCK_WENT_BACK = (
    "clock_went_back_for_studies",
    "clock_went_back_for_shares",
    "clock_went_back_for_growth",
    "clock_went_back_for_requests",
)


class Sweeping:
    def __init__(
        self,
        journal: Journal,
        spool: SpoolReader,
        receiving: Receiving,
        transfers: Transfers,
        transitions: Transitions,
        judging: Judging,
        quiet_s: Mapping[str, float],
        bell: Bell,
        clock: Callable[[], float],
        vault_now: Callable[[], float | None],
        *,
        is_pending: Callable[[bytes], bool] = lambda _: False,
        waited_for: Callable[[Transaction], Collection[int]] = lambda _: (),
        keep_trail_s: float,
        forget_old: Sequence[Callable[[Transaction], None]] = (),
        every_s: float = EVERY_S,
    ) -> None:
        self._journal = journal
        self._spool = spool
        self._receiving = receiving
        self._transfers = transfers
        self._transitions = transitions
        self._judging = judging
        self._quiet_s = quiet_s  # by profile
        self._bell = bell
        self._clock = clock
        self._vault_now = vault_now  # None before the vault has said what time it is
        self._is_pending = is_pending  # whether the PACS is still being asked of that study
        self._waited_for = waited_for  # shares that a request for them still gathers
        self._keep_trail_s = keep_trail_s
        self._forget_old = forget_old
        self._every_s = every_s

    async def run(self) -> None:
        sweeps = 0
        while True:
            await asyncio.sleep(self._every_s)
            changed = await self._journal.run(self._sweep)
            if changed:
                self._bell.ring()
            await self._receiving.learn_quotas()
            sweeps += 1
            if sweeps % FILES_EVERY == 0:
                await self._free_files()
            if sweeps % TRAIL_EVERY == 0:
                await self._journal.run(self._shorten_trail)
                for forget in self._forget_old:
                    await self._journal.run(forget)

    def _sweep(self, tx: Transaction) -> int:
        for name in CLOCK_WENT_BACK:
            tx.do(name, now=self._clock())  # else they would wait until it is there again
        if self._receiving.recovering:  # more of these studies is on the disk than the journal knows
            return self._expire(tx)
        return self._judge(tx) + self._expire(tx) + self._close(tx)

    def _judge(self, tx: Transaction) -> int:
        changed = 0
        for study in tx.all("arriving_studies"):
            quiet_s = self._quiet_s.get(study["profile"], 30.0)
            if self._is_quiet(study, quiet_s):
                self._judging.fell_quiet(tx, study, quiet_s)
                changed += 1
            elif self._clock() - study["grown_at"] >= JUDGED_AFTER_S:
                changed += self._judging.judge(tx, study)
        return changed

    def _is_quiet(self, study: Row, quiet_s: float) -> bool:
        sending = self._transfers.is_sending(study["study_key"]) or self._is_pending(study["study_key"])
        return fell_quiet(study["grown_at"], self._clock(), quiet_s, still_sending=sending)

    def _expire(self, tx: Transaction) -> int:
        changed, now = 0, self._vault_now()
        if now is None:  # our own clock may be years off, and what is destroyed stays so
            return 0
        for link in tx.all("links_with_expiry"):
            if link["state"] == LinkState.ACTIVE and now >= link["expires_at"]:
                self._transitions.link(tx, link["id"], LinkEvent.EXPIRED)
                changed += 1
            elif link["state"] == LinkState.EXPIRED and now >= link["expires_at"] + link["grace_s"]:
                self._transitions.link(tx, link["id"], LinkEvent.GRACE_ENDED)
                changed += 1
        return changed

    def _close(self, tx: Transaction) -> int:
        never_asked_for = {row["id"] for row in tx.all("shares_never_asked_for", now=self._clock())}
        settled = {row["id"] for row in tx.all("settled_shares", now=self._clock())}
        if never_asked_for or settled:
            waited_for = self._waited_for(tx)
            never_asked_for.difference_update(waited_for)
            settled.difference_update(waited_for, never_asked_for)
        for share in sorted(never_asked_for):
            self._transitions.share(tx, share, ShareEvent.REVOKED, "nobody asked for it within the visit")
        for share in sorted(settled):
            self._transitions.share(tx, share, ShareEvent.DELIVERED)
        return len(settled)

    def _shorten_trail(self, tx: Transaction) -> None:
        """By the vault's clock: by ours, were it ahead, the whole trail would be too old.

        And never by age before the vault has been heard of for so long: a box that started in 1970 wrote so.
        """
        now = self._vault_now()
        if now is None:
            self._transitions.trail.shorten(tx, None)
            return
        known = tx.first("get_meta", key="vault_since")
        if known is None:
            tx.do("put_meta", key="vault_since", value=str(now))
        old_enough = known is not None and now - self._keep_trail_s >= float(known["value"])
        self._transitions.trail.shorten(tx, now - self._keep_trail_s if old_enough else None)

    async def _free_files(self) -> None:
        """Delete the spool files of which everything is at the vault (or revoked, or a copy of what is)."""
        rows = await self._journal.run(lambda tx: tx.all("live_files"))
        needed = {number for row in rows for number in range(row["first_file"], row["last_file"] + 1)}
        files = self._spool.files()
        free = [number for number in files[:-1] if number not in needed]
        if free and not self._receiving.behind:
            for number in free:
                self._spool.remove(number)
            await self._journal.run(self._drop_delivered)

    def _drop_delivered(self, tx: Transaction) -> None:
        """Rows that nothing needs any more: no spool file could bring their instances up again."""
        oldest = min(self._spool.files(), default=0)
        for name in ("count_dropped", "drop_delivered_instances"):
            tx.do(name, oldest_file=oldest)
        tx.do("drop_delivered_objects")
