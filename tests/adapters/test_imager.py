"""The imager over the printer: what counts as having read a slip, and what becomes of one that is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import tty
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.adapters.imager import MOST_CODES, ScanningImager
from appliance.adapters.printers import Timing, open_apart
from appliance.adapters.printers.read_back import ReadBack, digest
from appliance.adapters.scanner import open_scanner
from appliance.config import parse
from appliance.daemon.compose import slip_look
from appliance.daemon.paper import paper
from appliance.errors import PrinterUnreachableError, SettingsError
from appliance.formats import printer_profiles, slip_bitmap
from appliance.ports import Imager, Printer, PrintJob, PrintOutcome
from tests.escpos_reader import decode_qr
from tests.fakes.imagers import BabblingImager, StuckScanner, TellingImager, TellingScanner
from tests.fakes.printers import FakePrinter, PausingPrinter
from tests.pictures import FACE, URL
from tests.ports.test_printer_port import CONFIRMING, timing
from tests.printing.virtual_time import run

LINK = "https://vault.example.org/#" + "A" * 67
OTHER = "https://vault.example.org/#" + "A" * 66 + "B"
JOB = PrintJob("S-00001", b"slip", b"", b"0001", ending=b"cut", void=b"void", code_sha256=digest(LINK))
WITHIN_S = 5.0
NEVER_S = 0.05


def confirmed(imager: Imager, job: PrintJob = JOB) -> bool:
    return run(ReadBack(imager, WITHIN_S).confirms(job))


def test_the_slips_own_code_confirms_it():
    assert confirmed(TellingImager(LINK))


@pytest.mark.parametrize("code", [OTHER, LINK[:-1], LINK + "&x=1", LINK.upper(), "", "402771", "\udcff"])
def test_any_other_code_confirms_nothing(code):
    assert not confirmed(TellingImager(code))


def test_what_else_is_in_its_view_does_not_matter():
    assert confirmed(TellingImager("402771", "\ufffd\x00]Q", OTHER, LINK))


def test_nothing_read_confirms_nothing():
    assert not confirmed(TellingImager())


def test_a_code_that_comes_too_late_confirms_nothing():
    assert confirmed(TellingImager(LINK, late_s=WITHIN_S - 0.1))
    assert not confirmed(TellingImager(LINK, late_s=WITHIN_S + 0.1))


def test_noise_without_end_is_given_up_in_time():
    async def timed() -> float:
        start = asyncio.get_running_loop().time()
        assert not await ReadBack(BabblingImager(), WITHIN_S).confirms(JOB)
        return asyncio.get_running_loop().time() - start

    assert run(timed()) == pytest.approx(WITHIN_S, abs=0.1)


def test_a_job_without_a_code_is_confirmed_by_none():
    assert not confirmed(TellingImager(LINK, ""), replace(JOB, code_sha256=b""))


@pytest.fixture
def scanner() -> TellingScanner:
    return TellingScanner()


@pytest.fixture
async def imager(scanner: TellingScanner) -> AsyncIterator[ScanningImager]:
    imager = ScanningImager(scanner)
    yield imager
    await imager.close()


async def test_a_code_is_told_once(scanner, imager):
    await imager.start()
    scanner.heard.put_nowait(LINK)
    assert await imager.read(WITHIN_S) == LINK
    assert await imager.read(NEVER_S) is None


async def test_what_was_read_before_the_slip_counts_no_more(scanner, imager):
    await imager.start()
    scanner.heard.put_nowait(LINK)
    await scanner.told()
    await imager.start()
    assert await imager.read(NEVER_S) is None


async def test_a_flood_of_noise_leaves_the_newest_codes(scanner, imager):
    await imager.start()
    for number in range(1000):
        scanner.heard.put_nowait(str(number))
    await scanner.told()
    told = [await imager.read(NEVER_S) for _ in range(MOST_CODES)]
    assert told == [str(number) for number in range(1000 - MOST_CODES, 1000)]


async def test_an_imager_that_is_not_there_says_what_to_check(scanner, imager):
    scanner.plugged_in = False
    with pytest.raises(PrinterUnreachableError, match="ttyACM0") as caught:
        await imager.start()
    assert "[printer] imager" in caught.value.hint


async def test_an_imager_that_does_not_open_is_given_up():
    with pytest.raises(PrinterUnreachableError, match="does not open"):
        await ScanningImager(StuckScanner(), open_s=NEVER_S).start()


async def test_an_imager_that_is_plugged_in_again_reads_again(scanner, imager):
    await imager.start()
    scanner.heard.put_nowait(None)
    assert await imager.read(NEVER_S) is None
    await imager.start()
    scanner.heard.put_nowait(LINK)
    assert await imager.read(WITHIN_S) == LINK


async def test_a_real_line_with_whatever_line_end_the_imager_sends():
    far, near = pty.openpty()
    tty.setraw(near)
    imager = ScanningImager(open_scanner(f"serial://{Path(os.ttyname(near))}"))
    try:
        for end in ("\r", "\n", "\r\n"):
            await imager.start()
            os.write(far, (LINK + end).encode())
            assert await imager.read(WITHIN_S) == LINK
    finally:
        await imager.close()
        os.close(far)
        os.close(near)


@contextlib.asynccontextmanager
async def line_of(imager: Path, machine: FakePrinter, timing: Timing) -> AsyncIterator[Printer]:
    """A printer and an imager on lines of their own, both driven by the worker's process."""
    profile = printer_profiles.find(CONFIRMING)
    async with machine.on_pty() as path:
        printer = open_apart(f"serial://{path}?baud=115200", profile, timing=timing, imager=f"serial://{imager}")
        try:
            yield printer
        finally:
            await printer.close()


