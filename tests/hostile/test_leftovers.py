"""What a connection leaves in memory when it is gone: nothing that would wait for the garbage collector.

A connection over TLS holds half a mebibyte of buffers. Where objects hold each other in a circle, Python frees them
only some thousand connections later, and a scanner makes these in a second.
"""

# ruff: noqa: ASYNC110  (tests look again until it is so)
from __future__ import annotations

import asyncio
import contextlib
import gc
import ssl
import time
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from appliance.adapters.acceptor import SILENT_OVER_TLS, Acceptor
from appliance.adapters.association import Association
from appliance.adapters.dicom_tls import server_context
from appliance.adapters.spool import FileSpool
from appliance.dicom.dimse import CommandField
from appliance.dicom.negotiation import MEDIA_CREATION, STORAGE_COMMITMENT
from appliance.dicom.storage_commitment import WELL_KNOWN_INSTANCE
from appliance.formats.sealed import Sealer
from appliance.ports import ServiceAnswer
from tests.certificates import Authority
from tests.dicom.datasets import encode
from tests.dicom.test_storage_commitment import wanted
from tests.fakes.peers import CT, LITTLE, OpenReception, any_command, associate_request, element
from tests.fakes.services import PromptServices
from tests.fuzz.seeds import pdata
from tests.hostile.flood import CLIENT_HELLO

pytestmark = pytest.mark.alone

CONTEXTS = [(CT, LITTLE), (MEDIA_CREATION, LITTLE), (STORAGE_COMMITMENT, LITTLE)]
REJECTED = associate_request("ELSEWHERE", "CT1", [(CT, LITTLE)])
ACCEPTED = associate_request("SHARE", "CT1", CONTEXTS)


def asking(context: int, command: bytes, dataset: bytes) -> bytes:
    pdvs = ((3, command.replace(b"\1\1", b"\0\0")), (2, dataset))
    return ACCEPTED + b"".join(pdata(context, control, value) for control, value in pdvs)


ASKED = asking(3, any_command(MEDIA_CREATION, CommandField.N_CREATE_RQ), b"dataset")
COMMITTED = asking(
    5,
    element(0x0003, STORAGE_COMMITMENT.encode())
    + element(0x0100, CommandField.N_ACTION_RQ.to_bytes(2, "little"))
    + element(0x0110, b"\1\0")
    + element(0x0800, b"\0\0")
    + element(0x1001, WELL_KNOWN_INSTANCE.encode())
    + element(0x1008, b"\1\0"),
    encode(wanted("1.2.3")),
)


class Forgetful(OpenReception):
    """Keeps nothing that came, so that what is left is the acceptor's."""

    def complained(self, address: str, error: Exception) -> None:
        pass


@asynccontextmanager
async def doors(folder: Path) -> AsyncIterator[tuple[Acceptor, dict[str, int]]]:
    """An acceptor that listens plain and with TLS."""
    pair = Authority(folder, "ours").issue("box")
    spool = FileSpool(folder / "spool", Sealer(bytes(32)), reserve_bytes=0)
    services = PromptServices(lambda _: ServiceAnswer(0, b"dataset"))
    acceptor = Acceptor(spool, Forgetful(), time.time, services=services)
    ((_, plain),) = await acceptor.listen((("127.0.0.1", 0),))
    context = server_context(str(pair.certificate), str(pair.key))
    ((_, secure),) = await acceptor.listen((("127.0.0.1", 0),), context)
    try:
        yield acceptor, {"plain": plain, "TLS": secure}
    finally:
        await acceptor.stop()
        acceptor.hang_up()


async def visit(port: int, said: bytes, context: ssl.SSLContext | None) -> None:
    """Connect, say it, hear the answer if there is one, and break off."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(said)
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(0.05):
            await reader.read(10)
    writer.transport.abort()


def left() -> int:
    return sum(isinstance(one, Association | SSLProtocol) for one in gc.get_objects())


def anybodys() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


VISITS = {
    "silent": ("plain", b"", False),
    "noise": ("plain", b"\1\0\xff\xff\xff\xff", False),
    "rejected": ("plain", REJECTED, False),
    "accepted": ("plain", ACCEPTED, False),
    "asked": ("plain", ASKED, False),
    "reported to": ("plain", COMMITTED, False),
    "no handshake": ("TLS", b"", False),
    "half a handshake": ("TLS", CLIENT_HELLO, False),
    "no TLS": ("TLS", b"hello, hello", False),
    "silent after the handshake": ("TLS", b"", True),
    "rejected over TLS": ("TLS", REJECTED, True),
    "accepted over TLS": ("TLS", ACCEPTED, True),
}


@pytest.mark.parametrize("visited", VISITS)
async def test_a_connection_leaves_nothing_for_the_collector(tmp_path: Path, visited: str) -> None:
    where, said, shakes_hands = VISITS[visited]
    async with doors(tmp_path) as (acceptor, ports):
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                await visit(ports[where], said, anybodys() if shakes_hands else None)
            async with asyncio.timeout(5):
                while left():
                    await asyncio.sleep(0.01)
        finally:
            gc.enable()
        assert not acceptor._silent


async def test_handshakes_that_never_end_push_out_each_other_before_the_silent_ones(tmp_path: Path) -> None:
    """A TLS connection costs two hundred times what a plain one does."""
    async with doors(tmp_path) as (acceptor, ports):
        writers = []
        for port in (*[ports["plain"]] * 50, *[ports["TLS"]] * (SILENT_OVER_TLS + 20)):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
        async with asyncio.timeout(5):
            while len(acceptor._silent) != 50 + SILENT_OVER_TLS:
                await asyncio.sleep(0.01)
        for writer in writers:
            writer.transport.abort()
