"""The acceptor's counterpart in the daemon, and the worker that finds each instance its place.

The acceptor is answered at once, from memory. The worker takes receipts in batches, looks inside each instance's head,
and has the journal record where it belongs (`placing`).
"""

from __future__ import annotations

import asyncio
import logging
import shlex
from collections import deque
from collections.abc import Collection
from functools import partial
from itertools import islice

from appliance.daemon.alerts import Alerts
from appliance.daemon.bell import Bell
from appliance.daemon.peers import Peers, UnknownPeers
from appliance.daemon.placing import Arrived, Placing
from appliance.daemon.quotas import Quotas
from appliance.daemon.transfers import Transfers
from appliance.dicom.attributes import read_attributes
from appliance.dicom.pdu import CALLED_AE_UNKNOWN, CALLING_AE_UNKNOWN, AssociateRequest, Rejection
from appliance.errors import CertificateWrongError, FloodError, SlipwayError, TokenWrongError
from appliance.formats import stream
from appliance.formats.audit import Event, Kind, Outcome
from appliance.formats.spool_frame import Receipt
from appliance.ports import Journal, Peer, Row, SpoolReader, Transaction

log = logging.getLogger("slipway.receiving")

BATCH = 64  # receipts a transaction: bounds how long a slip waits behind the others
LULL_S = 0.02  # reception pauses: the moment to look inside what came, without slowing it
LONGEST_DELAY_S = 0.5  # without a lull: a long series must not starve the relay
ALERTS: dict[type[SlipwayError], Kind] = {
    CertificateWrongError: Kind.CERTIFICATE_WRONG,
    FloodError: Kind.FLOODED,
    TokenWrongError: Kind.TOKENS_WRONG,
}


