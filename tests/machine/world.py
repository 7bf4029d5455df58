"""What surrounds a box: time, mains, vault and printer, with everything that these do at their worst.

A box lives until `Mains.cut`: from that moment on nothing of it reaches anything outside, and it hears no answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from appliance.ports import LinkRegistration, Paper, PrinterStatus, PrintJob, PrintOutcome, RegisteredLink
from tests.fakes.clock import START, FakeClock
from tests.fakes.slip_printers import READY
from tests.fakes.vault import RememberingVault, StoredLink, StoredShare, refusal, unreachable

T = TypeVar("T")
MONTH_S = 30 * 86400.0
ON_THE_WAY_S = 0.01


class Time(FakeClock):
    """Goes with the loop's. `advance`: all clocks, the vault's too, as while nobody looks; `jump`: the box's alone."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0
        self.offset = 0.0

    def true_now(self) -> float:
        """Nobody in the box knows it."""
        return START + self.skipped + asyncio.get_running_loop().time()

    def now(self) -> float:
        return self.true_now() + self.offset

    def monotonic(self) -> float:
        return 1000.0 + self.skipped + asyncio.get_running_loop().time()

    def advance(self, seconds: float) -> None:
        self.skipped += seconds

    def jump(self, seconds: float) -> None:
        self.offset += seconds


class Moment(StrEnum):
    """At which the power may fail, as it never does by chance."""

    BEFORE_PAPER = "before a slip leaves the printer"
    AFTER_PAPER = "when it has left"
    LINK_STORED = "when the vault has stored a link"
    OBJECT_STORED = "when it has stored an object"
    LINK_DESTROYED = "when it has destroyed a link"


AT_VAULT = {
    "put_link": Moment.LINK_STORED,
    "put_object": Moment.OBJECT_STORED,
    "delete_link": Moment.LINK_DESTROYED,
}


class Mains:
    """The current of one life of the box."""

    def __init__(self) -> None:
        self.is_cut = False
        self.strikes_at: Moment | None = None
        self._strikes_after = -1  # transactions; negative: never

    def cut(self) -> None:
        self.is_cut = True

    def cut_after(self, transactions: int) -> None:
        self._strikes_after = transactions

    def spare(self) -> None:
        self._strikes_after, self.strikes_at = -1, None

    def come(self, moment: Moment | None) -> None:
        if moment is not None and moment is self.strikes_at:
            self.cut()

    def transaction(self) -> None:
        if self._strikes_after >= 0:
            self._strikes_after -= 1
            if self._strikes_after < 0:
                self.cut()

    async def flow(self) -> None:
        """Nothing goes on without it."""
        if self.is_cut:
            await asyncio.Event().wait()


# -- the vault ---------------------------------------------------------------------------------------------------------


class Line(StrEnum):
    """To the vault."""

    UP = "up"
    DOWN = "down"
    DEAF = "it does what it is asked, and its answers are lost"
    SLOW = "it does what it is asked, and answers when the line is better"
    STRANGER = "it does not know this box any more"


@dataclass
class TimedShare(StoredShare):
    changed_at: float = 0.0
    aged: bool = False  # a link of it died of age, or nobody ever made one


