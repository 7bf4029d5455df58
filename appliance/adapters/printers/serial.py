"""A printer on a serial line or a USB-to-serial cable: 8 data bits, no parity, RTS/CTS.

`within_s` does not count the time that the line itself takes for the bytes: 1 s for 4 kB at 38,400 baud.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import fcntl
import os
import termios
from collections.abc import Callable
from pathlib import Path

from appliance.errors import PrinterUnreachableError, SettingsError

READ_BYTES = 4096
BITS_A_BYTE = 10  # start, eight, stop
DRAIN_POLL_S = 0.01
SPEEDS = {
    9600: termios.B9600,
    19200: termios.B19200,
    38400: termios.B38400,
    57600: termios.B57600,
    115200: termios.B115200,
}
DEFAULT_BAUD = 38400  # as Epson's printers leave the factory


NO_HANDSHAKE = "Without it a printer loses parts of slips: use another port or adapter, or USB."


def modem_signals(line: int) -> int:
    """TIOCM_* bits, as the printer and the cable have set them; a line without such wires holds nobody back."""
    signals = array.array("i", [0])
    try:
        fcntl.ioctl(line, termios.TIOCMGET, signals)
    except OSError:
        return termios.TIOCM_CTS
    return signals[0]


class SerialTransport:
    def __init__(self, path: Path, baud: int = DEFAULT_BAUD, signals: Callable[[int], int] = modem_signals) -> None:
        if baud not in SPEEDS:
            raise SettingsError(f"a printer's line cannot run at {baud} baud", hint=f"Use one of {sorted(SPEEDS)}.")
        self._path, self._baud, self._signals = path, baud, signals
        self._line: int | None = None

    async def open(self, within_s: float) -> None:
        try:
            # O_NONBLOCK also keeps open() from waiting for a modem's carrier.
            self._line = os.open(self._path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            fcntl.ioctl(self._line, termios.TIOCEXCL)  # a getty or a modem probe in between would garble a slip
            self._set_up(self._line)
        except (OSError, termios.error) as error:
            raise self._unreachable("cannot be opened", error) from error

    def _set_up(self, line: int) -> None:
        """Bytes as they are, both ways; RTS/CTS so that the printer can say wait."""
        speed = SPEEDS[self._baud]
        control = termios.CS8 | termios.CREAD | termios.CLOCAL | termios.CRTSCTS
        special = termios.tcgetattr(line)[6]
        termios.tcsetattr(line, termios.TCSANOW, [0, 0, control, 0, speed, speed, special])
        if not termios.tcgetattr(line)[2] & termios.CRTSCTS:  # tcsetattr is content with doing a part of it
            raise PrinterUnreachableError(f"the line {self._path} has no RTS/CTS", hint=NO_HANDSHAKE)
        termios.tcflush(line, termios.TCIOFLUSH)

    async def write(self, data: bytes, within_s: float) -> None:
        line = self._opened()
        try:
            async with asyncio.timeout(within_s + len(data) * BITS_A_BYTE / self._baud):
                await self._write_all(line, data)
                while _unsent(line):  # noqa: ASYNC110  # a tty cannot say when it has sent everything, only what is left
                    await asyncio.sleep(DRAIN_POLL_S)
        except TimeoutError as error:
            held = self._signals(line) & termios.TIOCM_CTS == 0
            what = "is held back by the printer (CTS is off)" if held else "stopped taking bytes"
            raise self._unreachable(what) from error
        except OSError as error:
            raise self._unreachable("broke off", error) from error

    async def _write_all(self, line: int, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(line, left) :]
            except BlockingIOError:
                await _ready(line, to_write=True)

    async def read(self, within_s: float) -> bytes:
        line = self._opened()
        try:
            async with asyncio.timeout(within_s):
                await _ready(line, to_write=False)
            received = os.read(line, READ_BYTES)
        except (TimeoutError, BlockingIOError):
            return b""
        except OSError as error:
            raise self._unreachable("broke off", error) from error
        if not received:
            raise self._unreachable("was unplugged")
        return received

    async def close(self) -> None:
        line, self._line = self._line, None
        if line is None:
            return
        with contextlib.suppress(OSError, termios.error):
            termios.tcflush(line, termios.TCIOFLUSH)  # otherwise close() waits up to 30 s for a printer that is off
        with contextlib.suppress(OSError):
            os.close(line)

    def _opened(self) -> int:
        if self._line is None:
            raise self._unreachable("is not open")
        return self._line

    def _unreachable(self, what: str, error: BaseException | None = None) -> PrinterUnreachableError:
        cause = f" ({error})" if error else ""
        return PrinterUnreachableError(f"the printer's line {self._path} {what}{cause}")


def _unsent(line: int) -> int:
    """Bytes in the kernel's buffer that the printer has not taken."""
    count = array.array("i", [0])
    fcntl.ioctl(line, termios.TIOCOUTQ, count)
    return count[0]


async def _ready(line: int, *, to_write: bool) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if to_write else (loop.add_reader, loop.remove_reader)
    add(line, _settle, ready)
    try:
        await ready
    finally:
        remove(line)


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
