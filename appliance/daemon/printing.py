"""Prints queued slips, one at a time. PRINTING is journalled before the first byte leaves.

What comes back decides: printed; taken (staff are asked, see `slip_desk`); not started (try again); or unknown, and
then that link is revoked and another slip with another link is queued, so that no doubtful paper works. A profile's
copies of a slip have the same code on purpose: they are one slip, and what is unknown of one is unknown of all.

Where a link has a PIN, a paper that tells it to staff follows its slip. It opens nothing by itself, so it is printed
again until it has come out.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from math import inf
from typing import Any, TypeVar

from appliance.core.link import LinkState
from appliance.core.slip import SlipEvent, SlipState
from appliance.core.table import Effect
from appliance.daemon.bell import Bell
from appliance.daemon.facing import SlipLook, face, pin_face
from appliance.daemon.paper import STAFF_SLIP, slip_jobs, staff_slip_job
from appliance.daemon.printer_watch import PrinterWatch
from appliance.daemon.slip_desk import SlipDesk
from appliance.daemon.specimen import specimen
from appliance.daemon.transitions import Transitions
from appliance.errors import SlipwayError
from appliance.formats import escpos
from appliance.formats.printer_profiles import Confirmation, Profile
from appliance.formats.sealed import Sealer
from appliance.ports import Journal, Printer, PrintJob, PrintOutcome, Row, Transaction

log = logging.getLogger("slipway.printing")
T = TypeVar("T")

# A PIN comes out behind its slip, before the next patient's.
KINDS = tuple(json.dumps([kind]) for kind in (Effect.PRINT_STAFF_SLIP, Effect.PRINT_SLIP))
POLL_S = 5.0
REFUSED_PAUSE_S = 3.0  # paper out, cover open: look again soon, staff stand before it
UNDRAWN_PAUSE_S = 60.0
DOUBTS_IN_A_ROW = 3  # unconfirmed slips after which the printer, not the paper, is the likely cause
DOUBT_PAUSE_S = 60.0
REHEARSAL_PAUSE_S = 45.0  # well again after a doubt, a printer must have printed within two minutes
ASIDE_WITHIN_S = 40.0  # whoever asks stands before the printer, and the command waits for a minute
LAST_SLIP_S = 25.0  # the box is told to stop: what a slip under way gets of systemd's TimeoutStopSec (30 s)


CONFIRMS_NOTHING = (
    "it says that it is ready, but it does not confirm as its model does, so no slip is sent. "
    "Check [printer] model: see docs/printers.md"
)


@dataclass(frozen=True, eq=False)
class Aside:
    job: PrintJob
    outcome: asyncio.Future[PrintOutcome]


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
        watch: PrinterWatch,
        desk: SlipDesk,
        *,
        poll_s: float = POLL_S,
        refused_pause_s: float = REFUSED_PAUSE_S,
        last_slip_s: float = LAST_SLIP_S,
        doubt_pause_s: float = DOUBT_PAUSE_S,
        rehearsal_pause_s: float = REHEARSAL_PAUSE_S,
    ) -> None:
        self._journal = journal
        self._printer = printer
        self._model = model
        self._look = look
        self._transitions = transitions
        self._sealer = sealer
        self._bell = bell
        self._clock = clock
        self._watch = watch
        self._desk = desk
        self._poll_s = poll_s
        self._refused_pause_s = refused_pause_s
        self._last_slip_s = last_slip_s
        self._doubt_pause_s = doubt_pause_s
        self._rehearsal_pause_s = rehearsal_pause_s
        self._doubts = 0  # slips in a row of which nobody knows whether they came out
        self._turn = asyncio.Lock()  # one paper at a time, whoever asks for it
        self._aside: deque[Aside] = deque()  # papers about the box, which wait until no patient's slip is due

    async def recover(self) -> None:
        """Slips that were printing when the box stopped: nobody knows what came out."""
        await asyncio.to_thread(escpos.library)  # now, as loading it takes longer than drawing the first slip
        await self._journal.run(self._lose_interrupted)

    def _lose_interrupted(self, tx: Transaction) -> None:
        for row in tx.all("slips_printing"):
            self._transitions.slip(tx, row["id"], SlipEvent.LOST)
        newest = tx.first("newest_slip_at_printer")
        lost = newest is not None and newest["state"] == SlipState.UNKNOWN
        self._watch.in_doubt = lost or bool(tx.all("due_effects", kinds=KINDS[0], now=inf, limit=1))

    async def print_specimen(self) -> PrintOutcome:
        """What `slipway printer test` asks for; waits for a slip that is under way."""
        job = await asyncio.to_thread(specimen, self._look, self._model)
        async with self._turn:
            outcome = await self._to_printer(job)
        log.info("the test slip: %s", outcome)
        return outcome

    async def print_aside(self, job: PrintJob, within_s: float = ASIDE_WITHIN_S) -> PrintOutcome:
        """A paper about the box, once no patient's slip is due. REFUSED when that was not so in time."""
        aside = Aside(job, asyncio.get_running_loop().create_future())
        self._aside.append(aside)
        self._bell.ring()
        try:
            await asyncio.wait([aside.outcome], timeout=within_s)
            if aside in self._aside:
                return PrintOutcome.REFUSED
            return await aside.outcome
        finally:
            if aside in self._aside:
                self._aside.remove(aside)

    async def run(self) -> None:
        listener = self._bell.listener()
        while True:
            await self._journal.run(self._desk.look_through)
            due = await self._due(self._clock())
            if due and due["kind"] == Effect.PRINT_STAFF_SLIP:
                await self._try_staff_slip(due)
            elif due:
                await self._try(due)
            elif self._aside and await self._watch.is_ready() and await self._nobody_waits() and self._aside:
                await self._to_its_end(self._print_aside(self._aside.popleft()))
            else:
                await listener.wait(self._refused_pause_s if self._aside else self._poll_s)

    async def _due(self, now: float) -> Row | None:
        def work(tx: Transaction) -> Row | None:
            return next((row for kinds in KINDS for row in tx.all("due_effects", kinds=kinds, now=now, limit=1)), None)

        return await self._journal.run(work)

    async def _nobody_waits(self) -> bool:
        """A slip that the printer has just refused is still before any paper about the box."""
        return await self._due(self._clock() + self._refused_pause_s) is None

    async def _print_aside(self, aside: Aside) -> None:
        async with self._turn:
            outcome = await self._to_printer(aside.job)
        log.info("slip %s: %s", aside.job.number, outcome)
        if not aside.outcome.done():
            aside.outcome.set_result(outcome)

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Also when the box is told to stop meanwhile: half a slip is dead paper, and in the next one's way."""
        paper = asyncio.create_task(work)
        try:
            return await asyncio.shield(paper)
        except asyncio.CancelledError:
            await asyncio.wait([paper], timeout=self._last_slip_s)
            raise

    async def _try(self, effect: Row) -> None:
        rows = await self._journal.run(lambda tx: self._collect(tx, effect))
        if rows is None:
            return
        if not await self._watch.is_ready():
            await asyncio.sleep(self._refused_pause_s)  # there is one printer: the other slips would fare no better
            return
        try:
            copies = await asyncio.to_thread(self._render, *rows)
        except SlipwayError as error:  # a font is missing, …: no reason to stop receiving
            await self._put_off(effect, error)
            return
        await self._breathe(await self._to_its_end(self._print(effect, copies)))

    async def _put_off(self, effect: Row, error: SlipwayError) -> None:
        log.error("a slip cannot be drawn: %s. %s", error.summary, error.hint)
        later = self._clock() + UNDRAWN_PAUSE_S
        await self._journal.run(lambda tx: tx.do("effect_failed", id=effect["id"], not_before=later))

    async def _try_staff_slip(self, effect: Row) -> None:
        rows = await self._journal.run(lambda tx: self._collect_staff_slip(tx, effect))
        if rows is None:
            return
        if not await self._watch.is_ready():
            await asyncio.sleep(self._refused_pause_s)
            return
        try:
            job = await asyncio.to_thread(self._render_staff_slip, *rows)
        except SlipwayError as error:
            await self._put_off(effect, error)
            return
        await self._breathe(await self._to_its_end(self._print_staff_slip(effect, job)))

    async def _print_staff_slip(self, effect: Row, job: PrintJob) -> PrintOutcome:
        async with self._turn:
            outcome = await self._to_printer(job, "so it is printed again")
        log.info("slip %s: %s", job.number, outcome)
        if outcome is PrintOutcome.TAKEN:
            slip = job.number.removesuffix(STAFF_SLIP)
            log.warning("look whether the PIN of slip %s came out; if not: slipway slips pin %s", slip, slip)
        if outcome in (PrintOutcome.PRINTED, PrintOutcome.TAKEN):
            await self._journal.run(lambda tx: self._told(tx, effect, job))
        elif outcome is PrintOutcome.REFUSED:
            await asyncio.sleep(self._refused_pause_s)
        return outcome

    def _told(self, tx: Transaction, effect: Row, job: PrintJob) -> None:
        tx.do("effect_done", id=effect["id"])
        self._transitions.note(tx, effect["share"], f"staff slip {job.number} printed")

    async def _print(self, effect: Row, copies: list[PrintJob]) -> PrintOutcome:
        async with self._turn:
            if await self._journal.run(lambda tx: self._start(tx, effect)) is not SlipState.PRINTING:
                return PrintOutcome.REFUSED
            outcome = await self._print_all(copies)
        log.info("slip %s: %s", copies[0].number, outcome)
        if outcome is PrintOutcome.TAKEN:
            log.warning("look whether slip %s came out well: slipway slips confirm, or lost", copies[0].number)
        await self._journal.run(lambda tx: self._settle(tx, effect, outcome))
        self._bell.ring()
        if outcome is PrintOutcome.UNKNOWN:
            await self._watch.is_ready()  # what ended this slip is told at once
        return outcome

    async def _print_all(self, copies: list[PrintJob]) -> PrintOutcome:
        """What is known of all of them: one that did not come out, after others did, leaves the slip in doubt."""
        outcomes: list[PrintOutcome] = []
        for job in copies:
            outcomes.append(await self._to_printer(job))
            if outcomes == [PrintOutcome.REFUSED]:
                return PrintOutcome.REFUSED
            if outcomes[-1] in (PrintOutcome.REFUSED, PrintOutcome.UNKNOWN):
                return PrintOutcome.UNKNOWN
        return PrintOutcome.TAKEN if PrintOutcome.TAKEN in outcomes else PrintOutcome.PRINTED

    async def _to_printer(self, job: PrintJob, in_doubt: str = "so it is dead paper") -> PrintOutcome:
        outcome = await self._printer.print(replace(job, after_doubt=self._watch.in_doubt))
        if outcome is PrintOutcome.REFUSED and self._watch.in_doubt and self._confirms and await self._watch.is_ready():
            self._watch.suspect(CONFIRMS_NOTHING)
        elif outcome is not PrintOutcome.REFUSED:
            self._watch.in_doubt = outcome is PrintOutcome.UNKNOWN
            if outcome is PrintOutcome.UNKNOWN:
                self._watch.suspect(f"nobody knows whether slip {job.number} came out, {in_doubt}")
        return outcome

    @property
    def _confirms(self) -> bool:
        return self._model.confirmation is Confirmation.PROCESS_ID

    async def _breathe(self, outcome: PrintOutcome) -> None:
        """A printer that never confirms would print without end: each doubt is a revoked link and another slip."""
        if outcome in (PrintOutcome.PRINTED, PrintOutcome.TAKEN):
            self._doubts = 0
            self._watch.trust()
        elif outcome is PrintOutcome.REFUSED and self._watch.in_doubt:
            await asyncio.sleep(self._rehearsal_pause_s)
        elif outcome is PrintOutcome.UNKNOWN:
            self._doubts += 1
        if outcome is PrintOutcome.UNKNOWN and self._doubts >= DOUBTS_IN_A_ROW:
            pause = self._doubt_pause_s * 2 ** min(self._doubts - DOUBTS_IN_A_ROW, 5)
            self._watch.suspect(
                f"it has not confirmed {self._doubts} slips in a row; next try in {pause:.0f} s. "
                "If this model cannot confirm, choose another [printer] model: see docs/printers.md"
            )
            await asyncio.sleep(pause)

    def _start(self, tx: Transaction, effect: Row) -> SlipState:
        tx.do("effect_done", id=effect["id"])
        return self._transitions.slip(tx, effect["slip"], SlipEvent.STARTED)

    def _settle(self, tx: Transaction, effect: Row, outcome: PrintOutcome) -> None:
        event = {
            PrintOutcome.PRINTED: SlipEvent.CONFIRMED,
            PrintOutcome.TAKEN: SlipEvent.TAKEN,
            PrintOutcome.REFUSED: SlipEvent.REFUSED,
            PrintOutcome.UNKNOWN: SlipEvent.LOST,
        }[outcome]
        self._transitions.slip(tx, effect["slip"], event)
        if outcome is PrintOutcome.REFUSED:
            tx.do("put_off_slip", slip=effect["slip"], not_before=self._clock() + self._refused_pause_s)

    def _collect(self, tx: Transaction, effect: Row) -> tuple[Row, Row, Row, list[Row]] | None:
        slip, link = tx.one("slip", id=effect["slip"]), tx.one("link", id=effect["link"])
        share = tx.one("share", id=effect["share"])
        queued = slip["state"] == SlipState.QUEUED
        if queued and link["state"] == LinkState.ACTIVE and link["sealed"] and share["sealed"]:
            return slip, link, share, tx.all("studies", share=share["id"])
        if queued:  # expired while it waited: paper that opens nothing must not come out, another is made
            self._transitions.slip(tx, slip["id"], SlipEvent.OUTDATED)
        tx.do("effect_done", id=effect["id"])
        return None

    def _collect_staff_slip(self, tx: Transaction, effect: Row) -> tuple[Row, Row, Row] | None:
        slip, link = tx.one("slip", id=effect["slip"]), tx.one("link", id=effect["link"])
        share = tx.one("share", id=effect["share"])
        if link["pin"] and share["sealed"]:  # a link that is dead has forgotten its PIN
            return slip, link, share
        tx.do("effect_done", id=effect["id"])
        return None

    def _render(self, slip: Row, link: Row, share: Row, studies: list[Row]) -> list[PrintJob]:
        return slip_jobs(
            face(self._look, slip, link, share, self._sealer, studies), slip, share, self._model, self._look
        )

    def _render_staff_slip(self, slip: Row, link: Row, share: Row) -> PrintJob:
        return staff_slip_job(pin_face(self._look, slip, link, share, self._sealer), slip, self._model, self._look)