class StrictVault(RememberingVault):
    """Deletes what docs/wire.md says it may, as soon as it may. Knows all that was ever sent to it."""

    def __init__(self, time: Time) -> None:
        self._time = time
        super().__init__()
        self.line = Line.UP
        self.better = asyncio.Event()  # the line
        self.requests_left = -1  # then the line is down; negative: as many as the box likes
        self.sent: dict[tuple[bytes, str, int], bytes] = {}
        self.broken_promises: list[str] = []  # one name, two contents

    @property
    def now(self) -> float:
        return self._time.true_now()

    @now.setter
    def now(self, _: float) -> None: ...

    def sweep(self) -> None:
        """Links die of age, and shares with their last link."""
        for share in self.shares.values():
            assert isinstance(share, TimedShare)
            for link in share.links.values():
                if not link.destroyed and self.now >= link.expires_at + link.registration.grace_s:
                    link.destroyed = share.aged = True
            dead = bool(share.links) and all(link.destroyed for link in share.links.values())
            forgotten = not share.links and self.now > share.changed_at + MONTH_S
            if dead or forgotten:
                share.aged = share.aged or forgotten
                share.deleted = True
                share.objects.clear()

    def is_live(self, share_id: bytes, link: StoredLink) -> bool:
        return not (link.destroyed or self.shares[share_id].deleted or self.now >= link.expires_at)

    def turn(self, line: Line) -> None:
        self.line, self.requests_left = line, -1
        if line is not Line.SLOW:
            self.better.set()
            self.better = asyncio.Event()

    def note(self, share_id: bytes, what: str, number: int, data: bytes) -> None:
        """Whoever listens on the way has it, whatever becomes of the request."""
        if self.sent.setdefault((share_id, what, number), data) != data:
            self.broken_promises.append(f"two contents of {what} {number}")

    async def put_share(self, share_id: bytes) -> None:
        self.shares.setdefault(share_id, TimedShare(changed_at=self.now))
        await super().put_share(share_id)

    async def put_link(self, link: LinkRegistration) -> RegisteredLink:
        stored = self.shares[link.share_id].links.get(link.link_id) if link.share_id in self.shares else None
        if stored is not None and stored.destroyed:
            raise refusal("link_revoked")
        return await super().put_link(link)

    def _share(self, share_id: bytes) -> StoredShare:
        share = super()._share(share_id)
        if isinstance(share, TimedShare):
            share.changed_at = self.now
        return share


class VaultLine:
    """The port `Vault` of one life of the box."""

    def __init__(self, vault: StrictVault, mains: Mains, time: Time) -> None:
        self._vault = vault
        self._mains = mains
        self._time = time
        self._heard: tuple[float, float] | None = None

    def known_now(self) -> float | None:
        """As the client knows it: by its last answer."""
        return None if self._heard is None else self._heard[0] + self._time.monotonic() - self._heard[1]

    async def _ask(self, act: Callable[[], Awaitable[T]]) -> T:
        vault = self._vault
        await self._mains.flow()
        await asyncio.sleep(ON_THE_WAY_S)
        await self._mains.flow()
        if vault.requests_left == 0:
            vault.turn(Line.DOWN)
        vault.requests_left -= 1
        line = vault.line
        if line is Line.DOWN:
            raise unreachable()
        if line is Line.STRANGER:
            raise refusal("device_unknown")
        vault.sweep()
        try:
            answer = await act()
        finally:
            vault.sweep()
        self._mains.come(AT_VAULT.get(vault.calls[-1].split()[0]))
        await self._mains.flow()
        if line is Line.DEAF:
            raise unreachable()
        if line is Line.SLOW:
            await vault.better.wait()
        await self._mains.flow()
        self._heard = vault.now, self._time.monotonic()
        return answer

    async def put_share(self, share_id: bytes) -> None:
        await self._ask(lambda: self._vault.put_share(share_id))

    async def delete_share(self, share_id: bytes) -> None:
        await self._ask(lambda: self._vault.delete_share(share_id))

    async def put_object(self, share_id: bytes, number: int, data: bytes) -> None:
        self._vault.note(share_id, "object", number, data)
        await self._ask(lambda: self._vault.put_object(share_id, number, data))

    async def put_manifest(self, share_id: bytes, generation: int, data: bytes) -> None:
        self._vault.note(share_id, "manifest", generation, data)
        await self._ask(lambda: self._vault.put_manifest(share_id, generation, data))

    async def put_link(self, link: LinkRegistration) -> RegisteredLink:
        number = int.from_bytes(link.link_id, "big")
        self._vault.note(link.share_id, "link", number, link.verifier + link.share_key + link.envelope)
        return await self._ask(lambda: self._vault.put_link(link))

    async def renew_link(self, share_id: bytes, link_id: bytes, expires_in_s: float) -> float:
        return await self._ask(lambda: self._vault.renew_link(share_id, link_id, expires_in_s))

    async def delete_link(self, share_id: bytes, link_id: bytes) -> None:
        await self._ask(lambda: self._vault.delete_link(share_id, link_id))


