"""C-ECHO to an independent application entity, and to what is none."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from appliance.adapters.pacs import echo, echo_all

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
NOT_FOUND = 0x0122


@pytest.fixture
def peer() -> Iterator[int]:
    """PACS, which knows BOX only; its port."""
    ae = AE("PACS")
    ae.add_supported_context(Verification)
    ae.require_called_aet, ae.require_calling_aet = True, ["BOX"]
    server = ae.start_server(("127.0.0.1", 0), block=False)
    yield server.server_address[1]
    server.shutdown()


@contextlib.asynccontextmanager
async def answering(talk: Talk) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        with contextlib.suppress(ConnectionError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_another_hands_scp_answers(peer):
    assert await echo("127.0.0.1", peer, "PACS", "BOX") == ""


async def test_a_wrong_title_is_told_from_a_wrong_address(peer):
    assert await echo("127.0.0.1", peer, "PACS2", "BOX") == "PACS2 is not its AE title"
    assert await echo("127.0.0.1", peer, "PACS", "BOX2") == "it does not know the box's AE title BOX2"
    assert await echo("127.0.0.1", 1, "PACS", "BOX") == "nobody takes the connection"
    assert await echo("10.20.0.0/24", peer, "PACS", "BOX") == "its address in the settings is a network"


async def test_an_echo_that_is_refused_is_none():
    ae = AE("PACS")
    ae.add_supported_context(Verification)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_ECHO, lambda _: NOT_FOUND)])
    try:
        said = await echo("127.0.0.1", server.server_address[1], "PACS", "BOX")
        assert said == "it took the association, but not the echo"
    finally:
        server.shutdown()


async def test_what_speaks_no_dicom_is_told():
    async def web(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with answering(web) as port:
        assert await echo("127.0.0.1", port, "PACS", "BOX") == "what answers there speaks no DICOM"


async def test_a_length_beyond_all_bounds_is_not_waited_for():
    async def liar(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(struct.pack(">BxI", 2, 0xFFFFFFFF))

    async with answering(liar) as port:
        assert await echo("127.0.0.1", port, "PACS", "BOX") == "what answers there speaks no DICOM"


async def test_silence_is_bounded_and_holds_up_nobody_else(peer):
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with answering(silent) as port:
        assert await echo("127.0.0.1", port, "PACS", "BOX", within_s=0.2) == "no answer"
        started = time.monotonic()
        several = [("127.0.0.1", port, "MUTE")] * 3 + [("127.0.0.1", peer, "PACS")]
        answers = await echo_all(several, "BOX")
    assert answers == (("MUTE", "no answer"),) * 3 + (("PACS", ""),)
    assert time.monotonic() - started < 8
