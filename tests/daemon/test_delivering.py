"""Delivery to an audit repository: nothing lost, in order, however often it is down or breaks off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from appliance.adapters.audit_repository import SyslogRepository
from appliance.adapters.journal import SqliteJournal
from appliance.daemon.auditing import Trail
from appliance.daemon.delivering import Delivering
from appliance.errors import RepositoryUnreachableError, SettingsError
from appliance.formats.audit import Event, Kind
from appliance.formats.audit_message import Source
from appliance.formats.sealed import Sealer
from appliance.ports import Transaction
from tests.certificates import Authority
from tests.daemon.house import KEY
from tests.fakes.clock import FakeClock
from tests.fakes.repository import TlsRepository

SOURCE = Source("St Mary's", "box7")


class Box:
    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.journal = SqliteJournal(folder / "journal.db")
        self.trail = Trail(Sealer(KEY), self.clock.now)
        self.pauses: list[int] = []

    async def record(self, count: int) -> None:
        event = Event(Kind.TRANSFERRED, calling="CT1", called="SHARE", address="10.20.0.5", studies=("1.2.3",))

        def work(tx: Transaction) -> None:
            for _ in range(count):
                self.trail.record(tx, event)

        await self.journal.run(work)

    def delivering(self, repository: SyslogRepository) -> Delivering:
        def pause(failures: int) -> float:
            self.pauses.append(failures)
            return 0.01

        return Delivering(self.journal, self.trail, repository, lambda: SOURCE, lull_s=0.01, pause_s=pause)


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    box = Box(tmp_path)
    await box.journal.open()
    yield box
    await box.journal.close()


@pytest.fixture
async def repository(tmp_path: Path) -> AsyncIterator[TlsRepository]:
    repository = TlsRepository(tmp_path)
    await repository.start()
    yield repository
    await repository.stop()


def client(repository: TlsRepository) -> SyslogRepository:
    return SyslogRepository("127.0.0.1", repository.port, str(repository.authority.file))


@contextlib.asynccontextmanager
async def at_work(delivering: Delivering) -> AsyncIterator[None]:
    task = asyncio.create_task(delivering.run())
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until_there_are(repository: TlsRepository, count: int) -> None:
    await until(lambda: len(set(repository.numbers)) >= count)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("not within a minute")


def in_order(numbers: Sequence[int]) -> bool:
    """Each for the first time after the one before it."""
    return list(dict.fromkeys(numbers)) == list(range(1, len(set(numbers)) + 1))


async def test_10000_records_wait_for_a_repository_that_is_down_and_arrive_in_order_once(
    box: Box, tmp_path: Path
) -> None:
    repository = TlsRepository(tmp_path)
    await box.record(10_000)
    async with at_work(box.delivering(client(repository))):
        await until(lambda: len(box.pauses) >= 5)
        await repository.start()
        await until_there_are(repository, 10_000)
    await repository.stop()
    assert repository.numbers == list(range(1, 10_001))
    assert box.pauses[:5] == [1, 2, 3, 4, 5]


async def test_a_repository_that_breaks_off_loses_nothing(box: Box, repository: TlsRepository) -> None:
    await box.record(2000)
    repository.break_after, repository.breaks = 137, 6
    async with at_work(box.delivering(client(repository))):
        await until_there_are(repository, 2000)
    assert repository.breaks == 0
    assert in_order(repository.numbers)
    assert len(repository.numbers) > 2000  # what was in doubt came again


async def test_what_comes_later_is_delivered_later(box: Box, repository: TlsRepository) -> None:
    async with at_work(box.delivering(client(repository))):
        for count in (1, 2, 3):
            await box.record(1)
            await until_there_are(repository, count)
    assert repository.numbers == [1, 2, 3]


async def test_a_restart_goes_on_where_the_repository_has_it(box: Box, repository: TlsRepository) -> None:
    await box.record(3)
    async with at_work(box.delivering(client(repository))):
        await until_there_are(repository, 3)
        await asyncio.sleep(0.1)  # its answer to our farewell
    await box.record(1)
    async with at_work(box.delivering(client(repository))):
        await until_there_are(repository, 4)
    assert repository.numbers == [1, 2, 3, 4]


async def test_who_hangs_up_without_a_farewell_may_have_lost_what_it_read(repository: TlsRepository) -> None:
    repository.break_after, repository.breaks = 1, 1
    with pytest.raises(RepositoryUnreachableError):
        await client(repository).deliver([b"1000 " + bytes(1000)] * 3000)


async def test_a_repository_with_another_certificate_is_told_nothing(
    box: Box, repository: TlsRepository, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = TlsRepository(tmp_path / "other")
    stranger = SyslogRepository("127.0.0.1", repository.port, str(other.authority.file))
    with pytest.raises(RepositoryUnreachableError, match="not who it should be") as raised:
        await stranger.deliver([b"1 x"])
    assert "ca_file" in raised.value.hint
    assert repository.messages == []
    await other.stop()


async def test_the_box_shows_its_certificate_where_the_repository_asks(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    ours = Authority(tmp_path / "ours", "ours")
    pair = ours.issue("box")
    repository = TlsRepository(tmp_path, client_ca=ours.file)
    await repository.start()
    files = (str(pair.certificate), str(pair.key))
    await SyslogRepository("127.0.0.1", repository.port, str(repository.authority.file), *files).deliver([b"1 x"])
    with pytest.raises(RepositoryUnreachableError):
        await client(repository).deliver([b"1 y"])
    await repository.stop()
    assert repository.messages == [b"x"]


async def test_a_repository_that_says_nothing_at_all_does_not_hold_the_box_for_ever(tmp_path: Path) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(RepositoryUnreachableError):
        await SyslogRepository("127.0.0.1", port, silent_s=0.2).deliver([b"1 x"])
    server.close()
    await server.wait_closed()


def test_a_ca_file_that_is_none_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("nothing")
    with pytest.raises(SettingsError, match="ca_file"):
        SyslogRepository("127.0.0.1", 1, str(tmp_path / "no.pem"))