# -- the printer -------------------------------------------------------------------------------------------------------


class Mood(StrEnum):
    """Of the printer."""

    GOOD = "good"
    UNPLUGGED = "unplugged"
    PAPER_OUT = "out of paper"
    REFUSES = "takes not one byte"
    FORGETS = "prints, and its confirmation is lost"
    JAMS = "eats the paper"
    PROVES_NOTHING = "prints, and confirms nothing"
    SLOW = "prints, and confirms when its mood is better"


STATUS = {
    Mood.UNPLUGGED: PrinterStatus(reachable=False, detail="The printer is unplugged."),
    Mood.PAPER_OUT: PrinterStatus(reachable=True, paper=Paper.OUT, detail="The printer is out of paper."),
}
OUTCOMES = {
    Mood.GOOD: PrintOutcome.PRINTED,
    Mood.FORGETS: PrintOutcome.UNKNOWN,
    Mood.JAMS: PrintOutcome.UNKNOWN,
    Mood.PROVES_NOTHING: PrintOutcome.TAKEN,
    Mood.SLOW: PrintOutcome.PRINTED,
}


@dataclass(frozen=True)
class Sheet:
    """What lies in the printer's mouth."""

    number: str  # of the slip, copies included
    face: dict[str, Any]

    @property
    def slip(self) -> str:
        return "-".join(self.number.split("-")[:2])

    @property
    def pin(self) -> str:
        """On a slip for staff alone; else ""."""
        return str(self.face.get("pin", ""))


@dataclass
class Tray:
    """The printer, and all paper that ever came out of it."""

    mood: Mood = Mood.GOOD
    sheets: list[Sheet] = field(default_factory=list)
    started: set[str] = field(default_factory=set)  # numbers of slips of which bytes left, paper or not
    pins: dict[str, set[str]] = field(default_factory=dict)  # that staff were told, by slip
    look: Callable[[Sheet], None] = lambda _: None  # of whoever wants to see each sheet as it comes
    at_it: str = ""  # the one that is under way
    better: asyncio.Event = field(default_factory=asyncio.Event)

    def turn(self, mood: Mood) -> None:
        self.mood = mood
        if mood is not Mood.SLOW:
            self.better.set()
            self.better = asyncio.Event()


class PrinterLine:
    """The port `Printer` of one life of the box."""

    links: tuple[str, ...] = ()

    def __init__(self, tray: Tray, mains: Mains) -> None:
        self._tray = tray
        self._mains = mains

    async def status(self) -> PrinterStatus:
        await self._mains.flow()
        return STATUS.get(self._tray.mood, READY)

    async def print(self, job: PrintJob) -> PrintOutcome:
        await self._mains.flow()
        tray = self._tray
        mood = tray.mood
        outcome = OUTCOMES.get(mood, PrintOutcome.REFUSED)
        if outcome is PrintOutcome.REFUSED:
            return outcome
        self._mains.come(Moment.BEFORE_PAPER)
        await self._mains.flow()
        sheet = Sheet(job.number, json.loads(job.data))
        if sheet.pin:
            tray.pins.setdefault(sheet.slip, set()).add(sheet.pin)
        else:
            tray.started.add(sheet.slip)
            tray.at_it = sheet.slip
            if mood is not Mood.JAMS:
                tray.sheets.append(sheet)
                tray.look(sheet)
        self._mains.come(Moment.AFTER_PAPER)
        await asyncio.sleep(ON_THE_WAY_S)
        if mood is Mood.SLOW:
            await tray.better.wait()
        await self._mains.flow()
        tray.at_it = ""
        return outcome
