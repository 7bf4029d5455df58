"""What the conformance suite cannot see: files on the disk, words in the settings, a power cut at every byte."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.adapters.printers import ConversingPrinter, Timing, open_printer
from appliance.errors import FormatError, PrinterUnreachableError, SettingsError
from appliance.formats import printer_profiles
from appliance.ports import PrintOutcome
from tests import escpos_reader
from tests.fakes.printers import ConfirmingPrinter, FakePrinter, PrinterDiedError, PrinterThatDiesAt
from tests.ports.test_printer_port import CONFIRMING, URL, job

PROFILE = printer_profiles.find(CONFIRMING)
AT_ONCE = Timing(0.05, 0.05, 0.05, 0.005, 0.0)


class WireTransport:
    """Straight into a machine, without a line between: for thousands of slips."""

    def __init__(self, machine: FakePrinter) -> None:
        self._machine = machine
        self._answers = b""

    async def open(self, within_s: float) -> None:
        self._answers = b""

    async def write(self, data: bytes, within_s: float) -> None:
        try:
            self._answers += self._machine.receive(data)
        except PrinterDiedError as error:
            raise PrinterUnreachableError("dead") from error

    async def read(self, within_s: float) -> bytes:
        answer, self._answers = self._answers, b""
        return answer

    async def close(self) -> None:
        pass


async def test_at_whatever_byte_the_power_fails_the_slip_is_unknown_and_the_next_one_prints():
    slip = job()
    for byte in range(1, len(slip.data) + 1, 157):
        machine = PrinterThatDiesAt(byte)
        printer = ConversingPrinter(WireTransport(machine), PROFILE, AT_ONCE)
        assert await printer.print(slip) is PrintOutcome.UNKNOWN, byte
        assert await printer.print(slip) is PrintOutcome.PRINTED, byte
        assert len(machine.jobs) == 1


async def test_a_late_answer_to_an_earlier_question_is_not_taken_for_that_to_the_next():
    class LateTransport(WireTransport):
        async def open(self, within_s: float) -> None:
            self._answers = b"\x37\x220001\x00\x12"  # left over: this very id, and "all is well"

        async def read(self, within_s: float) -> bytes:
            answer, self._answers = self._answers[:1], self._answers[1:]
            return answer

    class OutOfPaper(ConfirmingPrinter):
        def status(self, number: int) -> bytes:
            return b"\x72" if number == 4 else b"\x12"

    printer = ConversingPrinter(LateTransport(OutOfPaper()), PROFILE, AT_ONCE)
    assert await printer.print(job()) is PrintOutcome.REFUSED


# Over TCP


async def test_a_printer_that_hangs_up_is_noticed_at_once():
    class HangingUpPrinter(FakePrinter):
        def confirm(self, process_id: bytes) -> bytes:
            raise PrinterDiedError

    async with HangingUpPrinter() as machine:
        printer = open_printer(machine.device, PROFILE, Timing(confirm_s=60.0))
        async with asyncio.timeout(30.0):
            assert await printer.print(job()) is PrintOutcome.UNKNOWN


async def test_a_printer_that_was_switched_off_and_on_prints_again():
    async with ConfirmingPrinter() as machine:
        printer = open_printer(machine.device, PROFILE)
        await machine.switch_off()
        assert await printer.print(job()) is PrintOutcome.REFUSED
        await machine.listen()
        assert await printer.print(job()) is PrintOutcome.PRINTED
        assert machine.jobs[0].link == URL
        assert machine.jobs[0].process_id == b"0001"


# Files


async def test_the_file_printer_leaves_the_bytes_and_what_they_look_like_and_nothing_else(tmp_path):
    slip = job()
    assert await open_printer(f"file://{tmp_path}", PROFILE).print(slip) is PrintOutcome.PRINTED
    assert sorted(path.name for path in tmp_path.iterdir()) == ["K7-0042.bin", "K7-0042.png"]
    assert (tmp_path / "K7-0042.bin").read_bytes() == slip.data
    assert (tmp_path / "K7-0042.png").read_bytes() == slip.picture
    assert escpos_reader.decode_qr(escpos_reader.slips(slip.data)[0]) == URL


async def test_the_bytes_are_on_the_disk_before_their_name_and_the_name_before_the_word(tmp_path, monkeypatch):
    calls: list[str] = []
    fsync, rename = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append(f"sync {_kind(fd)}"), fsync(fd))[1])
    monkeypatch.setattr(Path, "replace", lambda old, new: (calls.append(f"name {new.name}"), rename(old, new))[1])
    await open_printer(f"file://{tmp_path}", PROFILE).print(job())
    assert calls == ["sync file", "sync file", "name K7-0042.bin", "name K7-0042.png", "sync folder"]


def _kind(descriptor: int) -> str:
    return "folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file"


@pytest.mark.parametrize(("fails_at", "outcome"), [(1, "refused"), (2, "refused"), (3, "unknown")])
async def test_a_disk_that_fails_before_a_name_is_shown_refuses_and_after_it_is_unknown(
    tmp_path, monkeypatch, fails_at, outcome
):
    calls = 0

    def failing(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    assert (await open_printer(f"file://{tmp_path}", PROFILE).print(job())).value == outcome
    assert list(tmp_path.glob("*.bin")) == ([tmp_path / "K7-0042.bin"] if outcome == "unknown" else [])


@pytest.mark.parametrize("number", ["../K7", "", "k7", "K7/0", "K7\n", "K" * 65])
async def test_a_number_that_is_no_file_name_is_refused_loudly(tmp_path, number):
    with pytest.raises(FormatError):
        await open_printer(f"file://{tmp_path}", PROFILE).print(replace(job(), number=number))
    assert list(tmp_path.iterdir()) == []


# Settings


@pytest.mark.parametrize(
    "device",
    [
        "usb",
        "usb:04b8:0e15",
        "usb:04B8:0E15:X1Y2:3",
        "usb:///dev/slipway-printer",
        "tcp://10.0.0.9:9100",
        "tcp://printer",
        "tcp://[::1]:9100",
        "serial:///dev/ttyUSB0",
        "serial:///dev/ttyUSB0?baud=115200",
        "file:///var/slips",
        "none",
    ],
)
def test_every_documented_form_of_device_is_understood_without_a_printer(device):
    open_printer(device, PROFILE)


@pytest.mark.parametrize(
    "device",
    [
        "",
        "lpt1",
        "usb:04b8",
        "usb:04b8:xyz1",
        "usb:04b8:0e15:",
        "usb://slipway-printer",
        "tcp://",
        "tcp://host:port",
        "tcp://host:99999",
        "tcp://host/path",
        "file://",
        "file://relative/x",
        "serial://ttyUSB0",
        "serial:///dev/ttyUSB0?baud=fast",
        "serial:///dev/ttyUSB0?baud=300",
    ],
)
def test_other_words_are_a_wrong_setting_with_a_hint(device):
    with pytest.raises(SettingsError) as caught:
        open_printer(device, PROFILE)
    assert caught.value.hint
