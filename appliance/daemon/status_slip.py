"""Prints the slips about the box itself: its status, when somebody asks or holds the printer's feed button, and what
to do with a box that is not enrolled yet, once a boot; and what whoever scans must know.

How they look is `formats/status_slip.py` and `slip_scanned.py`; that no patient's slip waits behind one is `printing`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from PIL import Image

from appliance.daemon.printer_watch import PrinterWatch
from appliance.daemon.printing import Printing
from appliance.errors import PrinterUnreachableError, SlipwayError
from appliance.formats import escpos, slip_bitmap, slip_scanned, status_slip
from appliance.formats.printer_profiles import Profile
from appliance.formats.slip_scanned import ScannedFace
from appliance.formats.status_slip import Place, SetupFace, StatusFace
from appliance.ports import Journal, Printer, PrintJob, PrintOutcome, Transaction

log = logging.getLogger("slipway.printing")

AGAIN_AFTER_S = 10.0  # a finger that stays on the button wants one slip
SETUP_LOOK_S = 5.0
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - what a listener says, not where one is opened
OUT = (PrintOutcome.PRINTED, PrintOutcome.TAKEN)


@dataclass(frozen=True)
class Machine:
    """What the machine says of itself."""

    host: str
    addresses: tuple[str, ...]
    fingerprint: str
    clock: bool | None


@dataclass(frozen=True)
class Outside:
    """What answers to the box: by AE title what is in the way of an echo, and the vault's state."""

    echoes: tuple[tuple[str, str], ...]
    vault_reached: bool
    vault_since: float | None


class Marker(Protocol):
    """A note that outlives the service."""

    def is_there(self) -> bool: ...

    def leave(self) -> None: ...


