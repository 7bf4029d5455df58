"""Reception over real sockets: what the box accepts, what it answers, and when."""

# ruff: noqa: ASYNC110  (tests look again until it is so)
from __future__ import annotations

import asyncio
import random
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pynetdicom import AE
from pynetdicom.sop_class import _STORAGE_CLASSES, Verification  # type: ignore[attr-defined]

from appliance.adapters.acceptor import Acceptor
from appliance.adapters.association import BUFFER_BYTES, Limits
from appliance.adapters.pacs_checkpoint import steady
from appliance.adapters.spool import FileSpool
from appliance.formats.sealed import Sealer
from appliance.ports import Spool
from tests.adapters.test_spool import KEY, noise
from tests.fakes.peers import (
    CT,
    LITTLE,
    AbortedError,
    ClosedReception,
    OpenReception,
    RawPeer,
    RejectedError,
    any_command,
)
from tests.fakes.spool import BrokenSpool, CongestedSpool, FullSpool, read_back
from tests.synthetic import MR_SMALL, encode, header, part10, pixels

ROOT = Path(__file__).parents[2]
CLOCK_S = 1_795_000_000.0


@dataclass
class Door:
    """A listening acceptor."""

    port: int
    spool: FileSpool
    reception: OpenReception
    acceptor: Acceptor

    @property
    def contents(self) -> list[bytes]:
        return [read_back(self.spool, receipt) for receipt in self.reception.receipts]

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.005)


Open = Callable[..., AbstractAsyncContextManager[Door]]


@pytest.fixture
def open_door(tmp_path: Path) -> Open:
    @asynccontextmanager
    async def make(
        spool: Callable[[FileSpool], Spool] | None = None,
        reception: OpenReception | None = None,
        limits: Limits | None = None,
    ) -> AsyncIterator[Door]:
        reception = reception or OpenReception()
        files = FileSpool(tmp_path / "spool", Sealer(KEY), reserve_bytes=0)
        files.start()
        acceptor = Acceptor(spool(files) if spool else files, reception, lambda: CLOCK_S, limits)
        ((_, port),) = await acceptor.listen((("127.0.0.1", 0),))
        door = Door(port, files, reception, acceptor)
        try:
            yield door
        finally:
            await acceptor.stop()
            await asyncio.to_thread(files.stop)
            acceptor.hang_up()
            await door.until(lambda: not acceptor._inside and not acceptor._silent)

    return make


@pytest.fixture
async def door(open_door: Open) -> AsyncIterator[Door]:
    async with open_door() as door:
        yield door


async def run(*command: str | Path) -> str:
    """A sender's program; what it said, and that it was content."""
    child = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == 0, out.decode()
    return out.decode()


# -- other people's senders --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Five small MR images, Part 10."""
    folder, written = tmp_path_factory.mktemp("part10"), []
    for number in range(1, 6):
        dataset = header(MR_SMALL, 7, 1, number)
        dataset.PixelData = pixels(MR_SMALL, number).tobytes()
        dataset["PixelData"].VR = "OW"
        path = folder / f"{number}.dcm"
        path.write_bytes(part10(MR_SMALL.sop_class, dataset.SOPInstanceUID, LITTLE, encode(dataset)))
        written.append(path)
    return written


def datasets(files: list[Path]) -> set[bytes]:
    from tests.samples import dataset_bytes

    return {dataset_bytes(path) for path in files}


async def test_dcmtks_echoscu_is_answered(door: Door) -> None:
    await run("echoscu", "-aet", "CT1", "-aec", "SHARE", "127.0.0.1", str(door.port))


@pytest.mark.parametrize("options", [(), ("-pdu", "4096"), ("-pdu", "131072"), ("+IR",)], ids=str)
async def test_dcmtks_storescu_stores_bit_for_bit(door: Door, files: list[Path], options: tuple[str, ...]) -> None:
    address = ("127.0.0.1", str(door.port))
    if options == ("+IR",):  # one association after the other
        for path in files:
            await run("storescu", "-xe", "-aet", "CT1", "-aec", "SHARE", *address, path)
    else:
        await run("storescu", "-xe", *options, "-aet", "CT1", "-aec", "SHARE", *address, *files)
    assert set(door.contents) == datasets(files)


async def test_dcmtks_dcmsend_stores_bit_for_bit(door: Door, files: list[Path]) -> None:
    await run("dcmsend", "-aet", "CT1", "-aec", "SHARE", "127.0.0.1", str(door.port), *files)
    assert set(door.contents) == datasets(files)
    arrival = door.reception.receipts[0].arrival
    assert (arrival.calling_ae_title, arrival.called_ae_title) == ("CT1", "SHARE")
    assert (arrival.address, arrival.transfer_syntax, arrival.at) == ("127.0.0.1", LITTLE, CLOCK_S)


