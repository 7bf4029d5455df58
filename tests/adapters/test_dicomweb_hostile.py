"""STOW-RS on a hostile network: bodies that break off, drip or lie, TLS, and what a connection leaves behind."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from appliance.adapters.dicom_tls import server_context
from appliance.adapters.web_door import Limits
from appliance.errors import FloodError
from appliance.ports import Peer
from tests.adapters.test_spool import noise
from tests.adapters.web_box import (
    NO_DICOM,
    Door,
    Open,
    opened,
)
from tests.certificates import Authority
from tests.fakes.peers import OpenReception
from tests.fakes.web_peers import WebPeer, dataset, file, multipart


@pytest.fixture
def open_door(tmp_path: Path) -> Open:
    return partial(opened, tmp_path)


@pytest.fixture
async def door(open_door: Open) -> AsyncIterator[Door]:
    async with open_door() as door:
        yield door


# -- bodies that end badly ---------------------------------------------------------------------------------------------


async def test_a_sender_that_hangs_up_leaves_what_was_whole(door: Door) -> None:
    async with await WebPeer.call(door.port) as peer:
        await peer.head(Content_Length="1000000")
        await peer.send(multipart(file("1.1"), file("1.2"), last="")[:-60])
        await door.until(lambda: door.reception.receipts)
    await door.until(lambda: not door.reception.inside)
    assert [receipt.arrival.sop_instance_uid for receipt in door.reception.receipts] == ["1.1"]
    assert (await door.post(multipart(file("1.1")))).status == 200
    fingerprints = {receipt.fingerprint for receipt in door.reception.receipts}
    assert len(fingerprints) == 1, "sent again, it is known to be the same"


@pytest.mark.parametrize("last", ["", "-", "\r\nContent-Type: application/dicom"])
async def test_a_body_that_breaks_off_says_so(door: Door, last: str) -> None:
    answer = await door.post(multipart(file("1.1"), file("1.2"), last=last).removesuffix(b"\r\n"))
    stored = answer.uids("00081199")
    assert answer.status == 202
    assert stored == (["1.1"] if last != "\r\nContent-Type: application/dicom" else ["1.1", "1.2"])
    assert answer.reasons == [NO_DICOM]
    assert (await door.post(multipart(file(), last=""))).status == 400


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_chunk_that_lies_about_its_size_ends_the_request(open_door: Open, *, at_once: bool) -> None:
    """aiohttp does not tell a request that has begun; then its silence does."""
    async with open_door(limits=Limits(silence_s=0.3, close_s=0.1)) as door, await WebPeer.call(door.port) as peer:
        await peer.head(Transfer_Encoding="chunked")
        body = multipart(file())[:-10]
        await peer.send(b"%x\r\n" % len(body) + body + (b"garbage" if at_once else b""))
        if not at_once:
            await door.until(lambda: door.reception.inside)
            await peer.send(b"garbage")
        assert (await peer.answer()).status == (400 if at_once else 408)
        await peer.hung_up()
        assert door.contents == []


async def test_more_instances_than_a_request_may_hold_are_not_read(open_door: Open) -> None:
    async with open_door(limits=Limits(instances=3)) as door:
        answer = await door.post(multipart(*(file(f"1.{n}") for n in range(4))))
        assert answer.status == 413
        assert len(door.contents) == 3
        assert (await door.post(multipart(*(file(f"1.{n}") for n in range(3))))).status == 200


# -- a hostile network -------------------------------------------------------------------------------------------------


async def test_a_body_that_drips_is_dropped(open_door: Open) -> None:
    async with open_door(limits=Limits(silence_s=0.3, close_s=0.1)) as door, await WebPeer.call(door.port) as peer:
        await peer.head(Content_Length="1000000")
        await peer.send(multipart(file("1.1"), last="\r\n\r\n"))
        dripping = asyncio.create_task(_drip(peer))
        assert (await peer.answer()).status == 408
        assert not dripping.done(), "it was not the silence after it"
        dripping.cancel()
        assert len(door.contents) == 1
        await peer.hung_up()


async def _drip(peer: WebPeer) -> None:
    for _ in range(400):
        await peer.send(b"x")
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("said", [b"", b"POST /dicom-web/SHARE/studies HTTP/1.1\r\nHost: "])
async def test_who_says_nothing_whole_is_hung_up_on(open_door: Open, said: bytes) -> None:
    async with open_door(limits=Limits(head_s=0.2)) as door, await WebPeer.call(door.port) as peer:
        await peer.send(said)
        await peer.hung_up()
        await door.until(lambda: door.server._entrance.connections == 0)


async def test_an_address_leaves_room_for_others(open_door: Open) -> None:
    async with open_door(limits=Limits(connections=4)) as door:
        first, second = await WebPeer.call(door.port), await WebPeer.call(door.port)
        await door.until(lambda: door.server._entrance.connections == 2)
        async with await WebPeer.call(door.port) as third:
            await third.hung_up()
        assert [type(error) for error in door.reception.complaints] == [FloodError]
        async with await WebPeer.call(door.port, "127.0.0.2") as other:
            assert (await other.post(multipart(file()))).status == 200
        for peer in (first, second):
            peer.writer.transport.abort()
        await door.until(lambda: door.server._entrance.connections == 0)
        assert (await door.post(multipart(file()))).status == 200


async def test_what_is_no_http_is_hung_up_on_and_no_fault_of_the_box(door: Door) -> None:
    async with await WebPeer.call(door.port) as peer:
        await peer.send(b"\1\0\0\0\0\xcd\0\1\0\0SHARE           CT1\r\n\r\n")
        await peer.hung_up()


class Faulty(OpenReception):
    """Has a fault of its own."""

    def refuse(self, peer: Peer) -> None:
        raise ZeroDivisionError("RIVERS^ADA")


async def test_a_fault_of_the_box_is_told_to_the_loop_and_not_to_the_sender(open_door: Open) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    async with open_door(reception=Faulty()) as door:
        answer = await door.post(multipart(file()))
    assert answer.status == 500
    assert b"RIVERS" not in answer.body
    assert [type(context["exception"]) for context in told] == [ZeroDivisionError]


# -- TLS ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tls:
    box: ssl.SSLContext
    sender: ssl.SSLContext


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    authority = Authority(tmp_path, "hospital")
    pair = authority.issue("box")
    box = server_context(str(pair.certificate), str(pair.key), section="[dicomweb]")
    return Tls(box, ssl.create_default_context(cafile=str(authority.file)))


async def test_images_come_over_tls(open_door: Open, tls: Tls) -> None:
    data = dataset(after=noise(1 << 20))
    async with open_door(tls=tls.box) as door, await WebPeer.call(door.port, tls=tls.sender) as peer:
        for _ in range(2):
            assert (await peer.post(multipart(file(data=data)))).status == 200
        assert door.contents == [data, data]


async def test_who_does_not_shake_hands_is_hung_up_on(open_door: Open, tls: Tls) -> None:
    async with open_door(tls=tls.box, limits=Limits(handshake_s=0.2)) as door:
        async with await WebPeer.call(door.port) as silent:
            await silent.hung_up()
        assert door.reception.complaints == [], "who says nothing is no news"
        async with await WebPeer.call(door.port) as plain:
            await plain.head()
            await plain.hung_up()
        await door.until(lambda: door.reception.complaints)
        assert "no TLS handshake" in door.reception.complaints[0].summary
        assert "https://" in door.reception.complaints[0].hint
        async with await WebPeer.call(door.port) as again:
            await again.head()
            await again.hung_up()
        assert len(door.reception.complaints) == 1, "a flood must not become one of lines in the log"
        await door.until(lambda: door.server._entrance.connections == 0)


@contextmanager
def nothing_left() -> Iterator[None]:
    """What a connection held is gone with it: its buffers are large, and the collector comes late."""
    gc.collect()
    gc.disable()
    try:
        yield
        left = Counter(type(one).__name__ for one in gc.get_objects() if type(one).__name__ in LARGE)
    finally:
        gc.enable()
    assert all(count <= 4 for count in left.values()), left


LARGE = {"Door", "RequestHandler", "SSLProtocol", "Storing", "IncomingInstance", "StreamReader"}


async def test_a_connection_over_tls_leaves_nothing_behind(open_door: Open, tls: Tls) -> None:
    async with open_door(tls=tls.box) as door:
        with nothing_left():
            for number in range(20):
                async with await WebPeer.call(door.port, tls=tls.sender) as peer:
                    assert (await peer.post(multipart(file(f"1.{number}")))).status == 200
                async with await WebPeer.call(door.port) as plain:
                    await plain.send(b"GET / HTTP/1.1\r\n\r\n")
                    await plain.hung_up()
            await door.until(lambda: door.server._entrance.connections == 0)
            await asyncio.sleep(0.05)


async def test_a_sender_that_hangs_up_amid_an_instance_leaves_nothing_behind(door: Door) -> None:
    with nothing_left():
        for number in range(20):
            async with await WebPeer.call(door.port) as peer:
                await peer.head(Content_Length="1000000")
                await peer.send(multipart(file(f"1.{number}"), last="")[:-30])
                await door.until(lambda: door.reception.inside)
            await door.until(lambda: not door.reception.inside)
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("said", [b"", b"\1\0\0\0\r\n\r\n", b"GET / HTTP/1.1\r\nA: b\r\n\r\n", b"POST /"])
async def test_a_stranger_leaves_nothing_behind(open_door: Open, said: bytes) -> None:
    async with open_door(limits=Limits(late_s=0)) as door:
        with nothing_left():
            for _ in range(20):
                async with await WebPeer.call(door.port) as peer:
                    await peer.send(said)
                    await asyncio.sleep(0.01)
            await door.until(lambda: not door.server._entrance.connections)
            await asyncio.sleep(0.05)
