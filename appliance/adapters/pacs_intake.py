"""Instances that come by C-GET, into the spool: the acceptor's promise for what we fetched ourselves.

Success is answered only when an instance is durable. pynetdicom's thread waits meanwhile, so one instance is in memory
at a time, as it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import TimeoutError as NotInTimeError
from typing import Any

from appliance.dicom.dimse import Status
from appliance.errors import SlipwayError
from appliance.formats.spool_frame import Arrival, Receipt
from appliance.ports import Peer, Reception, Spool

PIECE_BYTES = 1 << 18  # encrypted at once in the event loop: the modalities wait behind it
DURABLE_WITHIN_S = 120.0  # then the PACS is told to try again


class Intake:
    """One association's instances."""

    def __init__(self, spool: Spool, reception: Reception, clock: Callable[[], float], peer: Peer) -> None:
        self._loop = asyncio.get_running_loop()
        self._spool = spool
        self._reception = reception
        self._clock = clock
        self._peer = peer
        self.stored = 0

    def take(self, request: Any, transfer_syntax: str) -> int:
        """In pynetdicom's thread: a C-STORE's status."""
        uids = str(request.AffectedSOPClassUID or ""), str(request.AffectedSOPInstanceUID or "")
        if not all(uids) or request.DataSet is None:
            return Status.CANNOT_UNDERSTAND
        peer = self._peer
        arrival = Arrival(
            peer.calling_ae_title, peer.called_ae_title, peer.address, *uids, transfer_syntax, self._clock()
        )
        storing = asyncio.run_coroutine_threadsafe(self._store(arrival, request.DataSet.getbuffer()), self._loop)
        try:
            receipt = storing.result(DURABLE_WITHIN_S)
        except NotInTimeError:
            storing.cancel()
            return Status.OUT_OF_RESOURCES
        return Status.SUCCESS if receipt else Status.OUT_OF_RESOURCES

    async def _store(self, arrival: Arrival, dataset: memoryview) -> bool:
        try:
            receipt = await self._spooled(arrival, dataset)
        except SlipwayError as error:
            self._reception.complained(self._peer.address, error, self._peer)
            return False
        self._reception.stored(receipt, self._peer)
        self.stored += 1
        return True

    async def _spooled(self, arrival: Arrival, dataset: memoryview) -> Receipt:
        refusal = self._reception.refuse(self._peer)
        if refusal is not None:
            raise refusal
        incoming = self._spool.begin(len(dataset))
        for at in range(0, len(dataset), PIECE_BYTES):
            incoming.write(dataset[at : at + PIECE_BYTES])
            await self._relief()
        durable: asyncio.Future[Receipt] = self._loop.create_future()

        def done(receipt: Receipt | None, error: Exception | None) -> None:
            if durable.cancelled():
                return
            if receipt is None:
                durable.set_exception(error or SlipwayError("an instance could not be written"))
            else:
                durable.set_result(receipt)

        incoming.finish(arrival, done)
        return await durable

    async def _relief(self) -> None:
        """Others are served between two pieces; none is written while the disk is behind."""
        await asyncio.sleep(0)
        while self._spool.congested:
            relieved = asyncio.Event()
            self._spool.when_relieved(relieved.set)
            await relieved.wait()