class StatusSlips:
    def __init__(
        self,
        journal: Journal,
        printing: Printing,
        printer: Printer,
        watch: PrinterWatch,
        model: Profile,
        paper_mm: int,
        language: str,
        status: Callable[[], Awaitable[Mapping[str, Any]]],
        machine: Callable[[], Machine],
        outside: Callable[[], Awaitable[Outside]],
        monotonic: Callable[[], float],
        clock: Callable[[], float],
        needs_set_up: Callable[[], bool],
        marker: Marker,
        *,
        setup_look_s: float = SETUP_LOOK_S,
    ) -> None:
        """`status`: the answer to `slipway status`. `outside` ends within seconds. `marker` is there
        once this boot's set-up slip is out."""
        self._journal = journal
        self._printing = printing
        self._printer = printer
        self._watch = watch
        self._model = model
        self._dots = model.dots(paper_mm)
        self._language = language
        self._status = status
        self._machine = machine
        self._outside = outside
        self._monotonic = monotonic
        self._clock = clock
        self._needs_set_up = needs_set_up
        self._marker = marker
        self._set_up_tried = False
        self._setup_look_s = setup_look_s
        self._quiet_until = 0.0  # monotonic
        self._under_way = False

    async def run(self) -> None:
        while True:
            held = False
            with contextlib.suppress(TimeoutError):
                held = await asyncio.wait_for(self._watch.button_held.wait(), self._setup_look_s)
            try:
                await (self._answer_button() if held else self._set_up())
            except SlipwayError as error:  # a font is missing, …: no reason to stop receiving
                log.warning("no slip about the box: %s. %s", error.summary, error.hint)

    async def _answer_button(self) -> None:
        self._watch.button_held.clear()
        log.info("somebody holds the printer's feed button")
        await self._print_status()

    async def print_status(self, _: dict[str, Any]) -> dict[str, Any]:
        """{"printed": False} for one that was asked for while the last was hardly out. PrinterUnreachableError."""
        if not await self._watch.is_ready():
            raise PrinterUnreachableError(f"the status slip cannot come out: {self._watch.trouble or 'not ready'}")
        return {"printed": await self._print_status()}

    async def _print_status(self) -> bool:
        if self._under_way or self._monotonic() < self._quiet_until:
            return False
        self._under_way = True
        try:
            face = await self._face()
            picture = await asyncio.to_thread(status_slip.status, face, self._dots)
            outcome = await self._print("STATUS", picture)
        finally:
            self._under_way = False
            self._quiet_until = self._monotonic() + AGAIN_AFTER_S
        if outcome not in OUT:
            trouble = self._watch.trouble or "a patient's slip is before it, or nothing was confirmed"
            raise PrinterUnreachableError(f"the status slip did not come out: {trouble}")
        return True

    async def print_scanned(self, said: ScannedFace) -> None:
        """A short paper for whoever scans and sees no screen. PrinterUnreachableError when it did not come out."""
        face = replace(said, site=(await self._status())["site"], language=self._language)
        picture = await asyncio.to_thread(slip_scanned.render, face, self._dots)
        if await self._print("NOTICE", picture) not in OUT:
            raise PrinterUnreachableError("the printer is not ready, or a patient's slip is before it")

    async def _print(self, number: str, picture: Image.Image) -> PrintOutcome:
        process_id = number[:4].encode()  # of no patient's slip: theirs are hexadecimal
        data = escpos.slip(picture, self._model, process_id)
        return await self._printing.print_aside(PrintJob(number, data, slip_bitmap.png(picture), process_id))

    # -- what they say ---------------------------------------------------------------------------------------------

    async def _face(self) -> StatusFace:
        outside = await self._outside()
        facts, machine = await self._status(), await asyncio.to_thread(self._machine)
        waiting = await self._journal.run(_waiting)
        return StatusFace(
            place=self._place(facts, machine),
            host=machine.host,
            version=facts["version"],
            at=_local(self._clock()),
            clock=machine.clock,
            echoes=outside.echoes,
            vault=facts["vault"].partition("://")[2] if facts["enrolled"] else "",
            vault_reached=outside.vault_reached,
            vault_since=_local(outside.vault_since) if outside.vault_since else None,
            waiting_images=waiting["images"],
            waiting_bytes=waiting["bytes"],
            slips_waiting=facts["slips_waiting"] + len(facts["slips_locked"]),
            paper=str((await self._printer.status()).paper),
            free_bytes=facts["spool_free_bytes"],
            wrong=tuple((one["what"], one["do"]) for one in facts["sentences"] if one["level"] != "ok"),
        )

    def _place(self, facts: Mapping[str, Any], machine: Machine) -> Place:
        return Place(
            site=facts["site"],
            language=self._language,
            addresses=machine.addresses,
            ae_titles=tuple(facts["ae_titles"]),
            ports=tuple(dict.fromkeys(map(_port, facts["listening"]))),
            fingerprint=machine.fingerprint,
        )

    # -- first boot ------------------------------------------------------------------------------------------------

    async def _set_up(self) -> None:
        if self._set_up_tried or not self._needs_set_up() or self._marker.is_there():
            return
        if not await self._watch.is_ready():
            return
        facts, machine = await self._status(), await asyncio.to_thread(self._machine)
        face = _setup_face(self._place(facts, machine), facts["vault"])
        self._set_up_tried = True  # whatever becomes of it: paper without end would be worse than none
        picture = await asyncio.to_thread(status_slip.setup, face, self._dots)
        if await self._print("SETUP", picture) is PrintOutcome.REFUSED:
            self._set_up_tried = False
        else:
            await asyncio.to_thread(self._marker.leave)


def _setup_face(place: Place, vault: str) -> SetupFace:
    address = _bracketed(place.addresses[0]) if place.addresses else ""
    login = f"ssh root@{place.addresses[0]}" if address else "ssh root@ADDRESS"
    enrol = f"slipway enrol {vault or 'https://VAULT'} CODE"
    return SetupFace(place, (login, enrol), f"ssh://root@{address}" if address else "")


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _port(listening: str) -> str:
    """Of HOST:PORT, and the host where it is one of several: a modality elsewhere would call in vain."""
    where, space, tls = listening.partition(" ")
    host, _, port = where.rpartition(":")
    return (port if host.strip("[]") in EVERYWHERE else where) + space + tls


def _waiting(tx: Transaction) -> dict[str, Any]:
    return tx.one("count_waiting_images")


def _local(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone()
