"""Prints queued slips, one at a time. PRINTING is journalled before the first byte leaves.

What comes back decides: printed, not started (try again), or unknown, and then that link is revoked and another slip
with another link is queued, so that no code is ever on two papers and no doubtful paper works.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable
from dataclasses import replace

from appliance.core.link import LinkState
from appliance.core.slip import SlipEvent, SlipState
from appliance.core.table import Effect
from appliance.daemon.bell import Bell
from appliance.daemon.facing import SlipLook, face
from appliance.daemon.specimen import specimen
from appliance.daemon.transitions import Transitions
from appliance.errors import SlipwayError
from appliance.formats import escpos, slip_bitmap
from appliance.formats.printer_profiles import Confirmation, Profile
from appliance.formats.sealed import Sealer
from appliance.ports import Journal, Printer, PrinterStatus, PrintJob, PrintOutcome, Row, Transaction

log = logging.getLogger("slipway.printing")

KINDS = json.dumps([Effect.PRINT_SLIP])
POLL_S = 5.0
REFUSED_PAUSE_S = 3.0  # paper out, cover open: look again soon, staff stand before it
UNDRAWN_PAUSE_S = 60.0
DOUBTS_IN_A_ROW = 3  # unconfirmed slips after which the printer, not the paper, is the likely cause
DOUBT_PAUSE_S = 60.0
LAST_SLIP_S = 25.0  # the box is told to stop: what a slip under way gets of systemd's TimeoutStopSec (30 s)


class Printing:
    def __init__(
        self,
        journal: Journal,
        printer: Printer,
        model: Profile,
        look: SlipLook,
        transitions: Transitions,
        sealer: Sealer,
        bell: Bell,
        clock: Callable[[], float],
        *,
        poll_s: float = POLL_S,
        refused_pause_s: float = REFUSED_PAUSE_S,
        last_slip_s: float = LAST_SLIP_S,
        doubt_pause_s: float = DOUBT_PAUSE_S,
    ) -> None:
        self._journal = journal
        self._printer = printer
        self._model = model
        self._look = look
        self._transitions = transitions
        self._sealer = sealer
        self._bell = bell
        self._clock = clock
        self._poll_s = poll_s
        self._refused_pause_s = refused_pause_s
        self._last_slip_s = last_slip_s
        self._doubt_pause_s = doubt_pause_s
        self._doubts = 0  # slips in a row of which nobody knows whether they came out
        self._complaint = ""  # of the printer, when it was last asked
        self._turn = asyncio.Lock()  # one paper at a time, whoever asks for it

    async def recover(self) -> None:
        """Slips that were printing when the box stopped: nobody knows what came out."""
        await asyncio.to_thread(escpos.library)  # now, as loading it takes longer than drawing the first slip
        await self._journal.run(self._lose_interrupted)

    def _lose_interrupted(self, tx: Transaction) -> None:
        for row in tx.all("slips_printing"):
            self._transitions.slip(tx, row["id"], SlipEvent.LOST)

    async def print_specimen(self) -> PrintOutcome:
        """What `slipway printer test` asks for; waits for a slip that is under way."""
        job = await asyncio.to_thread(specimen, self._look, self._model)
        async with self._turn:
            outcome = await self._printer.print(job)
        log.info("the test slip: %s", outcome)
        return outcome

    async def run(self) -> None:
        listener = self._bell.listener()
        while True:
            now = self._clock()
            due = await self._journal.run(lambda tx: tx.all("due_effects", kinds=KINDS, now=now, limit=1))  # noqa: B023
            if due:
                await self._try(due[0])
            else:
                await listener.wait(self._poll_s)

    async def _try(self, effect: Row) -> None:
        rows = await self._journal.run(lambda tx: self._collect(tx, effect))
        if rows is None:
            return
        if not self._is_ready(await self._printer.status()):
            await asyncio.sleep(self._refused_pause_s)  # there is one printer: the other slips would fare no better
            return
        try:
            job = await asyncio.to_thread(self._render, *rows)
        except SlipwayError as error:  # a font is missing, …: no reason to stop receiving
            await self._put_off(effect, error)
            return
        slip = asyncio.create_task(self._print(effect, job))
        try:
            await asyncio.shield(slip)
        except asyncio.CancelledError:
            # Left PRINTING, this slip would be dead paper in somebody's hand: whether it came out would be unknown.
            await asyncio.wait([slip], timeout=self._last_slip_s)
            raise
        await self._breathe(slip.result())

    async def _put_off(self, effect: Row, error: SlipwayError) -> None:
        log.error("a slip cannot be drawn: %s. %s", error.summary, error.hint)
        later = self._clock() + UNDRAWN_PAUSE_S
        await self._journal.run(lambda tx: tx.do("effect_failed", id=effect["id"], not_before=later))

    def _is_ready(self, status: PrinterStatus) -> bool:
        complaint = "" if status.ready else status.detail or "not ready"
        if complaint != self._complaint:
            log.warning("the printer: %s", complaint or "ready again")
        self._complaint = complaint
        return status.ready

    async def _print(self, effect: Row, job: PrintJob) -> PrintOutcome:
        async with self._turn:
            if await self._journal.run(lambda tx: self._start(tx, effect)) is not SlipState.PRINTING:
                return PrintOutcome.REFUSED
            outcome = await self._printer.print(job)
        log.info("slip %s: %s", job.number, outcome)
        await self._journal.run(lambda tx: self._settle(tx, effect, outcome))
        self._bell.ring()
        return outcome

    async def _breathe(self, outcome: PrintOutcome) -> None:
        """A printer that never confirms would print without end: each doubt is a revoked link and another slip."""
        if outcome is PrintOutcome.PRINTED:
            self._doubts = 0
        elif outcome is PrintOutcome.UNKNOWN:
            self._doubts += 1
        if outcome is PrintOutcome.UNKNOWN and self._doubts >= DOUBTS_IN_A_ROW:
            pause = self._doubt_pause_s * 2 ** min(self._doubts - DOUBTS_IN_A_ROW, 5)
            log.error(
                "the printer has not confirmed %d slips in a row; next try in %.0f s. "
                "If this model cannot confirm, choose another [printer] model: see docs/printers.md",
                self._doubts,
                pause,
            )
            self._complaint = f"it did not confirm the last {self._doubts} slips"
            await asyncio.sleep(pause)

    def _start(self, tx: Transaction, effect: Row) -> SlipState:
        tx.do("effect_done", id=effect["id"])
        return self._transitions.slip(tx, effect["slip"], SlipEvent.STARTED)

    def _settle(self, tx: Transaction, effect: Row, outcome: PrintOutcome) -> None:
        event = {
            PrintOutcome.PRINTED: SlipEvent.CONFIRMED,
            PrintOutcome.REFUSED: SlipEvent.REFUSED,
            PrintOutcome.UNKNOWN: SlipEvent.LOST,
        }[outcome]
        self._transitions.slip(tx, effect["slip"], event)
        if outcome is PrintOutcome.REFUSED:
            tx.do("put_off_slip", slip=effect["slip"], not_before=self._clock() + self._refused_pause_s)

    def _collect(self, tx: Transaction, effect: Row) -> tuple[Row, Row, Row] | None:
        slip, link = tx.one("slip", id=effect["slip"]), tx.one("link", id=effect["link"])
        share = tx.one("share", id=effect["share"])
        queued = slip["state"] == SlipState.QUEUED
        if queued and link["state"] == LinkState.ACTIVE and link["sealed"] and share["sealed"]:
            return slip, link, share
        if queued:  # expired while it waited: paper that opens nothing must not come out, another is made
            self._transitions.slip(tx, slip["id"], SlipEvent.OUTDATED)
        tx.do("effect_done", id=effect["id"])
        return None

    def _render(self, slip: Row, link: Row, share: Row) -> PrintJob:
        said = face(self._look, slip, link, share, self._sealer)
        picture = slip_bitmap.render(said, self._model.dots(self._look.paper_mm))
        process_id = os.urandom(2).hex().encode()  # 4 printable bytes, never the same in a row
        data = escpos.slip(picture, self._model, process_id)
        copies = self._look.of(share["profile"]).copies
        silent = replace(self._model, confirmation=Confirmation.NONE)  # only the last copy is asked to confirm
        data = escpos.slip(picture, silent, process_id) * (copies - 1) + data
        return PrintJob(slip["number"], data, slip_bitmap.png(picture), process_id)
