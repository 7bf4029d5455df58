"""A box on which nothing happens does next to nothing."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from tests.daemon.house import Image
from tests.fakes.peers import RawPeer
from tests.scale.process import cpu_s
from tests.system.harness import eventually, loop

pytestmark = pytest.mark.alone

MOST_OF_A_CORE = 0.005
SETTLES_S = 5.0


def share_of_a_core(folder: Path, seconds: float) -> float:
    """After a study that was delivered, with vault and printer there."""
    with loop(folder) as (_, box):
        asyncio.run(_send(box.port))
        eventually(lambda: any(slip["state"] == "printed" for slip in box.ask("slips", "list")), 30, "the slip")
        eventually(lambda: json.dumps(box.ask("shares", "list")).count('"at_vault": 3'), 30, "the study at the vault")
        assert box.program is not None
        pid = box.program.process.pid
        time.sleep(SETTLES_S)  # quiet time, last manifest
        before, began = cpu_s(pid), time.monotonic()
        time.sleep(seconds)
        return (cpu_s(pid) - before) / (time.monotonic() - began)


async def _send(port: int) -> None:
    async with await RawPeer.call(port) as peer:
        for number in range(1, 4):
            image = Image(number=number)
            assert (await peer.store(image.dataset, image.uid)).status == 0
        await peer.release()


@pytest.mark.long
def test_an_idle_box_uses_less_than_half_a_percent_of_a_core(tmp_path: Path) -> None:
    used = share_of_a_core(tmp_path, 60)
    print(f"idle: {used:.3%} of a core")
    assert used < MOST_OF_A_CORE
