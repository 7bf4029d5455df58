"""Errors that no task would see: what ends the box, what ends one connection, and what the log says of either."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from appliance.daemon.run import watch_callbacks

CANARY = "RIVERS^ADA 19700131"


def fail() -> None:
    raise ValueError(CANARY)


@pytest.fixture
async def watching() -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(watch_callbacks())
    await asyncio.sleep(0)
    yield task
    task.cancel()
    asyncio.get_running_loop().set_exception_handler(None)


async def test_an_error_in_a_callback_of_the_box_ends_it(watching: asyncio.Task[None]) -> None:
    asyncio.get_running_loop().call_soon(fail)
    with pytest.raises(ValueError, match=r"RIVERS\^ADA"):
        await asyncio.wait_for(watching, 5)


async def test_an_error_on_a_connection_ends_only_that_and_the_log_says_where_but_nothing_of_the_patient(
    watching: asyncio.Task[None], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            fail()

    server = await asyncio.get_running_loop().create_server(Broken, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    with caplog.at_level(logging.DEBUG):
        writer.write(b"x")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        server.close()
    assert not watching.done()
    assert "unexpected: ValueError at test_run.py:" in caplog.text
    assert "RIVERS" not in caplog.text