@pytest.mark.parametrize("maximum", [0, 4096, 16384, 131072])
async def test_pynetdicom_stores_whatever_pdu_it_takes(door: Door, files: list[Path], maximum: int) -> None:
    def send() -> list[int]:
        ae = AE(ae_title="CT1")
        ae.maximum_pdu_size = maximum
        ae.add_requested_context(MR_SMALL.sop_class, LITTLE)
        ae.add_requested_context(Verification)
        association = steady(ae.associate("127.0.0.1", door.port, ae_title="SHARE"))
        statuses = [association.send_c_echo().Status]
        statuses += [association.send_c_store(pydicom.dcmread(path)).Status for path in files]
        association.release()
        assert association.is_released
        return statuses

    assert await asyncio.to_thread(send) == [0] * 6
    assert len(door.contents) == 5


async def test_128_presentation_contexts_are_all_answered(door: Door) -> None:
    def associate() -> tuple[int, int]:
        ae = AE(ae_title="CT1")
        for uid in list(_STORAGE_CLASSES.values())[:127]:
            ae.add_requested_context(uid)
        ae.add_requested_context(Verification)
        association = steady(ae.associate("127.0.0.1", door.port, ae_title="SHARE"))
        found = len(association.accepted_contexts), len(association.rejected_contexts)
        association.release()
        return found

    assert await asyncio.to_thread(associate) == (128, 0)


# -- storing -----------------------------------------------------------------------------------------------------------

SYNTAXES = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": LITTLE,
    "big endian": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
    "JPEG baseline": "1.2.840.10008.1.2.4.50",
    "JPEG lossless": "1.2.840.10008.1.2.4.70",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
    "HTJ2K": "1.2.840.10008.1.2.4.201",
    "RLE": "1.2.840.10008.1.2.5",
}


@pytest.mark.parametrize("syntax", SYNTAXES)
async def test_every_transfer_syntax_is_stored_as_it_came(door: Door, syntax: str) -> None:
    data = noise(50_001)
    async with await RawPeer.call(door.port, contexts=[(CT, SYNTAXES[syntax])]) as peer:
        answer = await peer.store(data, syntax=SYNTAXES[syntax])
        await peer.release()
    assert (answer.status, answer.field, answer.sop_instance) == (0, 0x8001, "1.2.3.4")
    assert door.contents == [data]
    assert door.reception.receipts[0].arrival.transfer_syntax == SYNTAXES[syntax]


@pytest.mark.parametrize("pdu", [32, 1000, 16384, 131072, 1 << 20])
async def test_pdus_of_any_size_up_to_what_was_announced(door: Door, pdu: int) -> None:
    data = noise(20_000 if pdu < 1000 else 3_000_000)
    async with await RawPeer.call(door.port, pdu=pdu) as peer:
        assert pdu <= peer.maximum
        assert (await peer.store(data)).status == 0
    assert door.contents == [data]


async def test_pdvs_of_several_messages_in_one_segment_and_bytes_one_by_one(door: Door) -> None:
    """However TCP cuts it."""
    data = noise(700)
    async with await RawPeer.call(door.port) as peer:
        for byte in peer.store_bytes(data, "1.2.1"):
            await peer.send(bytes([byte]))
        assert (await peer.answer()).status == 0
        await peer.send(peer.store_bytes(data, "1.2.2") + peer.store_bytes(data, "1.2.3"))
        assert [(await peer.answer()).status for _ in range(2)] == [0, 0]
    assert door.contents == [data] * 3


async def test_two_associations_interleaved_do_not_mix(door: Door) -> None:
    chance = random.Random(5)
    wanted = [noise(2_500_000, seed=seed) for seed in (1, 2)]
    peers = [await RawPeer.call(door.port, calling=f"CT{n}") for n in (1, 2)]
    streams = [peer.store_bytes(data, f"1.2.{n}") for n, (peer, data) in enumerate(zip(peers, wanted, strict=True))]
    at = [0, 0]
    while any(at[n] < len(streams[n]) for n in (0, 1)):
        n = chance.randrange(2)
        step = chance.randrange(1, 200_000)
        await peers[n].send(streams[n][at[n] : at[n] + step])
        at[n] += step
    assert [(await peer.answer()).status for peer in peers] == [0, 0]
    for peer in peers:
        await peer.release()
    found = {receipt.arrival.sop_instance_uid: read_back(door.spool, receipt) for receipt in door.reception.receipts}
    assert found == {"1.2.0": wanted[0], "1.2.1": wanted[1]}
    await door.until(lambda: door.reception.inside == [])


