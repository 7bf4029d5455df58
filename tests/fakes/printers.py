"""Receipt printers that a test can hold in its hand: one behaviour a class, on TCP, on a pty, or as a bare machine.

    async with ConfirmingPrinter() as printer:      # listens on 127.0.0.1
        …  tcp://127.0.0.1:{printer.port}  …
        await printer.wait_for_jobs(1)
        printer.jobs[0].link

`receive` is the machine itself: bytes in, answers out. The virtual USB device in tests/adapters/vusb drives that.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import socket
import tty
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Self

from PIL import Image

from tests import escpos_reader as reader

FINE = 0x12  # the fixed bits of an answer to DLE EOT, and no fault
ALL_IS_WELL = b"\x10\x00\x00\x0f"  # as four bytes of automatic status
CLEAR = bytes.fromhex("10 14 08 01 03 14 01 06 02 08")  # DLE DC4 function 8
WAIT_S = 20.0
WINDOW_BYTES = 4096  # of TCP; printers have little memory, and a jammed one soon takes no more


def _is_question(data: bytes) -> bool:
    return len(data) == 3 and data.startswith(b"\x10\x04")


class PrinterDiedError(Exception):
    """The machine lost its power; its line is dead from here on."""


@dataclass
class Job:
    """One slip that came out."""

    data: bytes  # the commands that made it
    picture: Image.Image
    process_id: bytes = b""

    @property
    def link(self) -> str:
        return reader.decode_qr(self.picture)


class FakePrinter:
    """Prints everything and answers every question. The others change one thing each."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.received = b""  # all bytes, over all connections
        self.port = 0
        self.gulp = 1 << 20  # bytes that it takes of one USB transfer
        self.taking = True  # False: the line's flow control holds the sender back
        self._lines: set[asyncio.Transport] = set()
        self._changed = asyncio.Event()
        self.power_on()

    # The machine

    def power_on(self) -> None:
        """As after a power cycle: what was in the buffer is gone."""
        self._interpreter = reader.Interpreter()
        self._paper = reader.Paper()
        self._data = b""

    def receive(self, data: bytes) -> bytes:
        """Take bytes, give the answers. Raises PrinterDiedError, or UnknownCommandError for bytes no slip may hold."""
        self.received += data
        return self._take(data)

    def _take(self, data: bytes) -> bytes:
        _, clear, behind = data.partition(CLEAR)  # obeyed in the middle of a picture too; a line may glue it to others
        if clear:
            self._interpreter, self._data = reader.Interpreter(), b""
            return b"\x37\x25\x00" + self._take(behind)
        return b"".join(self._obey(command, raw) for command, raw in self._interpreter.feed(data))

    def _obey(self, command: reader.Command, raw: bytes) -> bytes:
        if isinstance(command, reader.StatusRequest):
            return self.status(command.number)
        if isinstance(command, reader.PaperStatusRequest):
            return b"\x00"
        if command == reader.AutomaticStatus(0) or isinstance(command, reader.Nothing):
            return b""
        self._data += raw
        if isinstance(command, reader.Raster | reader.Feed):
            self._paper.add(command)
        elif isinstance(command, reader.Cut):
            self._tear()
        elif isinstance(command, reader.AutomaticStatus):
            return ALL_IS_WELL
        elif isinstance(command, reader.ProcessIdRequest):
            return self._printed(command.process_id)
        return b""

    def _printed(self, process_id: bytes) -> bytes:
        if self._paper.burnt:  # a model without a cutter
            self._tear()
        if self.jobs and not self.jobs[-1].process_id:  # not asked without a slip before it
            self.jobs[-1].data += self._data
            self.jobs[-1].process_id = process_id
        self._data = b""
        return self.confirm(process_id)

    def _tear(self) -> None:
        if not self._paper.burnt:  # white paper is no slip
            self._data, _ = b"", self._paper.cut()
            return
        self.jobs.append(Job(self._data, self._paper.cut()))
        self._data = b""
        self._changed.set()

    # What a behaviour overrides

    def status(self, number: int) -> bytes:
        """The answer to DLE EOT `number`."""
        return bytes([FINE])

    def confirm(self, process_id: bytes) -> bytes:
        """The answer to GS ( H function 48."""
        return b"\x37\x22" + process_id + b"\x00"

    # On TCP

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.switch_off()

    async def listen(self) -> None:
        """Listen; after `switch_off`, on the same port again."""
        door = socket.socket()
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW_BYTES)
        door.bind(("127.0.0.1", self.port))
        self._server = await asyncio.get_running_loop().create_server(lambda: _Line(self), sock=door)
        self.port = self._server.sockets[0].getsockname()[1]

    async def switch_off(self) -> None:
        self._server.close()
        for line in list(self._lines):
            line.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0)  # aborted lines are closed in the loop's next turn
        self.power_on()

    @property
    def device(self) -> str:
        """As [printer] device says it."""
        return f"tcp://127.0.0.1:{self.port}"

    async def wait_for_jobs(self, count: int, within_s: float = WAIT_S) -> list[Job]:
        """Until `count` slips have come out, or TimeoutError."""
        async with asyncio.timeout(within_s):
            while len(self.jobs) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.jobs

    # On a serial line

    @contextlib.asynccontextmanager
    async def on_pty(self) -> AsyncIterator[str]:
        """The printer at the far end of a pseudo terminal; yields the near end's path."""
        far, near = pty.openpty()
        tty.setraw(near)
        os.set_blocking(far, False)
        loop = asyncio.get_running_loop()
        loop.add_reader(far, self._read_pty, far)
        try:
            yield os.ttyname(near)
        finally:
            loop.remove_reader(far)
            os.close(near)
            os.close(far)

    def _read_pty(self, far: int) -> None:
        try:
            answer = self.receive(os.read(far, 65536))
        except PrinterDiedError:  # a serial line does not close; it is only silent
            asyncio.get_running_loop().remove_reader(far)
            return
        if answer:
            os.write(far, answer)
        if not self.taking:
            asyncio.get_running_loop().remove_reader(far)


