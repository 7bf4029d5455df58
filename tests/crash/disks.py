"""Disks that are really full, really without inodes, really read-only: small ext4 file systems under a box.

To be run in a mount namespace of its own (`unshare --mount`): whatever happens, the mounts go with the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.crash.experiments import REFUSED, check_waiting, go_on, start_again
from tests.crash.life import House, Life
from tests.crash.modality import Modality
from tests.crash.plan import Outcome

DISK_BYTES = 64 << 20
FILL_PERCENT = 90
FULL_S = 1.5
SLACK_BYTES = 256 << 10  # what a large file needs beside its contents
FEW_INODES = 40  # asked for; it makes some more


@contextlib.contextmanager
def small_disk(house: House, *options: str) -> Iterator[None]:
    """The box's state is on it. `options` are mkfs's."""
    image = house.folder / "image"
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", *options, image], check=True)
    with mounted(house):
        house.enrol()
        yield


@contextlib.contextmanager
def mounted(house: House) -> Iterator[None]:
    image = house.folder / "image"
    subprocess.run(["mount", "-o", "loop,errors=remount-ro", image, house.state], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", house.state], check=True)


def leave(house: House, free: int) -> Path:
    """Fill the disk but for so many bytes; the file that fills it."""
    ballast = house.state / "lost+found" / "ballast"
    stat = os.statvfs(house.state)
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        os.posix_fallocate(file.fileno(), 0, stat.f_bavail * stat.f_frsize - max(free, SLACK_BYTES))
        file.seek(0, os.SEEK_END)
        while not free:  # to the last block
            file.write(bytes(1024))
    return ballast


async def full(house: House, outcome: Outcome) -> None:
    """A disk with `at` KiB left."""
    modality = Modality()
    with small_disk(house):
        async with Life(house) as life:
            ballast = leave(house, outcome.plan.at << 10)
            await modality.send(house.port)
            await asyncio.sleep(FULL_S)  # the workers meet the full disk, too
            outcome.acknowledged, outcome.refused = len(modality.acknowledged), len(modality.refusals)
            check_waiting(modality, life)
            said = [one["what"] for one in (await house.ask("status"))["sentences"]]
            assert any("MB are free for images" in one for one in said), said
            ballast.unlink()
            await go_on(house, modality, life)


async def filled_so_far(house: House, outcome: Outcome) -> None:
    """The same, on a box that takes nothing from `FILL_PERCENT` on."""
    house.fill_percent = FILL_PERCENT
    await full(house, outcome)


async def no_inodes(house: House, outcome: Outcome) -> None:
    """A disk on which `at` more files can be made."""
    with small_disk(house, "-N", str(FEW_INODES)):
        modality = Modality()
        async with Life(house) as life:
            made = list(use_up_inodes(house))
            for path in made[: outcome.plan.at]:
                path.unlink()
            await modality.send(house.port)
            await asyncio.sleep(FULL_S)
            outcome.acknowledged, outcome.refused = len(modality.acknowledged), len(modality.refusals)
            check_waiting(modality, life)
            for path in made[outcome.plan.at :]:
                path.unlink()
            await go_on(house, modality, life)


def use_up_inodes(house: House) -> Iterator[Path]:
    for number in range(10_000):
        path = house.state / "lost+found" / str(number)
        try:
            path.touch()
        except OSError:
            return
        yield path


async def read_only(house: House, outcome: Outcome) -> None:
    """The file system finds an error after `at` images, and is read-only from then on: as ext4 does it by default.

    Between two images: Linux 6.18 lets a sync succeed whose journal commit was aborted just before, while it still
    writes to the console that the disk is read-only now. Nobody can tell then, and the image is gone.
    """
    with small_disk(house):
        modality = Modality()
        async with Life(house) as life:
            await modality.send(house.port, outcome.plan.at)
            assert len(modality.acknowledged) == outcome.plan.at
            find_an_error(house)
            await modality.send_what_is_missing(house.port)
            outcome.acknowledged, outcome.refused = len(modality.acknowledged), len(modality.refusals)
            await asyncio.sleep(FULL_S)
            await modality.send_what_is_missing(house.port)
            assert len(modality.acknowledged) == outcome.acknowledged == outcome.plan.at
            assert {status for status, _ in modality.refusals} <= {REFUSED}, modality.refusals
            outcome.notes.append(f"ended {life.status}" if life.dead.is_set() else "lives")
    mend(house)
    with mounted(house):
        await start_again(house, modality, outcome)


def find_an_error(house: House) -> None:
    """The file system does; and from now on it is read-only."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    device = next(line.split()[0] for line in mounts if f" {house.state} " in line)
    Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error").write_text("by a test\n")
    assert not list(use_up_inodes(house)), "it is still written to"


def mend(house: House) -> None:
    done = subprocess.run(["e2fsck", "-f", "-y", house.folder / "image"], check=False, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout
