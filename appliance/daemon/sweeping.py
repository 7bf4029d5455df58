"""What time alone brings about: studies fall quiet, links expire, shares close, spool files become free."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from appliance.core.completeness import STUDIES, StudyEvent, StudyState, fell_quiet
from appliance.core.link import LinkEvent, LinkState
from appliance.core.share import ShareEvent
from appliance.core.table import Effect
from appliance.daemon.bell import Bell
from appliance.daemon.placing import Placing
from appliance.daemon.receiving import Receiving
from appliance.daemon.transitions import Transitions
from appliance.ports import Journal, SpoolReader, Transaction

log = logging.getLogger("slipway.sweeping")

EVERY_S = 1.0
FILES_EVERY = 10  # sweeps between two looks at the spool's files


class Sweeping:
    def __init__(
        self,
        journal: Journal,
        spool: SpoolReader,
        receiving: Receiving,
        placing: Placing,
        transitions: Transitions,
        quiet_s: Mapping[str, float],
        bell: Bell,
        clock: Callable[[], float],
        vault_now: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._spool = spool
        self._receiving = receiving
        self._placing = placing
        self._transitions = transitions
        self._quiet_s = quiet_s  # by profile
        self._bell = bell
        self._clock = clock
        self._vault_now = vault_now

    async def run(self) -> None:
        sweeps = 0
        while True:
            await asyncio.sleep(EVERY_S)
            changed = await self._journal.run(self._sweep)
            if changed:
                self._bell.ring()
            sweeps += 1
            if sweeps % FILES_EVERY == 0:
                await self._free_files()

    def _sweep(self, tx: Transaction) -> int:
        return self._quieten(tx) + self._expire(tx) + self._close(tx)

    def _quieten(self, tx: Transaction) -> int:
        changed = 0
        for study in tx.all("arriving_studies"):
            sending = self._receiving.is_sending(self._placing.senders.get(study["id"], ()))
            quiet_s = self._quiet_s.get(study["profile"], 30.0)
            if fell_quiet(study["grown_at"], self._clock(), quiet_s, still_sending=sending):
                state, _ = STUDIES.advance(StudyState(study["state"]), StudyEvent.FELL_QUIET)
                source = f"no more images for {quiet_s:g} s"
                tx.do("set_study_state", id=study["id"], state=str(state), source=source)
                tx.do("share_dirty", id=study["share"])
                self._transitions.note(tx, study["share"], f"{source}; not checked")
                self._placing.senders.pop(study["id"], None)
                self._mint_waiting(tx, study["share"])
                changed += 1
        return changed

    def _mint_waiting(self, tx: Transaction, share: int) -> None:
        """A profile that prints on completion has been waiting for this."""
        if any(study["state"] == StudyState.ARRIVING for study in tx.all("studies", share=share)):
            return
        for effect in tx.all("effects_of_share", share=share):
            if effect["kind"] == Effect.MINT_LINK:
                tx.do("effect_done", id=effect["id"])
                self._transitions.mint_now(tx, share)

    def _expire(self, tx: Transaction) -> int:
        changed, now = 0, self._vault_now()
        for link in tx.all("links_with_expiry"):
            if link["state"] == LinkState.ACTIVE and now >= link["expires_at"]:
                self._transitions.link(tx, link["id"], LinkEvent.EXPIRED)
                changed += 1
            elif link["state"] == LinkState.EXPIRED and now >= link["expires_at"] + link["grace_s"]:
                self._transitions.link(tx, link["id"], LinkEvent.GRACE_ENDED)
                changed += 1
        return changed

    def _close(self, tx: Transaction) -> int:
        shares = tx.all("settled_shares", now=self._clock())
        for share in shares:
            self._transitions.share(tx, share["id"], ShareEvent.DELIVERED)
        return len(shares)

    async def _free_files(self) -> None:
        """Delete the spool files of which everything is at the vault (or revoked, or a copy of what is)."""
        rows = await self._journal.run(lambda tx: tx.all("live_files"))
        needed = {number for row in rows for number in range(row["first_file"], row["last_file"] + 1)}
        files = self._spool.files()
        free = [number for number in files[:-1] if number not in needed]
        if free and not self._receiving.behind:
            for number in free:
                self._spool.remove(number)
