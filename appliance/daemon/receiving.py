"""The acceptor's counterpart in the daemon, and the worker that finds each instance its place.

The acceptor is answered at once, from memory. The worker takes receipts in batches, looks inside each instance's head,
and has the journal record where it belongs (`placing`).
"""

from __future__ import annotations

import asyncio
import logging
import shlex
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable

from appliance.daemon.bell import Bell
from appliance.daemon.peers import Peers, UnknownPeers
from appliance.daemon.placing import Arrived, Placing
from appliance.dicom.attributes import read_attributes
from appliance.dicom.pdu import CALLED_AE_UNKNOWN, CALLING_AE_UNKNOWN, AssociateRequest, Rejection
from appliance.errors import SlipwayError
from appliance.formats import stream
from appliance.formats.spool_frame import Receipt
from appliance.ports import Journal, Peer, SpoolReader, Transaction

log = logging.getLogger("slipway.receiving")

BATCH = 64  # receipts a transaction: bounds how long a slip waits behind the others
LULL_S = 0.02  # reception pauses: the moment to look inside what came, without slowing it
LONGEST_DELAY_S = 0.5  # without a lull: a long series must not starve the relay
UNKNOWN_KEPT = 256  # senders to be listed for approval: whoever calls under ever new names must not fill the journal


class Receiving:
    def __init__(
        self,
        journal: Journal,
        spool: SpoolReader,
        placing: Placing,
        peers: Peers,
        profiles: Collection[str],
        bell: Bell,
        clock: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._spool = spool
        self._placing = placing
        self.peers = peers
        self._profiles = profiles
        self._bell = bell
        self._clock = clock
        self._arrived: deque[Receipt] = deque()
        self._looking = False  # a batch is out of the queue and not yet in the journal
        self._some = asyncio.Event()
        self._senders: Counter[tuple[str, str]] = Counter()  # open associations by calling AE title and address
        self._unknown: deque[tuple[str, str, str]] = deque(
            maxlen=UNKNOWN_KEPT
        )  # to be journalled: AE title, address, state

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
        self._unknown.append((ae_title, address, "parked" if parked else "refused"))
        self._some.set()

    def opened(self, peer: Peer) -> None:
        self._senders[peer.calling_ae_title, peer.address] += 1

    def closed(self, peer: Peer) -> None:
        self._senders[peer.calling_ae_title, peer.address] -= 1
        self._senders += Counter()  # drops those that are at zero

    def stored(self, receipt: Receipt) -> None:
        self._arrived.append(receipt)
        if not self._some.is_set():
            self._some.set()

    def complained(self, address: str, error: SlipwayError) -> None:
        log.warning("from %s: %s. %s", address, error.summary, error.hint)

    def is_sending(self, senders: Iterable[tuple[str, str]]) -> bool:
        return any(self._senders[sender] for sender in senders)

    @property
    def associations(self) -> int:
        return self._senders.total()

    @property
    def behind(self) -> bool:
        """Whether something is durable that the journal does not know yet."""
        return bool(self._arrived) or self._looking

    # -- the worker ------------------------------------------------------------------------------------------------

    async def recover(self) -> int:
        """Place what was durable but not yet journalled when the box last stopped; how many there were."""
        rows = await self._journal.run(lambda tx: tx.all("known_streams"))
        known = {row["stream_id"] for row in rows}
        self._arrived.extend(await asyncio.to_thread(lambda: list(self._spool.scan(known))))
        count = len(self._arrived)
        while self._arrived:
            await self._take_batch()
        return count

    async def run(self) -> None:
        while True:
            await self._some.wait()
            await self._wait_for_lull()
            self._some.clear()
            await self._journal_unknown_peers()
            for _ in range(0, len(self._arrived), BATCH):
                await self._take_batch()
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

    async def _take_batch(self) -> None:
        self._looking = True
        batch = [self._arrived.popleft() for _ in range(min(BATCH, len(self._arrived)))]
        arrived = await asyncio.to_thread(lambda: [self._look_inside(receipt) for receipt in batch])
        await self._journal.run(lambda tx: self._place(tx, arrived))
        self._looking = False
        self._bell.ring()

    def _place(self, tx: Transaction, arrived: list[Arrived]) -> None:
        for one in arrived:
            self._placing.place(tx, one)

    def _look_inside(self, receipt: Receipt) -> Arrived:
        """Decrypt the first segment only; identity stands at the head of a dataset."""
        sealed = self._spool.read(receipt.segments[0])
        cipher = stream.SegmentCipher(
            receipt.key, stream.instance_aad(receipt.stream_id), sealed[: stream.HEADER_BYTES]
        )
        whole = len(receipt.segments) == 1
        head = cipher.open(0, memoryview(sealed)[stream.HEADER_BYTES :], last=whole)
        return Arrived(receipt, read_attributes(head, receipt.arrival.transfer_syntax, whole=whole))

    async def _journal_unknown_peers(self) -> None:
        unknown = [self._unknown.popleft() for _ in range(len(self._unknown))]
        if unknown:
            await self._journal.run(lambda tx: self._record_peers(tx, unknown))

    def _record_peers(self, tx: Transaction, unknown: list[tuple[str, str, str]]) -> None:
        for ae_title, address, state in unknown:
            tx.do("see_peer", ae_title=ae_title, address=address, state=state, now=self._clock())
        tx.do("drop_old_parked", keep=UNKNOWN_KEPT)
