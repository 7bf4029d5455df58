"""A box that was killed with a hundred thousand instances in its spool answers at once, and forgets none of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.adapters import control
from appliance.formats.sealed import Sealer
from tests.daemon.house import Image
from tests.fakes.peers import RawPeer
from tests.scale.filling import fill
from tests.scale.process import MB, most_resident
from tests.system.harness import Box, eventually

pytestmark = pytest.mark.alone

ANSWERS_WITHIN_S = 10.0
MOST_BYTES = 512 * MB
KEY = bytes(range(32))
PROFILE = 'ae_title = "SHARE"\nquiet_seconds = 3600\nsecond_factor = "none"'


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path / "box", "none", profile=PROFILE)
    box.spool.mkdir(parents=True)
    (box.spool / "spool.key").write_bytes(KEY)
    yield box
    box.stop()


def start(box: Box, number: int) -> float:
    """Seconds until it has answered C-ECHO and C-STORE."""
    started = time.monotonic()
    box.start()
    asyncio.run(_echo_and_store(box, number))
    return time.monotonic() - started


async def _echo_and_store(box: Box, number: int) -> None:
    image = Image(study="99999", patient_id="SCALE-NEW", number=number)
    async with await RawPeer.call(box.port) as peer:
        assert (await peer.echo()).status == 0
        assert (await peer.store(image.dataset, image.uid)).status == 0
        await peer.release()


def pid(box: Box) -> int:
    assert box.program is not None
    return box.program.process.pid


def kill(box: Box) -> None:
    assert box.program is not None
    box.program.kill()


def listed(box: Box) -> Any:
    """How many images the shares have."""
    shares = asyncio.run(control.call(box.spool, "shares-list", {}))
    return sum(share["images"] for share in shares)


def restart_with(box: Box, count: int, listed_within_s: float) -> None:
    """None of them in the journal; then some, as it was killed meanwhile; then all."""
    asyncio.run(fill(box.spool / "spool", Sealer(KEY), count))
    none_known = start(box, 1)
    memory = most_resident(pid(box))
    kill(box)
    some_known = start(box, 2)
    began = time.monotonic()
    eventually(lambda: listed(box) >= count + 2, listed_within_s, "all images listed")
    took = time.monotonic() - began
    memory = max(memory, most_resident(pid(box)))
    kill(box)
    all_known = start(box, 3)
    eventually(lambda: listed(box) >= count + 3, 30, "the last image listed")
    memory = max(memory, most_resident(pid(box)))
    print(
        f"{count} instances spooled: answers after {none_known:.1f} s with none of them journalled, {some_known:.1f} s"
        f" with some, {all_known:.1f} s with all; listed after {took:.1f} s; {memory / MB:.0f} MB"
    )
    assert max(none_known, some_known, all_known) < ANSWERS_WITHIN_S
    assert memory < MOST_BYTES
    assert listed(box) == count + 3  # each once
    assert box.program is not None
    assert "could not be read back" not in box.program.log.read_text()


def test_five_thousand_instances_do_not_delay_a_restart(box: Box) -> None:
    restart_with(box, 5_000, 90)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_hundred_thousand_instances_do_not_delay_a_restart(box: Box) -> None:
    restart_with(box, 100_000, 500)
