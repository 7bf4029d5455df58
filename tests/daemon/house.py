"""A whole box without its sockets: real journal, real spool, real workers; vault, printer and clock are the test's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydicom.dataset import Dataset

from appliance.adapters.journal import SqliteJournal
from appliance.adapters.spool import FileSpool
from appliance.daemon.alerts import Alerts
from appliance.daemon.bell import Bell
from appliance.daemon.cancel_notices import CancelNotices
from appliance.daemon.facing import ProfileLook, SlipLook
from appliance.daemon.gauging import Gauging
from appliance.daemon.interlock import Interlock
from appliance.daemon.judging import Claims, Judging
from appliance.daemon.linking import Linking
from appliance.daemon.manifesting import Manifesting
from appliance.daemon.minting import LinkTerms
from appliance.daemon.operating import Operating
from appliance.daemon.peers import Peers, UnknownPeers
from appliance.daemon.placing import Placing, ProfileRules
from appliance.daemon.printer_watch import PrinterWatch
from appliance.daemon.printing import Printing
from appliance.daemon.quotas import Quota, Quotas
from appliance.daemon.receiving import Receiving
from appliance.daemon.relaying import Relaying
from appliance.daemon.releasing import Releasing
from appliance.daemon.request_parts import request_parts
from appliance.daemon.requesting import Requesting
from appliance.daemon.requests import Requests
from appliance.daemon.serving import Serving
from appliance.daemon.share_desk import ShareDesk
from appliance.daemon.slip_desk import SlipDesk
from appliance.daemon.story import Story
from appliance.daemon.sweeping import Sweeping
from appliance.daemon.transfers import Transfers
from appliance.daemon.transitions import Transitions
from appliance.formats import link as links
from appliance.formats import printer_profiles
from appliance.formats.audit import Event
from appliance.formats.envelope import FactorKind
from appliance.formats.sealed import Sealer
from appliance.formats.spool_frame import Receipt
from appliance.ports import Peer, Row
from tests.fakes.clock import FakeClock
from tests.fakes.slip_printers import GoodPrinter
from tests.fakes.spool import arrival, store
from tests.fakes.vault import RememberingVault
from tests.synthetic import encode

KEY = bytes(range(32))
WITHIN_S = 20.0
QUIET_S = 30.0
VISIT_S = 12 * 3600.0
Answer = TypeVar("Answer")

# Nothing of these may ever be in a log, a path or a raw byte of the disk.
NAME, PATIENT_ID, BIRTH_DATE = "CANARYSON^ADALBERTA", "CANARY-4711", "19700131"


@dataclass(frozen=True)
class Image:
    """One instance as a modality makes it."""

    patient: str = "A"
    study: str = "1"
    series: int = 1
    number: int = 1
    name: str = NAME
    birth_date: str = BIRTH_DATE
    patient_id: str = ""
    pixels: bytes = b"\x01\x02" * 50
    profile: str = "SHARE"
    sender: str = "CT1"
    sop_class: str = "1.2.840.10008.5.1.4.1.1.2"

    @property
    def uid(self) -> str:
        return f"1.2.826.4711.{ord(self.patient)}.{self.study}.{self.series}.{self.number}"

    @property
    def study_uid(self) -> str:
        return f"1.2.826.4711.{ord(self.patient)}.{self.study}"

    @property
    def dataset(self) -> bytes:
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = self.sop_class, self.uid
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = self.study_uid, f"{self.study_uid}.{self.series}"
        dataset.PatientName = f"{self.name}{self.patient}"
        dataset.PatientID = self.patient_id or f"{PATIENT_ID}-{self.patient}"
        dataset.PatientBirthDate, dataset.PatientSex = self.birth_date, "F"
        dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "CT", self.series, self.number
        dataset.Rows, dataset.Columns = 10, 10
        dataset.add_new(0x7FE00010, "OW", self.pixels)
        return encode(dataset)


def images(patient: str, count: int, **changes: Any) -> list[Image]:
    return [Image(patient=patient, number=number, **changes) for number in range(1, count + 1)]


@dataclass(frozen=True)
class Parts:
    """What a test may put in place of a box's own, and how often its workers look (seconds)."""

    journal: Callable[[Path], SqliteJournal] = lambda path: SqliteJournal(path, busy_timeout_s=0.5)
    spool: Callable[..., FileSpool] = FileSpool
    printing: type[Printing] = Printing
    look_every_s: float = 0.05
    relay_again_s: float = 0.02
    sweep_every_s: float = 0.02
    vault_now: Callable[[], float | None] | None = None


def terms(**changes: Any) -> LinkTerms:
    return replace(LinkTerms(FactorKind.BIRTH_DATE, 7, 14), **changes)


