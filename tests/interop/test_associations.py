"""Many at once, and one after the other for a long time: all is kept, nobody waits, nothing grows."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import statistics
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.adapters import control
from tests.interop.inbox import Inbox
from tests.interop.requestor import Requestor, item, user_information
from tests.interop.tap import Tap
from tests.samples import sample
from tests.system.harness import Box, eventually, run
from tests.system.study import ct_series

pytestmark = pytest.mark.alone

MEGABYTE = 1 << 20


# -- several requests unanswered, PS3.7 D.3.3.3 ------------------------------------------------------------------------


def window(invoked: int, performed: int) -> bytes:
    return user_information(more=item(0x53, struct.pack(">HH", invoked, performed)))


async def test_as_many_requests_as_were_agreed_are_answered_each_by_its_id(box: Box, inbox: Inbox) -> None:
    chance = random.Random(3)
    sizes = [chance.choice([10, 30_000, 900_000]) for _ in range(16)]
    sent = {f"1.2.3.{number}": chance.randbytes(size) for number, size in enumerate(sizes)}
    async with await Requestor.open(box.port, "WINDOW", user=window(0, 0)) as peer:
        assert struct.unpack(">HH", peer.user[0x53]) == (16, 1)
        expected = {}
        for number, (uid, dataset) in enumerate(sent.items(), 1):
            await peer.send(peer.store_bytes(dataset, uid))
            expected[number] = uid
        answers = [await peer.answer() for _ in sent]
        await peer.release()
    assert all(answer.status == 0 for answer in answers)
    assert {answer.message_id: answer.sop_instance for answer in answers} == expected
    digests = {one.sop_instance: one.sha256 for one in inbox("WINDOW")}
    assert digests == {uid: hashlib.sha256(dataset).hexdigest() for uid, dataset in sent.items()}


async def test_who_sends_ahead_unasked_is_answered_all_the_same(box: Box, inbox: Inbox) -> None:
    async with await Requestor.open(box.port, "AHEAD") as peer:
        assert 0x53 not in peer.user
        requests = [peer.store_bytes(bytes(100), f"1.2.3.{number}") for number in range(300)]
        await peer.send(b"".join(requests))
        answers = [await peer.answer() for _ in requests]
        assert (await peer.echo()).status == 0
        await peer.release()
    assert sorted(answer.message_id for answer in answers) == list(range(1, 301))
    assert {answer.status for answer in answers} == {0}
    assert len(inbox("AHEAD")) == 300


# -- in parallel -------------------------------------------------------------------------------------------------------

ASSOCIATIONS = 20
ATTEMPTS = 3
PATIENCE_S = 1.0


async def send_all(port: int, number: int, images: int, waited: list[float]) -> None:
    """One modality with images of 512 KiB, and how long each answer took after the image's last byte."""
    chance = random.Random(number)
    async with await Requestor.open(port, f"PARALLEL {number}") as peer:
        peer.pdu = 131_072
        for image in range(images):
            await peer.send(peer.store_bytes(chance.randbytes(512 << 10), f"1.2.{number}.{image}"))
            sent = time.monotonic()
            assert (await peer.answer()).status == 0
            waited.append(time.monotonic() - sent)
        await peer.release()


def expected(number: int, images: int) -> set[str]:
    chance = random.Random(number)
    return {hashlib.sha256(chance.randbytes(512 << 10)).hexdigest() for _ in range(images)}


