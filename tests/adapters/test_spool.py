"""What the spool took is there bit for bit, unreadable to others, and in files that come and go."""

# ruff: noqa: ASYNC240  (tests may block their loop)
from __future__ import annotations

import asyncio
import os
import random
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from appliance.adapters.disk_queue import DiskQueue
from appliance.adapters.spool import FileSpool
from appliance.adapters.spool_log import QUEUE_BYTES, Disk
from appliance.errors import FormatError, SpoolBrokenError, SpoolFullError
from appliance.formats import stream
from appliance.formats.sealed import Sealer
from tests.fakes.disks import SlowDisk
from tests.fakes.spool import arrival, finish, read_back, store, store_all
from tests.formats.test_stream import sealed_size

KEY = bytes(range(32))
CANARY = b"RIVERS^ADA 19700131 canary"
Start = Callable[..., AbstractAsyncContextManager[FileSpool]]


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


@asynccontextmanager
async def running(folder: Path, disk: Callable[[], Disk] = DiskQueue, **options: int) -> AsyncIterator[FileSpool]:
    spool = FileSpool(folder, Sealer(KEY), disk=disk, **{"reserve_bytes": 0, **options})  # type: ignore[arg-type]
    spool.start()
    try:
        yield spool
    finally:
        spool.stop()


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[FileSpool]:
    async with running(tmp_path) as spool:
        yield spool


# -- what was written reads back ---------------------------------------------------------------------------------------

FIRST, NEXT = stream.FIRST_PLAIN_BYTES, stream.PLAIN_BYTES
SIZES = [0, 1, 2, FIRST - 1, FIRST, FIRST + 1, FIRST + NEXT - 1, FIRST + NEXT, FIRST + NEXT + 1, 5 << 20]


@pytest.mark.parametrize("size", SIZES)
async def test_an_instance_reads_back_bit_for_bit(spool: FileSpool, size: int) -> None:
    data = noise(size)
    receipt = await store(spool, data)
    assert read_back(spool, receipt) == data
    assert receipt.size == size
    assert sum(piece.length for piece in receipt.pieces) == sealed_size(size)


@pytest.mark.parametrize("fragment_bytes", [1, 7, 4096, FIRST, 3 << 20])
async def test_how_it_was_cut_into_fragments_does_not_matter(spool: FileSpool, fragment_bytes: int) -> None:
    data = noise(FIRST + 3 if fragment_bytes > 100 else 2000)
    assert read_back(spool, await store(spool, data, fragment_bytes=fragment_bytes)) == data


async def test_interleaved_instances_do_not_mix(spool: FileSpool) -> None:
    wanted = [noise(3_000_000 + n, seed=n) for n in range(6)]
    incoming = [spool.begin() for _ in wanted]
    for at in range(0, 3_100_000, 70_000):
        for one, data in zip(incoming, wanted, strict=True):
            one.write(memoryview(data[at : at + 70_000]))
    receipts = await asyncio.gather(*(finish(one) for one in incoming))
    assert [read_back(spool, receipt) for receipt in receipts] == wanted


async def test_the_fingerprint_tells_equal_from_different(spool: FileSpool) -> None:
    data = noise(FIRST + 500)
    first, same = await store_all(spool, [data, data])
    other = await store(spool, data[:-1] + bytes([data[-1] ^ 1]))
    assert first.fingerprint == same.fingerprint
    assert first.fingerprint != other.fingerprint
    assert first.stream_id != same.stream_id
    assert first.key != same.key


async def test_nothing_of_the_plaintext_is_on_the_disk(spool: FileSpool, tmp_path: Path) -> None:
    incoming = spool.begin()  # this one is never finished
    incoming.write(memoryview(CANARY * 100_000))
    await store(spool, CANARY * 1000, arrival("1.2.3.4444.CANARYUID"))
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert len(raw) > 1_000_000
    assert CANARY[:10] not in raw
    assert b"CANARYUID" not in raw


async def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with running(tmp_path / "spool") as spool:
            await store(spool, b"x")
            modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "spool").iterdir()}
            assert modes == {0o600}
            assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700
    finally:
        os.umask(before)


async def test_reading_beyond_a_files_end_is_an_error(spool: FileSpool, tmp_path: Path) -> None:
    receipt = await store(spool, noise(100))
    (path,) = tmp_path.iterdir()
    os.truncate(path, receipt.pieces[0].offset + 50)
    with pytest.raises(FormatError, match="shorter"):
        spool.read(receipt.pieces[0])


async def test_reading_a_file_that_is_gone_is_an_error(spool: FileSpool, tmp_path: Path) -> None:
    receipt = await store(spool, noise(100))
    (path,) = tmp_path.iterdir()
    path.unlink()
    with pytest.raises(FormatError, match="cannot be read"):
        spool.read(receipt.pieces[0])