@dataclass
class House:
    """`workers` run in the background while it is entered; a test may run some only."""

    folder: Path
    vault: RememberingVault
    printer: GoodPrinter
    clock: FakeClock
    journal: SqliteJournal
    spool: FileSpool
    bell: Bell
    receiving: Receiving
    placing: Placing
    relaying: Relaying
    linking: Linking
    printing: Printing
    watch: PrinterWatch
    sweeping: Sweeping
    operating: Operating
    interlock: Interlock
    transitions: Transitions
    transfers: Transfers
    claims: Claims
    judging: Judging
    requests: Requests
    requesting: Requesting
    gauging: Gauging
    notices: CancelNotices
    serving: Serving
    quotas: Quotas
    vault_time: list[float | None]
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def start(self, *names: str) -> None:
        """Workers by name; all of them when none is named."""
        workers = ("receiving", "relaying", "linking", "printing", "watch", "sweeping", "requesting", "serving")
        for name in names or workers:
            work: Coroutine[Any, Any, None] = getattr(self, name).run()
            self.tasks[name] = asyncio.create_task(work)

    async def recover(self) -> int:
        """What a start does before the first sender is answered; how many instances it took up."""
        found = await self.receiving.recover()
        await self.printing.recover()
        return found

    async def stop(self, *names: str) -> None:
        """As the task group does it. An error that ended a worker is raised here."""
        for name in names or tuple(self.tasks):
            task = self.tasks.pop(name)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def send(self, *several: Image, peer: Peer | None = None) -> list[Receipt]:
        """On the association `peer`, else on one of its own for each image."""
        receipts = []
        for image in several:
            titles = {"called_ae_title": image.profile, "calling_ae_title": image.sender}
            what = arrival(image.uid, sop_class_uid=image.sop_class, **titles)
            receipts.append(await store(self.spool, image.dataset, what))
            on = peer or self.call(image.sender, image.profile)
            self.receiving.stored(receipts[-1], on)
            if peer is None:
                self.receiving.closed(on)
        return receipts

    def call(self, calling: str = "CT1", called: str = "SHARE", address: str = "10.20.0.5") -> Peer:
        """An association that stays open until `receiving.closed`."""
        peer = Peer(calling, called, address)
        self.receiving.opened(peer)
        return peer

    async def trail(self) -> list[Event]:
        """All that the audit trail has."""
        records = await self.journal.run(lambda tx: self.transitions.trail.read(tx, 0, 100_000))
        return [record.event for record in records]

    async def until(self, condition: Callable[[], Any], *, step_s: float = 0.0, within_s: float = WITHIN_S) -> Any:
        """The condition's first true answer; `step_s` of the test's clock go by between two looks."""
        async with asyncio.timeout(within_s):
            while not (found := condition()):
                for task in self.tasks.values():
                    if task.done():
                        task.result()
                await asyncio.sleep(0.01)
                self.clock.advance(step_s)
        return found

    async def until_rows(
        self, name: str, condition: Callable[[list[Row]], Any], *, step_s: float = 0.0, **values: Any
    ) -> list[Row]:
        """Until the rows of a named statement are as wanted."""
        return await self.until_answer(lambda: self.rows(name, **values), condition, step_s=step_s)

    async def until_answer(
        self, ask: Callable[[], Awaitable[Answer]], condition: Callable[[Answer], Any], *, step_s: float = 0.0
    ) -> Answer:
        """The first answer that is as wanted; `step_s` of the test's clock go by between two questions."""
        async with asyncio.timeout(WITHIN_S):
            while not condition(answer := await ask()):
                for task in self.tasks.values():
                    if task.done():
                        task.result()
                await asyncio.sleep(0.01)
                self.clock.advance(step_s)
        return answer

    async def rows(self, name: str, **values: Any) -> list[Row]:
        return await self.journal.run(lambda tx: tx.all(name, **values))

    async def shares(self) -> list[Row]:
        return (await self.rows("shares", limit=999))[::-1]

    async def settled(self) -> None:
        """Until nothing is on its way: all placed, relayed, registered and printed."""
        await self.until(lambda: not self.receiving.behind)
        await self.until_rows("shares_to_relay", lambda rows: not rows, step_s=0.3)
        await self.until_rows("unsettled", lambda rows: not rows, step_s=0.3)

    async def settled_relay(self) -> None:
        """Until every share is up."""
        await self.until(lambda: not self.receiving.behind)
        await self.until_rows("shares_to_relay", lambda rows: not rows, step_s=0.3)

    def opened(self, patient: str = "A", which: int = -1) -> Any:
        """What the patient gets from the newest slip (or `which`)."""
        return self.vault.open(self.printer.links[which], BIRTH_DATE)

    @property
    def secrets(self) -> set[str]:
        """Tokens of all links that are on paper."""
        return {url.partition("#")[2] for url in self.printer.links}


_ALL_EFFECTS = "SELECT * FROM effect"
_UNSETTLED = "SELECT id FROM effect UNION ALL SELECT id FROM slip WHERE state = 'printing'"


