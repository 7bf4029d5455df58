"""What the world outside the box knows to be true: what was sent, what was acknowledged, what staff asked for."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from appliance.formats.audit import Kind
from appliance.formats.spool_frame import Receipt
from tests.machine.pictures import Picture
from tests.machine.wishes import Announcement, Step, Wish

STAFF = ("ada", "ben")  # as whom the machine gives its commands


@dataclass(frozen=True)
class Acknowledged:
    picture: Picture
    receipt: Receipt
    ciphertext: bytes

    @property
    def header(self) -> bytes:
        return self.ciphertext[:40]


@dataclass
class Oracle:
    sent: dict[bytes, set[Picture]] = field(default_factory=dict)  # by dataset
    acknowledged: list[Acknowledged] = field(default_factory=list)
    durable: list[Acknowledged] = field(default_factory=list)  # and nobody was told so
    unanswered: list[Picture] = field(default_factory=list)  # sent, and not acknowledged: there, whole, or not

    # What staff have said; share ids.
    revoked: set[bytes] = field(default_factory=set)  # asked for, done or not
    surely_revoked: set[bytes] = field(default_factory=set)  # acknowledged
    by_hand: set[bytes] = field(default_factory=set)  # a slip, whoever had asked for it or not
    extended: dict[bytes, float] = field(default_factory=dict)  # when, by the vault's clock; the first time
    surely_extended: dict[bytes, float] = field(default_factory=dict)  # acknowledged; the last time
    one_person: bool = False  # staff have said that of two
    approved: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # by whom, by study
    waived: set[str] = field(default_factory=set)  # studies that may go without a report
    unlocked: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # codes scanned, by slip number
    asked: Counter[Kind] = field(default_factory=Counter)  # records that staff have caused
    perhaps: Counter[Kind] = field(default_factory=Counter)  # or not: the box ended before it answered

    # What others have said.
    discs: list[Wish] = field(default_factory=list)
    workitems: list[Wish] = field(default_factory=list)
    pulls: list[Wish] = field(default_factory=list)
    announced: list[Announcement] = field(default_factory=list)
    perhaps_announced: list[Announcement] = field(default_factory=list)  # also what is old by now
    steps: list[Step] = field(default_factory=list)

    @property
    def wishes(self) -> list[Wish]:
        return [*self.discs, *self.workitems, *self.pulls]

    def days_pass(self) -> None:
        """The box need not know any more what it was told before."""
        self.announced.clear()
        for one in [*self.wishes, *self.steps]:
            one.old = True

    def send(self, picture: Picture) -> None:
        self.sent.setdefault(picture.data, set()).add(picture)
        self.unanswered.append(picture)

    def refuse(self, picture: Picture) -> None:
        """The box has said that it is not there."""
        self.unanswered.remove(picture)

    def acknowledge(self, one: Acknowledged) -> None:
        self.unanswered.remove(one.picture)
        self.acknowledged.append(one)