async def test_an_instance_without_a_uid_is_refused_and_the_association_lives_on(door: Door) -> None:
    async with await RawPeer.call(door.port) as peer:
        assert (await peer.store(noise(5000), uid="")).status == 0xC000
        assert (await peer.store(noise(5000))).status == 0
        await peer.release()
    assert len(door.contents) == 1
    assert len(door.reception.complaints) == 1


@pytest.mark.parametrize("how", ["abort", "close"])
@pytest.mark.parametrize("sent", [10, 40_000, 1_500_000])
async def test_an_association_that_breaks_off_amid_a_dataset_leaves_nothing(
    door: Door, tmp_path: Path, how: str, sent: int
) -> None:
    async with await RawPeer.call(door.port) as peer:
        await peer.send(peer.store_bytes(noise(2_000_000))[:sent])
        await (peer.abort() if how == "abort" else peer.close())
    await door.until(lambda: door.reception.inside == [])
    async with await RawPeer.call(door.port) as peer:
        assert (await peer.store(b"whole")).status == 0
    assert door.contents == [b"whole"]
    found = list(FileSpool(tmp_path / "spool", Sealer(KEY)).scan(set()))
    assert len(found) <= 1


async def test_a_message_that_the_box_does_not_know_is_answered_in_kind(door: Door) -> None:
    async with await RawPeer.call(door.port) as peer:
        context = peer.contexts[CT, LITTLE]
        await peer.send(peer.pdata(context, 1, any_command(CT, 0x0130)))  # N-ACTION
        answer = await peer.answer()
        assert (answer.status, answer.field) == (0x0211, 0x8130)
        assert (await peer.store(b"still here")).status == 0


async def test_a_dicomdir_is_refused_with_a_status_and_a_sentence_and_the_images_beside_it_are_taken(
    door: Door,
) -> None:
    """As over HTTP: it says what else is on a disc, and names all of its patients."""
    directory = "1.2.840.10008.1.3.10"
    async with await RawPeer.call(door.port, contexts=((directory, LITTLE), (CT, LITTLE))) as peer:
        answer = await peer.store(noise(3_000_000), uid="1.1", sop=directory)
        assert (answer.status, answer.comment) == (0x0122, "dicomdir_refused")
        assert (await peer.store(b"an image", uid="1.2")).status == 0
    assert door.contents == [b"an image"]
    (complaint,) = door.reception.complaints
    assert complaint.summary == "a DICOMDIR is not taken"


# -- a disk in trouble -------------------------------------------------------------------------------------------------


async def test_a_full_spool_says_out_of_resources_and_the_same_image_is_taken_later(open_door: Open) -> None:
    spools: list[FullSpool] = []

    def full(inner: FileSpool) -> Spool:
        spools.append(FullSpool(inner))
        return spools[0]

    async with open_door(full) as door, await RawPeer.call(door.port) as peer:
        answer = await peer.store(noise(3_000_000))
        assert answer.status == 0xA700
        assert answer.comment == "box is full, try again later"
        spools[0].make_room()
        assert (await peer.store(noise(3_000_000))).status == 0
        assert door.contents == [noise(3_000_000)]


async def test_a_broken_spool_refuses_everything_and_echoes_still(open_door: Open) -> None:
    async with open_door(BrokenSpool) as door, await RawPeer.call(door.port) as peer:
        assert (await peer.store(b"x")).status == 0xA700
        assert (await peer.echo()).status == 0
        assert door.contents == []


async def test_a_disk_that_lags_behind_slows_the_sender_and_loses_nothing(open_door: Open) -> None:
    spools: list[CongestedSpool] = []

    def slow(inner: FileSpool) -> Spool:
        spools.append(CongestedSpool(inner))
        return spools[0]

    async with open_door(slow) as door, await RawPeer.call(door.port) as peer:
        data = noise(20 << 20)
        sending = asyncio.create_task(peer.send(peer.store_bytes(data)))
        await door.until(lambda: spools[0].waiting)
        assert not sending.done()  # the kernel holds less than that
        spools[0].catch_up()
        await sending
        assert (await peer.answer()).status == 0
        assert door.contents == [data]


# -- who may come in ---------------------------------------------------------------------------------------------------


async def test_a_wrong_called_title_is_rejected_for_good(door: Door) -> None:
    with pytest.raises(RejectedError) as raised:
        await RawPeer.call(door.port, called="ELSEWHERE")
    assert raised.value.args == (1, 1, 7)


async def test_an_unknown_caller_is_rejected_for_good(open_door: Open) -> None:
    async with open_door(reception=ClosedReception()) as door:
        with pytest.raises(RejectedError) as raised:
            await RawPeer.call(door.port)
        assert raised.value.args == (1, 1, 3)
        assert door.reception.requests[0].calling_ae_title == "CT1"


