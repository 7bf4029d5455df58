"""The spool on disks that fill up and fail: real ones, and fakes where a disk must fail at the right request."""

# ruff: noqa: ASYNC221, PT012  (tests may block their loop)
from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.adapters.spool import FileSpool
from appliance.errors import SlipwayError, SpoolFullError
from appliance.formats.sealed import Sealer
from tests.adapters.test_spool import KEY, noise, running
from tests.fakes.disks import (
    FailingFolderSyncDisk,
    FailingSyncDisk,
    FailingWriteDisk,
    ShortWriteDisk,
    SlowDisk,
)
from tests.fakes.spool import ARRIVAL, arrival, finish, read_back, store, store_all

ROOT = Path(__file__).parents[2]
WRITER = (sys.executable, "-m", "tests.adapters.spool_writer")


# -- full --------------------------------------------------------------------------------------------------------------


def _mount(*words: str) -> None:
    if subprocess.run(["mount", *words], check=False).returncode:
        pytest.skip("this machine lets not even root mount; RLIMIT_FSIZE is tested instead")


@contextmanager
def small_disk(folder: Path, kind: str, megabytes: int = 8) -> Iterator[Path]:
    """A file system of its own, of so many megabytes. Needs root, as `make test` in CI has it."""
    place = folder / "disk"
    place.mkdir()
    if kind == "tmpfs":
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
    else:
        image = folder / "image"
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(image)], check=True)
        command = ["mount", "-o", "loop", str(image), str(place)]
    _mount(*command[1:])
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root; RLIMIT_FSIZE is tested instead")


@needs_root
@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
async def test_a_full_disk_refuses_and_the_spool_goes_on_when_there_is_space(tmp_path: Path, kind: str) -> None:
    with small_disk(tmp_path, kind) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(5 << 20))
        async with running(disk / "spool", file_bytes=1 << 20) as spool:
            kept = [await store(spool, noise(700_000, seed=1))]
            with pytest.raises(SpoolFullError):
                for seed in range(20):
                    kept.append(await store(spool, noise(700_000, seed=seed)))
            for _ in range(3):  # and again, however often
                with pytest.raises(SpoolFullError):
                    await store(spool, noise(2_000_000))
            assert not spool.broken
            ballast.unlink()
            wanted = noise(900_000, seed=77)
            kept.append(await store(spool, wanted))
            assert read_back(spool, kept[-1]) == wanted
        found = list(FileSpool(disk / "spool", Sealer(KEY)).scan(set()))
        assert found == kept


@needs_root
async def test_instances_under_way_on_a_full_disk_fail_alone(tmp_path: Path) -> None:
    """Two interleave; the one that meets the full disk fails, and the other goes on when there is room."""
    with small_disk(tmp_path, "tmpfs", 6) as disk:
        ballast = disk / "ballast"
        async with running(disk / "spool", file_bytes=64 << 20) as spool:
            slow, large = spool.begin(), spool.begin()
            slow.write(memoryview(noise(1 << 20, seed=1)))
            ballast.write_bytes(bytes(4 << 20))
            large.write(memoryview(noise(4 << 20, seed=2)))
            with pytest.raises(SpoolFullError):
                await finish(large)
            ballast.unlink()
            slow.write(memoryview(b"the rest"))
            receipt = await finish(slow)
            assert read_back(spool, receipt) == noise(1 << 20, seed=1) + b"the rest"
        assert list(FileSpool(disk / "spool", Sealer(KEY)).scan(set())) == [receipt]


@needs_root
async def test_a_disk_without_inodes_left_is_full_and_recovers(tmp_path: Path) -> None:
    """Rotation needs a new file; when there is none to be had, the spool must not lose the one that it has."""
    place = tmp_path / "disk"
    place.mkdir()
    _mount("-t", "tmpfs", "-o", "size=64m,nr_inodes=6", "tmpfs", str(place))
    try:
        async with running(place / "spool", file_bytes=300_000) as spool:
            kept = []
            with pytest.raises(SpoolFullError):
                for seed in range(20):
                    kept.append(await store(spool, noise(200_000, seed=seed)))
            with pytest.raises(SpoolFullError):
                await store(spool, b"x")
            spool.remove(1)
            kept.append(await store(spool, b"y"))
            assert not spool.broken
        found = list(FileSpool(place / "spool", Sealer(KEY)).scan(set()))
        assert found == [receipt for receipt in kept if receipt.pieces[0].file_number > 1]
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_limit_on_file_sizes_breaks_the_spool_and_loses_nothing(tmp_path: Path) -> None:
    """EFBIG is no full disk: nobody would ever free it."""
    command = ["prlimit", "--fsize=2000000", *WRITER, str(tmp_path), "6", "500000"]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout
    assert out.split()[:3] == ["stored"] * 3
    assert set(out.split()[4:]) == {"spool_broken"}
    found = list(FileSpool(tmp_path, Sealer(KEY)).scan(set()))
    assert len(found) == out.split().count("stored")


# -- failing -----------------------------------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])


