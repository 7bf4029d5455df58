"""A whole box in virtual time, life after life: real journal, real spool, real workers, and a disk that forgets."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from appliance.core.release_rules import ReleaseRules
from appliance.daemon.event_reports import EventReports
from appliance.daemon.facing import face, pin_face
from appliance.daemon.minting import LinkTerms, When
from appliance.daemon.pacs_parts import pacs_parts
from appliance.daemon.paper import MOST_COPIES, STAFF_SLIP, process_id
from appliance.daemon.peers import KnownPeer
from appliance.daemon.placing import ProfileRules
from appliance.daemon.printing import Printing
from appliance.daemon.quotas import Quota
from appliance.daemon.request_desk import RequestDesk
from appliance.daemon.request_parts import RequestParts
from appliance.formats.envelope import FactorKind
from appliance.formats.sealed import Sealer
from appliance.ports import PrintJob, Row
from tests.daemon.house import KEY, VISIT_S, House, Parts, house, terms
from tests.machine.archive import Archive, ArchiveLine, Deliver, Ear, EarLine
from tests.machine.disks import CutJournal, RestlessSpool
from tests.machine.world import Mains, PrinterLine, StrictVault, Time, Tray, VaultLine

COPIES = 2
FILE_BYTES = 16 << 10  # three or four images: then the next file, so that files become free
PROFILES = {
    "SHARE": terms(),
    "LATER": terms(factor=FactorKind.NONE, when=When.COMPLETE),
    "ROBOT": terms(factor=FactorKind.NONE, when=When.REQUEST),
}
RECEIVERS = ("RIS", "PORTAL")  # that it can call
MOST_OF_CT1, MOST_BYTES = 4_000, 8_000  # six images, and twice as many
ARCHIVE_LOOK_S = 4.0


@dataclass(frozen=True)
class Settings:
    """What one box has and another has not."""

    wristband: bool = False  # SHARE prints only when the patient's was scanned
    report: bool = False  # LATER holds a study until it has one
    approvals: int = 0  # that ROBOT wants
    quotas: bool = False
    archive: bool = True  # one that it may ask

    @property
    def profiles(self) -> dict[str, LinkTerms]:
        return PROFILES | {"SHARE": replace(PROFILES["SHARE"], interlock=self.wristband)}

    @property
    def rules(self) -> dict[str, ProfileRules]:
        later, robot = ReleaseRules(hold_for_report=self.report), ReleaseRules(approvals=self.approvals)
        return {"LATER": ProfileRules(VISIT_S, release=later), "ROBOT": ProfileRules(VISIT_S, release=robot)}

    def limits(self) -> list[Quota]:
        ct1 = Quota(KnownPeer.of("CT1", "10.20.0.0/16"), MOST_OF_CT1)
        return [ct1, Quota(None, MOST_BYTES)] if self.quotas else []


class Wordings(Printing):
    """Slips as words: how they are drawn is tested elsewhere, and takes longer than all the rest."""

    def _render(self, slip: Row, link: Row, share: Row, studies: list[Row]) -> list[PrintJob]:
        said = face(self._look, slip, link, share, self._sealer, studies)
        assert said.valid_until is not None
        words = {"url": said.url, "valid_until": said.valid_until.timestamp()}
        jobs = []
        for copy in range(min(share["copies"] or COPIES, MOST_COPIES - 1)):
            number = slip["number"] + (f"-{copy + 1}" if copy else "")
            jobs.append(PrintJob(number, json.dumps(words).encode(), b"", process_id(slip["id"], copy)))
        return jobs

    def _render_staff_slip(self, slip: Row, link: Row, share: Row) -> PrintJob:
        said = pin_face(self._look, slip, link, share, self._sealer)
        its_id = process_id(slip["id"], MOST_COPIES - 1)
        return PrintJob(f"{slip['number']}{STAFF_SLIP}", json.dumps({"pin": said.pin}).encode(), b"", its_id)


class Box:
    """`house` is its present life."""

    house: House
    journal: CutJournal
    spool: RestlessSpool
    mains: Mains
    limits: list[Quota]

    def __init__(self, folder: Path, vault: StrictVault, tray: Tray, time: Time, archive: Archive, ear: Ear) -> None:
        self.settings = Settings()
        self.deliver: Deliver  # of whoever sends to it
        self.archive = archive
        self.ear = ear
        self.folder = folder
        self.vault = vault
        self.tray = tray
        self.time = time
        self.lives = 0
        self.unexpected: list[BaseException] = []  # errors that no task saw
        self._life = AsyncExitStack()

    async def start(self) -> None:
        asyncio.get_running_loop().set_exception_handler(self._handle)
        self.lives += 1
        self.mains = mains = Mains()
        line = VaultLine(self.vault, mains, self.time)

        def journal(path: Path) -> CutJournal:
            self.journal = CutJournal(path, mains)
            return self.journal

        def spool(*arguments: Any, **options: Any) -> RestlessSpool:
            self.spool = RestlessSpool(*arguments, **options)
            return self.spool

        parts = Parts(
            journal,
            spool,
            Wordings,
            look_every_s=4.0,
            relay_again_s=1.0,
            sweep_every_s=1.0,
            vault_now=line.known_now,
        )
        self.limits = self.settings.limits()
        outside: dict[str, Any] = {"vault": line, "printer": PrinterLine(self.tray, mains)}
        self.house = await self._life.enter_async_context(
            house(
                self.folder,
                **outside,
                profiles=self.settings.profiles,
                rules=self.settings.rules,
                quotas=self.limits,
                receivers=RECEIVERS,
                clock=self.time,
                file_bytes=FILE_BYTES,
                last_slip_s=25.0,
                doubt_pause_s=60.0,
                copies=COPIES,
                parts=parts,
            )
        )
        await self.house.recover()
        if self.settings.archive:
            self._plug_in_archive()
        self._tell_subscribers()
        self.house.start()

    def _plug_in_archive(self) -> None:
        """As `compose` does."""
        house, sealer = self.house, Sealer(KEY)
        desk = RequestDesk(house.journal, house.requests, house.requesting, house.bell)
        wishes = RequestParts(
            house.claims,
            house.judging,
            house.requests,
            house.requesting,
            house.serving,
            desk,
            house.gauging,
            house.notices,
        )
        parts = pacs_parts(
            house.journal,
            ArchiveLine(self.archive, self.mains, self.deliver),
            "PACS",
            wishes,
            house.transfers,
            house.transitions.trail,
            sealer,
            house.bell,
            self.time,
            [*PROFILES],
            check_again_s=10.0,
            every_s=ARCHIVE_LOOK_S,
        )
        house.requesting._can_pull = True
        house.sweeping._is_pending = parts.is_pending
        house.operating.also(parts.desk.commands)
        house.tasks |= {f"archive {n}": asyncio.create_task(work) for n, work in enumerate(parts.workers())}

    def _tell_subscribers(self) -> None:
        house = self.house
        reports = EventReports(
            house.journal,
            house.requests,
            house.gauging,
            house.notices,
            EarLine(self.ear, self.mains),
            house.bell,
            self.time.monotonic,
            look_every_s=ARCHIVE_LOOK_S,
            pause_s=lambda _: 30.0,
        )
        house.tasks["reports"] = asyncio.create_task(reports.run())

    def _handle(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """As `daemon.run.watch_callbacks` does, which ends the box by it."""
        if context.get("exception") is not None and not self.mains.is_cut:
            self.unexpected.append(context["exception"])

    async def stop(self) -> None:
        """As when it is told to."""
        await self.house.stop()
        self.spool.catch_up()
        self.spool.stop()
        await self.house.receiving.settle()
        await self._life.aclose()
        await _end_all()

    async def lose_power(self, *, kept: int = 0, returns: bool = False) -> None:
        """Nothing reaches the disk any more, nor the world. What becomes of what was not synced: `TornDisk.die`."""
        self.mains.cut()
        self.spool.disk.die(kept=kept, returns=returns)
        paths = [path for path in self.folder.glob("journal.db*") if path.is_file()]
        saved = {path: path.read_bytes() for path in paths}
        await self._life.aclose()
        await _end_all()
        for path in self.folder.glob("journal.db*"):
            path.unlink()
        for path, data in saved.items():
            path.write_bytes(data)

    async def work(self, seconds: float) -> None:
        """Let so much time pass, or less when the mains are cut. An error that ended a worker is raised here."""
        end = asyncio.get_running_loop().time() + seconds
        while not self.mains.is_cut and (left := end - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left, 1.0))
            for task in self.house.tasks.values():
                if task.done():
                    task.result()


async def _end_all() -> None:
    """What nobody waits for any more, as a slip that took too long."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
