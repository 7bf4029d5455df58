"""A hospital's network at its worst: whoever misbehaves, a good sender's C-ECHO is answered within a second."""

# ruff: noqa: ASYNC110  (tests look again until it is so)
from __future__ import annotations

import asyncio
import contextlib
import random
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.peers import CT, LITTLE, AbortedError, RawPeer, any_command, associate_request

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[2]
MEGABYTE = 1 << 20


@dataclass
class Victim:
    """An acceptor in a process of its own."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def rss(self) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) << 10
        raise AssertionError("the process has ended")

    @property
    def sockets(self) -> int:
        links = [path.readlink() for path in Path(f"/proc/{self.process.pid}/fd").iterdir() if path.is_symlink()]
        return sum(str(link).startswith("socket:") for link in links)

    async def echo_s(self) -> float:
        """How long a good sender waits, from the first packet to the release."""
        started = time.monotonic()
        peer = await RawPeer.call(self.port)
        assert (await peer.echo()).status == 0
        await peer.release()
        return time.monotonic() - started

    async def is_well(self) -> None:
        assert self.process.poll() is None
        assert max([await self.echo_s() for _ in range(5)]) < 1.0

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.02)


@contextlib.contextmanager
def running(folder: Path, *limits: str) -> Iterator[Victim]:
    command = [sys.executable, "-m", "tests.adapters.acceptor_child", str(folder / "spool"), *limits]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            yield Victim(int(child.stdout.readline()), child)
        finally:
            child.stdin.close()
            assert child.wait(30) == 0


@pytest.fixture(scope="module")
def the_victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with running(tmp_path_factory.mktemp("victim"), "request_s=1.5", "idle_s=5") as victim:
        yield victim


@pytest.fixture
async def victim(the_victim: Victim) -> AsyncIterator[Victim]:
    """The same for all tests, as a box lives on for years; each must leave it well."""
    await the_victim.is_well()
    yield the_victim
    await the_victim.is_well()


@asynccontextmanager
async def sockets(
    port: int, count: int, said: bytes = b"", address: str = "127.0.0.1"
) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """So many connections that said this and then nothing."""
    writers = []
    for _ in range(count):
        _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
        writer.write(said)
        writers.append(writer)
    try:
        yield writers
    finally:
        for writer in writers:
            writer.transport.abort()


async def is_closed_by(reader: asyncio.StreamReader) -> bool:
    """Whether the other side ends the conversation."""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(20):
            while await reader.read(65536):
                pass
    return True


# -- silence -----------------------------------------------------------------------------------------------------------


async def test_200_silent_connections_bother_nobody_and_are_closed_in_time(victim: Victim) -> None:
    before = victim.rss
    own = victim.sockets
    async with sockets(victim.port, 200):
        await victim.is_well()
        assert victim.rss - before < 32 * MEGABYTE
        await victim.until(lambda: victim.sockets <= own)
    await victim.is_well()


async def test_half_a_request_from_100_is_given_up_in_time(victim: Victim) -> None:
    own = victim.sockets
    async with sockets(victim.port, 100, associate_request("SHARE", "CT1", [(CT, LITTLE)])[:50]):
        await victim.is_well()
        await victim.until(lambda: victim.sockets <= own)


async def test_a_request_that_drips_byte_by_byte_is_given_up_in_time(victim: Victim) -> None:
    """The time is for the whole request: a byte now and then does not buy more."""
    own = victim.sockets
    drips = [await RawPeer.connect(victim.port) for _ in range(10)]
    request = associate_request("SHARE", "CT1", [(CT, LITTLE)])

    async def drip(peer: RawPeer) -> None:
        with contextlib.suppress(ConnectionError):
            for byte in request:
                await peer.send(bytes([byte]))
                await asyncio.sleep(0.05)

    tasks = [asyncio.create_task(drip(peer)) for peer in drips]
    await victim.is_well()
    await victim.until(lambda: victim.sockets <= own)
    for task, peer in zip(tasks, drips, strict=True):
        task.cancel()
        await peer.close()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_more_silent_connections_than_the_box_keeps_push_out_each_other(tmp_path: Path) -> None:
    """Not the good sender, who says at once what it wants."""
    with running(tmp_path, "silent=50", "request_s=60") as victim:
        await victim.echo_s()
        own = victim.sockets
        async with sockets(victim.port, 400):
            await victim.is_well()
            await victim.until(lambda: victim.sockets <= own + 51)


# -- noise -------------------------------------------------------------------------------------------------------------

TLS_HELLO = bytes.fromhex("160301013e0100013a0303") + bytes(range(200)) + bytes(120)
GARBAGE = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: box\r\n\r\n",
    "HTTP long": b"POST /" + b"A" * 100_000 + b" HTTP/1.1\r\n\r\n",
    "TLS": TLS_HELLO,
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "SMB": b"\x00\x00\x00\x85\xffSMB" + bytes(120),
    "zeros": bytes(100_000),
    "a PDU of an unknown type": struct.pack(">BxI", 0x42, 10) + bytes(10),
    "an answer instead of a request": struct.pack(">BxI", 2, 4) + bytes(4),
    "data before a request": struct.pack(">BxI", 4, 10) + bytes(10),
    "a request of 4 GiB": struct.pack(">BxI", 1, 0xFFFFFFFF) + bytes(200_000),
    "a request of 3 bytes": struct.pack(">BxI", 1, 3) + bytes(3),
    "a request full of zeros": struct.pack(">BxI", 1, 1000) + bytes(1000),
    "a request full of items of length 0": struct.pack(">BxI", 1, 1068)
    + struct.pack(">Hxx", 1)
    + b"SHARE".ljust(16)
    + b"CT1".ljust(16)
    + bytes(32)
    + b"\x20\0\0\0" * 250,
    "an item longer than its request": struct.pack(">BxI", 1, 72)
    + struct.pack(">Hxx", 1)
    + b"SHARE".ljust(16)
    + b"CT1".ljust(16)
    + bytes(32)
    + b"\x20\0\xff\xff",
}


@pytest.mark.parametrize("what", GARBAGE)
async def test_noise_ends_its_own_connection_only(victim: Victim, what: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", victim.port)
    with contextlib.suppress(ConnectionError):
        writer.write(GARBAGE[what])
        await writer.drain()
    assert await is_closed_by(reader)
    writer.transport.abort()
    await victim.is_well()


async def test_300_mebibytes_of_request_take_no_memory(victim: Victim) -> None:
    before = victim.rss
    with contextlib.suppress(ConnectionError, AbortedError):
        peer = await RawPeer.connect(victim.port)
        await peer.send(struct.pack(">BxI", 1, 0xFFFFFFFF))
        for _ in range(300):
            await peer.send(bytes(MEGABYTE))
    await peer.close()
    assert victim.rss - before < 16 * MEGABYTE
    await victim.is_well()


@pytest.mark.parametrize("seed", range(6))
async def test_random_bytes_after_a_good_beginning(victim: Victim, seed: int) -> None:
    """A good association whose next PDUs are damaged: 150 of them a seed."""
    chance = random.Random(seed)
    for _ in range(25):
        peer = await RawPeer.call(victim.port)
        good = peer.store_bytes(chance.randbytes(3000)) + peer.pdata(3, 1, any_command(CT, 0x30))
        damaged = bytearray(good)
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(damaged)) if chance.random() < 0.4 else chance.randrange(150)
            damaged[at] = chance.randrange(256)
        with contextlib.suppress(ConnectionError):
            await peer.send(bytes(damaged))
            peer.writer.write_eof()
            await is_closed_by(peer.reader)
        await peer.close()
    await victim.is_well()


@pytest.mark.parametrize("seed", range(3))
async def test_damaged_requests(victim: Victim, seed: int) -> None:
    chance = random.Random(seed)
    good = associate_request("SHARE", "CT1", [(CT, LITTLE)] * 3)
    for _ in range(60):
        damaged = bytearray(good)
        for _ in range(chance.randrange(1, 5)):
            damaged[chance.randrange(6, len(damaged))] = chance.randrange(256)
        peer = await RawPeer.connect(victim.port)
        with contextlib.suppress(ConnectionError):
            await peer.send(bytes(damaged))
            peer.writer.write_eof()
            await is_closed_by(peer.reader)
        await peer.close()
    await victim.is_well()


# -- broken rules within an association --------------------------------------------------------------------------------

Misdeed = Callable[[RawPeer], bytes]


def _too_long(peer: RawPeer) -> bytes:
    return struct.pack(">BxI", 4, 0xFFFFFFFF) + bytes(100)


def _pdv_longer_than_pdu(peer: RawPeer) -> bytes:
    return struct.pack(">BxIIBB", 4, 10, 0xFFFFFF, 1, 3)


def _unknown_context(peer: RawPeer) -> bytes:
    return peer.pdata(99, 1, any_command(CT, 1))


def _dataset_without_command(peer: RawPeer) -> bytes:
    return peer.pdata(1, 0, b"data")


def _endless_command(peer: RawPeer) -> bytes:
    return b"".join(struct.pack(">BxIIBB", 4, 16000, 15996, 1, 1) + bytes(15994) for _ in range(20))


def _command_of_huge_element(peer: RawPeer) -> bytes:
    return peer.pdata(1, 1, struct.pack("<HHI", 0, 0x0100, 0xFFFFFFFF))


def _answer_unasked(peer: RawPeer) -> bytes:
    return peer.pdata(1, 1, any_command(CT, 0x8001))


def _second_request(peer: RawPeer) -> bytes:
    return associate_request("SHARE", "CT1", [(CT, LITTLE)])


MISDEEDS: list[Misdeed] = [
    _too_long,
    _pdv_longer_than_pdu,
    _unknown_context,
    _dataset_without_command,
    _endless_command,
    _command_of_huge_element,
    _answer_unasked,
    _second_request,
]


@pytest.mark.parametrize("misdeed", MISDEEDS, ids=lambda misdeed: misdeed.__name__.strip("_"))
async def test_a_broken_rule_is_answered_with_an_abort(victim: Victim, misdeed: Misdeed) -> None:
    async with await RawPeer.call(victim.port) as peer:
        with contextlib.suppress(ConnectionError):
            await peer.send(misdeed(peer))
        with pytest.raises(AbortedError):
            await peer.receive()
    await victim.is_well()


async def test_half_open_datasets_of_many_cost_little(victim: Victim) -> None:
    """60 associations that stop amid a dataset of which half a segment has come."""
    before = victim.rss
    peers = [await RawPeer.call(victim.port) for _ in range(60)]
    for peer in peers:
        await peer.send(peer.store_bytes(bytes(2 * MEGABYTE))[: MEGABYTE // 2])
    await victim.is_well()
    assert victim.rss - before < 128 * MEGABYTE
    for peer in peers:
        await peer.close()


async def test_everything_at_once(victim: Victim) -> None:
    """T-DO-01, in small."""
    before, own = victim.rss, victim.sockets
    noise = list(GARBAGE.values())

    async def shout(n: int) -> None:
        for turn in range(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", victim.port)
            with contextlib.suppress(ConnectionError):
                writer.write(noise[(n + turn) % len(noise)])
                await writer.drain()
                await is_closed_by(reader)
            writer.transport.abort()

    async with sockets(victim.port, 100):
        shouting: Awaitable[object] = asyncio.gather(*(shout(n) for n in range(10)))
        times = [await victim.echo_s() for _ in range(20)]
        await shouting
    assert max(times) < 1.0
    await victim.until(lambda: victim.sockets <= own)
    assert victim.rss - before < 64 * MEGABYTE
    await victim.is_well()
