"""Scanners on a pty, and key events through a FIFO: what a reader types becomes a code, whatever the pieces."""

from __future__ import annotations

import asyncio
import os
import pty
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.adapters.scanner import ENDS, EV_KEY, INPUT_EVENT, KEYS, DeviceScanner, Keys, Lines, grab, open_scanner
from appliance.errors import ScannerUnreachableError, SettingsError

WITHIN_S = 5.0
SHIFT, EV_SYN = 42, 0
UP, DOWN, REPEAT = 0, 1, 2


def event(kind: int, code: int, value: int) -> bytes:
    return INPUT_EVENT.pack(1_795_000_000, 0, kind, code, value)


def press(code: int) -> bytes:
    """As the kernel sends it: down, up, each with the report that closes it."""
    report = event(EV_SYN, 0, 0)
    return event(EV_KEY, code, DOWN) + report + event(EV_KEY, code, UP) + report


def typed(text: str, end: int = ENDS[1]) -> bytes:
    """What a reader in keyboard mode sends."""
    data = b""
    for char in text:
        key, shifted = next((key, pair[1] == char and pair[0] != char) for key, pair in KEYS.items() if char in pair)
        data += event(EV_KEY, SHIFT, DOWN) + press(key) + event(EV_KEY, SHIFT, UP) if shifted else press(key)
    return data + press(end)


async def read(scanner: DeviceScanner, write: Callable[[], None], count: int) -> list[str]:
    """What it reads of `write`, which is called once it is open."""
    found: list[str] = []
    async with asyncio.timeout(WITHIN_S):
        codes = scanner.codes()
        async for code in codes:
            if code == "" and not found:
                write()
                continue
            found.append(code)
            if len(found) == count:
                break
        await codes.aclose()  # type: ignore[attr-defined]
    return found


@pytest.fixture
def line() -> Iterator[tuple[int, Path]]:
    far, near = pty.openpty()
    tty.setraw(near)
    yield far, Path(os.ttyname(near))
    os.close(near)
    os.close(far)


@pytest.fixture
def keyboard(tmp_path: Path) -> Iterator[tuple[Path, Callable[[bytes], None]]]:
    path = tmp_path / "event-kbd"
    os.mkfifo(path)
    held = os.open(path, os.O_RDWR)
    yield path, lambda data: os.write(held, data) and None
    os.close(held)


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"\t"])
async def test_a_scanner_on_a_serial_line_is_read_line_by_line(line, end):
    far, path = line
    codes = await read(open_scanner(f"serial://{path}"), lambda: os.write(far, b" AB-12 " + end + b"77" + end), 2)
    assert codes == ["AB-12", "77"]


async def test_what_was_scanned_before_anybody_listened_is_dropped(line):
    far, path = line
    os.write(far, b"OLD\r")
    assert await read(open_scanner(f"serial://{path}"), lambda: os.write(far, b"NEW\r"), 1) == ["NEW"]


async def test_a_scanner_that_is_pulled_out_is_told():
    other, near = pty.openpty()
    tty.setraw(near)
    scanner = open_scanner(f"serial://{os.ttyname(near)}")
    codes = scanner.codes()
    assert await anext(codes) == ""
    os.close(near)
    os.close(other)
    with pytest.raises(ScannerUnreachableError, match="unplugged"):
        await asyncio.wait_for(anext(codes), WITHIN_S)


async def test_a_scanner_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ScannerUnreachableError, match="cannot be opened"):
        await anext(open_scanner(f"hid://{tmp_path}/none").codes())


@pytest.mark.parametrize("device", ["serial:///dev/ttyACM0?baud=300", "serial:///dev/ttyACM0?baud=fast"])
def test_a_speed_that_no_line_has_is_refused(device):
    with pytest.raises(SettingsError):
        open_scanner(device)


@pytest.mark.parametrize("text", ["4711", "AbC-77", "PID=12;W:3_x", "a b", "^~{}|<>?\"'`\\"])
async def test_a_scanner_that_types_is_read_as_a_us_keyboard(keyboard, text):
    path, write = keyboard
    scanner = DeviceScanner(path, Keys, lambda _: None)
    assert await read(scanner, lambda: write(typed(text)), 1) == [text]


async def test_a_keyboard_that_cannot_be_taken_for_ourselves_is_not_read(keyboard):
    """What it types would stand on the console too. A FIFO is none that could."""
    path, _ = keyboard
    with pytest.raises(ScannerUnreachableError, match="another program"):
        await anext(DeviceScanner(path, Keys, grab).codes())


@pytest.mark.parametrize("size", [1, 7, 24, 100])
def test_events_may_come_in_any_pieces(size):
    keys, data = Keys(), typed("Ab1") + typed("22", end=ENDS[2])
    found = [code for at in range(0, len(data), size) for code in keys.feed(data[at : at + size])]
    assert found == ["Ab1", "22"]


def test_a_key_that_repeats_or_comes_up_types_nothing_more():
    five, enter = 6, ENDS[1]
    held = event(EV_KEY, five, DOWN) + event(EV_KEY, five, REPEAT) * 9 + event(EV_KEY, five, UP)
    assert Keys().feed(held + press(enter)) == ["5"]


def test_noise_without_an_end_is_not_kept_for_ever():
    lines, keys = Lines(), Keys()
    for _ in range(50):
        assert lines.feed(b"x" * 1000) == []
        assert keys.feed(press(30) * 100) == []
    assert len(lines.feed(b"\n")[0]) <= 1024
    assert len(keys.feed(press(ENDS[1]))[0]) <= 1024


def test_every_printable_character_of_ascii_can_be_typed():
    can_be = {char for pair in KEYS.values() for char in pair}
    assert can_be == {chr(code) for code in range(32, 127)}