class Receiving:
    def __init__(
        self,
        journal: Journal,
        spool: SpoolReader,
        placing: Placing,
        peers: Peers,
        profiles: Collection[str],
        bell: Bell,
        transfers: Transfers,
        quotas: Quotas,
        alerts: Alerts,
    ) -> None:
        self._journal = journal
        self._spool = spool
        self._placing = placing
        self.peers = peers
        self._profiles = profiles
        self._bell = bell
        self._transfers = transfers
        self._quotas = quotas
        self._alerts = alerts
        self._arrived: deque[tuple[Receipt, Peer | None]] = deque()
        self._looking = 0  # batches that are out of the queue and not yet in the journal
        self.recovering = False  # what was durable when the box last stopped is not all in the journal yet
        self._some = asyncio.Event()

    # -- the acceptor's questions (ports.Reception) ----------------------------------------------------------------

    def admit(self, request: AssociateRequest, address: str, certificate: str = "") -> Rejection | None:
        if not (request.calling_ae_title + request.called_ae_title).isprintable():  # PS3.5 section 6.2, AE
            log.warning("refused %s: an AE title with control characters", address)
            return CALLING_AE_UNKNOWN
        known = self.peers.knows(request.calling_ae_title, address, certificate)
        if not known and self.peers.pins(request.calling_ae_title, address):  # whatever becomes of unknown peers
            shown = f"showed the certificate {certificate}" if certificate else "showed no certificate"
            log.warning(
                "refused %s at %s: it is known by its certificate_sha256 only, and %s",
                request.calling_ae_title,
                address,
                shown,
            )
            self._alert(Kind.CERTIFICATE_WRONG, f"it {shown}", address, request.calling_ae_title)
            return CALLING_AE_UNKNOWN
        if not known and self.peers.unknown is not UnknownPeers.ACCEPT:
            self._refuse_peer(request.calling_ae_title, address)
            return CALLING_AE_UNKNOWN
        if request.called_ae_title not in self._profiles:
            log.warning(
                "%s at %s called AE title %r; this box answers to %s",
                request.calling_ae_title,
                address,
                request.called_ae_title,
                ", ".join(sorted(self._profiles)),
            )
            return CALLED_AE_UNKNOWN
        return None

    def _refuse_peer(self, ae_title: str, address: str) -> None:
        parked = self.peers.unknown is UnknownPeers.PARK
        hint = (
            f"approve it with: slipway peers approve {shlex.quote(ae_title)} {address}"
            if parked
            else "add a [[dicom.peer]]"
        )
        log.warning("refused %s at %s: not a known peer; %s", ae_title, address, hint)
        self._alerts.unknown_peer(ae_title, address, parked=parked)
        self._some.set()

    def _alert(self, kind: Kind, why: str, address: str, calling: str = "") -> None:
        self._alerts.alert(Event(kind, Outcome.SERIOUS_FAILURE, why=why, address=address, calling=calling))
        self._some.set()

    def opened(self, peer: Peer) -> None:
        self._transfers.opened(peer)

    def closed(self, peer: Peer) -> None:
        if self._transfers.closed(peer):
            self._some.set()

    def refuse(self, peer: Peer) -> SlipwayError | None:
        return self._quotas.refuse(peer)

    def stored(self, receipt: Receipt, peer: Peer | None = None) -> None:
        self._arrived.append((receipt, peer))
        self._quotas.stored(receipt)
        if peer is not None:
            self._transfers.stored(peer)
        if not self._some.is_set():
            self._some.set()

    def complained(self, address: str, error: SlipwayError, peer: Peer | None = None) -> None:
        who = f"{peer.calling_ae_title} at {address}" if peer is not None else address
        log.warning("from %s: %s. %s", who, error.summary, error.hint)
        if peer is not None:
            self._transfers.refused(peer, error.code)
        kind = ALERTS.get(type(error))
        if kind is not None:
            self._alert(kind, error.summary, address)

    @property
    def associations(self) -> int:
        return self._transfers.associations

    @property
    def behind(self) -> bool:
        """Whether something is durable that the journal does not know yet."""
        return bool(self._arrived) or self._looking > 0 or self.recovering

    # -- the worker ------------------------------------------------------------------------------------------------

    async def recover(self) -> int:
        """Place what was durable but not yet journalled when the box last stopped; how many there were.

        Goes on beside reception where there is much: what comes meanwhile is placed between two batches.
        """
        self.recovering = True
        await self._journal.run(self._transfers.resume)
        known = await self._journal.run(_known_streams)
        found, count = self._spool.scan(known), 0
        while receipts := await asyncio.to_thread(lambda: list(islice(found, BATCH))):
            for receipt in receipts:
                self._quotas.stored(receipt)
            await self._take([(receipt, None) for receipt in receipts])
            count += len(receipts)
        await self._journal.run(self._transfers.settle_orphans)
        await self.learn_quotas()
        self.recovering = False
        return count

    async def run(self) -> None:
        while True:
            await self._some.wait()
            await self._wait_for_lull()
            self._some.clear()
            alerts, over = self._alerts.take(), self._transfers.take_over()
            if alerts is not None:
                await self._journal.run(alerts)
            for _ in range(0, len(self._arrived), BATCH):
                await self._take([self._arrived.popleft() for _ in range(min(BATCH, len(self._arrived)))])
            if over:
                await self._journal.run(partial(self._transfers.settle, over=over))
            if self._arrived:
                self._some.set()

    async def _wait_for_lull(self) -> None:
        """The first image of a study goes through at once; within a run, wait until the senders breathe."""
        if len(self._arrived) <= 1:
            return
        for _ in range(round(LONGEST_DELAY_S / LULL_S)):
            before = len(self._arrived)
            await asyncio.sleep(LULL_S)  # being woken for each image would slow reception
            if len(self._arrived) == before:
                return

    async def _take(self, batch: list[tuple[Receipt, Peer | None]]) -> None:
        self._looking += 1
        arrived = await asyncio.to_thread(lambda: [(self._look_inside(receipt), peer) for receipt, peer in batch])
        waiting = await self._journal.run(lambda tx: self._place(tx, arrived))
        self._quotas.placed(receipt for receipt, _ in batch)
        self._quotas.learn(waiting)
        self._looking -= 1
        self._bell.ring()

    def _place(self, tx: Transaction, arrived: list[tuple[Arrived, Peer | None]]) -> list[Row]:
        for one, peer in arrived:
            self._placing.place(tx, one)
            self._transfers.placed(tx, peer, one, self._placing.study_key(one))
        self._transfers.count(tx)
        return tx.all("waiting")

    async def settle(self) -> None:
        """The box stops: associations that ended are written down. What is not placed yet will be at the next start."""
        over = self._transfers.take_over()
        if over and not self.behind:
            await self._journal.run(lambda tx: self._transfers.settle(tx, over))

    async def learn_quotas(self) -> None:
        """The relay makes room too."""
        self._quotas.learn(await self._journal.run(lambda tx: tx.all("waiting")))

    def _look_inside(self, receipt: Receipt) -> Arrived:
        """Decrypt the first segment only; identity stands at the head of a dataset."""
        sealed = b""
        for piece in receipt.pieces:
            sealed += self._spool.read(piece)
            if len(sealed) >= stream.SEGMENT_BYTES:
                break
        cipher = stream.SegmentCipher(
            receipt.key, stream.instance_aad(receipt.stream_id), sealed[: stream.HEADER_BYTES]
        )
        whole = stream.segment_count(receipt.size) == 1
        head = cipher.open(0, memoryview(sealed)[stream.HEADER_BYTES : stream.SEGMENT_BYTES], last=whole)
        procedures = self._placing.looks_at_procedures(receipt.arrival.called_ae_title)
        syntax = receipt.arrival.transfer_syntax
        return Arrived(receipt, read_attributes(head, syntax, whole=whole, procedures=procedures))


def _known_streams(tx: Transaction) -> set[bytes]:
    return {row["stream_id"] for row in tx.all("known_streams")}
