"""After a crash: everything that was finished is found, nothing torn appears, one bad spot costs one instance."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.adapters.spool import FileSpool
from appliance.adapters.spool_buffer import padded
from appliance.formats.sealed import Sealer
from appliance.formats.spool_frame import HEADER_BYTES, FrameType, Receipt, decode_header
from tests.adapters.test_spool import KEY, noise, running
from tests.fakes.spool import arrival, finish, read_back, store

SIZES = [300, 0, 1_500_000, 20_000, 1, 700_000]


@dataclass(frozen=True)
class Frame:
    type: FrameType
    stream_id: bytes
    start: int  # of its header
    end: int


@dataclass(frozen=True)
class Written:
    """One spool file, and what was acknowledged while it was written."""

    raw: bytes
    name: str
    receipts: list[Receipt]
    contents: dict[bytes, bytes]  # by stream id

    @property
    def frames(self) -> list[Frame]:
        return list(walk(self.raw))

    def frames_of(self, receipt: Receipt) -> list[Frame]:
        return [frame for frame in self.frames if frame.stream_id == receipt.stream_id]


def walk(raw: bytes) -> Iterator[Frame]:
    """A frame follows the last one at once, or at the next write's alignment."""
    at = 0
    while at < len(raw):
        header = decode_header(raw[at : at + HEADER_BYTES])
        if header is None:
            at = padded(at + 1)
            continue
        end = at + HEADER_BYTES + header.length
        yield Frame(header.type, header.stream_id, at, end)
        at = end


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Six instances, two of them interleaved with a third that is never finished."""
    import asyncio

    folder = tmp_path_factory.mktemp("spool")

    async def write() -> Written:
        async with running(folder, file_bytes=8 << 20) as spool:
            torn = spool.begin()
            receipts, contents = [], {}
            for n, size in enumerate(SIZES):
                data = noise(size, seed=n)
                torn.write(memoryview(noise(400_000, seed=99)))
                incoming = spool.begin()
                incoming.write(memoryview(data))
                receipts.append(await finish(incoming, arrival(f"1.2.{n}")))
                contents[receipts[-1].stream_id] = data
        (path,) = folder.iterdir()
        return Written(path.read_bytes(), path.name, receipts, contents)

    return asyncio.run(write())


def recover(folder: Path, name: str, raw: bytes) -> tuple[FileSpool, list[Receipt]]:
    (folder / name).write_bytes(raw)
    spool = FileSpool(folder, Sealer(KEY))
    return spool, list(spool.scan(set()))


def finished_before(written: Written, cut: int) -> list[Receipt]:
    ends = {frame.stream_id: frame.end for frame in written.frames if frame.type is FrameType.RECEIPT}
    return [receipt for receipt in written.receipts if ends[receipt.stream_id] <= cut]


def cuts(written: Written) -> list[int]:
    boundaries = {edge for frame in written.frames for edge in (frame.start, frame.start + HEADER_BYTES, frame.end)}
    near = {edge + delta for edge in boundaries for delta in (-1, 0, 1)}
    anywhere = {random.Random(7).randrange(len(written.raw)) for _ in range(40)}
    return sorted(cut for cut in near | anywhere if 0 <= cut <= len(written.raw))


def test_a_whole_file_gives_back_everything(written: Written, tmp_path: Path) -> None:
    spool, found = recover(tmp_path, written.name, written.raw)
    assert found == written.receipts
    assert {receipt.stream_id: read_back(spool, receipt) for receipt in found} == written.contents
    assert spool.unreadable == 0


def test_a_file_that_was_cut_anywhere_gives_back_exactly_what_was_finished(written: Written, tmp_path: Path) -> None:
    for cut in cuts(written):
        spool, found = recover(tmp_path, written.name, written.raw[:cut])
        assert found == finished_before(written, cut), f"cut at {cut}"
        assert spool.unreadable == 0, f"cut at {cut}"


def test_a_tail_of_zeros_or_noise_changes_nothing(written: Written, tmp_path: Path) -> None:
    cut = written.frames_of(written.receipts[3])[-1].start + 5
    for tail in (bytes(10_000), noise(10_000), b"SLPf" * 3000, bytes(1 << 21)):
        _, found = recover(tmp_path, written.name, written.raw[:cut] + tail)
        assert found == finished_before(written, cut)


def flipped(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 0x10]) + raw[at + 1 :]


def test_a_flipped_byte_in_an_instance_costs_that_instance_only(written: Written, tmp_path: Path) -> None:
    victim = written.receipts[3]
    others = [receipt for receipt in written.receipts if receipt != victim]
    for frame in written.frames_of(victim):
        for at in (frame.start + HEADER_BYTES, frame.end - 1):
            spool, found = recover(tmp_path, written.name, flipped(written.raw, at))
            assert found == others, f"flipped at {at}"
            assert spool.unfinished + spool.unreadable == 1


def test_a_flipped_byte_in_a_header_costs_nothing_that_follows(written: Written, tmp_path: Path) -> None:
    """What follows was acknowledged: one bad spot must not make it vanish."""
    for frame in written.frames_of(written.receipts[2]):
        for at in range(frame.start, frame.start + HEADER_BYTES, 5):
            spool, found = recover(tmp_path, written.name, flipped(written.raw, at))
            assert set(written.receipts) - set(found) <= {written.receipts[2]}, f"flipped at {at}"
            assert spool.unreadable == 1


def test_a_hole_in_the_middle_costs_only_what_lay_in_it(written: Written, tmp_path: Path) -> None:
    start, end = written.frames_of(written.receipts[2])[0].start + 700, written.frames_of(written.receipts[3])[0].end
    raw = written.raw[:start] + bytes(end - start) + written.raw[end:]
    _, found = recover(tmp_path, written.name, raw)
    assert set(written.receipts) - set(found) == {written.receipts[2], written.receipts[3]}


def test_known_instances_are_passed_over(written: Written, tmp_path: Path) -> None:
    (tmp_path / written.name).write_bytes(written.raw)
    known = {receipt.stream_id for receipt in written.receipts[:4]}
    assert list(FileSpool(tmp_path, Sealer(KEY)).scan(known)) == written.receipts[4:]


def test_another_spool_key_opens_nothing(written: Written, tmp_path: Path) -> None:
    (tmp_path / written.name).write_bytes(written.raw)
    spool = FileSpool(tmp_path, Sealer(bytes(32)))
    assert list(spool.scan(set())) == []
    assert spool.unreadable == len(written.receipts)


def test_a_file_under_another_files_name_is_not_believed(written: Written, tmp_path: Path) -> None:
    (tmp_path / f"{7:016x}.spool").write_bytes(written.raw)
    assert list(FileSpool(tmp_path, Sealer(KEY)).scan(set())) == []


def test_an_instance_whose_first_file_is_gone_is_counted_and_others_are_found(tmp_path: Path) -> None:
    import asyncio

    async def write() -> list[Receipt]:
        async with running(tmp_path, file_bytes=1 << 20) as spool:
            return [await store(spool, noise(1_500_000, seed=n)) for n in range(3)]

    receipts = asyncio.run(write())
    (tmp_path / f"{receipts[1].pieces[0].file_number:016x}.spool").unlink()
    spool = FileSpool(tmp_path, Sealer(KEY))
    found = list(spool.scan(set()))
    assert receipts[1] not in found
    assert receipts[2] in found
    assert spool.unfinished == 1


@pytest.mark.parametrize("seed", range(5))
def test_random_damage_never_brings_up_anything_that_was_not_finished(
    written: Written, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    raw = bytearray(written.raw)
    for _ in range(chance.randrange(1, 12)):
        at = chance.randrange(len(raw))
        raw[at : at + chance.choice([1, 40, 5000])] = chance.randbytes(chance.choice([1, 40, 5000]))
    spool, found = recover(tmp_path, written.name, bytes(raw))
    for receipt in found:
        assert receipt in written.receipts
        assert read_back(spool, receipt) == written.contents[receipt.stream_id]


def small(folder: Path) -> FileSpool:
    return FileSpool(folder, Sealer(KEY), file_bytes=1 << 20, reserve_bytes=0, spare_files=1)


def spares(folder: Path) -> int:
    return len(list(folder.glob("*.spare")))


async def test_a_file_that_is_written_over_gives_back_only_what_is_new(tmp_path: Path) -> None:
    spool = small(tmp_path)
    spool.start()
    old = [await store(spool, noise(300_000), arrival(f"1.2.{number}")) for number in range(8)]
    for number in spool.files():
        spool.remove(number)
    assert spares(tmp_path) == 1
    spool.stop()
    spool = small(tmp_path)
    spool.start()
    new = await store(spool, noise(100_000), arrival("1.2.100"))
    assert spares(tmp_path) == 0, "the spare is in use, old frames and all"
    spool.stop()
    kept = set(spool.files())
    found = {receipt.stream_id for receipt in small(tmp_path).scan(set())}
    assert found == {new.stream_id} | {r.stream_id for r in old if {s.file_number for s in r.pieces} <= kept}
