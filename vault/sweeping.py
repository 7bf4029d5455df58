"""What the vault deletes by itself, and when: docs/wire.md, "What the vault deletes". Expiry itself needs no sweep."""

from __future__ import annotations

import logging
from typing import NoReturn

from vault.errors import BrokenError, VaultError
from vault.ports import Clock, Objects, Swept, Upkeep

LOG = logging.getLogger("slipway.vault")
SWEEP_EVERY_S = 60.0


async def sweep(ledger: Upkeep, objects: Objects, clock: Clock) -> Swept:
    """One round. Rows first, then files: what a crash leaves between the two, the next round deletes."""
    links = shares = 0
    while True:
        swept = await ledger.expire(clock.now())
        links += swept.links_destroyed
        shares += swept.shares_deleted
        unpurged = await ledger.unpurged()
        for share_id in unpurged:
            await objects.delete_share(share_id)
            await ledger.purged(share_id)
        if not unpurged:
            return Swept(links, shares)


async def sweep_for_ever(ledger: Upkeep, objects: Objects, clock: Clock) -> NoReturn:
    """A round that fails is logged and tried again at the next: its links are dead by the clock all the same.

    Raises BrokenError, which ends the service.
    """
    while True:
        try:
            await sweep(ledger, objects, clock)
        except BrokenError:
            raise
        except VaultError as error:
            LOG.error("sweep failed: %s", error.code)
        await clock.sleep(SWEEP_EVERY_S)
