"""STOW-RS: what is no HTTP, or only nearly, is answered in the box's own words, and costs nobody's time."""

from __future__ import annotations

import asyncio
import gc
import zlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest

from appliance.adapters.web_door import Limits
from tests.adapters.test_spool import noise
from tests.adapters.web_box import OTHER_STUDY, Door, Open, opened
from tests.fakes.disks import FailingWriteDisk
from tests.fakes.web_peers import BOUNDARY, MULTIPART, STUDIES, TOKEN, Answer, WebPeer, dataset, file, multipart
from tests.synthetic import DEFLATED

HEAD = f"POST {STUDIES} HTTP/1.1\r\nHost: box\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: {MULTIPART}\r\n"
LONGEST_STEP_S = 0.15  # of the loop; a busy machine takes a few times what is meant


@pytest.fixture
def open_door(tmp_path: Path) -> Open:
    return partial(opened, tmp_path)


@pytest.fixture
async def door(open_door: Open) -> AsyncIterator[Door]:
    async with open_door() as door:
        yield door


async def said(door: Door, head: bytes) -> Answer:
    async with await WebPeer.call(door.port) as peer:
        await peer.send(head)
        return await peer.answer()


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length : 5\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"A: b\r\n c\r\n",
        b"A: b\0c\r\n",
        b"A: " + b"b" * 9000 + b"\r\n",
        b"A: b\r\n" * 200,
    ],
    ids=["smuggling", "two lengths", "plus", "space", "unknown coding", "folded", "NUL", "long", "many"],
)
async def test_what_is_no_http_is_answered_in_our_words_and_repeats_nothing(door: Door, lines: bytes) -> None:
    answer = await said(door, HEAD.encode() + lines + b"\r\n")
    assert answer.status == 400
    assert set(answer.json) == {"error", "what", "do"}
    assert answer.headers["server"] == "Slipway", "whose version is nobody's business"
    assert TOKEN.encode() not in answer.body


async def test_a_token_of_any_bytes_is_a_wrong_one(door: Door) -> None:
    """And no fault of the box, which a stranger could have it log without end."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    answer = await said(
        door, f"POST {STUDIES} HTTP/1.1\r\nHost: box\r\n".encode() + b"Authorization: Bearer \xff\r\n\r\n"
    )
    assert (answer.status, told) == (401, [])
    assert len(door.reception.complaints) == 1


@pytest.mark.parametrize(
    "first",
    [
        b"GET http://xn--a/ HTTP/1.1\r\nHost: box\r\n\r\n",
        b"GET http://xn--zz--/ HTTP/1.1\r\nHost: box\r\n\r\n",
        b"CONNECT \nbox:443 HTTP/1.1\r\nHost: box\r\n\r\n",
    ],
)
async def test_an_address_that_aiohttp_fails_on_ends_neither_the_connection_nor_the_box(
    door: Door, first: bytes
) -> None:
    """It failed where nobody looks; and an error that nobody saw ends the box, for a stranger's one line."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    assert (await said(door, first)).status == 401
    await door.until(lambda: door.server._entrance.connections == 0)
    gc.collect()
    assert told == []


async def test_a_fault_of_aiohttps_own_ends_its_connection_alone(door: Door) -> None:
    def failing(*_: object) -> NoReturn:
        raise ZeroDivisionError

    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    assert door.server._http is not None
    door.server._http.request_factory = failing
    async with await WebPeer.call(door.port) as peer:
        await peer.head()
        await peer.hung_up()
    gc.collect()
    assert [("transport" in context, type(context["exception"])) for context in told] == [(True, ZeroDivisionError)]


@pytest.mark.parametrize(
    "boundary", [f"boundary*{'9' * 5000}=x", 'boundary*=x; boundary*1="y"', 'boundary="x', "boundary="]
)
async def test_a_media_type_that_cannot_be_read_is_its_senders_fault(door: Door, boundary: str) -> None:
    assert (await door.post(multipart(file()), Content_Type=f"multipart/related; {boundary}")).status == 400


async def test_old_http_is_not_told_to_go_on(door: Door) -> None:
    body = multipart(file())
    head = HEAD.replace("HTTP/1.1", "HTTP/1.0") + f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    assert (await said(door, head.encode() + body)).status == 200


async def test_metadata_with_bulk_data_is_refused_by_its_name(door: Door) -> None:
    kind = f'multipart/related; type="application/dicom+json"; boundary={BOUNDARY}'
    answer = await door.post(multipart(b"[]"), Content_Type=kind)
    assert answer.status == 415
    assert "not metadata with bulk data" in answer.json["what"]


async def test_a_body_that_breaks_off_is_the_senders_to_look_at(door: Door) -> None:
    answer = await door.post(multipart(file(), last=""))
    assert "--BOUNDARY--" in answer.json["do"]
    (complaint,) = door.reception.complaints
    assert "slip" not in complaint.hint


# -- time --------------------------------------------------------------------------------------------------------------


async def longest_step(until: asyncio.Event) -> float:
    loop, longest = asyncio.get_running_loop(), 0.0
    while not until.is_set():
        began = loop.time()
        await asyncio.sleep(0)
        longest = max(longest, loop.time() - began)
    return longest


async def post_measured(door: Door, body: bytes, path: str = STUDIES, **headers: str) -> tuple[int, float]:
    """The status, and the longest time in which the box did nothing for others."""
    over = asyncio.Event()
    watching = asyncio.create_task(longest_step(over))
    answer = await door.post(body, path, **headers)
    over.set()
    return answer.status, await watching


async def test_what_looks_like_a_boundary_again_and_again_holds_up_nobody(door: Door) -> None:
    body = b"--a\r\n\r\n" + file() + b"\r\n--ax" * 150_000 + b"\r\n--a--"
    status, longest_s = await post_measured(door, body, Content_Type="multipart/related; boundary=a")
    assert status == 200
    assert longest_s < LONGEST_STEP_S


async def test_a_deflated_instance_is_looked_into_once_all_of_it_is_here(open_door: Open) -> None:
    """In a thread: 16 KiB of it may be 1 MiB once they are inflated."""
    disk = FailingWriteDisk(0)  # counts
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = deflater.compress(dataset(study="1.8", after=noise(8 << 20))) + deflater.flush()
    async with open_door(disk=lambda: disk) as door:
        answer = await door.post(multipart(file(data=data, syntax=DEFLATED)), f"{STUDIES}/1.9")
    assert (answer.status, answer.reasons) == (409, [OTHER_STUDY])
    assert disk.writes > 1


async def test_endless_accept_headers_hold_up_nobody(open_door: Open) -> None:
    async with open_door(limits=Limits(close_s=0.1)) as door:
        over = asyncio.Event()
        watching = asyncio.create_task(longest_step(over))
        answer = await said(door, HEAD.encode() + (b"Accept: " + b",a;" * 2600 + b"\r\n") * 100 + b"\r\n")
        over.set()
        assert answer.status == 406
        assert await watching < LONGEST_STEP_S