@pytest.fixture
def imagers_line() -> Iterator[tuple[int, Path]]:
    far, near = pty.openpty()
    tty.setraw(near)
    yield far, Path(os.ttyname(near))
    os.close(far)
    os.close(near)


def type_in(far: int, code: str) -> None:
    os.write(far, f"{code}\r\n".encode())


def held_back() -> PrintJob:
    profile = printer_profiles.find(CONFIRMING)
    look = slip_look(parse({"printer": {"imager": "serial:///dev/ttyACM0"}}))
    return paper("S-00001", slip_bitmap.render(FACE, 576), URL, profile, b"0001", look)


async def test_through_the_workers_process_a_slip_that_is_read_is_cut_whole(imagers_line):
    far, path = imagers_line
    machine = PausingPrinter()
    machine.hangs = lambda picture: type_in(far, decode_qr(picture))
    async with line_of(path, machine, timing()) as printer:
        assert (await printer.status()).ready
        assert await printer.print(held_back()) is PrintOutcome.PRINTED
    (job,) = machine.jobs
    assert decode_qr(job.picture) == URL
    assert job.picture.height == slip_bitmap.render(FACE, 576).height


async def test_through_the_workers_process_a_slip_that_is_not_read_is_spoilt(imagers_line):
    far, path = imagers_line
    machine = PausingPrinter()
    machine.hangs = lambda picture: type_in(far, OTHER)
    async with line_of(path, machine, timing()) as printer:
        assert await printer.print(held_back()) is PrintOutcome.UNKNOWN
    assert machine.jobs[0].picture.height > slip_bitmap.render(FACE, 576).height + 100


async def test_without_its_imager_not_one_byte_of_a_slip_is_sent_and_status_says_so(tmp_path):
    machine = PausingPrinter()
    async with line_of(tmp_path / "gone", machine, timing()) as printer:
        assert await printer.print(held_back()) is PrintOutcome.REFUSED
        status = await printer.status()
    assert machine.received == b""
    assert not status.ready
    assert "imager" in status.detail


@pytest.mark.parametrize("device", ["none", "file:///tmp", "tcp://127.0.0.1:9100"])
def test_an_imager_beside_no_wired_printer_is_a_wrong_setting(device):
    with pytest.raises(SettingsError, match="read back"):
        open_apart(device, printer_profiles.find(CONFIRMING), imager="serial:///dev/ttyACM0")


@pytest.mark.parametrize("device", ["/dev/ttyACM0", "hid:///dev/input/event0", "serial:ttyACM0"])
def test_an_imager_is_on_a_serial_line(device):
    with pytest.raises(SettingsError, match="imager"):
        parse({"printer": {"imager": device}})
