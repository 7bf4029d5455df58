"""A system that stores over HTTP (STOW-RS): several images in one body, acknowledged together or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from appliance.adapters.stow import Storing
from appliance.daemon.receiving import Receiving
from appliance.errors import SlipwayError
from appliance.formats.multipart import MultipartReader
from appliance.formats.spool_frame import Receipt
from appliance.ports import Peer
from tests.fakes.web_peers import BOUNDARY, multipart
from tests.machine.box import PROFILES
from tests.machine.department import ANSWERED_WITHIN_S, soon, twists
from tests.machine.oracle import Acknowledged
from tests.machine.pictures import Picture, Twist, picture
from tests.machine.visitors import Visited
from tests.synthetic import LITTLE, part10

PIECE = 700  # bytes: parts begin and end anywhere in it


class Noting(Receiving):
    """What `receiving` is to a request; the receipts of what it brought are noted."""

    def __init__(self, receiving: Receiving) -> None:
        self._inner = receiving
        self.receipts: list[Receipt] = []

    def refuse(self, peer: Peer) -> SlipwayError | None:
        return self._inner.refuse(peer)

    def stored(self, receipt: Receipt, peer: Peer | None = None) -> None:
        self.receipts.append(receipt)
        self._inner.stored(receipt, peer)

    def complained(self, address: str, error: SlipwayError, peer: Peer | None = None) -> None:
        self._inner.complained(address, error, peer)


class WebSender(Visited):
    @precondition(lambda self: not self.box.spool.disk.holding)
    @rule(
        profile=st.sampled_from([*PROFILES]),
        patient=st.sampled_from("AAB"),
        study=st.sampled_from("112"),
        images=st.integers(1, 3),
        twist=twists,
        breaks=st.sampled_from([False, False, True]),
        then=soon,
    )
    def a_study_comes_over_http(
        self, profile: str, patient: str, study: str, images: int, twist: Twist, breaks: bool, then: float
    ) -> None:
        several = [picture(patient, study, number, twist, profile, "WEB") for number in range(1, images + 1)]
        self.run(self._post(several, breaks=breaks))
        self._then(then)

    async def _post(self, several: list[Picture], *, breaks: bool) -> None:
        box, peer = self.box, Peer("WEB", several[0].profile, "10.20.0.7")
        reception = Noting(box.house.receiving)
        storing = Storing(box.spool, reception, self.time.now, peer, "", 100)
        for what in several:
            self.oracle.send(what)
        box.house.receiving.opened(peer)
        work = asyncio.create_task(self._store_all(storing, several, breaks=breaks))
        await asyncio.wait([work], timeout=ANSWERED_WITHIN_S)
        assert work.done() or box.mains.is_cut, "the sender gets no answer"
        box.house.receiving.closed(peer)
        if work.done():
            self._note(several, reception.receipts, answered=work.result())

    async def _store_all(self, storing: Storing, several: list[Picture], *, breaks: bool) -> bool:
        """Whether its sender hears what became of them."""
        try:
            await storing.store(_body(several, breaks=breaks), MultipartReader(BOUNDARY.encode()))
        except ConnectionResetError:
            await storing.settle()
            return False
        await storing.settle()
        assert storing.report.stored + storing.report.failed == len(several)
        return True

    def _note(self, several: list[Picture], receipts: list[Receipt], *, answered: bool) -> None:
        stored = {receipt.arrival.sop_instance_uid: receipt for receipt in receipts}
        for what in several:
            receipt = stored.get(what.uid)
            if receipt is not None:
                one = Acknowledged(what, receipt, b"".join(map(self.box.spool.read, receipt.pieces)))
                if answered:
                    self.oracle.acknowledge(one)
                else:
                    self.oracle.durable.append(one)
            elif answered:
                self.oracle.refuse(what)
                self.truth.promises.may_be_refused()


async def _body(several: list[Picture], *, breaks: bool) -> AsyncIterator[bytes]:
    whole = multipart(*(part10(what.sop_class, what.uid, LITTLE, what.data) for what in several))
    for at in range(0, len(whole), PIECE):
        if breaks and at > len(whole) // 2:
            raise ConnectionResetError
        yield whole[at : at + PIECE]
        await asyncio.sleep(0)
