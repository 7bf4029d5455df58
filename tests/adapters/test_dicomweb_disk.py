"""STOW-RS and the disk: what is answered when there is no room, and nothing before it is durable."""

from __future__ import annotations

import asyncio
import errno
import resource
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest

from appliance.adapters.spool import FileSpool
from appliance.adapters.stow import UNSETTLED
from appliance.adapters.web_door import Limits
from appliance.errors import SpoolFullError
from appliance.ports import Peer, Spool
from tests.adapters.test_spool import noise
from tests.adapters.web_box import (
    OUT_OF_RESOURCES,
    Door,
    Open,
    opened,
)
from tests.fakes.disks import FailingSyncDisk, FailingWriteDisk, SlowDisk
from tests.fakes.peers import OpenReception
from tests.fakes.spool import BrokenSpool, CongestedSpool, FullSpool
from tests.fakes.web_peers import BOUNDARY, STUDIES, WebPeer, dataset, file, multipart


@pytest.fixture
def open_door(tmp_path: Path) -> Open:
    return partial(opened, tmp_path)


@pytest.fixture
async def door(open_door: Open) -> AsyncIterator[Door]:
    async with open_door() as door:
        yield door


# -- no room -----------------------------------------------------------------------------------------------------------


class Quota(OpenReception):
    """Takes so many instances."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def refuse(self, peer: Peer) -> SpoolFullError | None:
        return SpoolFullError("the quota is used up") if len(self.receipts) >= self._most else None


async def test_a_sender_whose_quota_is_used_up_comes_back_later(open_door: Open) -> None:
    async with open_door(reception=Quota(0)) as door, await WebPeer.call(door.port) as peer:
        await peer.head(Expect="100-continue", Content_Length="1000000000")
        answer = await peer.answer()
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0


async def test_a_quota_is_asked_before_each_instance(open_door: Open) -> None:
    async with open_door(reception=Quota(2)) as door:
        answer = await door.post(multipart(*(file(f"1.2.{n}") for n in range(20))))
    assert answer.status == 202
    stored = len(answer.uids("00081199"))
    assert 2 <= stored <= 2 + 8, "those that were on their way to the disk are finished"
    assert answer.uids("00081198") == [f"1.2.{n}" for n in range(stored, 20)]
    assert set(answer.reasons) == {OUT_OF_RESOURCES}


async def test_a_full_disk_is_told_for_each_instance(open_door: Open) -> None:
    async with open_door(FullSpool) as door:
        answer = await door.post(multipart(file("1.1"), file("1.2")))
    assert answer.status == 503
    assert answer.uids("00081198") == ["1.1", "1.2"]
    assert answer.reasons == [OUT_OF_RESOURCES] * 2
    assert "retry-after" in answer.headers


async def test_a_broken_disk_takes_no_body(open_door: Open) -> None:
    async with open_door(BrokenSpool) as door:
        assert (await door.post(multipart(file()))).status == 503


async def test_what_could_not_be_synced_is_not_said_to_be_stored(open_door: Open) -> None:
    async with open_door(disk=lambda: FailingSyncDisk(3)) as door:
        answers = [await door.post(multipart(file(f"1.{n}"))) for n in range(8)]
        stored = [receipt.arrival.sop_instance_uid for receipt in door.reception.receipts]
    assert {answer.status for answer in answers} == {200, 503}
    assert [uid for answer in answers if answer.status == 200 for uid in answer.uids("00081199")] == stored


async def test_a_disk_that_fills_up_amid_a_request_fails_what_it_does_not_hold(open_door: Open) -> None:
    files = [file(f"1.{n}", dataset(f"1.{n}", after=noise(400_000, seed=n))) for n in range(4)]
    async with open_door(disk=lambda: FailingWriteDisk(6, errno.ENOSPC)) as door:
        answer = await door.post(multipart(*files))
        stored = [receipt.arrival.sop_instance_uid for receipt in door.reception.receipts]
        assert (await door.post(multipart(files[0]))).status == 200, "it goes on when there is space"
    assert answer.status == 202
    assert sorted(answer.uids("00081199")) == sorted(stored)
    assert answer.reasons == [OUT_OF_RESOURCES]


async def test_no_answer_comes_before_the_disk_has_it(open_door: Open) -> None:
    disk = SlowDisk()
    async with open_door(disk=lambda: disk) as door, await WebPeer.call(door.port) as peer:
        asking = asyncio.create_task(peer.post(multipart(file("1.1"), file("1.2"))))
        await door.until(lambda: disk.under_way)
        await asyncio.sleep(0.1)
        assert not asking.done()
        assert door.reception.receipts == []
        disk.catch_up()
        assert (await asking).status == 200


class Counting(OpenReception):
    asked = 0

    def refuse(self, peer: Peer) -> None:
        self.asked += 1


async def test_few_instances_at_once_wait_for_the_disk(open_door: Open) -> None:
    disk, reception = SlowDisk(), Counting()
    async with open_door(disk=lambda: disk, reception=reception) as door, await WebPeer.call(door.port) as peer:
        asking = asyncio.create_task(peer.post(multipart(*(file(f"1.{n}") for n in range(50)))))
        await door.until(lambda: disk.under_way)
        await asyncio.sleep(0.1)
        assert reception.asked <= 1 + UNSETTLED
        disk.catch_up()
        assert len((await asking).uids("00081199")) == 50


async def test_a_disk_that_falls_behind_stops_the_sender(open_door: Open) -> None:
    congested: list[CongestedSpool] = []

    def slow(files: FileSpool) -> Spool:
        congested.append(CongestedSpool(files))
        return congested[0]

    async with open_door(slow) as door, await WebPeer.call(door.port) as peer:
        asking = asyncio.create_task(peer.post(multipart(file(data=dataset(after=bytes(64 << 20))))))
        await door.until(lambda: congested[0].waiting)
        await asyncio.sleep(0.1)
        assert not asking.done()
        assert peer.writer.transport.get_write_buffer_size() > 32 << 20
        congested[0].catch_up()
        assert (await asking).status == 200


async def test_a_large_instance_takes_little_memory(door: Door) -> None:
    size, piece = 192 << 20, bytes(1 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with await WebPeer.call(door.port) as peer:
        start = multipart(file(), last="")[: -len(BOUNDARY) - 4]
        answer = await peer.post_chunked(
            [start, *[piece] * (size >> 20), f"\r\n--{BOUNDARY}--".encode()], STUDIES + "/1.9"
        )
    assert answer.status == 200
    assert door.reception.receipts[0].size == size + len(dataset())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 48 << 10  # KiB


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_hundred_thousand_instances_take_little_memory_and_are_all_named(door: Door) -> None:
    count, before = Limits().instances, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    door.reception.stored = lambda receipt, peer=None: None  # type: ignore[method-assign]  # it would remember them

    def pieces() -> Iterator[bytes]:
        for n in range(count):
            yield multipart(file(f"1.2.{n}"), last="\r\n").rpartition(b"\r\n--")[0] + b"\r\n"
        yield f"--{BOUNDARY}--".encode()

    async with await WebPeer.call(door.port) as peer:
        peer.within_s = 300
        answer = await peer.post_chunked(pieces())
    assert answer.status == 200
    assert answer.uids("00081199") == [f"1.2.{n}" for n in range(count)]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 128 << 10  # KiB; the answer is read here too
