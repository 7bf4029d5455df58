"""A barcode scanner: on a serial line, or one that pretends to be a keyboard. One code a line.

A keyboard is taken for ourselves (EVIOCGRAB): a patient's number must not be typed onto the console. Its keys are read
as those of a US keyboard, which is what such scanners are set to when they leave the factory.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import termios
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from appliance.errors import ScannerUnreachableError, SettingsError

READ_BYTES = 4096
LONGEST_BYTES = 1024  # a line without an end is noise
LINE_ENDS = b"\r\n\t"  # what scanners add after a code, as they are set
SPEEDS = {9600: termios.B9600, 19200: termios.B19200, 38400: termios.B38400, 115200: termios.B115200}
DEFAULT_BAUD = 9600  # of scanners on a real line; on USB it does not matter

# linux/input.h
INPUT_EVENT = struct.Struct("llHHi")  # seconds, microseconds, type, code, value
EV_KEY, RELEASED, PRESSED = 1, 0, 1
EVIOCGRAB = 0x40044590
KEY_LEFTSHIFT, KEY_RIGHTSHIFT = 42, 54
ENDS = (15, 28, 96)  # KEY_TAB, KEY_ENTER, KEY_KPENTER
_ROWS = (  # first key code, what it types, what it types with shift; linux/input-event-codes.h, US layout
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (57, " ", " "),
)
KEYS = {first + n: (*pair,) for first, *both in _ROWS for n, pair in enumerate(zip(*both, strict=True))} | {
    code: (char, char)
    for code, char in zip((82, 79, 80, 81, 75, 76, 77, 71, 72, 73, 74, 83), "0123456789-.", strict=True)
}


class Lines:
    """Bytes of a serial line to codes."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, received: bytes) -> list[str]:
        *whole, self._held = (self._held + received).translate(bytes.maketrans(LINE_ENDS, b"\n\n\n")).split(b"\n")
        self._held = self._held[-LONGEST_BYTES:]
        return [code for line in whole if (code := _printable(line.decode("latin_1")))]


class Keys:
    """Key events of a keyboard to codes."""

    def __init__(self) -> None:
        self._held = b""  # a part of an event
        self._typed = ""
        self._shift: set[int] = set()

    def feed(self, received: bytes) -> list[str]:
        data = self._held + received
        whole = len(data) - len(data) % INPUT_EVENT.size
        self._held = data[whole:]
        typed = [self._key(*event[2:]) for event in INPUT_EVENT.iter_unpack(data[:whole])]
        return [code for code in typed if code]

    def _key(self, kind: int, key: int, value: int) -> str:
        """The code that this key ended, or ""."""
        if kind != EV_KEY:
            return ""
        if key in (KEY_LEFTSHIFT, KEY_RIGHTSHIFT):
            (self._shift.discard if value == RELEASED else self._shift.add)(key)
        elif value == PRESSED and key in ENDS:
            code, self._typed = self._typed.strip(), ""
            return code
        elif value == PRESSED and key in KEYS:
            self._typed = (self._typed + KEYS[key][bool(self._shift)])[-LONGEST_BYTES:]
        return ""


def _printable(text: str) -> str:
    return "".join(char for char in text if char.isprintable()).strip()


def set_up_line(line: int, baud: int) -> None:
    """Eight bits, no parity, bytes as they are."""
    control = termios.CS8 | termios.CREAD | termios.CLOCAL
    special = termios.tcgetattr(line)[6]
    termios.tcsetattr(line, termios.TCSANOW, [0, 0, control, 0, SPEEDS[baud], SPEEDS[baud], special])
    termios.tcflush(line, termios.TCIFLUSH)  # scanned before anybody listened


def grab(line: int) -> None:
    fcntl.ioctl(line, EVIOCGRAB, 1)


class DeviceScanner:
    """The port `Scanner` over a character device."""

    def __init__(self, path: Path, reader: type[Lines] | type[Keys], prepare: Callable[[int], None]) -> None:
        self._path = path
        self._reader = reader
        self._prepare = prepare

    async def codes(self) -> AsyncIterator[str]:
        reader = self._reader()
        line = self._open()
        try:
            yield ""
            while received := await self._read(line):
                for code in reader.feed(received):
                    yield code
        finally:
            os.close(line)
        raise ScannerUnreachableError(f"{self._path} was unplugged")

    def _open(self) -> int:
        try:
            line = os.open(self._path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise ScannerUnreachableError(f"{self._path} cannot be opened ({error.strerror})") from error
        try:
            self._prepare(line)
        except (OSError, termios.error) as error:
            os.close(line)
            raise ScannerUnreachableError(f"{self._path} cannot be set up; does another program hold it?") from error
        return line

    async def _read(self, line: int) -> bytes:
        """b"" when it is gone."""
        while True:
            await _readable(line)
            try:
                return os.read(line, READ_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                return b""


async def _readable(line: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(line, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(line)


def open_scanner(device: str) -> DeviceScanner:
    """`serial:///dev/ttyACM0` (with `?baud=` where it is not 9600), or `hid:///dev/input/by-id/…-event-kbd`."""
    url = urlsplit(device)
    if url.scheme == "hid":
        return DeviceScanner(Path(url.path), Keys, grab)
    baud = parse_qs(url.query).get("baud", [str(DEFAULT_BAUD)])[0]
    if not baud.isdecimal() or int(baud) not in SPEEDS:
        raise SettingsError(f"a scanner's line cannot run at {baud} baud", hint=f"Use one of {sorted(SPEEDS)}.")
    return DeviceScanner(Path(url.path), Lines, lambda line: set_up_line(line, int(baud)))
