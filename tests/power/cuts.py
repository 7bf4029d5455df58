"""Power cuts by dm-flakey: from a random moment on every write is dropped, and the box does not notice.

The disk goes from life to life of the box, so each start takes up what the last cut left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field
from typing import Any

from tests.power import box as boxes
from tests.power import checks
from tests.power.box import DISK, HOUSE, PORT, SLIPS, STATE, Box
from tests.power.kernel import MappedDevice, load_module, mount, sectors_of, unmount
from tests.power.modality import Modality
from tests.system.harness import eventually

CUTS_A_DISK = 25  # then all is settled and looked through, and the next disk is new
LIVES_S = (0.1, 0.3, 0.3, 0.5, 1.2)  # at most, of which one is chosen: in a second the first slip is out
CUT_WHILE_STARTING = 0.15  # of all lives: in them nobody sends, the box takes up what is there
SETTLES_WITHIN_S = 60.0


@dataclass
class Disk:
    """What is known of the disk in use."""

    device: MappedDevice
    modality: Modality
    found: dict[str, str] = field(default_factory=dict)  # SHA-256 by UID
    streams: set[bytes] = field(default_factory=set)

    def check(self) -> list[str]:
        acknowledged = self.modality.acknowledged
        sealer = checks.sealer_of(STATE)
        if sealer is None:
            return ["the box's key is gone"] if acknowledged else []
        for receipt, digest in checks.read_spool(STATE / "spool", sealer, self.streams):
            self.streams.add(receipt.stream_id)
            self.found[receipt.arrival.sop_instance_uid] = digest
        problems = checks.compare(self.found, self.modality.sent, acknowledged)
        with checks.journal_of(STATE) as journal:
            if journal is not None:
                problems += checks.check_journal(journal, self.streams, _paper())
        return problems


def run(device: str, cuts: int, seed: int, limit_s: float) -> dict[str, Any]:
    """As many cuts as asked for, or as fit into the time; what was seen."""
    chance = random.Random(seed)
    load_module("drivers/md/dm-mod")
    load_module("drivers/md/dm-flakey")
    boxes.prepare()
    until = time.monotonic() + limit_s
    report: dict[str, Any] = {"cuts": 0, "acknowledged": 0, "slips": 0, "problems": []}
    sectors = sectors_of(device)
    while report["cuts"] < cuts and time.monotonic() < until and not report["problems"]:
        _one_disk(device, sectors, chance, report, min(CUTS_A_DISK, cuts - report["cuts"]), until)
    return report


def _one_disk(
    device: str, sectors: int, chance: random.Random, report: dict[str, Any], cuts: int, until: float
) -> None:
    boxes.make_file_system(device)
    up = f"flakey {device} 0 3600 0"
    mapped = MappedDevice.create("power", sectors, up)
    disk = Disk(mapped, Modality(chance))
    mount(mapped.path, DISK, "ext4")
    boxes.move_in(spare_files=chance.choice([0, 0, 0, 1]))
    for _ in range(cuts):
        if time.monotonic() > until or report["problems"]:
            break
        mapped.load(f"flakey {device} 0 0 3600 1 drop_writes")
        asyncio.run(_live_and_die(disk, chance))
        unmount(DISK)
        mapped.load(up)
        mapped.swap()
        mount(mapped.path, DISK, "ext4")
        report["problems"] += disk.check()
        report["cuts"] += 1
    if not report["problems"]:
        report["problems"] += _settle(disk)
    report["acknowledged"] += len(disk.modality.acknowledged)
    report["slips"] += len(_paper())
    unmount(DISK)
    mapped.remove()


async def _live_and_die(disk: Disk, chance: random.Random) -> None:
    box = Box()
    sending = []
    if chance.random() > CUT_WHILE_STARTING:
        box.wait_until_it_listens()
        sending = [asyncio.create_task(disk.modality.send(PORT)) for _ in range(2)]
    await asyncio.sleep(chance.uniform(0, chance.choice(LIVES_S)))  # the moment is the test's subject
    box.hold_still()  # without power it says nothing to printer and vault any more; its disk may still be writing
    disk.device.swap()
    box.kill()
    with contextlib.suppress(OSError):
        await asyncio.gather(*sending)


def _paper() -> set[str]:
    return {path.stem for path in SLIPS.glob("*.bin")}


def _settle(disk: Disk) -> list[str]:
    """One more start, undisturbed: all images listed and at the vault, one live link and one slip a share."""
    box = Box()
    box.wait_until_it_listens()
    try:
        eventually(lambda: _is_settled(box, len(disk.found)), SETTLES_WITHIN_S, "the box settles")
        slips = {slip["number"]: slip for slip in box.ask("slips-list")}
    except AssertionError as error:
        return [f"{error}: {box.ask('status')} {box.log.read_text(errors='replace')[-1500:]}"]
    finally:
        box.kill()
    unknown = [f"slip {number} is on paper, and the box does not know it" for number in _paper() - slips.keys()]
    return unknown + checks.check_vault(HOUSE / "vault/ledger.db") + disk.check()


def _is_settled(box: Box, images: int) -> bool:
    shares, slips = box.ask("shares-list"), box.ask("slips-list")
    live = [slip for slip in slips if slip["state"] == "printed" and slip["link"] == "active"]
    placed = sum(share["images"] for share in shares) >= images
    return placed and all(share["images"] == share["at_vault"] for share in shares) and len(live) == len(shares)