async def outcomes(spool: FileSpool, count: int, size: int = 1000) -> list[str]:
    """What became of so many instances, one after the other."""
    said = []
    for number in range(count):
        try:
            await store(spool, noise(size, seed=number), arrival(f"1.2.{number}"))
            said.append("stored")
        except SlipwayError as problem:
            said.append(problem.code)
    return said


def found_in(folder: Path) -> set[str]:
    return {receipt.arrival.sop_instance_uid for receipt in FileSpool(folder, Sealer(KEY)).scan(set())}


@BOTH
@pytest.mark.parametrize("number", [1, 2, 3, 7])
async def test_a_failed_sync_refuses_that_instance_and_all_later_ones_and_is_never_tried_again(
    tmp_path: Path, error: int, number: int
) -> None:
    """After a failed fsync the kernel may call lost pages clean: a second one would succeed and lie."""
    disk = FailingSyncDisk(number, error)
    async with running(tmp_path, disk=lambda: disk) as spool:
        said = await outcomes(spool, 10)
        assert spool.broken
    good = max(0, number - 2)  # the first instance takes two syncs: of its file and of the folder that names it
    assert said == ["stored"] * good + ["spool_broken"] * (10 - good)
    assert disk.syncs == max(2, number)
    assert found_in(tmp_path) >= {f"1.2.{n}" for n in range(good)}


async def test_a_folder_that_cannot_be_synced_breaks_the_spool(tmp_path: Path) -> None:
    """Without the folder's sync a new file's name may be lost, and all that is in it."""
    async with running(tmp_path, disk=lambda: FailingFolderSyncDisk(2), file_bytes=4 << 20) as spool:
        said = await outcomes(spool, 8, 1_500_000)
    good = said.count("stored")
    assert good >= 1
    assert said == ["stored"] * good + ["spool_broken"] * (8 - good)
    assert found_in(tmp_path) >= {f"1.2.{n}" for n in range(good)}


@pytest.mark.parametrize("number", range(1, 12))
async def test_a_failed_write_breaks_the_spool(tmp_path: Path, number: int) -> None:
    """Whichever of its instance's pieces it was: the disk is not to be trusted."""
    async with running(tmp_path, disk=lambda: FailingWriteDisk(number)) as spool:
        said = await outcomes(spool, 6, 300_000)
        assert spool.broken
    good = (number - 1) // 3  # three pieces each
    assert said == ["stored"] * good + ["spool_broken"] * (6 - good)


@pytest.mark.parametrize("number", range(1, 12))
async def test_a_write_without_space_fails_its_own_instance_only(tmp_path: Path, number: int) -> None:
    async with running(tmp_path, disk=lambda: FailingWriteDisk(number, errno.ENOSPC)) as spool:
        said = await outcomes(spool, 6, 300_000)
        assert not spool.broken
    assert said.count("stored") == 5
    assert said[(number - 1) // 3] == "spool_full"
    assert found_in(tmp_path) == {f"1.2.{n}" for n in range(6) if said[n] == "stored"}


async def test_an_instance_that_was_refused_is_no_damage_to_those_who_look_later(tmp_path: Path) -> None:
    """Its last piece and the receipt were written, an earlier one was not."""
    async with running(tmp_path, disk=lambda: FailingWriteDisk(2, errno.ENOSPC)) as spool:
        assert await outcomes(spool, 2, 300_000) == ["spool_full", "stored"]
    later = FileSpool(tmp_path, Sealer(KEY))
    assert len(list(later.scan(set()))) == 1
    assert later.unreadable == 0


async def test_what_the_disk_wrote_only_a_part_of_is_written_to_its_end(tmp_path: Path) -> None:
    async with running(tmp_path, disk=ShortWriteDisk) as spool:
        wanted = [noise(size, seed=size) for size in (3, 300_000, 2_500_000)]
        receipts = await store_all(spool, wanted)
        assert [read_back(spool, receipt) for receipt in receipts] == wanted
    assert list(FileSpool(tmp_path, Sealer(KEY)).scan(set())) == receipts


async def test_nobody_is_told_before_the_disk_has_answered(tmp_path: Path) -> None:
    disk = SlowDisk()
    async with running(tmp_path, disk=lambda: disk) as spool:
        incoming = spool.begin()
        incoming.write(memoryview(noise(300_000)))
        stored = finish(incoming)
        for _ in range(20):
            await asyncio.sleep(0.005)
        assert not stored.done()
        disk.catch_up()
        assert read_back(spool, await asyncio.wait_for(stored, 5)) == noise(300_000)


# -- order -------------------------------------------------------------------------------------------------------------


async def test_done_is_called_in_the_loop_and_after_the_bytes_are_readable(tmp_path: Path) -> None:
    async with running(tmp_path) as spool:
        loop, incoming = asyncio.get_running_loop(), spool.begin()
        incoming.write(memoryview(b"image"))
        seen: asyncio.Future[tuple[bool, bytes]] = loop.create_future()

        def done(receipt: object, error: object) -> None:
            seen.set_result((asyncio.get_running_loop() is loop, read_back(spool, receipt)))  # type: ignore[arg-type]

        incoming.finish(ARRIVAL, done)
        assert not seen.done()
        assert await seen == (True, b"image")
