"""The spool on disks that fill up and fail: real ones, and strace where a disk must fail at the right call."""

# ruff: noqa: ASYNC221, PT012  (tests may block their loop)
from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.adapters.spool import FileSpool
from appliance.errors import SpoolFullError
from appliance.formats.sealed import Sealer
from tests.adapters.test_spool import KEY, noise, running
from tests.fakes.spool import finish, read_back, store

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
        assert found == [receipt for receipt in kept if receipt.segments[0].file_number > 1]
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


def strace(folder: Path, inject: str, count: int = 6, size: int = 1000) -> tuple[list[str], str]:
    """What the writer said, and the trace of its system calls."""
    log = folder / "trace"
    trace = "trace=fdatasync,fsync,pwrite64,pwritev,pwritev2,openat"
    command = ["strace", "-f", "-qq", "-o", str(log), "-e", trace, "-e", f"inject={inject}", *WRITER]
    run = subprocess.run(
        [*command, str(folder / "spool"), str(count), str(size)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        input="go on\ngo on\n",
    )
    return run.stdout.split(), log.read_text()


def syncs(trace: str) -> int:
    return len(re.findall(r"\bfdatasync\(", trace))


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_failed_sync_refuses_that_instance_and_all_later_ones_and_is_never_tried_again(
    tmp_path: Path, error: str
) -> None:
    """After a failed fsync the kernel may call lost pages clean: a second one would succeed and lie."""
    said, trace = strace(tmp_path, f"fdatasync:error={error}:when=3")
    assert said == ["stored"] * 2 + ["spool_broken"] * 6
    assert syncs(trace) == 3
    found = {receipt.arrival.sop_instance_uid for receipt in FileSpool(tmp_path / "spool", Sealer(KEY)).scan(set())}
    assert found >= {"1.2.0", "1.2.1"}


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_failed_sync_at_the_end_of_a_file_is_no_better(tmp_path: Path, error: str) -> None:
    """Rotation syncs the old file: 4 MiB here, of 1.5 MiB instances, so the fourth sync is the rotation's."""
    said, trace = strace(tmp_path, f"fdatasync:error={error}:when=4", size=1_500_000)
    assert said == ["stored"] * 3 + ["spool_broken"] * 5
    assert syncs(trace) == 4


def test_a_failed_write_breaks_the_spool(tmp_path: Path) -> None:
    said, trace = strace(tmp_path, "pwrite64,pwritev,pwritev2:error=EIO:when=3")
    assert said == ["stored"] * 2 + ["spool_broken"] * 6
    assert syncs(trace) == 2


def test_a_folder_that_cannot_be_synced_breaks_the_spool(tmp_path: Path) -> None:
    """Without the folder's sync the new file's name may be lost, and all that is in it."""
    said, _ = strace(tmp_path, "fsync:error=EIO:when=2", count=8, size=1_500_000)  # counted in the writer's thread
    assert said == ["stored"] * 6 + ["spool_broken"] * 4


# -- order -------------------------------------------------------------------------------------------------------------


async def test_done_is_called_in_the_loop_and_after_the_bytes_are_readable(tmp_path: Path) -> None:
    async with running(tmp_path) as spool:
        loop, incoming = asyncio.get_running_loop(), spool.begin()
        incoming.write(memoryview(b"image"))
        seen: asyncio.Future[tuple[bool, bytes]] = loop.create_future()

        def done(receipt: object, error: object) -> None:
            seen.set_result((asyncio.get_running_loop() is loop, read_back(spool, receipt)))  # type: ignore[arg-type]

        from tests.fakes.spool import ARRIVAL

        incoming.finish(ARRIVAL, done)
        assert not seen.done()
        assert await seen == (True, b"image")
