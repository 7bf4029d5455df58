"""One address takes what it can: every other still gets in."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from tests.fakes.peers import RawPeer, RejectedError
from tests.hostile.test_hostile import Victim, running, sockets

pytestmark = pytest.mark.alone

GREEDY, SECOND, THIRD = "127.0.0.2", "127.0.0.3", "127.0.0.4"
TOO_MANY = (2, 3, 2)  # PS3.8 table 9-21: transient, presentation, local limit exceeded


async def take_all(victim: Victim, address: str, peers: list[RawPeer]) -> int:
    """Associate from `address` until the box refuses; how many it let in."""
    before = len(peers)
    with contextlib.suppress(RejectedError):
        while True:
            peers.append(await RawPeer.call(victim.port, address=address))
    return len(peers) - before


async def test_an_address_gets_half_of_the_associations_and_the_next_half_of_what_is_left(tmp_path: Path) -> None:
    with running(tmp_path, "associations=32") as victim:
        peers: list[RawPeer] = []
        assert [await take_all(victim, address, peers) for address in (GREEDY, SECOND, THIRD)] == [16, 8, 4]
        await victim.is_well()
        for peer in peers:
            await peer.release()


async def test_one_too_many_from_an_address_is_told_to_come_back_and_may(tmp_path: Path) -> None:
    with running(tmp_path, "associations=8") as victim:
        peers: list[RawPeer] = []
        await take_all(victim, GREEDY, peers)
        with pytest.raises(RejectedError) as raised:
            await RawPeer.call(victim.port, address=GREEDY)
        assert raised.value.args == TOO_MANY
        before = victim.sockets
        await peers.pop().release()
        await victim.until(lambda: victim.sockets < before)
        async with await RawPeer.call(victim.port, address=GREEDY) as peer:
            assert (await peer.echo()).status == 0
        for peer in peers:
            await peer.close()


async def test_a_modality_that_never_releases_takes_nothing_from_the_others(tmp_path: Path) -> None:
    """Each image on an association of its own that stays open: the others store at once."""
    with running(tmp_path) as victim:
        stuck: list[RawPeer] = []
        assert await take_all(victim, GREEDY, stuck) == 64
        started = time.monotonic()
        for number in range(20):
            async with await RawPeer.call(victim.port) as peer:
                assert (await peer.store(bytes(1000), f"1.2.{number}")).status == 0
                await peer.release()
        assert time.monotonic() - started < 2.0
        for peer in stuck:
            await peer.close()


async def test_the_silent_of_one_address_push_out_each_other_and_nobody_elses(tmp_path: Path) -> None:
    """A slow sender of another address keeps its connection through a flood of 600."""
    with running(tmp_path, "silent=50", "request_s=60") as victim:
        slow = await RawPeer.connect(victim.port)
        async with sockets(victim.port, 600, address=GREEDY):
            await victim.is_well()
            await slow.associate()
            assert (await slow.echo()).status == 0
            await slow.release()
