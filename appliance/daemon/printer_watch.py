"""Looks at the printer every few seconds, slip or no slip, so that staff hear of trouble before a patient waits.

What is wrong is said once in the log and stands in `slipway status` for as long as it is so. Nothing is printed here.
"""

from __future__ import annotations

import asyncio
import logging

from appliance.ports import Printer, PrinterStatus

log = logging.getLogger("slipway.printing")

LOOK_EVERY_S = 4.0  # staff are told within 5 s of the beginning
HELD_S = 2.0  # between two looks that both find the feed button pressed: it is held, not tapped to feed paper


class PrinterWatch:
    def __init__(self, printer: Printer, *, look_every_s: float = LOOK_EVERY_S, held_s: float = HELD_S) -> None:
        self._printer = printer
        self._look_every_s = look_every_s
        self._held_s = held_s
        self.button_held = asyncio.Event()  # until somebody clears it
        self._complaint = ""  # of the printer, when it was last asked
        self._suspicion = ""  # what its slips say against it, although it says that it is well
        self.in_doubt = False  # it may still hold a part of a slip that nobody wants any more

    async def run(self) -> None:
        while True:
            status = await self.look()
            if status.feed_button:
                await asyncio.sleep(self._held_s)
                if (await self.look()).feed_button:
                    self.button_held.set()
            await asyncio.sleep(self._look_every_s)

    async def look(self) -> PrinterStatus:
        status = await self._printer.status()
        self._note(status)
        return status

    async def is_ready(self) -> bool:
        return (await self.look()).ready

    @property
    def trouble(self) -> str:
        """One sentence, "" when all is well."""
        return self._complaint or self._suspicion

    def suspect(self, what: str) -> None:
        if what != self._suspicion:
            log.error("the printer: %s", what)
        self._suspicion = what

    def trust(self) -> None:
        self._suspicion = ""

    def _note(self, status: PrinterStatus) -> None:
        complaint = "" if status.ready or status.feed_button else status.detail or "not ready"
        if complaint != self._complaint:
            log.warning("the printer: %s", complaint or "ready again")
        self._complaint = complaint
