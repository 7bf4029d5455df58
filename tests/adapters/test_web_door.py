"""Who is inside the DICOMweb door: strangers who say nothing, and senders who take no answer, give way."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from appliance.adapters.web_door import Limits
from appliance.errors import FloodError
from tests.adapters.web_box import Door, Open, opened
from tests.fakes.web_peers import MULTIPART, STUDIES, TOKEN, WebPeer, file, multipart

FEW = Limits(connections=8)


@pytest.fixture
def open_door(tmp_path: Path) -> Open:
    return partial(opened, tmp_path)


@asynccontextmanager
async def crowd(door: Door, addresses: int, each: int) -> AsyncIterator[None]:
    """Connections that say nothing."""
    async with AsyncExitStack() as stack:
        for number in range(addresses):
            for _ in range(each):
                await stack.enter_async_context(await WebPeer.call(door.port, f"127.0.0.{2 + number}"))
        await asyncio.sleep(0.05)
        yield


async def test_silent_strangers_at_many_addresses_shut_out_nobody(open_door: Open) -> None:
    async with open_door(limits=FEW) as door, crowd(door, addresses=12, each=8):
        assert door.server._entrance.connections == FEW.connections
        async with await WebPeer.call(door.port, "127.0.0.99") as peer:
            assert (await peer.post(multipart(file()))).status == 200
        assert {type(error) for error in door.reception.complaints} == {FloodError}


async def test_who_is_sending_makes_room_for_nobody(open_door: Open) -> None:
    body = multipart(file())
    async with open_door(limits=FEW) as door, await WebPeer.call(door.port) as peer:
        await peer.head(Content_Length=str(len(body)))
        await peer.send(body[:50])
        await door.until(lambda: door.reception.inside)
        async with crowd(door, addresses=20, each=4):
            assert door.server._entrance.connections == FEW.connections
            await peer.send(body[50:])
            assert (await peer.answer()).status == 200


async def test_a_kept_connection_makes_room_again_when_its_request_is_over(open_door: Open) -> None:
    async with open_door(limits=Limits(connections=2)) as door, await WebPeer.call(door.port) as idle:
        assert (await idle.post(multipart(file("1.1")))).status == 200
        async with await WebPeer.call(door.port, "127.0.0.2") as second:
            assert (await second.post(multipart(file("1.2")))).status == 200
            async with await WebPeer.call(door.port, "127.0.0.3") as third:
                assert (await third.post(multipart(file("1.3")))).status == 200
            await idle.hung_up()


async def test_who_takes_no_answer_is_hung_up_on(open_door: Open) -> None:
    """Also when the last of it fits into the buffers, and nothing of the box's waits for it any more."""
    body = multipart(*(file(f"1.2.{n}") for n in range(400)))
    head = f"POST {STUDIES} HTTP/1.1\r\nHost: box\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: {MULTIPART}\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    async with open_door(limits=Limits(silence_s=0.5, close_s=0.1, head_s=0.2)) as door:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            await asyncio.get_running_loop().sock_connect(deaf, ("127.0.0.1", door.port))
            sending = asyncio.create_task(_send_on(deaf, request))
            await door.until(lambda: door.reception.receipts)
            await door.until(lambda: door.server._entrance.connections == 0)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def _send_on(deaf: socket.socket, request: bytes) -> None:
    while True:
        await asyncio.get_running_loop().sock_sendall(deaf, request)