class _Line(asyncio.Protocol):
    def __init__(self, printer: FakePrinter) -> None:
        self._printer = printer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._printer._lines.add(transport)

    def data_received(self, data: bytes) -> None:
        try:
            answer = self._printer.receive(data)
        except PrinterDiedError:
            self._transport.abort()
            return
        if answer:
            self._transport.write(answer)
        if not self._printer.taking:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._printer._lines.discard(self._transport)
        if self._printer._paper.burnt and not self._printer._lines:  # somebody tears off what lies there
            self._printer._tear()


class ConfirmingPrinter(FakePrinter):
    """Prints, and says so."""


class PausingPrinter(FakePrinter):
    """Confirms what it has printed, cut or not. `hangs` is called with a slip that is not cut yet."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs: Callable[[Image.Image], None] = lambda picture: None

    def _printed(self, process_id: bytes) -> bytes:
        if self._paper.burnt:
            picture = self._paper.cut()
            self._paper.add(reader.Raster(picture))
            self.hangs(picture)
        return self.confirm(process_id)


class SilentPrinter(FakePrinter):
    """Says that it is fine, prints, and never says that it has printed."""

    def confirm(self, process_id: bytes) -> bytes:
        return b""


class MutePrinter(SilentPrinter):
    """Prints, and answers nothing at all."""

    def status(self, number: int) -> bytes:
        return b""


class ForgetfulPrinter(FakePrinter):
    """Confirms a slip, but another one than was asked for."""

    def confirm(self, process_id: bytes) -> bytes:
        return super().confirm(b"~~~~")


class PaperOutPrinter(FakePrinter):
    def status(self, number: int) -> bytes:
        return bytes([FINE | {1: 0x08, 2: 0x20, 4: 0x60}.get(number, 0)])


class PaperLowPrinter(FakePrinter):
    def status(self, number: int) -> bytes:
        return bytes([FINE | {4: 0x0C}.get(number, 0)])


class CoverOpenPrinter(FakePrinter):
    def status(self, number: int) -> bytes:
        return bytes([FINE | {1: 0x08, 2: 0x04}.get(number, 0)])


class CutterJammedPrinter(FakePrinter):
    def status(self, number: int) -> bytes:
        return bytes([FINE | {1: 0x08, 2: 0x40, 3: 0x08}.get(number, 0)])


class OfflinePrinter(FakePrinter):
    """Somebody pressed its button; it does not say why it is offline."""

    def status(self, number: int) -> bytes:
        return bytes([FINE | {1: 0x08}.get(number, 0)])


class ChattyPrinter(FakePrinter):
    """Automatic status is on: four bytes come unasked before and after every answer."""

    def status(self, number: int) -> bytes:
        return ALL_IS_WELL + super().status(number) + ALL_IS_WELL

    def confirm(self, process_id: bytes) -> bytes:
        return ALL_IS_WELL + super().confirm(process_id)


class PrinterThatDiesAt(FakePrinter):
    """Loses its power once, when it has taken `byte` bytes of a job; whoever asks again finds it well."""

    def __init__(self, byte: int) -> None:
        super().__init__()
        self._byte = byte
        self.died = False

    def receive(self, data: bytes) -> bytes:
        room = self._byte - len(self.received)
        is_job = not _is_question(data)
        if not is_job:
            self._byte += len(data)  # questions do not count
        elif not self.died and len(data) >= room:
            self.died = True
            self.received += data[:room]
            self.power_on()
            raise PrinterDiedError
        return super().receive(data)


class JammedPrinter(FakePrinter):
    """Fine when asked; stops taking bytes in the middle of a job, as with a paper jam and a full buffer."""

    def __init__(self, byte: int = 1) -> None:
        super().__init__()
        self._byte = byte

    def receive(self, data: bytes) -> bytes:
        if not _is_question(data):
            self._byte -= len(data)
        self.taking = self._byte > 0
        return super().receive(data)

    def confirm(self, process_id: bytes) -> bytes:
        return b""


class GulpingPrinter(FakePrinter):
    """Says that a USB transfer is done when it has taken 1,000 bytes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.gulp = 1000


class PaperRunsOutPrinter(FakePrinter):
    """Has paper when asked, none left once the first strip has arrived; `load_paper` prints what it still holds."""

    def __init__(self) -> None:
        super().__init__()
        self.out = False
        self._waiting = b""

    def receive(self, data: bytes) -> bytes:
        if _is_question(data):
            return super().receive(data)
        self.out = True
        self._waiting += data
        return b""

    def status(self, number: int) -> bytes:
        return bytes([FINE | ({1: 0x08, 2: 0x20, 4: 0x60}.get(number, 0) if self.out else 0)])

    def load_paper(self) -> None:
        self.out, held, self._waiting = False, self._waiting, b""
        super().receive(held)