class Visitor(threading.Thread):
    """Asks with a C-ECHO every 20 ms how long the box's event loop keeps others waiting, from a thread of its own."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self.waited: list[float] = []
        self.stop = threading.Event()

    def run(self) -> None:
        asyncio.run(self._ask())

    async def _ask(self) -> None:
        async with await Requestor.open(self._port, "VISITOR") as peer:
            while not self.stop.is_set():
                started = time.monotonic()
                assert (await peer.echo()).status == 0
                self.waited.append(time.monotonic() - started)
                await asyncio.sleep(0.02)  # the pace is the test's
            await peer.release()


def p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]


def send_from_all(port: int, images: int) -> tuple[list[float], list[float]]:
    """20 modalities at once; how long each of their answers took, and each echo of a visitor."""
    waited: list[float] = []

    async def all_of_them() -> None:
        await asyncio.gather(*(send_all(port, number, images, waited) for number in range(ASSOCIATIONS)))

    visitor = Visitor(port)
    visitor.start()
    started = time.monotonic()
    asyncio.run(all_of_them())
    rate = ASSOCIATIONS * images / (time.monotonic() - started)
    visitor.stop.set()
    visitor.join()
    print(
        f"\n{rate:.0f} images/s of 512 KiB, p99 of answers {p99(waited):.3f} s, of echoes {p99(visitor.waited):.3f} s"
    )
    return waited, visitor.waited


@pytest.mark.parametrize("images", [24, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_20_associations_at_once_lose_nothing_and_wait_less_than_a_second(box: Box, inbox: Inbox, images: int) -> None:
    """Whatever else runs on this machine can only make it slower: the best of three counts."""
    for _ in range(ATTEMPTS):
        answers, echoes = send_from_all(box.port, images)
        if max(p99(answers), p99(echoes)) <= PATIENCE_S:
            break
    else:
        raise AssertionError(f"p99 {p99(answers):.3f} s for answers, {p99(echoes):.3f} s for echoes")
    assert len(echoes) >= 10
    for number in range(ASSOCIATIONS):
        assert {one.sha256 for one in inbox(f"PARALLEL {number}")} >= expected(number, images)


def test_20_dcmtk_senders_at_once_lose_nothing(box: Box, inbox: Inbox, tmp_path: Path) -> None:
    files = ct_series(tmp_path, 3)
    with Tap(box.port) as tap:

        def send(number: int) -> None:
            run(["dcmsend", "-q", "-aet", f"TWENTY {number}", "-aec", "SHARE", "127.0.0.1", str(tap.port), *files])

        threads = [threading.Thread(target=send, args=(number,)) for number in range(ASSOCIATIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    kept = [one for number in range(ASSOCIATIONS) for one in inbox(f"TWENTY {number}")]
    assert sorted(kept) == tap.sent()
    assert len(kept) == ASSOCIATIONS * len(files)


# -- one after the other -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Footprint:
    resident_bytes: int
    threads: int
    files: int

    @classmethod
    def of(cls, box: Box) -> Footprint:
        assert box.program is not None
        process = Path(f"/proc/{box.program.process.pid}")
        lines = (line.split() for line in (process / "status").read_text().splitlines())
        found = {words[0]: int(words[1]) for words in lines if words[0] in ("VmRSS:", "Threads:")}
        return cls(found["VmRSS:"] << 10, found["Threads:"], len(list((process / "fd").iterdir())))


@pytest.fixture
def fresh_box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path / "box", "none", profile='ae_title = "SHARE"\nsecond_factor = "none"')
    box.start()
    yield box
    box.stop()


def journalled(box: Box, count: int) -> bool:
    """All of it has found its share, so nothing is on its way within the box."""
    shares = asyncio.run(control.call(box.spool, "shares-list", {}))
    return bool(sum(share["images"] for share in shares) == count)


async def one_each(port: int, first: int, count: int) -> None:
    for number in range(first, first + count):
        async with await Requestor.open(port, "ONE EACH") as peer:
            assert (await peer.store(b"\x08\0\x18\0UI\4\0" + b"1.2\0" + bytes(2000), f"1.2.3.{number}")).status == 0
            await peer.release()


WARM = 300
SPARE_FILES = 2  # SQLite's temporary file, and a spool file that is just being changed for the next
POOL = (os.cpu_count() or 1) + 4  # threads that asyncio may start when it first needs them


@pytest.mark.parametrize("count", [2000, pytest.param(20_000, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_an_association_for_each_image_leaves_nothing_behind(fresh_box: Box, count: int) -> None:
    asyncio.run(one_each(fresh_box.port, 0, WARM))
    eventually(lambda: journalled(fresh_box, WARM), 60, "the first images in their share")
    before = Footprint.of(fresh_box)
    started = time.monotonic()
    asyncio.run(one_each(fresh_box.port, WARM, count))
    took = time.monotonic() - started
    eventually(lambda: journalled(fresh_box, WARM + count), 60, "all images in their share")
    eventually(lambda: Footprint.of(fresh_box).files <= before.files + SPARE_FILES, 20, "its sockets closed")
    after = Footprint.of(fresh_box)
    grown = after.resident_bytes - before.resident_bytes
    print(f"\n{count / took:.0f} associations/s, {grown / MEGABYTE:+.1f} MiB")
    assert after.threads <= before.threads + POOL
    assert grown < 8 * MEGABYTE
    assert len(Inbox.of(fresh_box)("ONE EACH")) == WARM + count


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_dcmtk_process_for_each_image_leaves_nothing_behind(fresh_box: Box) -> None:
    file = sample("generated/ct_jpeg_ls").path
    to: list[str | Path] = ["-aec", "SHARE", "127.0.0.1", str(fresh_box.port)]
    command = ["storescu", "-q", "-R", "-xt", "-aet", "EACH", *to, file]
    for _ in range(100):
        run(command)
    before = Footprint.of(fresh_box)
    for _ in range(400):
        run(command)
    eventually(lambda: Footprint.of(fresh_box).files <= before.files + SPARE_FILES, 20, "its sockets closed")
    after = Footprint.of(fresh_box)
    assert after.threads <= before.threads + POOL
    assert after.resident_bytes - before.resident_bytes < 8 * MEGABYTE
