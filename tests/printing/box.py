"""The box's side of a slip, whole, in virtual time: from the journal to the conversation with the printer.

In place of the vault a fake, in place of the cable and the printer a `Machine`. One share, from its minting on.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import TypeVar

import zxingcpp
from PIL import Image

from appliance.adapters.journal import SqliteTransaction, migrate, read_statements, read_steps
from appliance.adapters.printers.conversation import ConversingPrinter
from appliance.core.identity import Identity
from appliance.core.share import ShareEvent, ShareState
from appliance.daemon.bell import Bell
from appliance.daemon.facing import SlipLook
from appliance.daemon.linking import Linking
from appliance.daemon.minting import LinkTerms, ShareSecrets, open_link, open_pin, seal_share
from appliance.daemon.paper import MOST_COPIES, STAFF_SLIP, process_id
from appliance.daemon.printer_watch import PrinterWatch
from appliance.daemon.printing import Printing
from appliance.daemon.slip_desk import SlipDesk
from appliance.daemon.transitions import Transitions
from appliance.formats import escpos, printer_profiles
from appliance.formats import link as links
from appliance.formats.envelope import FactorKind
from appliance.formats.link import Link
from appliance.formats.sealed import Sealer
from appliance.ports import PrintJob, Row
from tests.fakes.clock import START
from tests.fakes.vault import PUBLIC_URL, RememberingVault
from tests.printing.machine import Machine, MachineLine

T = TypeVar("T")
SHARE_ID = bytes(16)
MODULE_DOTS = 4
SMALL_DOTS = 160


class MemoryJournal:
    """The port `Journal`, in memory and at once."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.deserialize(_empty_journal())
        self._statements = _statements()

    async def run(self, work: Callable[[SqliteTransaction], T]) -> T:
        self._connection.execute("BEGIN")
        try:
            result = work(SqliteTransaction(self._connection, self._statements))
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        return result

    def close(self) -> None:
        self._connection.close()


@cache
def _statements() -> dict[str, str]:
    return read_statements()


@cache
def _empty_journal() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        migrate(connection, read_steps())
        image = connection.serialize()
    connection.close()
    return image


class TimedVault(RememberingVault):
    """Knows when each link died."""

    def __init__(self) -> None:
        super().__init__()
        self.died: dict[bytes, float] = {}

    async def delete_link(self, share_id: bytes, link_id: bytes) -> None:
        await super().delete_link(share_id, link_id)
        self.died.setdefault(link_id, asyncio.get_running_loop().time())