@asynccontextmanager
async def house(
    folder: Path,
    *,
    vault: RememberingVault | None = None,
    printer: Any = None,
    profiles: dict[str, LinkTerms] | None = None,
    clock: FakeClock | None = None,
    file_bytes: int = 64 << 20,
    last_slip_s: float = 5.0,
    doubt_pause_s: float = 0.0,
    model: str = "TM-T20II",
    copies: int = 1,
    patterns: Mapping[str, str] | None = None,
    rules: Mapping[str, ProfileRules] | None = None,
    quotas: Sequence[Quota] = (),
    filled: Callable[[], float] = lambda: 0.0,
    parts: Parts | None = None,
    receivers: Sequence[str] = (),
) -> AsyncIterator[House]:
    parts = parts or Parts()
    clock, bell, sealer = clock or FakeClock(), Bell(), Sealer(KEY)
    vault, printer = vault or RememberingVault(), printer or GoodPrinter()
    journal = parts.journal(folder / "journal.db")
    journal._statements["all_effects"] = _ALL_EFFECTS
    journal._statements["unsettled"] = _UNSETTLED
    await journal.open()
    spool = parts.spool(folder / "spool", sealer, reserve_bytes=0, file_bytes=file_bytes)
    spool.start()
    profiles = profiles or {"SHARE": terms()}
    vault_time: list[float | None] = [None]
    transitions = Transitions(profiles, sealer, clock.now)
    rules = {title: ProfileRules(VISIT_S) for title in profiles} | dict(rules or {})
    releasing = Releasing({title: one.release for title, one in rules.items()}, transitions, sealer, clock.now)
    placing = Placing(rules, transitions, releasing, sealer, clock.now)
    peers = Peers([], UnknownPeers.ACCEPT)
    transfers = Transfers(transitions.trail, sealer)
    limits, alerts = Quotas(quotas, 0.9, filled), Alerts(transitions.trail, clock.now)
    receiving = Receiving(journal, spool, placing, peers, frozenset(profiles), bell, transfers, limits, alerts)
    manifesting = Manifesting(journal, sealer, "St Mary's", "en", transitions)
    looks = {title: ProfileLook(copies=copies) for title in profiles}
    look = SlipLook("St Mary's", "", "https://unset.example.org", 80, profiles=looks)
    profile = printer_profiles.find(model)
    watch = PrinterWatch(printer, look_every_s=parts.look_every_s)
    desk = SlipDesk(journal, transitions, watch, bell, clock.now, sealer)
    printing = parts.printing(
        journal,
        printer,
        profile,
        look,
        transitions,
        sealer,
        bell,
        clock.now,
        watch,
        desk,
        poll_s=parts.look_every_s,
        refused_pause_s=parts.look_every_s,
        last_slip_s=last_slip_s,
        doubt_pause_s=doubt_pause_s,
    )
    quiet_s = dict.fromkeys(profiles, QUIET_S)
    wishes = request_parts(
        journal,
        transitions,
        sealer,
        bell,
        clock.now,
        watch,
        receivers=receivers,
        copies=dict.fromkeys(profiles, copies),
        poll_s=parts.look_every_s,
    )

    def vault_now() -> float | None:
        return vault_time[0]

    async def reload() -> None: ...

    def surroundings() -> dict[str, Any]:
        return {"listening": ["127.0.0.1:104"], "enrolled": True, "vault_error": "", "spool_free_bytes": 1 << 40}

    the_house = House(
        folder,
        vault,
        printer,
        clock,
        journal,
        spool,
        bell,
        receiving,
        placing,
        Relaying(
            journal, spool, vault, manifesting, transitions, bell, clock.monotonic, look_again_s=parts.relay_again_s
        ),
        Linking(journal, vault, transitions, sealer, bell, clock.now, poll_s=parts.look_every_s),
        printing,
        watch,
        Sweeping(
            journal,
            spool,
            receiving,
            transfers,
            transitions,
            wishes.judging,
            quiet_s,
            bell,
            clock.now,
            parts.vault_now or vault_now,
            waited_for=wishes.requesting.waited_for,
            keep_trail_s=365 * 86400.0,
            every_s=parts.sweep_every_s,
        ),
        Operating(
            journal,
            spool,
            receiving,
            printing,
            printer,
            transitions,
            sealer,
            bell,
            clock.now,
            surroundings,
            reload,
            watch,
            desk,
        ),
        Interlock(journal, transitions, sealer, bell, clock.now, patterns or {}),
        transitions,
        transfers,
        wishes.claims,
        wishes.judging,
        wishes.requests,
        wishes.requesting,
        wishes.gauging,
        wishes.notices,
        wishes.serving,
        limits,
        vault_time,
    )
    the_house.operating.also(
        ShareDesk(journal, transitions, releasing, sealer, bell, Story(sealer, clock.now)).commands
    )
    the_house.operating.also({"slips-release-wristband": the_house.interlock.release})
    the_house.operating.also(wishes.desk.commands)
    try:
        yield the_house
    finally:
        await the_house.stop()
        await asyncio.to_thread(spool.stop)
        await journal.close()


def uids(several: Iterable[Image]) -> set[str]:
    return {image.uid for image in several}


def token(url: str) -> str:
    return links.parse(url).token
