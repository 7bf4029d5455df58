"""What only a serial line can do wrong. Ptys have no RTS and CTS wires, so what these say is the test's."""

from __future__ import annotations

import os
import pty
import termios
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.adapters.printers import serial
from appliance.adapters.printers.serial import SerialTransport, modem_signals
from appliance.errors import PrinterUnreachableError
from appliance.ports import PrintOutcome
from tests.fakes.printers import ConfirmingPrinter
from tests.ports.test_printer_port import CONFIRMING, job, printer_at, timing

MORE_THAN_A_LINE_HOLDS = bytes(1 << 17)


@pytest.fixture
def near() -> Iterator[Path]:
    """The near end of a line at whose far end nobody takes a byte."""
    far, near = pty.openpty()
    tty.setraw(near)
    yield Path(os.ttyname(near))
    os.close(near)
    os.close(far)


@pytest.mark.parametrize(
    ("signals", "words"), [(0, "held back by the printer"), (termios.TIOCM_CTS, "stopped taking bytes")]
)
async def test_a_printer_that_holds_the_line_is_told_from_one_that_is_dead(near, signals, words, monkeypatch):
    monkeypatch.setattr(serial, "BITS_A_BYTE", 0)
    transport = SerialTransport(near, signals=lambda line: signals)
    await transport.open(1.0)
    with pytest.raises(PrinterUnreachableError, match=words):
        await transport.write(MORE_THAN_A_LINE_HOLDS, 0.1)
    await transport.close()


async def test_the_line_is_opened_with_hardware_flow_control(near):
    transport = SerialTransport(near)
    await transport.open(1.0)
    assert transport._line is not None
    assert termios.tcgetattr(transport._line)[2] & termios.CRTSCTS
    await transport.close()


async def test_an_adapter_without_hardware_flow_control_is_not_printed_on(near, monkeypatch):
    def forgetting(line: int, when: int, attributes: list[object]) -> None:
        attributes[2] = int(str(attributes[2])) & ~termios.CRTSCTS
        original(line, when, attributes)

    original = termios.tcsetattr
    monkeypatch.setattr(termios, "tcsetattr", forgetting)
    transport = SerialTransport(near)
    with pytest.raises(PrinterUnreachableError, match="no RTS/CTS") as caught:
        await transport.open(1.0)
    assert "another port" in caught.value.hint
    await transport.close()


def test_a_line_without_wires_for_it_holds_nobody_back(near):
    line = os.open(near, os.O_RDWR | os.O_NOCTTY)
    assert modem_signals(line) & termios.TIOCM_CTS
    os.close(line)


async def test_an_adapter_that_is_plugged_in_again_under_the_same_name_prints(tmp_path):
    name = tmp_path / "usb-FTDI-port0"
    async with printer_at(f"serial://{name}?baud=115200", CONFIRMING, timing()) as printer:
        assert await printer.print(job()) is PrintOutcome.REFUSED
        for _ in range(2):  # another device behind the name each time
            machine = ConfirmingPrinter()
            async with machine.on_pty() as path:
                name.symlink_to(path)
                assert await printer.print(job()) is PrintOutcome.PRINTED
                assert [one.data for one in machine.jobs] == [job().data]
            name.unlink()
            assert await printer.print(job()) is PrintOutcome.REFUSED
