"""A flood of the DICOMweb port with all that is no request: who has the token sends on, and so does DIMSE."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fakes.peers import RawPeer
from tests.fakes.web_peers import WebPeer, file, multipart
from tests.system.dicomweb import Sender, make_token, sender_to, settings
from tests.system.harness import Box

pytestmark = pytest.mark.alone

FLOOD_S = 5.0
ADDRESSES = 12
ATTACKERS = 60
GROWTH_KIB = 30 << 10


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path / "box", "none", profile='ae_title = "SHARE"\nsecond_factor = "none"', extra=settings("RIS"))
    yield box
    box.stop()


async def attack(port: int, number: int) -> None:
    """Silence, noise, wrong tokens and heads without an end, until it is cancelled."""
    chance = random.Random(number)
    while True:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            async with await WebPeer.call(port, f"127.0.0.{2 + number % ADDRESSES}") as peer:
                kind = chance.randrange(4)
                if kind == 0:
                    await peer.send(chance.randbytes(300))
                elif kind == 1:
                    await peer.head(Authorization="Bearer guess", Content_Length="100")
                    await peer.answer()
                elif kind == 2:
                    await peer.send(b"POST /dicom-web/SHARE/studies HTTP/1.1\r\nHost: box\r\n" + b"A: b\r\n" * 50)
                await asyncio.sleep(chance.random())
        await asyncio.sleep(0.01)


async def send_on(port: int, token: str) -> int:
    """Images that were stored."""
    until, count = asyncio.get_running_loop().time() + FLOOD_S, 0
    while asyncio.get_running_loop().time() < until:
        async with await WebPeer.call(port, "127.0.0.99") as peer:
            answer = await peer.post(multipart(file(f"1.2.{count}")), Authorization=f"Bearer {token}")
            assert answer.status == 200
            count += 1
        await asyncio.sleep(0.05)
    return count


async def flood(dicom: int, sender: Sender) -> int:
    port = int(sender.url.split(":")[2].partition("/")[0])
    attackers = [asyncio.create_task(attack(port, number)) for number in range(ATTACKERS)]
    sending = asyncio.create_task(send_on(port, sender.token))
    async with await RawPeer.call(dicom, calling="CT1") as modality:
        while not sending.done():
            assert (await modality.echo()).status == 0
            await asyncio.sleep(0.05)
    for task in attackers:
        task.cancel()
    return await sending


def memory_kib(box: Box) -> int:
    assert box.program is not None
    status = Path(f"/proc/{box.program.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def test_a_flood_of_what_is_no_request_takes_nobodys_place(box: Box) -> None:
    token = make_token(box, "RIS")
    box.start()
    assert box.program is not None
    before = memory_kib(box)
    assert asyncio.run(flood(box.port, sender_to(box, token))) > 10
    assert memory_kib(box) - before < GROWTH_KIB
    lines = [line for line in box.program.log.read_text().splitlines() if line.startswith("from ")]
    assert len(lines) <= ADDRESSES * 6, "five wrong tokens and one flood of each address, and no more"
    assert not any(token in line for line in lines)
