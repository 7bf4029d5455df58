"""Senders over real sockets: what they are answered, and what the audit trail says of them afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from appliance.adapters.acceptor import Acceptor
from appliance.adapters.association import Limits
from appliance.daemon.peers import KnownPeer, Peers, UnknownPeers
from appliance.daemon.quotas import Quota
from appliance.formats.audit import Kind, Outcome
from tests.daemon.conftest import MakeHouse
from tests.daemon.house import House, Image, images
from tests.daemon.test_transfers import ended
from tests.fakes.peers import RawPeer, RejectedError

SIZE = len(Image().dataset)


@asynccontextmanager
async def door(box: House, limits: Limits | None = None) -> AsyncIterator[int]:
    """A port where the box listens."""
    acceptor = Acceptor(box.spool, box.receiving, box.clock.now, limits)
    ((_, port),) = await acceptor.listen((("127.0.0.1", 0),))
    try:
        yield port
    finally:
        await acceptor.stop()
        acceptor.hang_up()
        await asyncio.sleep(0)


async def test_an_association_over_a_socket_is_one_transfer(box: House) -> None:
    async with door(box) as port, await RawPeer.call(port) as peer:
        for image in images("A", 4):
            assert (await peer.store(image.dataset, image.uid)).status == 0
        await peer.release()
        begun, end = await ended(box, 1)
    assert (begun.kind, end.kind, end.instances, end.outcome) == (
        Kind.TRANSFER_BEGUN,
        Kind.TRANSFERRED,
        4,
        Outcome.SUCCESS,
    )
    assert (end.calling, end.called, end.address) == ("CT1", "SHARE", "127.0.0.1")


async def test_a_quota_answers_out_of_resources_and_the_same_image_is_taken_later(make_house: MakeHouse) -> None:
    quota = Quota(KnownPeer.of("CT1", "127.0.0.1"), 2 * SIZE)
    async with make_house(quotas=[quota]) as box, door(box) as port:
        box.start("receiving")
        first, second, third = images("A", 3)
        async with await RawPeer.call(port) as peer:
            assert [(await peer.store(one.dataset, one.uid)).status for one in (first, second)] == [0, 0]
            answer = await peer.store(third.dataset, third.uid)
            assert (answer.status, answer.comment) == (0xA700, "box is full, try again later")
            assert (await peer.echo()).status == 0
            box.start("relaying", "linking", "printing", "sweeping")
            await box.settled()
            await box.until(lambda: box.receiving.refuse(box.call()) is None)
            assert (await peer.store(third.dataset, third.uid)).status == 0
            await peer.release()
        end = (await ended(box, 1))[-1]
    assert (end.instances, end.outcome, end.why) == (3, Outcome.MINOR_FAILURE, "1 refused (spool_full)")


async def test_another_sender_is_not_touched_by_a_quota(make_house: MakeHouse) -> None:
    async with make_house(quotas=[Quota(KnownPeer.of("CT1", "127.0.0.1"), 1)]) as box, door(box) as port:
        statuses = []
        for calling in ("CT1", "CT1", "CT2"):
            async with await RawPeer.call(port, calling=calling) as peer:
                statuses.append((await peer.store(Image(patient=calling[-1]).dataset)).status)
                await peer.release()
    assert statuses == [0, 0xA700, 0]


async def test_a_stranger_and_a_flood_are_one_alert_each(box: House) -> None:
    box.receiving.peers = Peers([], UnknownPeers.REFUSE)
    async with door(box, Limits(silent=5)) as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(9)]
        for _ in range(3):
            with pytest.raises(RejectedError):
                await RawPeer.call(port, calling="WHO")
        for _, writer in silent:
            writer.close()
        await box.until(lambda: not box.receiving._alerts._waiting)
        alerts = [(one.kind, one.address) for one in await box.trail()]
    assert sorted(alerts) == [(Kind.FLOODED, "127.0.0.1"), (Kind.PEER_UNKNOWN, "127.0.0.1")]
