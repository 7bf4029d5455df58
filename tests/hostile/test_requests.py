"""Peers that ask for the longest things without end: images of others are received all the same."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.dicom import elements, tags
from appliance.dicom.negotiation import MEDIA_CREATION
from tests.fakes.peers import CT, LITTLE, VERIFICATION, RawPeer, any_command
from tests.hostile.test_flood import RealBox

pytestmark = pytest.mark.alone

ASKING = 8  # peers
FOR_S = 5.0
AT_MOST_S = 1.0  # for an image or an echo of another; 0.5 s on two busy cores
MEMORY_BYTES = 128 << 20  # that the box may take more
CONTEXTS = ((CT, LITTLE), (MEDIA_CREATION, LITTLE), (VERIFICATION, LITTLE))


@pytest.fixture
def box(tmp_path: Path) -> Iterator[RealBox]:
    real = RealBox(tmp_path)
    try:
        yield real
    finally:
        real.box.stop()


def longest() -> bytes:
    """A media creation request that lists as much as the box reads."""
    uids = (f"1.2.826.0.1.3680043.10.1733.{number}" for number in range(elements.MAX_ITEMS))
    listed = [elements.reference(elements.Reference(CT, uid)) for uid in uids]
    return elements.write({tags.REFERENCED_SOP_SEQUENCE: listed}, LITTLE)


async def ask_until(port: int, dataset: bytes, until: float, answered: Counter[int]) -> None:
    async with await RawPeer.call(port, contexts=CONTEXTS, pdu=1 << 16) as peer:
        context, number = peer.contexts[MEDIA_CREATION, LITTLE], 0
        while time.monotonic() < until:
            number += 1
            command = any_command(MEDIA_CREATION, 0x0140, number).replace(b"\1\1", b"\0\0")
            await peer.send(peer.pdata(context, 1, command) + peer.pdata(context, 0, dataset))
            answered[(await peer.answer()).status] += 1


async def test_requests_without_end_keep_no_image_waiting(box: RealBox) -> None:
    dataset, until, before = longest(), time.monotonic() + FOR_S, box.rss
    answered: Counter[int] = Counter()
    asking = [asyncio.create_task(ask_until(box.port, dataset, until, answered)) for _ in range(ASKING)]
    waited = []
    async with await RawPeer.call(box.port, contexts=CONTEXTS) as peer:
        while time.monotonic() < until:
            started = time.monotonic()
            assert (await peer.echo()).status == 0
            assert (await peer.store(b"image", f"1.2.3.{len(waited)}")).status == 0
            waited.append(time.monotonic() - started)
            await asyncio.sleep(0.02)
    grown = box.rss - before
    await asyncio.gather(*asking)
    print(f"{answered.total()} requests, {len(waited)} images, the slowest {max(waited):.2f} s, {grown >> 20} MiB more")
    assert set(answered) == {0}
    assert max(waited) < AT_MOST_S
    assert grown < MEMORY_BYTES
