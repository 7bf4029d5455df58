"""What the world outside the box knows to be true: what was sent, what was acknowledged, what staff asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from appliance.formats.audit import Kind
from appliance.formats.spool_frame import Receipt
from tests.machine.pacs import Announcement, Disc
from tests.machine.pictures import Picture

STAFF = "staff"  # as whom the machine gives its commands


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
    revoked: set[bytes] = field(default_factory=set)  # share ids of which staff asked for it, done or not
    released: set[bytes] = field(default_factory=set)
    asked: Counter[Kind] = field(default_factory=Counter)  # records that staff have caused
    perhaps: Counter[Kind] = field(default_factory=Counter)  # or not: the box ended before it answered
    one_person: bool = False  # staff have said that of two
    unasked: bool = False  # staff have printed for a share, whoever had asked
    discs: list[Disc] = field(default_factory=list)
    announced: list[Announcement] = field(default_factory=list)
    unanswered: list[Picture] = field(default_factory=list)  # sent, and not acknowledged: there, whole, or not

    def days_pass(self) -> None:
        """The box need not know any more what it was told before."""
        self.announced.clear()
        for disc in self.discs:
            disc.old = True

    def send(self, picture: Picture) -> None:
        self.sent.setdefault(picture.data, set()).add(picture)
        self.unanswered.append(picture)

    def acknowledge(self, one: Acknowledged) -> None:
        self.unanswered.remove(one.picture)
        self.acknowledged.append(one)