async def test_one_association_too_many_is_told_to_come_back(open_door: Open) -> None:
    async with open_door(limits=Limits(associations=4)) as door:
        first = await RawPeer.call(door.port)
        second = await RawPeer.call(door.port)
        with pytest.raises(RejectedError) as raised:
            await RawPeer.call(door.port)
        assert raised.value.args == (2, 3, 2)
        await first.release()
        await door.until(lambda: len(door.reception.inside) == 1)
        third = await RawPeer.call(door.port)
        assert (await third.echo()).status == 0
        for peer in (second, third):
            await peer.release()


async def test_an_association_that_falls_silent_is_given_up(open_door: Open) -> None:
    async with open_door(limits=Limits(idle_s=0.1)) as door, await RawPeer.call(door.port) as peer:
        with pytest.raises(AbortedError):
            await peer.receive()
        await door.until(lambda: door.reception.inside == [])


async def test_who_asks_and_never_listens_is_not_read_from_any_more(open_door: Open) -> None:
    """Answers to nobody must not fill the box's memory."""
    async with open_door() as door, await RawPeer.call(door.port) as peer:
        context = next(number for (sop, _), number in peer.contexts.items() if sop != CT)
        echo = peer.pdata(context, 1, any_command("1.2.840.10008.1.1", 0x0030)) * 1000
        (association,) = door.acceptor._inside

        async def ask_for_ever() -> None:
            while True:
                peer.writer.write(echo)
                await peer.writer.drain()

        asking = asyncio.create_task(ask_for_ever())
        await door.until(lambda: association._unread)
        assert association._transport.get_write_buffer_size() < 2 * BUFFER_BYTES  # answers to what was read at once
        asking.cancel()
        async with await RawPeer.call(door.port) as other:
            assert (await other.echo()).status == 0


async def test_a_port_that_is_taken_is_an_error_with_what_to_do(door: Door) -> None:
    from appliance.errors import SlipwayError

    other = Acceptor(door.spool, door.reception, lambda: 0.0)
    with pytest.raises(SlipwayError, match="cannot listen") as raised:
        await other.listen((("127.0.0.1", door.port),))
    assert "ss -ltnp" in raised.value.hint


# -- durable before done -----------------------------------------------------------------------------------------------


async def test_no_store_is_answered_before_its_sync_has_returned(tmp_path: Path) -> None:
    """The system calls in their order, as strace sees them: write, sync, and only then the answer."""
    log = tmp_path / "trace"
    calls = "trace=io_submit,io_getevents,fdatasync,fsync,sendto,write,sendmsg"
    child = await asyncio.create_subprocess_exec(
        *("strace", "-f", "-qq", "-s", "200", "-x", "-o", str(log), "-e", calls),
        *(sys.executable, "-m", "tests.adapters.acceptor_child", str(tmp_path / "spool")),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdin is not None
    port = int(await asyncio.wait_for(child.stdout.readline(), 30))
    async with await RawPeer.call(port) as peer:
        for n in range(20):
            assert (await peer.store(noise(30_000, seed=n), f"1.2.{n}")).status == 0
        await peer.release()
    child.stdin.close()
    assert await asyncio.wait_for(child.wait(), 30) == 0
    answers = check_order(log.read_text())
    assert answers == 20


def check_order(trace: str) -> int:
    """How many answers to stores there were; AssertionError when one came before its sync.

    Requests are handed to the kernel by io_submit and have ended when io_getevents names them.
    """
    answers, under_way, unsynced = 0, dict[str, str](), False
    for line in trace.splitlines():
        if submitted := re.search(r"aio_data=(\w+), aio_lio_opcode=IOCB_CMD_(\w+)", line):
            slot, what = submitted.groups()
            under_way[slot] = what
            if what == "PWRITE":
                unsynced = True
            else:
                assert "PWRITE" not in under_way.values(), "a sync that began before a write had ended"
        for slot, result in re.findall(r"\{data=(\w+), obj=\w+, res=(-?\d+)", line):
            assert int(result) >= 0
            if under_way.pop(slot) == "FDSYNC":
                unsynced = False
        if re.search(r"\bfdatasync\b.*= 0$", line):
            assert not under_way, "a sync that began before a write had ended"
            unsynced = False
        if is_store_answer(line):
            assert not under_way
            assert not unsynced, "an answer to a store left before its sync"
            answers += 1
    return answers


def is_store_answer(line: str) -> bool:
    """(0000,0100) is 8001H in a P-DATA-TF; the sender's requests do not show in sendto."""
    return "sendto(" in line and r"\x04\x00" in line and r"\x00\x00\x00\x01\x02\x00\x00\x00\x01\x80" in line
