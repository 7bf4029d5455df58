"""The printer's worker, and the daemon's side of it: whatever happens to the process, no doubt is called success."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.adapters.printers import DistantPrinter, Patience, open_apart, worker
from appliance.adapters.printers.distant import Child, Line, Service
from appliance.adapters.printers.messages import Call, encode_call, read_call
from appliance.errors import FormatError, PrinterUnreachableError
from appliance.formats import printer_profiles
from appliance.ports import Paper, PrinterStatus, PrintOutcome
from tests.fakes.printers import ConfirmingPrinter, FakePrinter, SilentPrinter
from tests.ports.test_printer_port import ANSWER_S, CONFIRMING, SHORT_S, job, timing

PROFILE = printer_profiles.find(CONFIRMING)
QUESTION = b"\x10\x04"
SHORT = Patience(status_s=2.0, print_s=2.0)


class Alarmed(ConfirmingPrinter):
    """Calls `at_question` or `at_slip` at the first byte of each kind."""

    at_question: Callable[[], None] = staticmethod(lambda: None)
    at_slip: Callable[[], None] = staticmethod(lambda: None)

    def receive(self, data: bytes) -> bytes:
        (self.at_question if data.startswith(QUESTION) else self.at_slip)()
        return super().receive(data)

    @property
    def took_a_slip(self) -> bool:
        return b"\x1dv0" in self.received


@asynccontextmanager
async def apart(machine: FakePrinter, patience: Patience | None = None) -> AsyncIterator[DistantPrinter]:
    printer = open_apart(
        machine.device, PROFILE, timing=timing(confirm_s=SHORT_S, answer_s=ANSWER_S), patience=patience
    )
    assert isinstance(printer, DistantPrinter)
    try:
        yield printer
    finally:
        await printer.close()


def pid(printer: DistantPrinter) -> int:
    assert isinstance(printer._worker, Child)
    assert printer._worker._process
    return printer._worker._process.pid


async def test_a_worker_that_is_killed_before_the_slips_first_byte_is_refused_and_the_next_slip_prints():
    async with Alarmed() as machine, apart(machine) as printer:
        machine.at_question = lambda: os.kill(pid(printer), signal.SIGKILL)
        assert await printer.print(job()) is PrintOutcome.REFUSED
        assert not machine.took_a_slip
        machine.at_question = lambda: None
        assert await printer.print(job()) is PrintOutcome.PRINTED


async def test_a_worker_that_is_killed_after_the_slips_first_byte_is_unknown_and_the_next_slip_prints():
    async with Alarmed() as machine, apart(machine) as printer:
        machine.at_slip = lambda: os.kill(pid(printer), signal.SIGKILL)
        assert await printer.print(job()) is PrintOutcome.UNKNOWN
        machine.at_slip = lambda: None
        machine.power_on()  # it holds half a slip
        assert await printer.print(job()) is PrintOutcome.PRINTED


async def test_a_worker_that_hangs_is_given_up_in_time_and_replaced():
    async with Alarmed() as machine, apart(machine, SHORT) as printer:
        machine.at_question = lambda: os.kill(pid(printer), signal.SIGSTOP)
        assert (await printer.status()).detail.startswith("The program that drives the printer was lost")
        machine.at_question = lambda: None
        printer._patience = Patience()
        assert (await printer.status()).ready


async def test_a_worker_whose_call_takes_too_long_is_ended_by_the_kernel():
    async with SilentPrinter() as machine:
        call = Call(machine.device, PROFILE, timing(confirm_s=60.0), 0.5, job())
        with worker_on(socket_pair := socket.socketpair()) as process:
            reader, writer = await asyncio.open_connection(sock=socket_pair[0])
            writer.write(encode_call(call))
            assert await reader.readline() == b'{"may":"send"}\n'
            writer.write(b'{"go":true}\n')
            assert await asyncio.to_thread(process.wait, 10) == -signal.SIGALRM
            writer.close()


async def test_a_daemon_that_is_gone_gives_no_permission_so_not_one_byte_of_the_slip_leaves():
    async with Alarmed() as machine:
        with worker_on(socket_pair := socket.socketpair()) as process:
            reader, writer = await asyncio.open_connection(sock=socket_pair[0])
            writer.write(encode_call(Call(machine.device, PROFILE, timing(), 30.0, job())))
            assert await reader.readline() == b'{"may":"send"}\n'
            writer.close()
            assert await asyncio.to_thread(process.wait, 10) == 0
        assert not machine.took_a_slip


@contextlib.contextmanager
def worker_on(pair: tuple[socket.socket, socket.socket]):
    process = subprocess.Popen([sys.executable, "-m", worker.__name__], stdin=pair[1])
    pair[1].close()
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def test_a_worker_that_ended_while_it_had_nothing_to_do_is_replaced_without_a_word():
    async with ConfirmingPrinter() as machine, apart(machine) as printer:
        await printer.status()
        os.kill(pid(printer), signal.SIGKILL)  # the same as ending by itself, to the daemon
        assert await printer.print(job()) is PrintOutcome.PRINTED


async def test_status_does_not_wait_for_the_slip_under_way():
    async with SilentPrinter() as machine, apart(machine) as printer:
        printing = asyncio.create_task(printer.print(job()))
        while b"\x1dv0" not in machine.received:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        status = await asyncio.wait_for(printer.status(), 0.1)
        assert status.reachable
        assert not printing.done()
        await printing


async def test_what_the_printer_tells_in_mid_slip_is_told_on_at_once():
    class SlowUntilPaperEnds(SilentPrinter):
        def receive(self, data: bytes) -> bytes:
            if data.startswith(QUESTION):
                time.sleep(worker.NEWS_S / 3)
                return super().receive(data)
            return super().receive(data) + b"\x18\x00\x0c\x0f"  # the report that GS a asked for

    async with SlowUntilPaperEnds() as machine:
        printer = open_apart(machine.device, PROFILE, timing=timing(confirm_s=30.0))
        assert isinstance(printer, DistantPrinter)
        printing = asyncio.create_task(printer.print(job()))
        async with asyncio.timeout(20):
            while (await printer.status()).paper is not Paper.OUT or printing.done():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        printing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await printing
        await printer.close()


async def test_the_worker_is_told_nothing_of_the_service_manager(monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/secret")
    async with ConfirmingPrinter() as machine, apart(machine) as printer:
        await printer.status()
        assert b"NOTIFY_SOCKET" not in await asyncio.to_thread(Path(f"/proc/{pid(printer)}/environ").read_bytes)


async def test_the_worker_leaves_no_core_file_and_gains_no_privilege():
    async with ConfirmingPrinter() as machine, apart(machine) as printer:
        await printer.status()
        facts = Path(f"/proc/{pid(printer)}")
        assert "NoNewPrivs:\t1" in (facts / "status").read_text()
        assert [*(facts / "limits").read_text().split("Max core file size")[1].split()][:2] == ["0", "0"]


async def test_a_print_service_that_is_not_there_refuses(tmp_path):
    printer = open_apart("usb", PROFILE, tmp_path)
    assert await printer.print(job()) is PrintOutcome.REFUSED
    assert "journalctl" in (await printer.status()).detail


@pytest.mark.parametrize(
    ("device", "name"), [("usb", "device"), ("serial:///dev/ttyS0", "device"), ("tcp://p", "network")]
)
def test_network_printers_and_devices_are_driven_by_services_of_their_own(device, name, tmp_path):
    printer = open_apart(device, PROFILE, tmp_path)
    assert isinstance(printer, DistantPrinter)
    assert isinstance(printer._worker, Service)
    assert printer._worker._path == tmp_path / f"{name}.socket"


# The worker as a service


@asynccontextmanager
async def service(tmp_path: Path, idle_s: float = 30.0) -> AsyncIterator[asyncio.Task[None]]:
    door = socket.socket(socket.AF_UNIX)
    door.bind(str(tmp_path / "network.socket"))
    door.listen()
    with door:
        serving = asyncio.create_task(worker.serve(door, listens=True, idle_s=idle_s))
        try:
            yield serving
        finally:
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving


async def test_a_service_serves_one_call_after_another(tmp_path):
    async with ConfirmingPrinter() as machine, service(tmp_path):
        printer = open_apart(machine.device, PROFILE, tmp_path)
        assert (await printer.status()).ready
        assert await printer.print(job()) is PrintOutcome.PRINTED
        assert [one.data for one in machine.jobs] == [job().data]


async def test_a_service_that_nobody_calls_ends(tmp_path):
    async with service(tmp_path, idle_s=0.05) as serving:
        await asyncio.wait_for(serving, 5)


async def test_a_service_outlives_a_caller_that_talks_nonsense(tmp_path):
    async with ConfirmingPrinter() as machine, service(tmp_path):
        for nonsense in (b"GET / HTTP/1.0\r\n\r\n", b"{}\n", b"[]\n", b"x" * 70_000):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "network.socket")
            writer.write(nonsense)
            assert await reader.read() == b""
            writer.close()
        assert (await open_apart(machine.device, PROFILE, tmp_path).status()).ready


async def test_a_service_writes_no_slip_into_files(tmp_path):
    async with service(tmp_path):
        printer = DistantPrinter(Service(tmp_path / "network.socket"), f"file://{tmp_path}", PROFILE)
        assert await printer.print(job()) is PrintOutcome.REFUSED
        assert [path.name for path in tmp_path.iterdir()] == ["network.socket"]


async def test_a_worker_that_has_not_reached_its_printer_for_long_makes_room_for_a_fresh_one(tmp_path, monkeypatch):
    async with service(tmp_path) as serving:
        printer = open_apart("tcp://127.0.0.1:1", PROFILE, tmp_path)
        await printer.status()
        assert not serving.done()
        monkeypatch.setattr(worker, "STALE_S", 0.0)
        await printer.status()
        await asyncio.wait_for(serving, 5)


async def test_a_child_that_is_told_nonsense_ends():
    with worker_on(socket_pair := socket.socketpair()) as process:
        socket_pair[0].sendall(b"{}\n")
        assert await asyncio.to_thread(process.wait, 10) == 0
        socket_pair[0].close()


# What crosses


async def test_of_a_slip_only_its_bytes_its_number_its_id_and_its_codes_hash_cross():
    sent = encode_call(Call("usb", PROFILE, timing(), 5.0, job()))
    header, _, body = sent.partition(b"\n")
    assert body == job().data
    assert set(json.loads(header)["job"]) == {"number", "process_id", "after_doubt", "bytes", "code_sha256"}
    reader = asyncio.StreamReader()
    reader.feed_data(sent)
    call = await read_call(reader)
    assert call == Call("usb", PROFILE, timing(), 5.0, replace(job(), picture=b""))


async def test_a_call_for_an_impossible_slip_is_refused_before_it_is_read():
    reader = asyncio.StreamReader()
    reader.feed_data(encode_call(Call("usb", PROFILE, timing(), 5.0, job())).replace(b'"bytes":', b'"bytes":99999999'))
    with pytest.raises(FormatError):
        await read_call(reader)


class LyingWorker:
    """Says what it is told to say, whatever it is asked."""

    def __init__(self, words: bytes) -> None:
        self._words = words
        self.heard = b""

    async def reach(self) -> Line:
        ours, theirs = socket.socketpair()
        self._theirs = theirs
        theirs.setblocking(False)
        theirs.sendall(self._words)
        theirs.shutdown(socket.SHUT_WR)
        return Line(*await asyncio.open_connection(sock=ours, limit=16_384))

    async def leave(self, line: Line, *, sound: bool) -> None:
        line.writer.close()
        self._theirs.close()

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"\n",
        b"[]\n",
        b"{}\n",
        b'{"status":{"reachable":true}}\n',
        b'{"outcome":"maybe"}\n',
        b"\xff\n",
        b"x" * 20_000,
    ],
)
async def test_a_worker_that_talks_nonsense_is_not_believed(words):
    assert await DistantPrinter(LyingWorker(words), "usb", PROFILE).print(job()) is PrintOutcome.REFUSED
    permitted = LyingWorker(b'{"may":"send"}\n' + words)
    assert await DistantPrinter(permitted, "usb", PROFILE).print(job()) is PrintOutcome.UNKNOWN


async def test_a_sentence_of_the_workers_cannot_forge_a_second_line_of_the_log_nor_fill_it():
    words = json.dumps(
        {"status": {"reachable": True, "paper": "ok", "detail": "a\nslip K1: printed\x1b[2J" + "x" * 9000}}
    )
    status = await DistantPrinter(LyingWorker(words.encode() + b"\n"), "usb", PROFILE).status()
    assert isinstance(status, PrinterStatus)
    assert "\n" not in status.detail
    assert "\x1b" not in status.detail
    assert len(status.detail) <= 500


# The guard


class Recording:
    def __init__(self) -> None:
        self.written: list[bytes] = []

    async def open(self, within_s: float) -> None: ...

    async def write(self, data: bytes, within_s: float) -> None:
        self.written.append(data)

    async def read(self, within_s: float) -> bytes:
        return b""

    async def close(self) -> None: ...


async def never() -> None:
    raise PrinterUnreachableError("no")


@pytest.mark.parametrize("question", [b"\x10\x04\x01", b"\x10\x04\x07\x01", b"\x1da\x0e\x1dr\x01", b"\x1dI\x42"])
async def test_questions_need_no_permission(question):
    line = Recording()
    await worker.GuardedTransport(line, never).write(question, 1.0)
    assert line.written == [question]


@pytest.mark.parametrize(
    "data", [b"\x1b@", b"\x10\x04\x01\x1b@", bytes(8), b"\x1dVB\x00", b"\x10\x04", b"\x10\x05\x02"]
)
async def test_anything_else_needs_permission(data):
    line = Recording()
    with pytest.raises(PrinterUnreachableError):
        await worker.GuardedTransport(line, never).write(data, 1.0)
    assert line.written == []


async def test_permission_is_asked_for_once_a_slip():
    asked = 0

    async def grant() -> None:
        nonlocal asked
        asked += 1

    guarded = worker.GuardedTransport(Recording(), grant)
    for start in range(3):
        await guarded.write(b"\x1b@" + bytes([start]), 1.0)
    assert asked == 1


def test_a_worker_starts_quickly():
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", worker.__name__], stdin=subprocess.DEVNULL, check=False, capture_output=True)
    assert time.monotonic() - started < 5