class SmallSlips(Printing):
    """Draws slips of 6 kB: two lines of dots, and below them the code, where a lost end hurts most."""

    def _render(self, slip: Row, link: Row, share: Row, studies: list[Row]) -> list[PrintJob]:
        url = Link(link["public_url"], link["link_id"], open_link(link, self._sealer).secret).url
        code = zxingcpp.create_barcode(url, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
        symbol = Image.fromarray(zxingcpp.write_barcode_to_image(code, scale=MODULE_DOTS, add_quiet_zones=True))
        picture = Image.new("1", (-(-symbol.width // 8) * 8, symbol.height + 48), 1)
        for top in (8, 24):
            picture.paste(0, (16, top, picture.width - 16, top + 8))
        picture.paste(symbol.convert("1"), (0, 48))
        its_id = process_id(slip["id"], 0)
        return [PrintJob(slip["number"], escpos.slip(picture, self._model, its_id), b"", its_id)]

    def _render_staff_slip(self, slip: Row, link: Row, share: Row) -> PrintJob:
        """Its number and its PIN in a code that no patient's slip has."""
        text = f"{slip['number']} {open_pin(link, self._sealer)}"
        code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.DataMatrix)
        symbol = Image.fromarray(zxingcpp.write_barcode_to_image(code, scale=MODULE_DOTS, add_quiet_zones=True))
        picture = Image.new("1", (SMALL_DOTS, symbol.height + 16), 1)
        picture.paste(symbol.convert("1"), (16, 8))
        its_id = process_id(slip["id"], MOST_COPIES - 1)
        return PrintJob(f"{slip['number']}{STAFF_SLIP}", escpos.slip(picture, self._model, its_id), b"", its_id)


@dataclass(frozen=True)
class Paper:
    """One readable code on paper: whose, and since when."""

    link_id: bytes
    at: float


class PrintingBox:
    def __init__(
        self,
        machine: Machine,
        model: str = "TM-T20II",
        kind: type[Printing] = SmallSlips,
        *,
        serial: bool = False,
        factor: FactorKind = FactorKind.NONE,
    ) -> None:
        self.machine = machine
        self.vault = TimedVault()
        self.journal = MemoryJournal()
        self._bell, self._sealer = Bell(), Sealer(bytes(32))
        profile = printer_profiles.find(model)
        printer = ConversingPrinter(MachineLine(machine, serial=serial), profile)
        terms = {"SHARE": LinkTerms(factor, 7, 14)}
        self._transitions = Transitions(terms, self._sealer, self.clock)
        self.watch = PrinterWatch(printer)
        self.desk = SlipDesk(self.journal, self._transitions, self.watch, self._bell, self.clock, self._sealer)
        look = SlipLook("St Mary's", "", PUBLIC_URL, 58)
        inside = (self._transitions, self._sealer, self._bell, self.clock)
        self.printing = kind(self.journal, printer, profile, look, *inside, self.watch, self.desk)
        self._linking = Linking(self.journal, self.vault, *inside)
        self._workers: list[asyncio.Task[None]] = []

    @staticmethod
    def clock() -> float:
        return START + asyncio.get_running_loop().time()

    async def start(self) -> None:
        await self.printing.recover()
        for worker in (self._linking, self.printing, self.watch):
            self._workers.append(asyncio.create_task(worker.run()))

    async def stop(self) -> None:
        """An error that ended a worker is raised here."""
        for worker in self._workers:
            worker.cancel()
        for worker in self._workers:
            with suppress(asyncio.CancelledError):
                await worker
        self.journal.close()

    async def open_share(self) -> None:
        def work(tx: SqliteTransaction) -> None:
            secrets = ShareSecrets(Identity("1", "", "Rivers^Ada", "19700131"), bytes(32))
            share = tx.one(
                "add_share",
                share_id=SHARE_ID,
                state=str(ShareState.OPEN),
                profile="SHARE",
                patient_key=b"",
                sealed=seal_share(SHARE_ID, secrets, self._sealer),
                display=b"",
                held_because="",
                now=self.clock(),
                visit_ends_at=self.clock() + 43200,
            )["id"]
            self._transitions.share(tx, share, ShareEvent.OPENED)

        await self.journal.run(work)
        self._bell.ring()

    async def slips(self) -> list[str]:
        rows = await self.journal.run(lambda tx: tx.all("slips", limit=99))
        return [row["state"] for row in rows[::-1]]

    # What a phone, and the vault, would say

    def papers(self) -> list[Paper]:
        """Every code on paper that can be read, half burnt ones too: a phone makes up for what is missing."""
        found = []
        for piece in self.machine.pieces:
            if piece.rows:
                for code in zxingcpp.read_barcodes(piece.picture, formats=zxingcpp.BarcodeFormat.QRCode):
                    lowest = min(max(code.position.bottom_left.y, code.position.bottom_right.y), len(piece.rows) - 1)
                    found.append(Paper(links.parse(code.text).link_id, piece.times[lowest]))
        return found

    def told(self) -> list[str]:
        """Number and PIN on every staff slip that can be read."""
        return [text for piece in self.machine.pieces if piece.rows for text in _staff_codes(piece.picture)]

    def told_on_patients_paper(self) -> list[str]:
        """The same, where the paper has a patient's code too."""
        found = []
        for piece in self.machine.pieces:
            if piece.rows and zxingcpp.read_barcodes(piece.picture, formats=zxingcpp.BarcodeFormat.QRCode):
                found += _staff_codes(piece.picture)
        return found

    def live(self, at: float) -> list[Paper]:
        """Papers whose code opens the share at that time."""
        return [
            paper
            for paper in self.papers()
            if paper.at <= at and self.vault.died.get(paper.link_id, at + 1.0) > at and self._known(paper)
        ]

    def _known(self, paper: Paper) -> bool:
        return any(paper.link_id in share.links for share in self.vault.shares.values())

    def ever_two_live(self) -> list[tuple[Paper, Paper]]:
        """Pairs of papers that worked at the same time, or carry the same code."""
        return [
            (one, other)
            for one, other in combinations(self.papers(), 2)
            if len(self.live(max(one.at, other.at))) > 1 or one.link_id == other.link_id
        ]


def _staff_codes(picture: Image.Image) -> list[str]:
    return [code.text for code in zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormat.DataMatrix)]


class Ear(logging.Handler):
    """When something about the printer was logged, and what."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[float, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append((asyncio.get_running_loop().time(), record.getMessage()))