@pytest.mark.parametrize("expected", [0, 1, FIRST, FIRST + 1, FIRST + NEXT, 10 << 20])
@pytest.mark.parametrize("size", [5, 200_000, FIRST, FIRST + 1, FIRST + NEXT + 1])
async def test_a_wrong_guess_at_the_size_changes_nothing_but_the_work(tmp_path: Path, expected: int, size: int) -> None:
    async with running(tmp_path) as spool:
        incoming = spool.begin(expected)
        incoming.write(memoryview(noise(size)))
        receipt = await finish(incoming)
        assert read_back(spool, receipt) == noise(size)
    assert scan(tmp_path) == [receipt]


# -- files come and go -------------------------------------------------------------------------------------------------


async def test_files_are_rotated_and_an_instance_may_span_several(tmp_path: Path) -> None:
    async with running(tmp_path, file_bytes=1 << 20) as spool:
        wanted = [noise(3 << 20, seed=n) for n in range(3)]
        receipts = await store_all(spool, wanted)
        assert len(spool.files()) > 3
        assert {piece.file_number for piece in receipts[0].pieces} != {receipts[0].pieces[0].file_number}
        assert [read_back(spool, receipt) for receipt in receipts] == wanted
    assert [len(data) for data in wanted] == [receipt.size for receipt in scan(tmp_path)]


async def test_a_restart_never_writes_into_an_old_file(tmp_path: Path) -> None:
    async with running(tmp_path) as spool:
        await store(spool, b"first")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    async with running(tmp_path) as spool:
        await store(spool, b"second")
        assert len(spool.files()) == 2
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


async def test_the_file_being_written_is_never_removed(spool: FileSpool) -> None:
    receipt = await store(spool, b"x")
    spool.remove(receipt.pieces[0].file_number)
    assert read_back(spool, receipt) == b"x"


async def test_a_file_in_which_an_unfinished_instance_began_is_kept(tmp_path: Path) -> None:
    async with running(tmp_path, file_bytes=100_000) as spool:
        incoming = spool.begin(FIRST + 10)
        data = noise(FIRST + 10)
        incoming.write(memoryview(data))
        later = await store_all(spool, [noise(200_000, seed=n) for n in range(3)])
        first = spool.files()[0]
        for number in spool.files():
            spool.remove(number)
        assert first in spool.files()
        receipt = await finish(incoming)
        assert read_back(spool, receipt) == data
        assert receipt.pieces[0].file_number == first < later[-1].pieces[0].file_number


async def test_the_file_of_an_instance_that_was_given_up_can_be_removed(tmp_path: Path) -> None:
    async with running(tmp_path, file_bytes=100_000) as spool:
        incoming = spool.begin()
        incoming.write(memoryview(noise(FIRST + 10)))
        await store_all(spool, [noise(200_000, seed=n) for n in range(3)])
        first = spool.files()[0]
        del incoming  # the association broke off
        spool.remove(first)
        assert first not in spool.files()


def scan(folder: Path) -> list[object]:
    return list(FileSpool(folder, Sealer(KEY)).scan(set()))


async def test_a_spare_that_a_killed_start_left_unfinished_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / "new-0").write_bytes(bytes(1 << 20))
    async with running(tmp_path, file_bytes=1 << 20, spare_files=0):
        assert not (tmp_path / "new-0").exists()


# -- back pressure -----------------------------------------------------------------------------------------------------


async def test_a_disk_that_lags_behind_is_congestion_and_relief_is_told_once(tmp_path: Path) -> None:
    disk = SlowDisk()
    relieved: list[str] = []
    async with running(tmp_path, lambda: disk) as spool:
        incoming = spool.begin()
        block = memoryview(noise(1 << 20))
        for _ in range((QUEUE_BYTES >> 20) + 3):
            incoming.write(block)
        assert spool.congested
        spool.when_relieved(lambda: relieved.append("now"))
        stored = finish(incoming)
        await asyncio.sleep(0.02)
        assert spool.congested
        assert not relieved
        disk.catch_up()
        receipt = await stored
        assert not spool.congested
        assert relieved == ["now"]
        await store(spool, b"x")
        assert relieved == ["now"]
        assert receipt.size == ((QUEUE_BYTES >> 20) + 3) << 20


async def test_relief_comes_even_if_nobody_ends_an_instance(tmp_path: Path) -> None:
    """All senders are made to wait in the middle of something: nothing else would ask the disk how far it is."""
    disk = SlowDisk()
    async with running(tmp_path, lambda: disk) as spool:
        relieved, incoming = asyncio.Event(), spool.begin()
        while not spool.congested:
            incoming.write(memoryview(bytes(1 << 20)))
        spool.when_relieved(relieved.set)
        disk.catch_up()
        await asyncio.wait_for(relieved.wait(), 10)
        assert not spool.congested


# -- no room, no folder ------------------------------------------------------------------------------------------------


async def test_a_disk_that_is_nearly_full_is_refused_before_it_is_full(tmp_path: Path) -> None:
    async with running(tmp_path, reserve_bytes=1 << 60) as spool:
        with pytest.raises(SpoolFullError):
            spool.begin()
        assert not spool.broken


def test_a_folder_that_cannot_be_made_is_an_error_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolBrokenError, match="cannot be made"):
        FileSpool(tmp_path / "file" / "spool", Sealer(KEY))
