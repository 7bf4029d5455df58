"""A box that listens for DICOMweb, for tests of it: a real spool, and the daemon's side played by a fake."""

# ruff: noqa: ASYNC110  (tests look again until it is so)
from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.adapters.dicomweb import DicomwebServer
from appliance.adapters.disk_queue import DiskQueue
from appliance.adapters.spool import FileSpool
from appliance.adapters.spool_log import Disk
from appliance.adapters.web_admission import Client
from appliance.adapters.web_door import Limits
from appliance.formats.sealed import Sealer
from appliance.ports import Spool
from tests.adapters.test_spool import KEY
from tests.fakes.peers import OpenReception
from tests.fakes.spool import read_back
from tests.fakes.web_peers import STUDIES, TOKEN, Answer, WebPeer

CLOCK_S = 1_795_000_000.0
PROFILES = frozenset(("SHARE", "OTHER"))
UNKNOWN_CLASS, OUT_OF_RESOURCES, OTHER_STUDY, NO_DICOM, NO_PIXELS = 290, 42752, 43264, 49152, 49442


def client(name: str = "RIS", token: str = TOKEN, profiles: frozenset[str] = PROFILES, at: str = "") -> Client:
    digest = hashlib.sha256(token.encode()).digest()
    return Client(name, digest, profiles, lambda address: address.startswith(at))


@dataclass
class Door:
    """A box that listens for DICOMweb."""

    port: int
    spool: FileSpool
    reception: OpenReception
    server: DicomwebServer

    @property
    def contents(self) -> list[bytes]:
        """By SOP Instance UID: several wait for the disk at once, and it may have a later one first."""
        receipts = sorted(self.reception.receipts, key=lambda receipt: receipt.arrival.sop_instance_uid)
        return [read_back(self.spool, receipt) for receipt in receipts]

    async def post(self, body: bytes, path: str = STUDIES, **headers: str) -> Answer:
        async with await WebPeer.call(self.port) as peer:
            return await peer.post(body, path, **headers)

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.005)


Open = Callable[..., AbstractAsyncContextManager[Door]]


@asynccontextmanager
async def opened(
    folder: Path,
    spool: Callable[[FileSpool], Spool] = lambda files: files,
    *,
    disk: Callable[[], Disk] = DiskQueue,
    reception: OpenReception | None = None,
    limits: Limits | None = None,
    clients: tuple[Client, ...] = (client(),),
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Door]:
    reception = reception or OpenReception()
    files = FileSpool(folder / "spool", Sealer(KEY), reserve_bytes=0, disk=disk)
    files.start()
    server = DicomwebServer(spool(files), reception, lambda: CLOCK_S, clients, PROFILES, limits)
    ((_, port),) = await server.listen((("127.0.0.1", 0),), tls)
    door = Door(port, files, reception, server)
    try:
        yield door
    finally:
        await server.stop()
        files.stop()
        await server.hang_up()
        await door.until(lambda: server._entrance.connections == 0)
        assert reception.inside == []
