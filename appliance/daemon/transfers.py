"""Which studies are under way on which associations: begin and end of each transfer for the audit trail.

A transfer is one study on one association. It is journalled with its first instance and ended when the association is
over and everything it brought is placed; what a crash cut short is ended by the next start. The network calls `opened`,
`stored`, `refused` and `closed`; the rest happens within the journal's transactions, in its thread.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any, TypeVar

from appliance.daemon.auditing import Trail
from appliance.daemon.placing import Arrived
from appliance.formats.audit import Event, Kind, Outcome
from appliance.formats.sealed import Sealer
from appliance.ports import Peer, Row, Transaction

CUT_SHORT = "the box stopped before the association ended"
Key = TypeVar("Key")
Orphan = tuple[bytes, str, str, str]  # study and sender of what belongs to no association that is known


class Transfers:
    def __init__(self, trail: Trail, sealer: Sealer) -> None:
        self._trail = trail
        self._sealer = sealer
        self._open: set[Peer] = set()
        self._sending: dict[Peer, bytes] = {}  # the study that an open association sent last
        self._touched: set[Peer] = set()  # those of which there will be something to tell
        self._over: list[Peer] = []
        self._refused: dict[Peer, Counter[str]] = {}
        self._rows: dict[Peer, dict[bytes, int]] = {}  # transfers by association and study
        self._orphans: dict[Orphan, int] = {}
        self._grown: Counter[int] = Counter()

    # -- from the network ------------------------------------------------------------------------------------------

    def opened(self, peer: Peer) -> None:
        self._open.add(peer)

    def stored(self, peer: Peer) -> None:
        self._touched.add(peer)
        if peer not in self._open:  # its last image became durable when it had hung up already
            self._over.append(peer)

    def refused(self, peer: Peer, code: str) -> None:
        self._touched.add(peer)
        self._refused.setdefault(peer, Counter())[code] += 1

    def closed(self, peer: Peer) -> bool:
        """Whether there is something to tell of it."""
        self._open.discard(peer)
        self._sending.pop(peer, None)
        if peer in self._touched:
            self._over.append(peer)
        return peer in self._touched

    @property
    def associations(self) -> int:
        return len(self._open)

    def is_sending(self, study_key: bytes) -> bool:
        """Whether an association is open whose last image was of that study."""
        return study_key in list(self._sending.values())

    def take_over(self) -> list[Peer]:
        """Those that have ended since. Whoever asks places first what they brought, then settles them."""
        over, self._over = self._over, []
        return over

    # -- in the journal's transactions -----------------------------------------------------------------------------

    def placed(self, tx: Transaction, peer: Peer | None, arrived: Arrived, study_key: bytes) -> None:
        """One more instance of a study; `peer` None: from before a restart."""
        arrival = arrived.receipt.arrival
        if peer is None:
            orphan = (study_key, arrival.calling_ae_title, arrival.called_ae_title, arrival.address)
            row = self._known_or_begun(tx, self._orphans, orphan, arrived, study_key)
        else:
            row = self._known_or_begun(tx, self._rows.setdefault(peer, {}), study_key, arrived, study_key)
            if peer in self._open:
                self._sending[peer] = study_key
        self._grown[row] += 1
        tx.if_undone(self._grown.clear)

    def _known_or_begun(
        self, tx: Transaction, rows: dict[Key, int], key: Key, arrived: Arrived, study_key: bytes
    ) -> int:
        if key not in rows:
            rows[key] = self._begin(tx, arrived, study_key)
            tx.if_undone(lambda: rows.pop(key))
        return rows[key]

    def count(self, tx: Transaction) -> None:
        """Write down what `placed` was told in this transaction."""
        for row, instances in self._grown.items():
            tx.do("transfer_grown", id=row, instances=instances)
        self._grown.clear()

    def _begin(self, tx: Transaction, arrived: Arrived, study_key: bytes) -> int:
        arrival, attributes = arrived.receipt.arrival, arrived.attributes
        facts = {
            "calling": arrival.calling_ae_title,
            "called": arrival.called_ae_title,
            "address": arrival.address,
            "patient": attributes.patient_id,
            "studies": [attributes.study_uid] if attributes.study_uid else [],
        }
        self._trail.record(tx, _event(Kind.TRANSFER_BEGUN, facts))
        sealed = self._sealer.seal_json(b"transfer" + study_key, facts)
        return int(tx.one("add_transfer", study_key=study_key, sealed=sealed)["id"])

    def settle(self, tx: Transaction, over: list[Peer]) -> None:
        for peer in over:
            begun, refused = self._rows.pop(peer, {}), self._refused.pop(peer, Counter())
            self._touched.discard(peer)
            tx.if_undone(partial(self._unsettle, peer, begun, refused))
            rows = list(begun.values())
            why = ", ".join(f"{count} refused ({code})" for code, count in sorted(refused.items()))
            for row in rows:
                last = row == rows[-1]  # of which study the refused ones were is not known
                self._end(tx, tx.one("transfer", id=row), why if last else "")
            if refused and not rows:
                facts: dict[str, Any] = {
                    "calling": peer.calling_ae_title,
                    "called": peer.called_ae_title,
                    "address": peer.address,
                }
                self._trail.record(tx, Event(Kind.TRANSFERRED, Outcome.SERIOUS_FAILURE, why=why, **facts))

    def _unsettle(self, peer: Peer, begun: dict[bytes, int], refused: Counter[str]) -> None:
        self._rows[peer], self._refused[peer] = begun, refused
        self._touched.add(peer)

    def resume(self, tx: Transaction) -> None:
        """Find what a crash cut short: instances that it left unplaced are counted there."""
        for row in tx.all("transfers"):
            facts = self._facts(row)
            self._orphans[row["study_key"], facts["calling"], facts["called"], facts["address"]] = row["id"]

    def settle_orphans(self, tx: Transaction) -> None:
        for row in self._orphans.values():
            self._end(tx, tx.one("transfer", id=row), CUT_SHORT)
        tx.if_undone(partial(self._orphans.update, dict(self._orphans)))
        self._orphans.clear()

    def _end(self, tx: Transaction, row: Row, why: str) -> None:
        outcome = Outcome.MINOR_FAILURE if why else Outcome.SUCCESS
        facts = self._facts(row) | {"instances": row["instances"], "why": why, "outcome": outcome}
        tx.do("transfer_ended", id=row["id"])
        self._trail.record(tx, _event(Kind.TRANSFERRED, facts))

    def _facts(self, row: Row) -> dict[str, Any]:
        facts: dict[str, Any] = self._sealer.open_json(b"transfer" + row["study_key"], row["sealed"])
        return facts


def _event(kind: Kind, facts: dict[str, Any]) -> Event:
    return Event(kind, **(facts | {"studies": tuple(facts["studies"])}))
