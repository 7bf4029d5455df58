"""How much may be spooled and not yet relayed: for each sender, for all, and of the disk. Asked before each instance.

An instance that has begun is finished: a quota is passed by what is arriving at that moment, never by more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from appliance.daemon.peers import KnownPeer
from appliance.errors import SpoolFullError
from appliance.formats.spool_frame import Arrival, Receipt
from appliance.ports import Peer, Row

GB = 10**9
Sender = tuple[str, str]  # AE title and address


@dataclass
class Quota:
    """Of a peer of the settings with all its addresses, or of everybody (`peer` None)."""

    peer: KnownPeer | None
    most_bytes: int
    held_bytes: int = 0

    def holds(self, sender: Sender) -> bool:
        return self.peer is None or self.peer.is_at(*sender)


class Quotas:
    def __init__(
        self, quotas: Sequence[Quota] = (), most_filled: float = 1.0, filled: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._quotas = quotas
        self._most_filled = most_filled
        self._filled = filled  # part of the disk, 0 to 1
        self._of: dict[Sender, list[Quota]] = {}  # looked up once: matching networks for each image would cost
        self._unplaced: Counter[Sender] = Counter()

    def refuse(self, peer: Peer) -> SpoolFullError | None:
        """Why no instance can be taken from it now, or None."""
        if self._most_filled < 1 and (filled := self._filled()) >= self._most_filled:
            return SpoolFullError(f"the spool's disk is {filled:.0%} full, more than [spool] fill_percent")
        for quota in self._quotas_of((peer.calling_ae_title, peer.address)):
            if quota.held_bytes >= quota.most_bytes:
                whose = "the whole box" if quota.peer is None else quota.peer.ae_title
                held = f"{quota.held_bytes / GB:.1f} of {quota.most_bytes / GB:g} GB"
                return SpoolFullError(f"the quota of {whose} is used up: {held} wait for the vault")
        return None

    def _quotas_of(self, sender: Sender) -> list[Quota]:
        if sender not in self._of:
            if len(self._of) > 4096:  # strangers may be let in, under ever new names
                self._of.clear()
            self._of[sender] = [quota for quota in self._quotas if quota.holds(sender)]
        return self._of[sender]

    def stored(self, receipt: Receipt) -> None:
        """Durable, and not in the journal yet."""
        self._unplaced[_sender(receipt.arrival)] += receipt.size
        for quota in self._quotas_of(_sender(receipt.arrival)):
            quota.held_bytes += receipt.size

    def placed(self, receipts: Iterable[Receipt]) -> None:
        """Now the journal counts them: `learn` next."""
        for receipt in receipts:
            self._unplaced[_sender(receipt.arrival)] -= receipt.size
        self._unplaced += Counter()  # drops those that are at zero

    def learn(self, rows: Iterable[Row]) -> None:
        """What the journal says, which survives a restart."""
        held = self._unplaced.copy()
        for row in rows:
            held[row["ae_title"], row["address"]] += row["bytes"]
        for quota in self._quotas:
            quota.held_bytes = sum(size for sender, size in held.items() if quota in self._quotas_of(sender))


def _sender(arrival: Arrival) -> Sender:
    return arrival.calling_ae_title, arrival.address
